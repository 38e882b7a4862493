"""What criteria reduce the observations of a seed to, for comparing runs."""

import numpy as np
import pandas as pd
import pytest

from repro.criteria import (
    AllOf,
    AtLeast,
    AtMost,
    Equivalent,
    ExponentialDecay,
    Greater,
    Identity,
    Monotone,
    Peak,
    Preserved,
    Proportion,
    Ratio,
    ScalingLaw,
)
from repro.results.comparison.samples import Samples

SEEDS = range(12)


def arms(*, jitter):
    rows = [
        {"seed": seed, "arm": arm, "loss": level + jitter * seed}
        for seed in SEEDS
        for arm, level in (("a", 1), ("b", 3))
    ]
    return pd.DataFrame(rows)


def curve(function):
    return pd.DataFrame(
        [{"seed": seed, "x": x, "y": function(x, seed)} for seed in SEEDS for x in (1.0, 2.0, 4.0, 8.0)]
    )


BECAUSE = {"because": "it is a test"}
CASES = {
    "difference": (
        Greater("loss", of="b", than="a", by="arm", smallest_difference=1, **BECAUSE),
        arms(jitter=1),
        [2.0] * 12,
    ),
    "ratio": (
        Ratio("loss", of="b", than="a", by="arm", expected=3, within=2, **BECAUSE),
        arms(jitter=1),
        [(3 + seed) / (1 + seed) for seed in SEEDS],
    ),
    "equivalent": (
        Equivalent("y", target=0.0, smallest_difference=100, **BECAUSE),
        curve(lambda x, seed: x + seed),
        [15 / 4 + seed for seed in SEEDS],
    ),
    "preserved": (
        Preserved("y", along="x", smallest_ratio=3, **BECAUSE),
        curve(lambda x, seed: x ** (1 + seed)),
        [8.0 ** (1 + seed) for seed in SEEDS],
    ),
    "monotone": (
        Monotone("x", "y", smallest_difference=20, **BECAUSE),
        curve(lambda x, seed: -x * seed),
        [7.0 * seed for seed in SEEDS],
    ),
    "scaling law": (
        ScalingLaw("x", "y", at_least=0, **BECAUSE),
        curve(lambda x, seed: x**seed),
        [float(seed) for seed in SEEDS],
    ),
    "decay": (
        ExponentialDecay("x", "y", at_least=0, **BECAUSE),
        curve(lambda x, seed: np.exp(-x * seed)),
        [float(seed) for seed in SEEDS],
    ),
    "at most": (AtMost("y", bound=40), curve(lambda x, seed: x * seed), [float(8 * seed > 40) for seed in SEEDS]),
    "at least": (AtLeast("y", bound=4), curve(lambda x, seed: x + seed), [float(1 + seed < 4) for seed in SEEDS]),
    "proportion": (
        Proportion("y", at_least=0.5, **BECAUSE),
        curve(lambda x, seed: seed > 3 * (x > 0)),
        [float(seed > 3) for seed in SEEDS],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_statement_in_one_piece_has_one_number_per_seed_and_the_effect_of_its_verdict(name):
    criterion, observations, expected = CASES[name]
    verdict = criterion(observations)
    ((part, sample),) = criterion.samples(observations).items()
    assert part == ("", verdict.measure)
    assert sample.numbers == pytest.approx(expected)
    assert sample.effect == verdict.effect
    assert not sample.deterministic


def test_errors_within_the_tolerance_are_all_alike():
    observations = pd.DataFrame({"seed": [0, 1, 2], "left": [1.0, 1.0 + 2**-52, 2.0], "right": 1.0})
    criterion = Identity("left", "right", operations=4)
    ((part, sample),) = criterion.samples(observations).items()
    assert sample.numbers == (1.0, 1.0, pytest.approx(2**50))
    assert part == ("", f"{criterion(observations).measure}, in tolerances")
    assert sample.effect == pytest.approx(2**50)


def test_an_identity_is_compared_by_its_errors():
    observations = pd.DataFrame({"seed": SEEDS, "left": 1.0, "right": 1.0})
    criterion = Identity("left", "right")
    by_part = criterion.samples(observations)
    assert Samples(by_part, len(by_part)).deciding(criterion(observations)) in by_part


def test_a_run_without_seeds_is_deterministic():
    (sample,) = AtMost("y", bound=1).samples(pd.DataFrame({"y": [2.0]})).values()
    assert (sample.numbers, sample.effect, sample.deterministic) == ((1.0,), 1.0, True)


def test_the_deciding_part_is_that_of_the_verdict():
    observations = pd.concat([arms(jitter=0).assign(width=8), arms(jitter=-0.2).assign(width=16)])
    order = Greater("loss", of="b", than="a", by="arm", smallest_difference=1, each=("width",), **BECAUSE)
    criterion = AllOf(order=order, bound=AtMost("loss", bound=2))
    by_part = criterion.samples(observations)
    verdict = criterion(observations)
    assert [name for name, _ in by_part] == ["order: width 8", "order: width 16", "bound"]
    assert verdict.deciding == "bound"
    part = Samples(by_part, 3).deciding(verdict)
    assert by_part[part].effect == verdict.effect


def test_a_peak_is_compared_by_what_decided_it():
    flat = curve(lambda x, seed: 1.0 + 0.001 * (x == 2.0) * (seed >= 0))
    criterion = Peak("x", "y", at=2.0, within=1.5, prominence=2.0, **BECAUSE)
    verdict, by_part = criterion(flat), criterion.samples(flat)
    assert (verdict.deciding, verdict.measure) == ("", "prominence of the maximum over the ends")
    part = Samples(by_part, len(by_part)).deciding(verdict)
    assert by_part[part].effect == verdict.effect == pytest.approx(1.001)
    assert sorted(sample.effect for sample in by_part.values()) == pytest.approx([1.0, 1.001])


def test_the_only_condition_is_the_deciding_part():
    criterion = Preserved("y", along="x", at=(8.0,), smallest_ratio=3, **BECAUSE)
    observations = curve(lambda x, seed: x + seed)
    by_part = criterion.samples(observations)
    part = Samples(by_part, len(by_part)).deciding(criterion(observations))
    assert part in by_part


def test_the_deciding_part_may_be_unknown():
    assert Samples().deciding(CASES["difference"][0](arms(jitter=0))) is None
