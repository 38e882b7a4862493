"""What the pages of a report show, put together from results, claims and observations."""

from __future__ import annotations

import hashlib
import inspect
import re
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from repro import running, settings
from repro.claim import Claim, Parameters
from repro.criteria.figures import svg
from repro.errors import ReproError
from repro.multiplicity import Multiplicity, multiplicity
from repro.result import ClaimResult, Evaluation, Outcome, Run
from repro.sampling import looks
from repro.store import Store

SHOWN_ROWS = 12


@dataclass(frozen=True)
class Table:
    """An excerpt of a table.

    Attributes:
        columns: their names.
        rows: the first rows.
        count: number of all rows.
    """

    columns: list[str]
    rows: list[list[Any]]
    count: int


@dataclass(frozen=True)
class EvaluationView:
    """One evaluation with what its observations show.

    Attributes:
        evaluation: of the claim itself or of a counterpart.
        changed: parameters that differ from the claim's own; empty for the claim itself.
        name: of its files.
        observations: what was judged; None where there is nothing stored.
        figure: as SVG; None where there is none.
        missing: one line that says why observations or figure are missing; empty where they are not.
    """

    evaluation: Evaluation
    changed: Parameters
    name: str
    observations: pd.DataFrame | None
    figure: str | None
    missing: str

    @property
    def excerpt(self) -> Table | None:
        """The first observations."""
        return None if self.observations is None else _excerpt(self.observations)

    @property
    def tuning(self) -> Table | None:
        """The trials of hyperparameter searches that the observations come with."""
        trials = [] if self.observations is None else self.observations.attrs.get("tuning", [])
        return _excerpt(pd.DataFrame(trials), len(trials)) if trials else None


@dataclass(frozen=True)
class ClaimPage:
    """The page of a claim.

    Attributes:
        result: of the claim.
        claim: None if it is not registered any more.
        own: the claim's own evaluation.
        counterparts: its control and correction.
        code: source code of the experiment.
        command: that repeats it; empty if the claim is not registered any more.
    """

    result: ClaimResult
    claim: Claim | None
    own: EvaluationView
    counterparts: list[EvaluationView]
    code: str
    command: str


@dataclass(frozen=True)
class Mistake:
    """A refuted statement on the page of what the documents get wrong.

    Attributes:
        result: of the claim.
        sections: of the document that make the statement.
        explanation: the docstring of the claim; empty if it is not registered any more.
    """

    result: ClaimResult
    sections: list[str]
    explanation: str


@dataclass(frozen=True)
class Overview:
    """The first page.

    Attributes:
        counts: number of claims by status.
        groups: title and results of each section, those that call for attention first; without empty sections.
        multiplicity: what the number of verdicts means for them.
        command: that repeats the run.
    """

    counts: Mapping[Outcome, int]
    groups: list[tuple[str, list[ClaimResult]]]
    multiplicity: Multiplicity
    command: str


def overview(run: Run, results: Sequence[ClaimResult], claims: Mapping[str, Claim]) -> Overview:
    """Sort the results of a run into sections."""
    groups = {title: [result for result in results if _section(result) == title] for title in SECTIONS}
    return Overview(
        counts=Counter(result.status for result in results),
        groups=[(title, members) for title, members in groups.items() if members],
        multiplicity=multiplicity(results),
        command=_run_command(run, results, claims),
    )


def mistakes(results: Sequence[ClaimResult], claims: Mapping[str, Claim]) -> list[tuple[str, list[Mistake]]]:
    """Sort the refuted statements by the documents that make them, in the order in which these first appear."""
    documents: dict[str, list[Mistake]] = {}
    for result in results:
        if result.status != "refuted":
            continue
        claim = claims.get(result.id)
        if claim is None:
            documents.setdefault("Claims that are not registered any more", []).append(Mistake(result, [], ""))
            continue
        explanation = inspect.getdoc(claim.function) or ""
        for title, sections in sections_by_document(claim).items():
            documents.setdefault(title, []).append(Mistake(result, sections, explanation))
    return list(documents.items())


def sections_by_document(claim: Claim) -> dict[str, list[str]]:
    """List the sections that make the statement, by the titles of their documents."""
    sections: dict[str, list[str]] = {}
    for source in claim.sources:
        sections.setdefault(source.title, []).append(source.section)
    return sections


