"""Evidence from observations: figures, excerpts and tables, made anew only where observations or code changed."""

from __future__ import annotations

import hashlib
import inspect
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.csv
from pydantic import TypeAdapter

import repro
from repro.catalogue import Claim, path_of, registry
from repro.common import ReproError, redirect_output
from repro.criteria import render
from repro.report.text import cell, tokens
from repro.results import Evaluation, Store
from repro.runner import environment

SHOWN_ROWS = 12
FORMATS = ("svg", "png", "pdf")
ROWS_AS_CSV = 10_000
# A process loads pandas and Matplotlib for as long as some fifteen figures take.
FEWEST_FOR_PROCESSES = 48


@dataclass(frozen=True)
class Table:
    """An excerpt of a table.

    Attributes:
        columns: Names of the columns.
        rows: First rows, as text.
        count: Number of all rows.
    """

    columns: list[str]
    rows: list[list[str]]
    count: int


@dataclass(frozen=True)
class Evidence:
    """Material that shows the observations of an evaluation.

    Attributes:
        excerpt: First rows of the observations; None where nothing is stored.
        tuning: Trials of hyperparameter searches that the observations come with; None without any.
        formats: Formats of the figure's files; empty where there is no figure.
        missing: One line that says why observations or figure are missing; empty where they are not.
        code: Source code of the experiment as ``repro.report.text.tokens``, for the claim's own evaluation; splitting
            it takes as long as all else about a page.
    """

    excerpt: Table | None = None
    tuning: Table | None = None
    formats: tuple[str, ...] = ()
    missing: str = ""
    code: Sequence[tuple[str, str]] = ()


_RECORD = TypeAdapter(Evidence)


@dataclass(frozen=True)
class Wanted:
    """Evidence to be shown.

    Attributes:
        name: Stem of the names of its files.
        evaluation: Evaluation whose observations are shown.
        claim: Claim that reads them; None if it is not registered any more.
        digest: Digest that is the same for the same observations, read and drawn by the same code.
        formats: Formats that its figure is drawn in.
    """

    name: str
    evaluation: Evaluation
    claim: Claim | None
    digest: str
    formats: tuple[str, ...] = ("svg",)


def collect(store: Store, wanted: Sequence[Wanted], site: Path, previous: Path) -> dict[str, Evidence]:
    """Put evidence into a site: what an earlier one has of it is reused, the rest is made on all cores.

    Args:
        store: Store that has the observations.
        wanted: Evidence to be shown.
        site: Folder of the new site, with folders ``evidence``, ``figures`` and ``observations``.
        previous: Folder of the previous site, which need not exist.

    Returns:
        Evidence by name.
    """
    found = {item.name: _taken_over(item, site, previous) for item in wanted}
    new = [item for item in wanted if found[item.name] is None]
    made = _in_processes if len(new) >= FEWEST_FOR_PROCESSES else _in_this_process
    shared = [item for item in new if item.claim is None or registry.registered().get(item.claim.id) is item.claim]
    own = [item for item in new if item not in shared]
    found |= dict(made(store, shared, site)) | dict(_in_this_process(store, own, site))
    return {name: evidence for name, evidence in found.items() if evidence is not None}


def digests(claims: Iterable[Claim]) -> dict[str, str]:
    """Return a digest of the code that reads and draws each claim's observations, by id.

    It covers the suite without its claims, and the whole folder of the claim, which may have helpers.
    """
    package = Path(repro.__file__).parent
    suite = [file for file in package.rglob("*.py") if "claims" not in file.relative_to(package).parts]
    of_suite = _hash_of(suite)
    folders: dict[Path, str] = {}
    found = {}
    for claim in claims:
        file = path_of(claim)
        if file is not None and file.parent not in folders:
            folders[file.parent] = _hash_of(file.parent.glob("*.py"))
        of_claim = hashlib.sha256(_code(claim).encode()).hexdigest() if file is None else folders[file.parent]
        found[claim.id] = of_suite + of_claim
    return found


def digest(evaluation: Evaluation, code: str) -> str:
    """Return a digest of everything that evidence depends on.

    Args:
        evaluation: Evaluation whose observations are shown.
        code: Digest of the code that reads and draws them.
    """
    made_of = (
        code,
        evaluation.role,
        evaluation.observations,
        evaluation.message,
        sorted(evaluation.parameters.items()),
    )
    return hashlib.sha256(repr(made_of).encode(errors="backslashreplace")).hexdigest()


def make(store: Store, wanted: Wanted, site: Path) -> Evidence:
    """Read, reduce and draw the observations of an evaluation, and write its files.

    Nothing that is missing or fails raises: the evidence says what it was.
    """
    evidence = _make(store, wanted, site)
    if wanted.claim is not None and wanted.evaluation.role == "claim":
        evidence = replace(evidence, code=tokens(_code(wanted.claim)))
    content = json.dumps({"digest": wanted.digest, **asdict(evidence)})
    (site / "evidence" / f"{wanted.name}.json").write_text(content, encoding="utf-8")
    return evidence


