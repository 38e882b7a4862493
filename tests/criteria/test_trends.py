import numpy as np
import pandas as pd
import pytest

from repro.common.errors import ObservationsError
from repro.criteria import Monotone, Peak, Preserved

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


class TestPreserved:
    criterion = Preserved("y", along="x", within=1.1, because=REASON)

    @pytest.mark.parametrize(
        ("factor", "noise", "status"),
        [
            (1.0, 0.01, "reproduced"),
            (1.05, 0.0, "reproduced"),
            (0.5, 0.1, "refuted"),
            (2.0, 0.1, "refuted"),
            (1.1, 0.1, "inconclusive"),
        ],
    )
    def test_status(self, factor, noise, status):
        assert self.criterion(curves(lambda x: factor**x, range(10), noise=noise)).status == status

    def test_effect_is_the_arithmetic_mean_of_ratios(self):
        table = pd.DataFrame({"seed": 0, "x": [2, 0, 1], "y": [3.0, 1.0, 2.0]})
        assert self.criterion(table).effect == pytest.approx((2 + 1.5) / 2)

    def test_expectation_of_ratios_and_not_of_logarithms(self):
        generator = np.random.default_rng(1)
        ratios = generator.gamma(1.0, size=(24, 400))  # of mean one, their logarithms have mean -0.577
        table = pd.DataFrame(
            [{"seed": s, "x": x, "y": y} for s in range(24) for x, y in enumerate(np.cumprod(ratios[s]))]
        )
        assert self.criterion(table).effect == pytest.approx(1, abs=0.05)

    def test_zero_is_named(self):
        with pytest.raises(ObservationsError, match="y must be positive, seed 0 has 0"):
            self.criterion(curves(lambda x: float(x), range(3)))


class TestPeak:
    criterion = Peak("x", "y", at=300, within=1.2, prominence=2.0, because=REASON)
    x = (100, 200, 290, 400, 800)

    @staticmethod
    def bump(place):
        return lambda x: 1 + 9 * np.exp(-(((x - place) / 30) ** 2))

    def test_reproduced(self):
        verdict = self.criterion(curves(self.bump(290), self.x, noise=0.05))
        assert verdict.status == "reproduced"
        assert {part.name: part.status for part in verdict.parts} == {"place": "reproduced", "prominence": "reproduced"}
        assert next(part.effect for part in verdict.parts if part.name == "place") == pytest.approx(290 / 300)

    @pytest.mark.parametrize(
        ("place", "refuted"), [(400, ["place"]), (800, ["place", "prominence"]), (100, ["place", "prominence"])]
    )
    def test_refuted_elsewhere_or_at_an_edge(self, place, refuted):
        verdict = self.criterion(curves(self.bump(place), self.x, noise=0.05))
        assert verdict.status == "refuted"
        assert [part.name for part in verdict.parts if part.status == "refuted"] == refuted

    def test_inconclusive_where_seeds_differ(self):
        tables = [curves(self.bump(place), self.x, seeds=6) for place in (290, 400)]
        table = pd.concat([tables[0], tables[1].assign(seed=tables[1]["seed"] + 6)])
        assert self.criterion(table).status == "inconclusive"

    def test_minimum_and_place_by_column(self):
        criterion = Peak("x", "y", at="n", within=1.2, prominence=2.0, because=REASON, kind="minimum")
        table = curves(lambda x: 1 / self.bump(290)(x), self.x).assign(n=300)
        assert criterion(table).status == "reproduced"
        assert criterion(table.assign(n=100)).status == "refuted"

    def test_divergence_is_a_peak_and_everywhere_infinite_none(self):
        diverging = curves(lambda x: np.inf if x == 290 else 1.0, self.x)
        assert self.criterion(diverging).status == "reproduced"
        assert self.criterion(curves(lambda x: x * np.inf, self.x)).status == "refuted"

    def test_several_rows_at_one_place(self):
        table = curves(self.bump(290), self.x)
        with pytest.raises(ObservationsError, match="several rows of seed 0 with x = 100"):
            self.criterion(pd.concat([table, table]))


class TestMonotone:
    criterion = Monotone("x", "y", tolerance=0.5, because=REASON)

    @pytest.mark.parametrize(
        ("y", "status"),
        [
            ([1, 2, 3], "reproduced"),
            ([1, 3, 2.8], "reproduced"),
            ([1, 3, 2], "refuted"),
            ([3, 2.8, 2.6, 2.4], "refuted"),  # small steps make a large reversal
            ([1, np.inf, np.inf], "reproduced"),
            ([1, np.inf, 2], "refuted"),
        ],
    )
    def test_status(self, y, status):
        assert self.criterion(curves(lambda x: float(y[x]), range(len(y)))).status == status

    def test_direction(self):
        table = curves(lambda x: 5.0 - x, range(4))
        assert self.criterion(table).status == "refuted"
        falling = Monotone("x", "y", tolerance=0.5, because=REASON, direction="decreasing")
        assert falling(table).status == "reproduced"

    def test_inconclusive_where_seeds_differ(self):
        table = curves(lambda x: float(x), range(3))
        table.loc[(table["seed"] % 2 == 0) & (table["x"] == 2), "y"] = 0.0
        assert self.criterion(table).status == "inconclusive"