def claim_page(store: Store, run: Run, result: ClaimResult, claim: Claim | None) -> ClaimPage:
    """Put together the page of a claim. Nothing that is missing or fails loses the page."""
    own = result.evaluation.parameters

    def view(evaluation: Evaluation) -> EvaluationView:
        changed = {name: value for name, value in evaluation.parameters.items() if own.get(name) != value}
        observations, figure, missing = _evidence(store, claim, evaluation)
        return EvaluationView(
            evaluation, changed, f"{file_name(result.id)}-{evaluation.kind}", observations, figure, missing
        )

    return ClaimPage(
        result=result,
        claim=claim,
        own=view(result.evaluation),
        counterparts=[view(counterpart) for counterpart in result.counterparts],
        code="" if claim is None else _code(claim),
        command="" if claim is None else _check_command(run, result, claim),
    )


def file_name(claim: str) -> str:
    """Return the stem of a claim's files: its id where every file system takes that, else made unique by a hash."""
    if re.fullmatch(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", claim) and len(claim) <= 100:
        return claim
    readable = re.sub(r"[^a-z0-9_]+", "-", claim.lower()).strip("-")[:60]
    return f"{readable}-{hashlib.sha256(claim.encode(errors='backslashreplace')).hexdigest()[:12]}"


def counterpart_statuses(result: ClaimResult) -> str:
    """Say how the counterparts came out, which is what soundness rests on."""
    return ", ".join(f"{counterpart.kind} {counterpart.status}" for counterpart in result.counterparts)


def _section(result: ClaimResult) -> str:
    return next(title for title, belongs in SECTIONS.items() if belongs(result))


SECTIONS: Mapping[str, Callable[[ClaimResult], bool]] = {
    "Unsound": lambda result: result.sound is False,
    "Contradicting what is published": lambda result: result.contradicts_published,
    "Errors": lambda result: "error" in {one.status for one in (result.evaluation, *result.counterparts)},
    "Sound": lambda result: result.sound is True,
    "Skipped": lambda result: result.status == "skipped",
    "Undecided": lambda _: True,
}


def _evidence(store: Store, claim: Claim | None, evaluation: Evaluation) -> tuple[pd.DataFrame | None, str | None, str]:
    if evaluation.observations is None:
        return None, None, evaluation.message
    try:
        stored = store.read_observations(evaluation.observations)
    except ReproError as error:
        return None, None, str(error)
    if claim is None:
        return stored, None, "the claim is not registered any more; no figure can be drawn"
    observations = stored
    try:
        observations = claim.read(stored, evaluation.parameters)
        return observations, _figure(claim, observations), ""
    except Exception as error:  # noqa: BLE001  a claim's own code may raise anything, the page must stand
        reason = " ".join(str(error).split())
        return observations, None, f"no figure could be drawn: {type(error).__name__}: {reason}"


def _figure(claim: Claim, observations: pd.DataFrame) -> str:
    verdict = claim.criterion(observations)
    return svg(verdict.figure() if claim.figure is None else claim.figure(observations, verdict))


def _excerpt(table: pd.DataFrame, count: int = SHOWN_ROWS) -> Table:
    return Table([str(column) for column in table], table.head(count).to_numpy(dtype=object).tolist(), len(table))


def _code(claim: Claim) -> str:
    functions = dict.fromkeys((claim.experiment, claim.function))
    try:
        return "\n\n".join(inspect.getsource(function) for function in functions)
    except (OSError, TypeError):  # typed into an interpreter, or a callable that is no function
        return ""


def _is_usual(run: Run, evaluation: Evaluation, claim: Claim) -> bool:
    """Whether the profile may have ended with these seeds by itself."""
    usual = running.seeds_of(claim, run.profile, None)
    return evaluation.seeds in [usual[: look.seeds] for look in looks(len(usual))]


def _check_command(run: Run, result: ClaimResult, claim: Claim) -> str:
    evaluation = result.evaluation
    usual = claim.variants(run.profile)[0].parameters
    overridden = {
        name: value for name, value in evaluation.parameters.items() if name in usual and usual[name] != value
    }
    seeds = None if _is_usual(run, evaluation, claim) else len(evaluation.seeds)
    return settings.repeat_command(result.id, run.profile, seeds, overridden, run.backend)


def _run_command(run: Run, results: Sequence[ClaimResult], claims: Mapping[str, Claim]) -> str:
    known = [(result.evaluation, claims[result.id]) for result in results if result.id in claims]
    command = ["repro", "run", "--profile", run.profile, "--backend", run.backend]
    if {result.id for result in results} != set(claims):
        command[2:2] = [claim.id for _, claim in known]
    if not all(_is_usual(run, evaluation, claim) for evaluation, claim in known):
        command += ["--seeds", str(max(len(evaluation.seeds) for evaluation, _ in known))]
    data = {
        evaluation.parameters["data"]
        for evaluation, claim in known
        if "data" in evaluation.parameters
        and evaluation.parameters["data"] != claim.variants(run.profile)[0].parameters.get("data")
    }
    if len(data) == 1:
        command += ["--data", str(data.pop())]
    return shlex.join(command)
