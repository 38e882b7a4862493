import numpy as np
import pandas as pd
import pytest

from repro.common.errors import ObservationsError
from repro.criteria import Monotone, Peak

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


class TestPeak:
    criterion = Peak("x", "y", at=300, within=1.2, prominence=2.0, because=REASON)
    x = (100, 200, 290, 400, 800)

    @staticmethod
    def bump(place):
        return lambda x: 1 + 9 * np.exp(-(((x - place) / 30) ** 2))

    def test_reproduced(self):
        table = curves(self.bump(290), self.x, noise=0.05)
        verdict = self.criterion(table)
        assert verdict.status == "reproduced"
        assert verdict.parts == ()  # place and prominence are one statement
        assert self.criterion.extrema(table)["place"].median() == pytest.approx(290 / 300)

    @pytest.mark.parametrize(
        ("place", "failing"), [(400, ["place"]), (800, ["place", "prominence"]), (100, ["place", "prominence"])]
    )
    def test_not_seen_elsewhere_or_at_an_edge(self, place, failing):
        table = curves(self.bump(place), self.x, noise=0.05)
        verdict = self.criterion(table)
        assert (verdict.status, self.criterion(table, kind="law").status) == ("absent", "refuted")
        assert verdict.measure in [self.criterion.measures[name] for name in failing]
        extrema = self.criterion.extrema(table).median()
        assert extrema["place"] == pytest.approx(place / 300)
        assert ("prominence" in failing) == (extrema["prominence"] < 2)

    def test_opposite_is_the_other_extremum_at_the_place(self):
        dip = curves(lambda x: 1 / self.bump(290)(x), self.x)
        assert [cell.outcome for cell in self.criterion(dip).cells] == ["opposite"]

    @pytest.mark.parametrize(
        ("place", "seeds", "status"),
        [(290, 7, "inconclusive"), (290, 8, "reproduced"), (400, 8, "inconclusive"), (400, 9, "refuted")],
    )
    def test_fewest_seeds(self, place, seeds, status):
        # 2 / 2^8 = 0.0078 in both is enough to hold; that one of both fails shares the level, 4 / 2^9 = 0.0078.
        assert self.criterion(curves(self.bump(place), self.x, seeds=seeds), kind="law").status == status

    def test_inconclusive_where_seeds_differ(self):
        tables = [curves(self.bump(place), self.x, seeds=6) for place in (290, 400)]
        table = pd.concat([tables[0], tables[1].assign(seed=tables[1]["seed"] + 6)])
        assert self.criterion(table).status == "inconclusive"

    def test_minimum_and_place_by_column(self):
        criterion = Peak("x", "y", at="n", within=1.2, prominence=2.0, because=REASON, kind="minimum")
        table = curves(lambda x: 1 / self.bump(290)(x), self.x).assign(n=300)
        assert criterion(table).status == "reproduced"
        assert criterion(table.assign(n=100)).status == "absent"

    def test_divergence_is_a_peak_and_everywhere_infinite_none(self):
        diverging = curves(lambda x: np.inf if x == 290 else 1.0, self.x)
        assert self.criterion(diverging).status == "reproduced"
        assert self.criterion(curves(lambda x: x * np.inf, self.x)).status == "absent"

    def test_several_rows_at_one_place(self):
        table = curves(self.bump(290), self.x)
        with pytest.raises(ObservationsError, match="several rows of seed 0 with x = 100"):
            self.criterion(pd.concat([table, table]))


class TestMonotone:
    criterion = Monotone("x", "y", smallest_difference=0.5, because=REASON)

    @pytest.mark.parametrize(
        ("y", "status"),
        [
            ([1, 2, 3], "reproduced"),
            ([1, 3, 2.8], "reproduced"),
            ([1, 3, 2], "absent"),
            ([3, 2.8, 2.6, 2.4], "refuted"),  # small steps make a large reversal, and it only falls
            ([3, 2.8, 2.6], "reproduced"),  # neither rises nor falls by what matters
            ([1, np.inf, np.inf], "reproduced"),
            ([1, np.inf, 2], "absent"),
        ],
    )
    def test_status(self, y, status):
        assert self.criterion(curves(lambda x: float(y[x]), range(len(y)))).status == status

    def test_direction(self):
        table = curves(lambda x: 5.0 - x, range(4))
        assert self.criterion(table).status == "refuted"
        falling = Monotone("x", "y", smallest_difference=0.5, because=REASON, direction="decreasing")
        assert falling(table).status == "reproduced"

    def test_inconclusive_where_seeds_differ(self):
        table = curves(lambda x: float(x), range(3))
        table.loc[(table["seed"] % 2 == 0) & (table["x"] == 2), "y"] = 0.0
        assert self.criterion(table).status == "inconclusive"
