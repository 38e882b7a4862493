"""The audit of decisions: the kernel does what criteria and runs do, and errors are those of the sign test."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from repro.audits.decisions import BUDGETS, DECIDED, SMALLEST, decide_samples, simulate_decisions, truths
from repro.catalogue import Variant
from repro.criteria import Greater, Kind, Reading
from repro.runner.interim import is_decided, judge_at, plan_looks

BETTER = Greater(
    "score", of="new", than="old", by="arm", smallest_difference=SMALLEST, source="the simulation", each=("cell",)
)


@pytest.fixture(scope="module")
def simulated():
    return simulate_decisions(1000)


def table_of(effects):
    """Observations of one sample, effects [seeds, cells]."""
    rows = [
        {"seed": seed, "cell": cell, "arm": arm, "score": effect if arm == "new" else 0.0}
        for (seed, cell), effect in np.ndenumerate(effects)
        for arm in ("new", "old")
    ]
    return pd.DataFrame(rows)


def run(effects, reading, looks):
    """Judge a sample as a run does: at the first look at which every cell is settled."""
    variant = Variant("claim", "it is better", {}, BETTER, reading)
    table = table_of(effects)
    for look in looks:
        verdict = judge_at(look, variant, table[table["seed"] < look.seeds])
        if is_decided(verdict):
            break
    return verdict.status, look.seeds


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("cells", [1, 3])
def test_the_kernel_does_what_runs_do(kind, cells):
    generator = np.random.default_rng(cells)
    for center in (SMALLEST + 1, SMALLEST, 0.0, -SMALLEST - 0.5):
        effects = center + generator.choice([0.0, 1.0, -1.5], size=cells) + generator.standard_normal((3, 24, cells))
        reading, looks = Reading(kind), plan_looks(24)
        found, seeds = decide_samples(effects, looks, reading)
        for sample, place, taken in zip(effects, found, seeds, strict=True):
            assert run(sample, reading, looks) == ([*DECIDED, "inconclusive"][place], taken)


def test_false_verdicts_are_rare(simulated):
    # 1,000 simulations of an error with a probability of at most 1 %, in some hundred rows that are not all alike: 25
    # or more in one row of 500 have a probability below one in 20.
    assert simulated["false"].max() <= 25 / 1000
    assert simulated["false"].mean() < 0.01


def test_power_is_that_of_the_sign_test(simulated):
    # A normal number is one sd below its mean with this rate; 16 seeds decide if at most two of them contradict.
    power = scipy.stats.binom.cdf(2, 16, scipy.stats.norm.cdf(-1))
    one_cell = simulated[(simulated["cells"] == 1) & (simulated["n"] == BUDGETS[1])]
    rows = one_cell[one_cell["truth"] == "all holds by one deviation"]
    assert rows["reproduced"].to_numpy() == pytest.approx(np.full(len(rows), power), abs=5 * np.sqrt(0.25 / 1000))


def test_the_planned_seeds_have_power(simulated):
    beyond = simulated[(simulated["truth"] == "all holds by one deviation") & (simulated["kind"] == "tendency")]
    planned = beyond[beyond["n"] == beyond["cells"].map(BUDGETS)]
    assert planned["reproduced"].min() > 0.45
    assert planned.loc[planned["cells"] >= 4, "reproduced"].min() > 0.85


@pytest.mark.parametrize("cells", [1, 2, 4])
def test_true_statuses_follow_from_the_outcomes(cells):
    by_name = {truth.name: truth for truth in truths(cells)}
    assert by_name["all holds by one deviation"].status(Reading("tendency")) == "reproduced"
    assert by_name["all opposite by one deviation"].status(Reading("tendency")) == "refuted"
    assert by_name["all fails by one deviation"].status(Reading("tendency")) == "absent"
    assert by_name[f"{cells} of {cells} between holding and failing"].status(Reading("tendency")) == "inconclusive"
    assert by_name[f"{cells} of {cells} between failing and opposite"].status(Reading("tendency")) == "absent"
    if cells > 1:
        half = by_name["half hold, half fail by one deviation"]
        assert half.status(Reading("tendency")) == "conditional"
        assert half.status(Reading("formula")) == "refuted"
        assert half.status(Reading("possibility")) == "reproduced"


def test_one_row_for_everything(simulated):
    assert not simulated.duplicated(["kind", "cells", "dependence", "n", "truth"]).any()
    assert set(simulated["cells"]) == set(BUDGETS)
    assert (simulated[list(DECIDED)].sum(axis=1) <= 1 + 1e-9).all()
