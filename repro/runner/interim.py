"""Plans how many seeds a verdict takes: looks at a growing sample that together err no more often than one would.

At each look the criterion judges all seeds so far at that look's confidence; the first look that decides is the last.
The looks share the error probability of the statement, so by Bonferroni's inequality some look is wrong with at most
that probability, whatever the criterion and the noise (Lan and DeMets 1983 spend it in the same way). Order-statistic
and binomial intervals are discrete and leave part of the probability unused. The early looks live on that part: at
24 and at 48 seeds the last look decides exactly what it would decide alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from repro.catalogue import Variant
from repro.criteria import Verdict
from repro.runner.jobs import Job, JobResult, Workers
from repro.uncertainty import CONFIDENCE

# Sixteen seeds that agree decide at the first look's share with a p of 0.00009, which survives Holm's correction among
# a hundred verdicts; twelve would decide too, with a p that survives among six.
FEWEST = 16
EARLY_SHARES = (0.33, 0.11)


@dataclass(frozen=True)
class Look:
    """One judgement of a growing sample.

    Attributes:
        seeds: Number of seeds seen by then.
        share: Share of the error probability of the statement; 1 where this is the only look.
    """

    seeds: int
    share: float = 1.0

    def confidence(self, overall: float = CONFIDENCE) -> float:
        """Return the confidence at which this look judges, given the overall confidence."""
        return 1 - self.share * (1 - overall)


def plan_looks(budget: int) -> tuple[Look, ...]:
    """Plan looks at a third, at two thirds and at all of a budget of seeds; early ones only at 16 seeds or more.

    Budgets under 24 have one look: nothing can be saved there.

    Args:
        budget: Largest number of seeds.
    """
    early = [seeds for seeds in (budget // 3, 2 * budget // 3) if seeds >= FEWEST]
    shares = EARLY_SHARES[: len(early)]
    return (*map(Look, early, shares), Look(budget, 1 - sum(shares)))


def judge_at(look: Look, variant: Variant, observations: pd.DataFrame) -> Verdict:
    """Judge a sample at one look, as the claim or as one of its counterparts.

    Returns:
        The verdict with the look's interval. Its ``p`` is the overall level at which its status would flip, comparable
        with that of a fixed sample.
    """
    verdict = variant.judge(observations, look.confidence())
    return verdict if verdict.p is None else replace(verdict, p=min(1.0, verdict.p / look.share))


def is_decided(verdict: Verdict) -> bool:
    """Tell whether an early look may be the last: every cell is settled, and with a sampling error (``p`` is given)."""
    return verdict.p is not None and verdict.status != "inconclusive" and verdict.settled


@dataclass(frozen=True)
class Stage:
    """Outcome of a job up to a look.

    Attributes:
        job: Job with all its seeds.
        made: Outcome of the job up to the look.
        look: Look that the sample is ready for.
        seconds: Time in seconds that the seeds since the previous look took.
    """

    job: Job
    made: JobResult
    look: Look
    seconds: float

    @property
    def last(self) -> bool:
        """Whether no look is to follow: all seeds were seen, or there are no observations."""
        return self.made.observations is None or self.look.seeds == len(self.job.seeds)


def grow(
    pool: Workers,
    plans: Mapping[Job, tuple[Look, ...]],
    undecided: Callable[[Job], Sequence[Any]],
    started: Callable[[Job], None],
) -> Iterator[Stage]:
    """Perform jobs up to their first looks, then those that are not decided up to the next ones.

    Args:
        pool: Workers that perform the blocks of seeds between looks.
        plans: Looks at the sample of each job.
        undecided: Function that returns what still waits for a job, called when all jobs have come to a look.
        started: Function that is called when the first block of a job starts.
    """
    made: dict[Job, JobResult] = {}
    waiting, number = list(plans), 0
    while waiting:
        blocks = {_block(job, plans[job], number): job for job in waiting}
        for block, result in pool.perform(list(blocks), _first_blocks(blocks, started)):
            job = blocks[block]
            made[job] = made[job].followed_by(result) if job in made else result
            yield Stage(job, made[job], plans[job][number], result.seconds)
        waiting = [job for job in waiting if undecided(job)]
        number += 1


def _block(job: Job, plan: tuple[Look, ...], number: int) -> Job:
    seen = plan[number - 1].seeds if number else 0
    return replace(job, seeds=job.seeds[seen : plan[number].seeds])


def _first_blocks(blocks: Mapping[Job, Job], started: Callable[[Job], None]) -> Callable[[Job], None]:
    def block_started(block: Job) -> None:
        job = blocks[block]
        if block.seeds[:1] == job.seeds[:1]:
            started(job)

    return block_started
