"""Pages that list claims: the overview, a module's, a document's, and what the documents get wrong."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from etils import epy

from repro.catalogue import DOCUMENTS, Claim, address, file_of
from repro.criteria import MUTED, SCALES, STATUS_COLOURS, Scale, render, style
from repro.report.pages import file_name, is_usual
from repro.results import ClaimResult, Multiplicity, Outcome, Run, multiplicity

with epy.lazy_imports():
    import matplotlib.figure
    import pandas as pd
    import seaborn

GONE = "Claims that are not registered any more"
OUTCOME_COLOURS: Mapping[Outcome, str] = {
    "reproduced": STATUS_COLOURS["reproduced"],
    "conditional": STATUS_COLOURS["conditional"],
    "absent": STATUS_COLOURS["absent"],
    "refuted": STATUS_COLOURS["refuted"],
    "inconclusive": "#c9b458",
    "error": "#b3141d",
    "skipped": "#b9bfc9",
}


@dataclass(frozen=True)
class Group:
    """Claims that are listed together.

    Attributes:
        title: Title of the group.
        results: Results of these claims.
        note: Sentence about them.
        attention: Whether they call for attention.
    """

    title: str
    results: list[ClaimResult]
    note: str = ""
    attention: bool = False


@dataclass(frozen=True)
class Listing:
    """A page that lists the claims of a module or of a document.

    Attributes:
        title: Title of the page.
        name: Stem of its file.
        lead: Sentence or two about the page.
        groups: Groups of the claims; for a document its sections, in their order.
        counts: Number of claims by status.
    """

    title: str
    name: str
    lead: str
    groups: list[Group]
    counts: Mapping[Outcome, int]


@dataclass(frozen=True)
class Overview:
    """Content of the first page.

    Attributes:
        counts: Number of claims by status.
        scales: Number of claims by status, for each scale.
        groups: Groups of claims, those that call for attention first; without empty ones.
        multiplicity: Consequences that the number of verdicts has for them.
        command: Command that repeats the run.
    """

    counts: Mapping[Outcome, int]
    scales: Mapping[Scale, Mapping[Outcome, int]]
    groups: list[Group]
    multiplicity: Multiplicity
    command: str


@dataclass(frozen=True)
class Concern:
    """A reason to look at some claims first or last.

    Attributes:
        title: Title of their group.
        note: Sentence that says what the group means.
        applies: Function that tells whether a result belongs to the group.
        attention: Whether something is wrong with the group's results.
    """

    title: str
    note: str
    applies: Callable[[ClaimResult], bool]
    attention: bool = False


# A claim stands in the first group that it belongs to.
CONCERNS = (
    Concern(
        "Unsound",
        "A counterpart contradicts these verdicts: they say nothing.",
        lambda result: result.standing == "unsound",
        attention=True,
    ),
    Concern(
        "Contradicting what is published",
        "The package publishes another verdict for this profile.",
        lambda result: result.contradicts_published,
        attention=True,
    ),
    Concern(
        "Errors",
        "Here an experiment or its judgement failed.",
        lambda result: result.in_error,
        attention=True,
    ),
    Concern("Sound", "A counterpart confirms each of these verdicts.", lambda result: result.sound is True),
    Concern(
        "Marked",
        "An expert would not sign these verdicts yet; the page of each says what they lack.",
        lambda result: result.standing == "marked",
    ),
    Concern(
        "Skipped",
        "These claims need something that this machine does not have.",
        lambda result: result.status == "skipped",
    ),
    Concern(
        "Undecided",
        "No counterpart decides whether these verdicts mean something; they are not counted as sound.",
        lambda _: True,
    ),
)


def overview(run: Run, results: Sequence[ClaimResult], claims: Mapping[str, Claim]) -> Overview:
    """Sort the results of a run by the attention that they call for."""
    members: dict[str, list[ClaimResult]] = {}
    for result in results:
        members.setdefault(next(concern.title for concern in CONCERNS if concern.applies(result)), []).append(result)
    return Overview(
        counts=_counts(results),
        scales=_by_scale(results),
        groups=[
            Group(concern.title, members[concern.title], concern.note, concern.attention)
            for concern in CONCERNS
            if concern.title in members
        ],
        multiplicity=multiplicity(results),
        command=_run_command(run, results, claims),
    )


def in_order(results: Iterable[ClaimResult], claims: Mapping[str, Claim]) -> list[ClaimResult]:
    """Sort results by module, and within one as the claims are registered; runs record them as they are ready."""
    places = {name: place for place, name in enumerate(claims)}
    return sorted(results, key=lambda result: (module_of(result.id), places.get(result.id, len(places)), result.id))


def modules(results: Sequence[ClaimResult], claims: Mapping[str, Claim]) -> list[Listing]:
    """List the claims of each module; modules are sorted by name."""
    members: dict[str, list[ClaimResult]] = {}
    for result in results:
        members.setdefault(module_of(result.id), []).append(result)
    return [
        Listing(name.replace("_", " "), file_name(name), _about(found, claims), [Group("", found)], _counts(found))
        for name, found in sorted(members.items())
    ]


def documents(results: Sequence[ClaimResult], claims: Mapping[str, Claim]) -> list[Listing]:
    """List the claims of each document by its sections; a claim of several sections stands in each."""
    sections: dict[str, dict[str, list[ClaimResult]]] = {}
    for result in results:
        known = claims.get(result.id)
        places = sections_by_document(known) if known else {GONE: [""]}
        for title, names in places.items():
            for name in names:
                sections.setdefault(title, {}).setdefault(name, []).append(result)
    return [
        Listing(
            title,
            document_name(title),
            "The sections of the document whose statements were checked, in their order.",
            [Group(name, found[name]) for name in sorted(found, key=_place)],
            _counted(
                _status_in(title, result, claims.get(result.id))
                for result in {result.id: result for members in found.values() for result in members}.values()
            ),
        )
        for title, found in sections.items()
    ]


def sections_by_document(claim: Claim) -> dict[str, list[str]]:
    """List the sections that make the statement, by the titles of their documents."""
    sections: dict[str, list[str]] = {}
    for source in claim.sources:
        sections.setdefault(source.title, []).append(source.section)
    return sections


def places_by_document(claim: Claim) -> dict[str, list[str]]:
    """List the places that make the statement, with the parts of it that stand there, by the titles of documents."""
    places: dict[str, list[str]] = {}
    for source in claim.sources:
        parts = f" ({', '.join(source.parts)})" if source.parts else ""
        places.setdefault(source.title, []).append(source.section + parts)
    return places


def document_name(title: str) -> str:
    """Return the stem of the file of a document's page."""
    keys = {known: key for key, known in DOCUMENTS.items()}
    return keys.get(title) or file_name(title)


