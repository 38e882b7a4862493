"""Whether a verdict means something: counterparts show that it could have come out otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repro.catalogue import Role

if TYPE_CHECKING:
    from repro.results.records import Evaluation

NOT_REPRODUCED = ("conditional", "absent", "refuted")
MUST_FAIL: tuple[Role, ...] = ("control", "rival")
UNSEEN = ("absent", "refuted")  # where a positive control has to show that an effect could have been seen


@dataclass(frozen=True)
class Soundness:
    """What counterparts and gates say of a verdict.

    Attributes:
        sound: True where a counterpart shows that the verdict could have come out otherwise; False where one
            contradicts it, or a gate marks the claim; None where that is open.
        contradictions: Counterparts that contradict the verdict, in words.
        text: The whole in one line.
    """

    sound: bool | None
    contradictions: tuple[str, ...]
    text: str


def assess(evaluation: Evaluation, counterparts: Sequence[Evaluation]) -> Soundness:
    """Say whether a verdict is sound.

    Args:
        evaluation: The claim's own evaluation.
        counterparts: Evaluations of its counterparts.
    """
    by_role = {item.role: item for item in counterparts}
    contradictions = tuple(_contradictions(evaluation, by_role))
    if contradictions:
        return Soundness(sound=False, contradictions=contradictions, text=f"unsound: {'; '.join(contradictions)}")
    if evaluation.verdict is None:
        reason = f"the claim ended as {evaluation.status}, {evaluation.message}"
        return Soundness(None, (), f"open: {reason}")
    if evaluation.marks:
        return Soundness(sound=False, contradictions=(), text=f"unsound: {'; '.join(evaluation.marks)}")
    support, missing = _support(evaluation, by_role)
    if support:
        return Soundness(sound=True, contradictions=(), text=f"sound: {support}")
    return Soundness(None, (), f"open: {missing}")


def _contradictions(own: Evaluation, by_role: Mapping[Role, Evaluation]) -> Iterator[str]:
    for role, item in by_role.items():
        if role in MUST_FAIL and item.status == "reproduced":
            yield f"its {role} is reproduced"
        needed = role == "correction" or (role == "positive control" and own.status in UNSEEN)
        if needed and item.status in NOT_REPRODUCED:
            yield f"its {role} is {item.status}"
        if role == "repetition" and own.status == "reproduced" and item.status in NOT_REPRODUCED:
            yield f"its repetition on fresh seeds is {item.status}"


def _support(own: Evaluation, by_role: Mapping[Role, Evaluation]) -> tuple[str, str]:
    """Return what supports a verdict, and what is missing where nothing does."""
    kind = own.verdict.kind if own.verdict else None
    if own.status == "inconclusive":
        return "", "the verdict itself is; more seeds (--seeds) or a larger profile would decide it"
    if own.status == "reproduced" and kind == "possibility":
        return _repeated(own, by_role.get("repetition"))
    if own.status == "reproduced":
        return _could_have_failed(by_role)
    if own.status == "conditional":
        return _as_expected(own)
    if own.status == "refuted" and kind in (None, "formula", "theorem", "law"):
        return _needs("correction", "reproduced", by_role)
    return _needs("positive control", "reproduced", by_role)


def _could_have_failed(by_role: Mapping[Role, Evaluation]) -> tuple[str, str]:
    control, rival = by_role.get("control"), by_role.get("rival")
    if rival is not None and rival.status == "refuted":
        return "its rival is refuted", ""
    if control is not None and control.is_not_reproduced:
        if control.contrast is None or control.contrast.exceeds:
            failing = "" if control.status in NOT_REPRODUCED else ", and fails in a cell"
            return f"its control is {control.status}{failing}", ""
        return "", "its control differs from the claim by less than what matters"
    return _needs("control" if rival is None else "rival", "refuted", by_role)


def _repeated(own: Evaluation, repetition: Evaluation | None) -> tuple[str, str]:
    """Ask that the cell of a possibility which was seen best is seen again."""
    if repetition is None or repetition.verdict is None or own.verdict is None:
        return "", "its best cell was not repeated on fresh seeds"
    again = {cell.name for cell in repetition.verdict.cells if cell.outcome == "holds"}
    held = [cell for cell in own.verdict.cells if cell.outcome == "holds"]
    best = own.verdict.deciding or own.verdict.cells[0].name
    parts = {cell.part for cell in own.verdict.cells}
    if best in again and all(any(cell.name in again for cell in held if cell.part == part) for part in parts):
        return f"{best or 'it'} holds on fresh seeds too", ""
    outcomes = {cell.name: cell.outcome for cell in repetition.verdict.cells}
    return "", f"{best or 'it'} is {outcomes.get(best, 'missing')} on fresh seeds"


def _as_expected(own: Evaluation) -> tuple[str, str]:
    found = own.verdict.boundary_found if own.verdict else None
    if found is None:
        return "", "no boundary was fixed beforehand (boundary=)"
    if found:
        return "the boundary that was fixed beforehand fits every decided cell", ""
    return "", "the boundary was found afterwards; two new cells on fresh seeds have to agree with it"


def _needs(role: Role, wanted: str, by_role: Mapping[Role, Evaluation]) -> tuple[str, str]:
    if role not in by_role:
        return "", f"it has no {role}; one that comes out {wanted} would make it sound"
    status = by_role[role].status
    if status == wanted:
        return f"its {role} is {status}", ""
    remedy = "mend that error" if status == "error" else "more seeds (--seeds) or a larger profile may decide it"
    return "", f"its {role} is {status}, where {wanted} would make it sound; {remedy}"
