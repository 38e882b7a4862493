import numpy as np
import pandas as pd
import pytest
import scipy.stats

from repro.criteria import AtMost, Equivalent
from repro.runner.interim import is_decided, plan_looks


@pytest.mark.parametrize(
    ("budget", "seeds"), [(1, [1]), (12, [12]), (23, [23]), (24, [16, 24]), (48, [16, 32, 48]), (96, [32, 64, 96])]
)
def test_looks_at_a_third_two_thirds_and_all_from_sixteen_seeds_on(budget, seeds):
    assert [look.seeds for look in plan_looks(budget)] == seeds


@pytest.mark.parametrize("budget", [0, 8, 12, 24, 48, 200])
def test_looks_share_the_error_probability(budget):
    shares = [look.share for look in plan_looks(budget)]
    assert sum(shares) == pytest.approx(1)
    assert sum(1 - look.confidence(0.95) for look in plan_looks(budget)) == pytest.approx(0.05)


def test_the_only_look_judges_at_the_overall_confidence():
    assert plan_looks(12)[0].confidence(0.99) == 0.99


@pytest.mark.parametrize("budget", [24, 48])
def test_early_looks_cost_nothing_at_the_last_one(budget):
    levels = 2 * scipy.stats.binom.cdf(np.arange(budget // 2), budget, 0.5)
    alone, last = ((levels <= 1 - confidence).sum() for confidence in (0.99, plan_looks(budget)[-1].confidence(0.99)))
    assert alone == last


def test_all_looks_together_err_less_than_one_per_cent():
    """The exact probability that the sign test decides at any look at 48 seeds when neither sign is more likely."""
    undecided = np.zeros(49)
    undecided[0] = 1.0  # by the number of positive signs
    decided, seen = 0.0, 0
    for look in plan_looks(48):
        steps = scipy.stats.binom.pmf(np.arange(look.seeds - seen + 1), look.seeds - seen, 0.5)
        undecided = np.convolve(undecided, steps)[:49]
        seen = look.seeds
        counts = np.arange(49)
        levels = 2 * scipy.stats.binom.cdf(np.minimum(counts, seen - counts), seen, 0.5)
        deciding = (levels <= 1 - look.confidence(0.99)) & (counts <= seen)
        decided += undecided[deciding].sum()
        undecided[deciding] = 0.0
    assert 0.004 < decided <= 0.01


@pytest.mark.parametrize(
    ("values", "kind", "status", "decided"),
    [
        ({"a": [1.0] * 16, "b": [1.0] * 16}, "tendency", "reproduced", True),
        ({"a": [1.0] * 16, "b": [2.0] * 16}, "tendency", "conditional", True),
        ({"a": [1.0] * 16, "b": [2.0] * 16, "c": [1.0, 2.0] * 8}, "tendency", "conditional", False),
        ({"a": [1.0] * 16, "b": [1.0, 2.0] * 8}, "possibility", "reproduced", False),
        ({"a": [2.0] * 16, "b": [1.0, 2.0] * 8}, "formula", "refuted", False),
        ({"a": [1.0, 2.0] * 8}, "tendency", "inconclusive", False),
    ],
)
def test_an_early_look_is_the_last_where_every_cell_is_decided(values, kind, status, decided):
    table = pd.concat([pd.DataFrame({"seed": range(16), "arm": arm, "value": of}) for arm, of in values.items()])
    verdict = Equivalent("value", 1.0, smallest_difference=0.01, each=("arm",))(table, kind=kind)
    assert (verdict.status, is_decided(verdict)) == (status, decided)


def test_without_sampling_error_there_are_no_early_looks():
    verdict = AtMost("value", bound=1.0)(pd.DataFrame({"seed": range(16), "value": 0.5}))
    assert (verdict.status, is_decided(verdict)) == ("reproduced", False)


@pytest.mark.parametrize("budget", [24, 48])
def test_sixteen_seeds_that_agree_survive_holms_correction_among_a_hundred_verdicts(budget):
    first = plan_looks(budget)[0]
    p = scipy.stats.binomtest(first.seeds, first.seeds, 0.5).pvalue / first.share
    assert p <= 0.01 / 100