def _make(store: Store, wanted: Wanted, site: Path) -> Evidence:
    evaluation, claim = wanted.evaluation, wanted.claim
    if evaluation.observations is None:
        return Evidence(missing=evaluation.message)
    try:
        stored = store.read_observations(evaluation.observations)
    except ReproError as error:
        return Evidence(missing=str(error))
    if claim is None:
        return _tables(store, stored, wanted, site, "the claim is not registered any more; no figure can be drawn")
    observations = stored
    try:
        observations = claim.read(stored, evaluation.parameters)
        verdict = claim.variant(evaluation.role, evaluation.parameters).judge(observations)
        figures = render(claim.draw(observations, verdict, evaluation.role), wanted.formats)
    except Exception as error:  # noqa: BLE001  a claim's own code may raise anything, the page must stand
        reason = " ".join(str(error).split())
        missing = f"no figure could be drawn: {type(error).__name__}: {reason}"
        return _tables(store, observations, wanted, site, missing)
    for suffix, content in figures.items():
        (site / "figures" / f"{wanted.name}.{suffix}").write_bytes(content)
    return replace(_tables(store, observations, wanted, site, ""), formats=tuple(figures))


def _code(claim: Claim) -> str:
    functions = dict.fromkeys((claim.experiment, claim.function))
    try:
        return "\n\n".join(inspect.getsource(function) for function in functions)
    except (OSError, TypeError):  # typed into an interpreter, or a callable that is no function
        return ""


def _tables(store: Store, observations: pd.DataFrame, wanted: Wanted, site: Path, missing: str) -> Evidence:
    _write_csv(observations.head(ROWS_AS_CSV), site / "observations" / f"{wanted.name}.csv")
    if wanted.evaluation.observations is not None:
        link(store.observations_file(wanted.evaluation.observations), site / "observations" / f"{wanted.name}.parquet")
    trials = observations.attrs.get("tuning", [])
    is_table = isinstance(trials, list) and all(isinstance(trial, dict) for trial in trials)
    tuning = _excerpt(pd.DataFrame(trials), len(trials)) if trials and is_table else None
    return Evidence(_excerpt(observations), tuning, (), missing)


def _write_csv(table: pd.DataFrame, file: Path) -> None:
    """Write a table with Arrow, in a fifth of the time that pandas takes; lists and the like are written as text."""
    texts = {column: str for column, kind in table.dtypes.items() if pd.api.types.is_object_dtype(kind)}
    pyarrow.csv.write_csv(pyarrow.Table.from_pandas(table.astype(texts), preserve_index=False), file)


def _excerpt(table: pd.DataFrame, count: int = SHOWN_ROWS) -> Table:
    rows = table.head(count).to_numpy(dtype=object).tolist()
    return Table([str(column) for column in table], [[cell(value) for value in row] for row in rows], len(table))


def _taken_over(wanted: Wanted, site: Path, previous: Path) -> Evidence | None:
    """Link the files of the earlier site, if they show the same, and return their evidence; else None."""
    record = Path("evidence", f"{wanted.name}.json")
    try:
        content = json.loads((previous / record).read_text(encoding="utf-8"))
        if content.pop("digest") != wanted.digest:
            return None
        evidence = _RECORD.validate_python(content)
        if evidence.formats and not set(wanted.formats) <= set(evidence.formats) <= set(FORMATS):  # names of files
            return None
        files = [Path("figures", f"{wanted.name}.{suffix}") for suffix in evidence.formats]
        files += [Path("observations", f"{wanted.name}.{kind}") for kind in ("csv", "parquet") if evidence.excerpt]
        for file in (*files, record):
            link(previous / file, site / file)
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ):  # no such file, or not one of ours
        return None
    return evidence


def link(source: Path, target: Path) -> None:
    """Give a file a second name; copy it where file systems have no links."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # not on every file system
        shutil.copyfile(source, target)


def _in_this_process(store: Store, wanted: Sequence[Wanted], site: Path) -> dict[str, Evidence]:
    return {item.name: make(store, item, site) for item in wanted}


def _in_processes(store: Store, wanted: Sequence[Wanted], site: Path) -> dict[str, Evidence]:
    # Claims cannot be sent: a decorated function is no longer what its name says. Processes find them by their ids.
    ids = [None if item.claim is None else item.claim.id for item in wanted]
    unread = [replace(item, claim=None) for item in wanted]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        environment.cores(), mp_context=context, initializer=redirect_output, initargs=(os.devnull,)
    ) as pool:
        made = pool.map(partial(_make_registered, store, site), ids, unread, chunksize=4)
        return {item.name: evidence for item, evidence in zip(wanted, made, strict=True)}


def _make_registered(store: Store, site: Path, claim: str | None, wanted: Wanted) -> Evidence:
    found = None if claim is None else registry.get(claim)
    return make(store, replace(wanted, claim=found), site)


def _hash_of(files: Iterable[Path]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()
