"""The same experiments executed in several ways: observations must be the same to the last bit."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from repro.catalogue import Claim, Profile
from repro.common import ReproError, paths
from repro.results import to_parquet
from repro.runner import Job, JobResult, Plan, make_plan, start_workers

Listener = Callable[[str], None]


@dataclass(frozen=True)
class Arrangement:
    """A way to execute a plan, in fresh processes.

    Attributes:
        name: Name in words.
        workers: Number of worker processes.
        backwards: Whether the jobs come in reverse order.
    """

    name: str
    workers: int
    backwards: bool = False


ARRANGEMENTS = (
    Arrangement("one worker", 1),
    Arrangement("two workers, backwards", 2, backwards=True),
)


@dataclass(frozen=True)
class Determinism:
    """Outcome of executing one claim in every arrangement.

    Attributes:
        id: Id of the claim.
        key: SHA-256 in hexadecimal over the observations of the claim and its counterparts, as the first arrangement
            made them; empty where there are none.
        differing: Names of the arrangements that made other observations.
        message: Reason why an arrangement made no observations; empty if all made some.
    """

    id: str
    key: str
    differing: tuple[str, ...]
    message: str = ""


def audit_determinism(
    claims: Sequence[Claim],
    *,
    profile: Profile = "smoke",
    against: Path | None = None,
    listen: Listener = lambda _: None,
) -> list[Determinism]:
    """Execute claims with one worker, and with two in reverse order, and compare the observations.

    Args:
        claims: Claims to execute; those that measure time are left out.
        profile: Profile whose parameters and number of seeds are used.
        against: File with what ``repro audit determinism --json`` printed on another machine, which is compared too.
        listen: Function that is called with each line of progress.

    Raises:
        ReproError: all claims measure time, or the file cannot be read.
    """
    timeless = [claim for claim in claims if "timing" not in claim.tags]
    if not timeless:
        raise ReproError("these claims measure time, which is never the same twice; choose others")
    elsewhere = {} if against is None else _read(against)
    plan = make_plan(timeless, profile)
    made = {each.name: _make(plan, each, listen) for each in ARRANGEMENTS}
    return [_compare(plan, claim, made, elsewhere) for claim in timeless]


def _make(plan: Plan, arrangement: Arrangement, listen: Listener) -> dict[Job, JobResult | str]:
    """Execute the jobs of a plan; keep the keys of their observations, or the results that have none."""
    jobs = plan.jobs[::-1] if arrangement.backwards else plan.jobs
    made: dict[Job, JobResult | str] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        start_workers(arrangement.workers, Path(folder) / "workers.log") as pool,
    ):
        for job, result in pool.perform(jobs, lambda _: None):
            made[job] = result if result.observations is None else _key(to_parquet(result.observations))
            listen(f"{arrangement.name}: {len(made)}/{len(jobs)} {plan.tasks_of(job)[0].claim.id}")
    return made


def _compare(
    plan: Plan, claim: Claim, made: Mapping[str, Mapping[Job, JobResult | str]], elsewhere: Mapping[str, str]
) -> Determinism:
    jobs = [task.job for task in plan.tasks if task.claim is claim]
    keys = {name: _joint_key([results[job] for job in jobs]) for name, results in made.items()}
    if claim.id in elsewhere:
        keys["elsewhere"] = elsewhere[claim.id]
    first = next(iter(keys.values()))
    of_claim = [results[job] for results in made.values() for job in jobs]
    messages = [item.message for item in of_claim if isinstance(item, JobResult)]
    return Determinism(claim.id, first, tuple(name for name, key in keys.items() if key != first), *messages[:1])


def _joint_key(made: Sequence[JobResult | str]) -> str:
    keys = [item for item in made if isinstance(item, str)]
    return _key(" ".join(keys).encode()) if len(keys) == len(made) else ""


def _key(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(file: Path) -> dict[str, str]:
    if paths.is_device(file):
        raise ReproError(f"cannot read {file}: it is a device; name a file")
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))["determinism"]
        return {row["id"]: row["key"] for row in rows if row["key"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReproError(f"{file} is not what `repro audit determinism --json` prints ({error})") from error
