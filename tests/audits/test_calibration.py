"""The calibration audit: kernels do what criteria do, and errors are those of the binomial distribution."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from repro.audits import calibration
from repro.audits.scenarios import SCENARIOS
from repro.criteria import AtLeast, AtMost, Proportion

CASES = [(name, noise) for name in SCENARIOS for noise in calibration.NOISES]


@pytest.fixture(scope="module")
def small():
    return calibration.calibrate(simulations=300)


def limits(decisions, simulation):
    return [decisions.low[simulation], decisions.high[simulation]]


def outcome_of(decisions, simulation):
    if decisions.holds[simulation]:
        return "holds"
    return "fails" if decisions.fails[simulation] else "open"


def outcome(verdict):
    """Outcome of the only cell of a verdict, what is the opposite among what fails."""
    (cell,) = verdict.cells
    return "fails" if cell.outcome == "opposite" else cell.outcome


def simulate(scenario, noise, n, displacement, simulations=4):
    generator = np.random.default_rng(n)
    displacements = calibration.draw_noise(generator, noise, (simulations, n, len(scenario.bands))) + displacement
    nuisance = generator.standard_normal((simulations, n))
    tables = [scenario.table(*sample) for sample in zip(displacements, nuisance, strict=True)]
    return scenario.effects(scenario.columns(displacements, nuisance)), tables


@pytest.mark.parametrize(("name", "noise"), CASES)
def test_kernels_agree_with_the_criteria(name, noise):
    scenario = SCENARIOS[name]
    for n, displacement in [(7, 4.0), (8, 1.0), (12, 0.0), (16, 0.6), (24, -0.6), (32, -1.0), (32, 0.0), (20, 9.0)]:
        effects, tables = simulate(scenario, noise, n, displacement)
        decisions = calibration.decide(scenario, effects)
        for simulation, table in enumerate(tables):
            verdict = scenario.criterion(table)
            assert outcome(verdict) == outcome_of(decisions, simulation)
            assert [verdict.low, verdict.high] == pytest.approx(limits(decisions, simulation), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("criterion", "levels", "column"),
    [
        (Proportion("yes", 0.8, because="of the test"), calibration.proportion(0.8), "yes"),
        (AtMost("excess", 0.0), calibration.bound, "excess"),
        (AtLeast("excess", 0.0), calibration.bound, "shortfall"),
    ],
)
def test_kernels_of_rates_agree_with_the_criteria(criterion, levels, column):
    generator = np.random.default_rng(0)
    for n, rate in [(7, 0.0), (8, 0.0), (12, 0.05), (32, 1.0), (48, 0.4), (128, 0.8)]:
        successes = generator.random((20, n)) < rate
        decisions = calibration.decide_rate(levels, successes)
        for simulation, sample in enumerate(successes):
            values = {"yes": sample, "excess": sample * 1.0, "shortfall": sample * -1.0}[column]
            table = pd.DataFrame({"seed": np.arange(n), "yes": values, "excess": values})
            verdict = criterion(table)
            assert outcome(verdict) == outcome_of(decisions, simulation)
            assert [verdict.low, verdict.high] == pytest.approx(limits(decisions, simulation))


@pytest.mark.parametrize("noise", calibration.NOISES)
def test_noise_has_median_zero_and_standard_deviation_one(noise):
    drawn = calibration.draw_noise(np.random.default_rng(1), noise, (1_000_000,))
    assert np.median(drawn) == pytest.approx(0, abs=0.005)
    # The sample variance of heavy tails converges slowly; their quartile is known: 0.7649 of a t with 3 degrees.
    scale = np.quantile(drawn, 0.75) * np.sqrt(3) / 0.7648923 if noise == "heavy-tailed" else drawn.std()
    assert scale == pytest.approx(1, abs=0.02)


def test_true_effects_on_the_boundary_are_the_thresholds():
    for name, scenario in SCENARIOS.items():
        truths = scenario.truths(np.zeros(len(scenario.bands)))
        edges = [[band.low, band.high] for band in scenario.bands]
        for truth, edge in zip(truths, edges, strict=True):
            assert np.min(np.abs(np.subtract(edge, truth))) < 1e-9 * max(1, abs(truth)), name


def test_every_criterion_is_simulated_at_every_noise_and_size(small):
    fixed = small[small["criterion"].isin(SCENARIOS)]
    assert set(fixed["criterion"]) == set(SCENARIOS)
    assert set(fixed["noise"]) == {"normal", "skewed", "heavy-tailed", "rounded"}
    assert set(fixed["n"]) == {8, 16, 32, 128}
    assert {"boundary", "holds by 1 sd", "fails by 1 sd", "holds by 4 sd", "fails by 4 sd"} <= set(fixed["truth"])
    assert list(small) == ["criterion", "noise", "n", "truth", "holds", "fails", "coverage"]
    assert not small.duplicated(["criterion", "noise", "n", "truth"]).any()


def test_errors_are_rare_and_intervals_cover(small):
    boundary = small[small["truth"].str.startswith("boundary")]
    # 300 simulations of an error with probability 1/200, in a thousand cells: nine or more occur once in 200 tables.
    assert boundary[["holds", "fails"]].max(axis=None) <= 9 / 300
    assert boundary[["holds", "fails"]].to_numpy().mean() < 0.005
    assert small["coverage"].mean() > 0.99
    far = small[small["truth"].isin(["holds by 4 sd", "fails by 4 sd"])]
    assert far.loc[far["truth"] == "holds by 4 sd", "fails"].max() == 0
    assert far.loc[far["truth"] == "fails by 4 sd", "holds"].max() == 0


def test_power_is_that_of_the_sign_test(small):
    # Sixteen seeds decide if at most two of them contradict; a normal number is one sd below its mean with this rate.
    power = scipy.stats.binom.cdf(2, 16, scipy.stats.norm.cdf(-1))
    assert power > 0.5
    single = small["criterion"].isin(["Greater (margin)", "Ratio", "Equivalent", "Preserved", "Monotone", "ScalingLaw"])
    normal = small[(small["noise"] == "normal") & (small["n"] == 16) & single]
    for truth, verdict in {"holds by 1 sd": "holds", "fails by 1 sd": "fails"}.items():
        measured = normal.loc[normal["truth"] == truth, verdict]
        assert len(measured) == 6
        assert measured.mean() == pytest.approx(power, abs=5 * np.sqrt(0.25 / (6 * 300)))


def test_bounds_that_most_seeds_violate_do_not_pass(small):
    bounds = small[small["criterion"].isin(["AtMost", "AtLeast"])]
    assert (bounds.loc[bounds["truth"] == "holds", "holds"] == 1).all()
    assert bounds.loc[bounds["truth"] == "violated by half of seeds", "holds"].max() <= 5 / 300
