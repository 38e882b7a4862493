"""Reference verdicts that ship with the package: what the suite's authors measured, for each profile.

A run compares its verdicts with them, and takes expected times from them until it has measured its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from repro.claim import Kind, Profile
from repro.errors import ReproError, StoreError
from repro.result import ClaimResult, Evaluation, Outcome, Run
from repro.store import write_atomically
from repro.verdict import finite

FOLDER = Path(__file__).parent / "published"


@dataclass(frozen=True)
class PublishedCounterpart:
    """Reference for a control or a correction.

    Attributes:
        status: of its verdict.
        seconds: wall time of its experiment; zero where it is shared with one that bears its cost.
    """

    status: Outcome
    seconds: float


@dataclass(frozen=True)
class PublishedClaim:
    """Reference for a claim.

    Attributes:
        status: of the verdict.
        effect, low, high: of the verdict; None where not finite.
        n: number of seeds.
        seconds: wall time of the claim's own experiment, without its counterparts; zero where it is shared with one
            that bears its cost.
        counterparts: by kind.
    """

    status: Outcome
    effect: float | None
    low: float | None
    high: float | None
    n: int
    seconds: float
    counterparts: dict[Kind, PublishedCounterpart]


def published(profile: Profile, folder: Path = FOLDER) -> dict[str, PublishedClaim]:
    """Read the reference verdicts of a profile.

    Args:
        profile: of the runs to compare.
        folder: with a file for each profile; the package's own by default.

    Returns:
        Claims by id, empty where nothing is published for the profile.
    """
    file = folder / f"{profile}.json"
    if not file.exists():
        return {}
    claims = json.loads(file.read_text(encoding="utf-8"))["claims"]
    return {
        name: PublishedClaim(
            **claim
            | {"counterparts": {kind: PublishedCounterpart(**values) for kind, values in claim["counterparts"].items()}}
        )
        for name, claim in claims.items()
    }


def publish(run: Run, results: Iterable[ClaimResult], folder: Path = FOLDER) -> Path:
    """Make a run the reference of its profile.

    Args:
        run: its profile names the file, and its environment is published.
        results: of that run; what is published of other claims stays, and of those that were skipped.
        folder: of the file; made if missing.

    Returns:
        The file.

    Raises:
        ReproError: a claim or counterpart ended in error.
        StoreError: the file cannot be written.
    """
    claims = {name: asdict(claim) for name, claim in published(run.profile, folder).items()}
    claims |= {result.id: asdict(_published(result)) for result in results if result.status != "skipped"}
    document = {"environment": run.environment, "claims": dict(sorted(claims.items()))}
    content = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    file = folder / f"{run.profile}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(file, f"{content}\n".encode())
    except OSError as error:
        raise StoreError(f"cannot publish to {file}: {error.strerror}; name a folder that is writable") from error
    return file


def _published(result: ClaimResult) -> PublishedClaim:
    failed = [item for item in (result.evaluation, *result.counterparts) if item.status == "error"]
    if failed or result.evaluation.verdict is None:
        raise ReproError(f"{result.id} ended in error and cannot be published; mend it and run it again")
    verdict = result.evaluation.verdict
    return PublishedClaim(
        status=result.status,
        effect=finite(verdict.effect),
        low=finite(verdict.low),
        high=finite(verdict.high),
        n=verdict.n,
        seconds=_rounded(result.evaluation),
        counterparts={item.kind: PublishedCounterpart(item.status, _rounded(item)) for item in result.counterparts},
    )


def _rounded(evaluation: Evaluation) -> float:
    return round(evaluation.seconds, 3)
