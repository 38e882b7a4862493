"""Records of a run: for each claim its verdict and those of its counterparts, with costs and parameters.

Annotations say what may be read back from a database or a file that may come from anyone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, Strict

from repro.catalogue import Parameters, Profile, Role
from repro.criteria import Contrast, Count, Status, Verdict
from repro.results import soundness
from repro.results.soundness import Soundness

Outcome = Status | Literal["error", "skipped"]

RESERVED = ("latest", "published")


def _storable(text: str) -> str:
    text.encode()  # lone surrogates are no text that the results database takes
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has characters that cannot be shown")
    return text


def _utc(text: str) -> str:
    if datetime.fromisoformat(text).utcoffset() != timedelta(0):
        raise ValueError("it is no time in UTC")
    return text


def _versioned(environment: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(environment.get("packages", {}), dict):
        raise ValueError("it has packages without versions")
    return environment


def _free(text: str) -> str:
    if text in RESERVED:
        raise ValueError("it means something else in commands")
    return text


def _with_tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_with_tuples(item) for item in value)
    if isinstance(value, dict):
        return {name: _with_tuples(item) for name, item in value.items()}
    return value


Text = Annotated[str, AfterValidator(_storable)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Key = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]
Seconds = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Stored = Annotated[Parameters, AfterValidator(_with_tuples)]
FORBID_OTHERS: Mapping[str, Any] = {"extra": "forbid"}


@dataclass(frozen=True)
class Evaluation:
    """One experiment, run and judged: the claim's own or that of a counterpart.

    Attributes:
        role: Role of what was judged: ``claim``, ``control``, ``rival``, ``positive control``, ``correction`` or
            ``repetition``.
        statement: Statement that was judged.
        parameters: Parameters of the experiment.
        seeds: Seeds that the observations come from; empty for a claim without randomness.
        status: Status of the verdict, or ``error`` or ``skipped`` where there is none.
        verdict: Verdict on the statement; None for ``error`` and ``skipped``.
        observations: Key of the stored table of observations; None where there is none.
        seconds: Wall time of the experiment in seconds; zero where it was shared with an evaluation that bears its
            cost.
        memory: Peak resident memory in bytes of the process that ran the experiment.
        message: One line that says why there is no verdict.
        traceback: Traceback of an ``error``.
        marks: Reasons why an expert would not sign the verdict, of the claim's own evaluation.
        contrast: Difference between the claim and this, its control, paired by seed; None where there is none.
    """

    __pydantic_config__: ClassVar = FORBID_OTHERS

    role: Role
    statement: Text
    parameters: Stored
    seeds: tuple[Annotated[int, Strict()], ...]
    status: Outcome
    verdict: Verdict | None = None
    observations: Key | None = None
    seconds: Seconds = 0.0
    memory: Count = 0
    message: Text = ""
    traceback: Text = ""
    marks: tuple[Text, ...] = ()
    contrast: Contrast | None = None

    @property
    def is_not_reproduced(self) -> bool:
        """Whether it is known that the statement is not reproduced: of a whole, that one cell fails is enough."""
        if self.status in ("conditional", "absent", "refuted"):
            return True
        outcomes = Counter() if self.verdict is None or self.verdict.kind == "possibility" else self.verdict.outcomes
        return self.status == "inconclusive" and bool(outcomes["fails"] or outcomes["opposite"])


@dataclass(frozen=True)
class ClaimResult:
    """Evaluations of one claim.

    Attributes:
        id: Id of the claim.
        evaluation: Evaluation of the claim itself.
        counterparts: Evaluations of its counterparts.
        published: Status that the package publishes for this claim and profile; None where it publishes none.
    """

    id: Name
    evaluation: Evaluation
    counterparts: tuple[Evaluation, ...]
    published: Outcome | None = None

    @property
    def status(self) -> Outcome:
        """Status of the claim itself."""
        return self.evaluation.status

    @property
    def seconds(self) -> float:
        """Wall time of all experiments of the claim, in seconds."""
        return sum(evaluation.seconds for evaluation in (self.evaluation, *self.counterparts))

    @property
    def memory(self) -> int:
        """Peak memory in bytes over all experiments of the claim."""
        return max(evaluation.memory for evaluation in (self.evaluation, *self.counterparts))

    @property
    def _soundness(self) -> Soundness:
        return soundness.assess(self.evaluation, self.counterparts)

    @property
    def sound(self) -> bool | None:
        """Whether the verdict means something.

        Returns:
            True where a counterpart shows that it could have come out otherwise; False where one contradicts it, or
            the claim is marked; None where that is open.
        """
        return self._soundness.sound

    @property
    def soundness(self) -> str:
        """Text that tells whether the verdict means something, and if that is open, what would show it."""
        return self._soundness.text

    @property
    def standing(self) -> str:
        """Soundness in a word: ``sound``, ``unsound``, ``marked`` where only gates object, or ``undecided``."""
        if self._soundness.contradictions:
            return "unsound"
        by_sound = {True: "sound", False: "marked", None: "undecided"}
        return by_sound[self.sound]

    def counterpart(self, role: Role) -> Evaluation | None:
        """Return the evaluation of a counterpart; None where the claim has none in that role."""
        return next((item for item in self.counterparts if item.role == role), None)

    @property
    def failed(self) -> bool:
        """Whether the result calls for attention: an error, a contradiction, or the contrary of what is published."""
        return bool(self.complaints)

    @property
    def in_error(self) -> bool:
        """Whether the claim or a counterpart has no verdict because something failed."""
        return any(evaluation.status == "error" for evaluation in (self.evaluation, *self.counterparts))

    @property
    def complaints(self) -> list[str]:
        """Complaints about the result, one line each; empty unless it is ``failed``."""
        evaluations = (self.evaluation, *self.counterparts)
        complaints = [f"{item.role} ended in error, {item.message}" for item in evaluations if item.status == "error"]
        contradictions = self._soundness.contradictions
        if contradictions:
            complaints.append(f"unsound, {' and '.join(contradictions)}")
        if self.contradicts_published:
            complaints.append(f"{self.status}, but published as {self.published}")
        return complaints

    @property
    def contradicts_published(self) -> bool:
        """Whether the claim is decided now and is published as decided otherwise."""
        decided = {"reproduced", "conditional", "absent", "refuted"}
        return self.status != self.published and {self.status, self.published} <= decided


@dataclass(frozen=True)
class Request:
    """Request that a run was made for, which is all that it takes to resume it.

    Attributes:
        claims: Ids of the claims, in the order of the results.
        seeds: Exact number of seeds; None for that of the profile.
        overrides: Parameters that replace those of the profile, by claim id.
        files: SHA-256 in hexadecimal of the files of the user's own, by id of the claims that they define.
    """

    __pydantic_config__: ClassVar = FORBID_OTHERS

    claims: tuple[Text, ...]
    seeds: Annotated[int, Strict(), Field(ge=1)] | None = None
    overrides: Mapping[Text, Stored] = field(default_factory=dict)
    files: Mapping[Text, Text] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One execution of the suite.

    Attributes:
        id: Id that is unique within a results folder and sorts by time.
        started: Time in UTC when the run began, in ISO 8601.
        profile: Profile of the run, which sets how much work it does.
        backend: Backend of Keras.
        environment: Versions and hardware, see ``repro.runner.environment``.
        request: Request that the run was made for; None in results of versions that did not record it.
    """

    __pydantic_config__: ClassVar = FORBID_OTHERS

    id: Annotated[str, Field(pattern=r"\A[0-9A-Za-z][0-9A-Za-z_-]{0,99}\z"), AfterValidator(_free)]
    started: Annotated[str, AfterValidator(_utc)]
    profile: Profile
    backend: Name
    environment: Annotated[dict[str, Any], AfterValidator(_versioned)]
    request: Request | None = None

    def lacks_results(self, count: int) -> bool:
        """Tell whether the run is known to have fewer results than the claims that it was asked for.

        Args:
            count: Number of its results.
        """
        return self.request is not None and count < len(self.request.claims)
