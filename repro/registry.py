"""Finds claims: by discovery of the modules of ``repro.claims``, and among them by id, module, pattern or tag."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache

import repro.claims
from repro.claim import Claim, claims_of
from repro.errors import ClaimError, ReproError


@cache
def registered() -> dict[str, Claim]:
    """Import every claim module.

    Returns:
        Claims by id, in the order of modules and of their source.

    Raises:
        ClaimError: a claim is declared wrongly, or two have the same id.
    """
    names = sorted(module.name for module in pkgutil.walk_packages(repro.claims.__path__, "repro.claims."))
    return by_id(claim for name in names for claim in claims_of(importlib.import_module(name)))


def by_id(claims: Iterable[Claim]) -> dict[str, Claim]:
    """Index claims by id.

    Raises:
        ClaimError: two have the same id.
    """
    found: dict[str, Claim] = {}
    for claim in claims:
        if claim.id in found:
            raise ClaimError(f"two claims have the id {claim.id}; rename one of the functions")
        found[claim.id] = claim
    return found


def find(*patterns: str, source: str | None = None) -> list[Claim]:
    """Find claims.

    Args:
        *patterns: ids (``perceptron.novikoff``), modules (``perceptron``), shell patterns (``dropout.*``) or tags
            (``headline``); none for all claims.
        source: a document and, if wanted, a section with all below it: ``lectures``, ``lectures 3.5``.

    Returns:
        The claims that match any pattern and the source, in the order of the registry.

    Raises:
        ReproError: a pattern or source that nothing matches, with the nearest names.
    """
    claims = registered()
    chosen = set(claims) if not patterns else set().union(*(_matches(pattern, claims) for pattern in patterns))
    if source is not None:
        chosen &= _from_source(source, claims.values())
        if not chosen:
            raise ReproError(f"no claim matches {' '.join(patterns)} and comes from {source}")
    return [claim for name, claim in claims.items() if name in chosen]


def get(name: str) -> Claim:
    """Return the claim of an id.

    Raises:
        ReproError: there is none, with the nearest names.
    """
    if name not in registered():
        raise ReproError(f"no claim {name!r}; {_hint(name, registered())}")
    return registered()[name]


def _matches(pattern: str, claims: dict[str, Claim]) -> set[str]:
    matching = {
        name
        for name, claim in claims.items()
        if fnmatchcase(name, pattern) or name.split(".")[0] == pattern or pattern in claim.tags
    }
    if not matching:
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