def counterpart_statuses(result: ClaimResult) -> str:
    """Say how the counterparts came out, which is what soundness rests on."""
    return ", ".join(f"{counterpart.role} {counterpart.status}" for counterpart in result.counterparts)


def module_of(claim: str) -> str:
    """Return the module in a claim's id."""
    return claim.partition(".")[0]


def summary_picture(listings: Sequence[Listing]) -> bytes:
    """Draw how many claims of each module came out how, as SVG."""
    table = pd.DataFrame({listing.title: listing.counts for listing in listings}).T.fillna(0)
    outcomes = [outcome for outcome in OUTCOME_COLOURS if outcome in table]
    ends = table[outcomes].cumsum(axis=1)
    with style():
        drawing = matplotlib.figure.Figure(figsize=(8.2, 0.9 + 0.3 * len(table)), layout="constrained")
        axes = drawing.subplots()
        for outcome in reversed(outcomes):  # each bar hides the beginning of the longer one before it
            seaborn.barplot(
                x=ends[outcome],
                y=ends.index,
                color=OUTCOME_COLOURS[outcome],
                saturation=1,
                label=outcome,
                legend=False,
                ax=axes,
            )
        for row, listing in enumerate(listings):
            axes.annotate(
                str(sum(listing.counts.values())),
                (ends.iloc[row].max(), row),
                (4, 0),
                textcoords="offset points",
                va="center",
                color=MUTED,
            )
        axes.set(xlabel="claims", ylabel="")
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        handles, labels = axes.get_legend_handles_labels()
        drawing.legend(handles[::-1], labels[::-1], loc="outside upper left", ncols=len(outcomes))
    return render(drawing, ["svg"])["svg"]


def _counts(results: Iterable[ClaimResult]) -> Mapping[Outcome, int]:
    return _counted(result.status for result in results)


def _counted(statuses: Iterable[Outcome]) -> Mapping[Outcome, int]:
    found = Counter(statuses)
    return {outcome: found[outcome] for outcome in OUTCOME_COLOURS if found[outcome]}


def _status_in(title: str, result: ClaimResult, claim: Claim | None) -> Outcome:
    """Return the status of what a document says: that of its parts of the statement, where they have one in common."""
    verdict = result.evaluation.verdict
    if claim is None or verdict is None:
        return result.status
    places = [source for source in claim.sources if source.title == title]
    said = {part.status for part in verdict.parts if any(place.says(part.name) for place in places)}
    says_a_part = all(place.parts for place in places)
    return said.pop() if says_a_part and len(said) == 1 else result.status


def _by_scale(results: Sequence[ClaimResult]) -> Mapping[Scale, Mapping[Outcome, int]]:
    by_scale: dict[Scale, list[ClaimResult]] = {scale: [] for scale in SCALES}
    for result in results:
        if result.evaluation.verdict is not None and result.evaluation.verdict.scale is not None:
            by_scale[result.evaluation.verdict.scale].append(result)
    return {scale: _counts(found) for scale, found in by_scale.items() if found}


def _about(results: Sequence[ClaimResult], claims: Mapping[str, Claim]) -> str:
    """Return the first paragraph of the docstring of the package or module that the claims are defined in."""
    known = [claims[result.id] for result in results if result.id in claims]
    if not known:
        return ""
    name = known[0].function.__module__
    package = ".".join(name.split(".")[:3]) if name.startswith("repro.claims.") else name
    return (inspect.getdoc(sys.modules.get(package)) or "").partition("\n\n")[0]


def _place(section: str) -> tuple[bool, list[int], str]:
    """Return a key that sorts sections by the numbers that they bear, those without a number last."""
    numbers = re.search(r"\d+(\.\d+)*", section)
    return numbers is None, [int(number) for number in numbers[0].split(".")] if numbers else [], section


def _run_command(run: Run, results: Sequence[ClaimResult], claims: Mapping[str, Claim]) -> str:
    known = [(result.evaluation, claims[result.id]) for result in results if result.id in claims]
    command = ["repro", "run", "--profile", run.profile, "--backend", run.backend]
    if {result.id for result in results} != set(claims) or any(file_of(claim) for _, claim in known):
        command[2:2] = [address(claim) for _, claim in known]
    if not all(is_usual(run, evaluation, claim) for evaluation, claim in known):
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
