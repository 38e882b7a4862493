"""Reference verdicts that ship with the package: what the suite's authors measured, for each profile.

A run compares its verdicts with them, and takes expected times from them until it has measured its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from repro.catalogue import Claim, Parameters, Profile, Role, code, design
from repro.common import ReproError, StoreError, finite, write_atomically
from repro.criteria import Contrast, Kind, Scale
from repro.results.records import ClaimResult, Evaluation, Outcome, Run
from repro.results.serialization import strict

FOLDER = Path(__file__).parent / "published"
NULLABLE = ("effect", "low", "high")


@dataclass(frozen=True)
class PublishedSample:
    """Sample that the deciding part of a statement was judged by.

    Attributes:
        part: Name of the part; empty for a statement in one piece.
        measure: Measure that the numbers are of.
        numbers: One number for each seed, to six significant digits; a line of text in the file. May be infinite.
        deterministic: Whether the sample is a single run without randomness.
        count: Number of parts of the statement.
    """

    part: str
    measure: str
    numbers: tuple[float, ...]
    deterministic: bool
    count: int


@dataclass(frozen=True)
class PublishedCounterpart:
    """Reference for a control or a correction.

    Attributes:
        status: Status of the verdict.
        seconds: Wall time of the experiment in seconds; zero where it is shared with one that bears its cost.
        contrast: Difference between the claim and its control; None where there is none or it is not published.
    """

    status: Outcome
    seconds: float
    contrast: Contrast | None = None


@dataclass(frozen=True)
class PublishedClaim:
    """Reference for a claim.

    Attributes:
        status: Status of the verdict.
        effect, low, high: Effect of the verdict and bounds of its interval; None where not finite.
        n: Number of seeds.
        seconds: Wall time in seconds of the claim's own experiment, without its counterparts; zero where it is shared
            with one that bears its cost.
        counterparts: Counterparts of the claim, by role.
        memory: Peak memory over the claim's experiments in bytes; zero where it is not published.
        parameters: Parameters of the claim's own experiment, as ``serialization.strict`` returns them; None where they
            are not published.
        sample: Sample behind the effect; None where it is not published.
        kind: Kind of sentence that was judged; None where it is not published.
        scale: Distance of the experiment from the setting that the passage means; None where it is not published.
        sentence: The verdict in plain words.
        marks: Reasons why an expert would not sign the verdict.
        design: Fingerprint of the design that the verdict is on; empty where it is not published.
        code: Fingerprint of the code that made the observations; empty where it is not published.
    """

    status: Outcome
    effect: float | None
    low: float | None
    high: float | None
    n: int
    seconds: float
    counterparts: dict[Role, PublishedCounterpart]
    memory: int = 0
    parameters: Parameters | None = None
    sample: PublishedSample | None = None
    kind: Kind | None = None
    scale: Scale | None = None
    sentence: str = ""
    marks: tuple[str, ...] = ()
    design: str = ""
    code: str = ""


@dataclass(frozen=True)
class PublishedRun:
    """Run behind the reference verdicts of a profile.

    Attributes:
        started: Time in UTC when the run began, in ISO 8601; empty where it is not published.
        backend: Backend of Keras; empty where it is not published.
        environment: Versions and hardware, see ``repro.runner.environment``.
    """

    started: str
    backend: str
    environment: dict[str, Any]


def published(profile: Profile, folder: Path = FOLDER) -> dict[str, PublishedClaim]:
    """Read the reference verdicts of a profile.

    Args:
        profile: Profile of the runs to compare.
        folder: Folder with a file for each profile; the package's own by default.

    Returns:
        Claims by id; empty where nothing is published for the profile.
    """
    document = _document(profile, folder)
    return {name: _claim(values) for name, values in document["claims"].items()} if document else {}


def published_run(profile: Profile, folder: Path = FOLDER) -> PublishedRun | None:
    """Return the run that the reference verdicts of a profile come from; None where nothing is published for it."""
    document = _document(profile, folder)
    if document is None:
        return None
    return PublishedRun(document.get("started", ""), document.get("backend", ""), document["environment"])


def publish(
    run: Run,
    results: Iterable[ClaimResult],
    folder: Path = FOLDER,
    samples: Mapping[str, PublishedSample] | None = None,
    claims: Mapping[str, Claim] | None = None,
) -> Path:
    """Make a run the reference of its profile.

    Args:
        run: Run whose profile names the file and whose environment is published.
        results: Results of that run; what is published of other claims, and of those that were skipped, stays.
        folder: Folder of the file, made if missing.
        samples: Samples of the claims, by id.
        claims: Claims by id, whose fingerprints are published.

    Returns:
        The file.

    Raises:
        ReproError: a claim or counterpart ended in error.
        StoreError: the file cannot be written.
    """
    found = published(run.profile, folder)
    new = [result for result in results if result.status != "skipped"]
    found |= {result.id: _published(result, (samples or {}).get(result.id), claims) for result in new}
    document = {
        "started": run.started,
        "backend": run.backend,
        "environment": run.environment,
        "claims": {name: _stated(claim) for name, claim in sorted(found.items())},
    }
    content = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    file = folder / f"{run.profile}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(file, f"{content}\n".encode())
    except OSError as error:
        raise StoreError(f"cannot publish to {file}: {error.strerror}; name a folder that is writable") from error
    return file


def _document(profile: Profile, folder: Path) -> Any:
    file = folder / f"{profile}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def _claim(values: dict[str, Any]) -> PublishedClaim:
    counterparts = {role: _counterpart(counterpart) for role, counterpart in values["counterparts"].items()}
    sample = values.get("sample")
    return PublishedClaim(
        **values
        | {
            "counterparts": counterparts,
            "sample": None if sample is None else _sample(sample),
            "marks": tuple(values.get("marks", ())),
        }
    )


def _counterpart(values: dict[str, Any]) -> PublishedCounterpart:
    contrast = values.get("contrast")
    return PublishedCounterpart(**values | {"contrast": None if contrast is None else Contrast(**contrast)})


def _sample(values: dict[str, Any]) -> PublishedSample:
    return PublishedSample(**values | {"numbers": tuple(float(number) for number in values["numbers"].split())})


def _stated(claim: PublishedClaim) -> dict[str, Any]:
    """Return a claim as plain data, without what is not published of it."""
    plain = asdict(claim)
    if claim.sample is not None:
        plain["sample"]["numbers"] = " ".join(f"{number:g}" for number in claim.sample.numbers)
    for counterpart in plain["counterparts"].values():
        if counterpart["contrast"] is None or not all(map(math.isfinite, list(counterpart["contrast"].values())[1:])):
            del counterpart["contrast"]
    return {name: value for name, value in plain.items() if value not in (None, "", ()) or name in NULLABLE}


def _published(
    result: ClaimResult, sample: PublishedSample | None, claims: Mapping[str, Claim] | None
) -> PublishedClaim:
    failed = [item for item in (result.evaluation, *result.counterparts) if item.status == "error"]
    if failed or result.evaluation.verdict is None:
        raise ReproError(f"{result.id} ended in error and cannot be published; mend it and run it again")
    verdict = result.evaluation.verdict
    claim = (claims or {}).get(result.id)
    return PublishedClaim(
        status=result.status,
        effect=finite(verdict.effect),
        low=finite(verdict.low),
        high=finite(verdict.high),
        n=verdict.n,
        seconds=_rounded(result.evaluation),
        counterparts={
            item.role: PublishedCounterpart(item.status, _rounded(item), item.contrast) for item in result.counterparts
        },
        memory=result.memory,
        parameters=strict(result.evaluation.parameters),
        sample=sample,
        kind=verdict.kind,
        scale=verdict.scale,
        sentence=verdict.sentence,
        marks=result.evaluation.marks,
        design="" if claim is None else design(claim),
        code="" if claim is None else code(claim),
    )


def _rounded(evaluation: Evaluation) -> float:
    return round(evaluation.seconds, 3)
