"""Discovery of claims: this package's, those that installed packages bring, and those in files of the user's own.

A package brings claims by entry points of the group ``repro.claims``, each of which names a module.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from importlib import metadata
from itertools import chain
from pathlib import Path
from types import ModuleType

from repro.catalogue import user_files
from repro.catalogue.declaration import Claim
from repro.common import ClaimError, ReproError, paths

PACKAGE = ENTRY_POINTS = "repro.claims"


@cache
def registered() -> dict[str, Claim]:
    """Import every claim module of this package and of those that bring claims by entry points.

    Returns:
        Claims by id, in the order of modules and of their source; this package's first.

    Raises:
        ClaimError: a claim is declared wrongly, two have the same id, or an entry point cannot be used.
    """
    package = importlib.import_module(PACKAGE)  # not imported above: claims import what this file belongs to
    names = sorted(module.name for module in pkgutil.walk_packages(package.__path__, f"{PACKAGE}."))
    modules = [importlib.import_module(name) for name in names]
    brought = sorted(metadata.entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name, entry.value))
    return by_id(claim for module in [*modules, *map(_brought, brought)] for claim in user_files.claims_of(module))


def by_id(claims: Iterable[Claim]) -> dict[str, Claim]:
    """Index claims by id.

    Raises:
        ClaimError: two have the same id.
    """
    found: dict[str, Claim] = {}
    for claim in claims:
        if claim.id in found:
            places = f"{_place(found[claim.id])} and in {_place(claim)}"
            raise ClaimError(f"two claims have the id {claim.id}, in {places}; rename a function or a file")
        found[claim.id] = claim
    return found


def find(*patterns: str, source: str | None = None) -> list[Claim]:
    """Find claims.

    Args:
        *patterns: Ids (``perceptron.novikoff``), modules (``perceptron``), shell patterns (``dropout.*``), tags
            (``headline``) or files of the user's own (``my_claims.py``, ``my_claims.py::name``); none for all
            registered claims.
        source: Document and, if wanted, a section with all below it: ``lectures``, ``lectures 3.5``.

    Returns:
        The claims that match any pattern and the source, in the order of the registry; those of files come last.

    Raises:
        ReproError: a pattern or source that nothing matches, with the nearest names, or a file that cannot be used.
    """
    in_files = {pattern: _in_file(pattern) for pattern in patterns if user_files.names_file(pattern)}
    claims = by_id(dict.fromkeys(chain(registered().values(), *in_files.values())))
    chosen = set() if patterns else set(claims)
    for pattern in patterns:
        own = in_files.get(pattern)
        chosen |= _matches(pattern, claims) if own is None else {claim.id for claim in own}
    if source is not None:
        chosen &= _from_source(source, claims.values())
        if not chosen:
            raise ReproError(f"no claim matches {' '.join(patterns)} and comes from {source}")
    return [claim for name, claim in claims.items() if name in chosen]


def get(name: str) -> Claim:
    """Return the claim of an id, or the one in a file: ``my_claims.py`` if it has one, ``my_claims.py::name``.

    Raises:
        ReproError: there is none, with the nearest names, or there are several.
    """
    if user_files.names_file(name):
        found = find(name)
        if len(found) > 1:
            first = found[0].function.__name__
            raise ReproError(f"{name} has {len(found)} claims; name one of them, such as {_path(name)}::{first}")
        return found[0]
    if name not in registered():
        raise ReproError(f"no claim {name!r}; {_hint(name, registered())}")
    return registered()[name]


def _brought(entry: metadata.EntryPoint) -> ModuleType:
    package = entry.dist.name if entry.dist else "an installed package"
    culprit = f"entry point {entry.name} = {entry.value} of {package}"
    try:
        module = entry.load()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ClaimError(f"{culprit} cannot be loaded, {reason}; mend or uninstall the package") from error
    if not isinstance(module, ModuleType):
        raise ClaimError(f"{culprit} names no module; let it name the module that defines the claims")
    return module


def _in_file(text: str) -> list[Claim]:
    """List the claims that a text such as ``my_claims.py::name`` names."""
    path, name = _path(text), text.partition("::")[2]
    file = user_files.read(path)
    known = [claim for claim in registered().values() if user_files.path_of(claim) == file.path]
    claims = known or user_files.load_file(file)
    chosen = [claim for claim in claims if fnmatchcase(claim.function.__name__, name or "*")]
    if not chosen:
        names = ", ".join(claim.function.__name__ for claim in claims)
        raise ReproError(f"{path} has no claim {name!r}; its claims are {names}")
    return chosen


def _path(text: str) -> Path:
    return paths.expanded(Path(text.partition("::")[0]))


def _place(claim: Claim) -> str:
    file = user_files.file_of(claim)
    return claim.function.__module__ if file is None else str(file.path)


def _matches(pattern: str, claims: dict[str, Claim]) -> set[str]:
    matching = {
        name
        for name, claim in claims.items()
        if fnmatchcase(name, pattern) or name.split(".")[0] == pattern or pattern in claim.tags
    }
    if not matching:
        if pattern and paths.exists(Path(pattern)):
            raise ReproError(f"no claim, module or tag {pattern!r}, and {pattern} is not a Python file")
        tags = {tag for claim in claims.values() for tag in claim.tags}
        names = {*claims, *(name.split(".")[0] for name in claims), *tags}
        raise ReproError(f"no claim, module or tag {pattern!r}; {_hint(pattern, names)}")
    return matching


def _from_source(wanted: str, claims: Iterable[Claim]) -> set[str]:
    sources = [(claim.id, source) for claim in claims for source in claim.sources]
    matching = {name for name, source in sources if _within(str(source), wanted)}
    if not matching:
        known = {str(source) for _, source in sources} | {source.document for _, source in sources}
        raise ReproError(f"no claim comes from {wanted!r}; {_hint(wanted, known)}")
    return matching


def _within(place: str, wanted: str) -> bool:
    return place == wanted or place.startswith((f"{wanted}.", f"{wanted} "))


def _hint(wanted: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(wanted, sorted(known), n=3, cutoff=0.4)
    return f"did you mean {', '.join(nearest)}?" if nearest else "`repro list` shows all claims"
