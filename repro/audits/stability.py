"""Claims run again and again with other seeds: how often the verdict agrees with the published one."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from repro.catalogue import Claim, Profile
from repro.common import ReproError
from repro.results import Outcome
from repro.runner import Task, environment, judge, make_plan, start_workers


@dataclass(frozen=True)
class Stability:
    """Outcome of a claim with many sets of seeds.

    Attributes:
        id: Id of the claim.
        repeats: Number of disjoint sets of seeds.
        agree: Number of sets that gave the published status; None where none is published.
        statuses: Number of sets that gave each status.
    """

    id: str
    repeats: int
    agree: int | None
    statuses: dict[Outcome, int]


def audit_stability(
    claims: Sequence[Claim],
    *,
    profile: Profile = "smoke",
    repeats: int = 100,
    workers: int | None = None,
    listen: Callable[[str], None] = lambda _: None,
) -> list[Stability]:
    """Run claims, without their counterparts, with disjoint sets of seeds that no published verdict used.

    Args:
        claims: Claims to run; those without randomness are left out.
        profile: Profile whose parameters and number of seeds are used; every set is judged at all its seeds.
        repeats: Number of sets of seeds.
        workers: Number of worker processes; 0 for none, by default one for each core.
        listen: Function that is called with each line of progress.

    Raises:
        ReproError: no repeats, or none of the claims takes seeds.
    """
    if repeats < 1:
        raise ReproError(f"repeats must be at least 1, not {repeats}")
    random = [claim for claim in claims if claim.takes_seeds]
    if not random:
        raise ReproError("none of these claims takes seeds, so their verdicts cannot vary; choose others")
    plan = make_plan(random, profile)
    tasks = [task for task in plan.tasks if task.variant.role == "claim"]
    repeated = {again.job: again for task in tasks for again in _repeats(task, repeats)}
    statuses: dict[str, Counter[Outcome]] = {claim.id: Counter() for claim in random}
    count = min(environment.cores() if workers is None else workers, len(repeated))
    with tempfile.TemporaryDirectory() as folder, start_workers(count, Path(folder) / "workers.log") as pool:
        for done, (job, made) in enumerate(pool.perform(list(repeated), lambda _: None), start=1):
            name = repeated[job].claim.id
            status = judge(repeated[job], made).status
            statuses[name][status] += 1
            listen(f"{done}/{len(repeated)} {name} {status}")
    return [_stability(name, statuses[name], plan.published) for name in statuses]


def _repeats(task: Task, repeats: int) -> list[Task]:
    """Give an evaluation fresh jobs with other seeds; the first set follows the seeds of ordinary runs."""
    own = max(task.job.seeds) + 1
    return [
        replace(task, job=replace(task.job, seeds=tuple(seed + own * repeat for seed in task.job.seeds)))
        for repeat in range(1, repeats + 1)
    ]


def _stability(name: str, statuses: Counter[Outcome], published: Mapping[str, Outcome]) -> Stability:
    agree = statuses[published[name]] if name in published else None
    return Stability(name, statuses.total(), agree, dict(statuses.most_common()))
