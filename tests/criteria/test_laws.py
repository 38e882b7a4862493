import numpy as np
import pandas as pd
import pytest

from repro.common.errors import ClaimError, ObservationsError
from repro.criteria import ExponentialDecay, ScalingLaw

REASON = "the test says so"


def curves(function, x, *, seeds=12, noise=0.0):
    """One row for each seed and position, with multiplicative lognormal noise."""
    generator = np.random.default_rng(0)
    rows = [
        {"seed": seed, "x": position, "y": function(position) * np.exp(noise * generator.normal())}
        for seed in range(seeds)
        for position in x
    ]
    return pd.DataFrame(rows)


class TestScalingLaw:
    criterion = ScalingLaw("x", "y", at_least=0.4, at_most=0.6, because=REASON)

    @pytest.mark.parametrize(
        ("exponent", "noise", "status"),
        [(0.5, 0.05, "reproduced"), (1.0, 0.05, "refuted"), (0.0, 0.05, "refuted"), (0.6, 0.2, "inconclusive")],
    )
    def test_status(self, exponent, noise, status):
        verdict = self.criterion(curves(lambda x: 3 * x**exponent, [1, 2, 4, 8, 16], noise=noise), kind="law")
        assert verdict.status == status
        assert verdict.effect == pytest.approx(exponent, abs=0.05)

    def test_one_sided(self):
        table = curves(lambda x: x**0.5, [1, 2, 4])
        assert ScalingLaw("x", "y", at_most=1, because=REASON)(table).status == "reproduced"
        assert ScalingLaw("x", "y", at_least=1, because=REASON)(table, kind="law").status == "refuted"

    @pytest.mark.parametrize(("exponent", "outcome"), [(0.3, "fails"), (-0.3, "fails"), (-0.5, "opposite")])
    def test_opposite_is_the_other_sign_as_steep(self, exponent, outcome):
        (cell,) = self.criterion(curves(lambda x: x**exponent, [1, 2, 4])).cells
        assert cell.outcome == outcome

    def test_band_of_an_expected_exponent_ends_halfway_to_the_nearest_rivals(self):
        law = ScalingLaw("x", "y", expected=-0.5, rivals=(-1.0, -2.0, 0.0))
        assert (law.at_least, law.at_most) == (-0.75, -0.25)
        one_sided = ScalingLaw("x", "y", expected=2.0, rivals=(1.0,))
        assert (one_sided.at_least, one_sided.at_most) == (1.5, np.inf)
        with pytest.raises(ClaimError, match="needs rivals"):
            ScalingLaw("x", "y", expected=2.0)

    def test_a_bent_curve_decides_nothing(self):
        x = np.geomspace(1, 100, 9)
        bent_around_the_band = curves(lambda x: np.exp(0.5 / np.log(100) * np.log(x) ** 2), x)
        verdict = self.criterion(bent_around_the_band)
        assert verdict.effect == pytest.approx(0.5)
        assert (verdict.status, verdict.p) == ("inconclusive", 1.0)
        bent_into_the_band = curves(lambda x: np.exp(0.25 / np.log(100) * np.log(x) ** 2), x)
        assert self.criterion(bent_into_the_band).effect == pytest.approx(0.25)
        assert self.criterion(bent_into_the_band).status == "inconclusive"

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            (curves(lambda x: x, [2]), "seed 0 has 1 values of x"),
            (curves(lambda x: x - 1.0, [1, 2]), "y must be positive, seed 0 has 0"),
            (curves(lambda x: x + 1.0, [0, 1]), "x must be positive"),
            (curves(lambda x: x * np.inf, [1, 2]), "y must be finite, seed 0 has inf"),
        ],
    )
    def test_what_has_no_logarithm(self, table, message):
        with pytest.raises(ObservationsError, match=message):
            self.criterion(table)

    def test_needs_a_band(self):
        with pytest.raises(ClaimError):
            ScalingLaw("x", "y", because=REASON)
        with pytest.raises(ClaimError):
            ScalingLaw("x", "y", at_least=2, at_most=1, because=REASON)


class TestExponentialDecay:
    criterion = ExponentialDecay("x", "y", at_least=0.2, because=REASON)

    @pytest.mark.parametrize(("rate", "status"), [(0.5, "reproduced"), (0.0, "absent"), (-1.0, "refuted")])
    def test_status(self, rate, status):
        verdict = self.criterion(curves(lambda x: np.exp(-rate * x), [0, 1, 2, 5], noise=0.05))
        assert verdict.status == status
        assert verdict.effect == pytest.approx(rate, abs=0.05)

    def test_noise_that_hides_the_rate(self):
        assert self.criterion(curves(lambda x: np.exp(-0.2 * x), [0, 1, 2], noise=0.5)).status == "inconclusive"

    def test_a_fall_that_stops_decides_nothing(self):
        stopping = curves(lambda x: np.exp(-x) + 0.01, range(15))
        assert self.criterion(stopping).status == "inconclusive"
