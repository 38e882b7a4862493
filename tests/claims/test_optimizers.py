"""Helpers of the claims on optimisers, against closed forms."""

import keras
import numpy as np
import pytest

from repro.claims.optimizers import _descents, _quadratics, adaptive

CURVATURE, RATE, ALPHA = 2.0, 0.1, 0.5
FACTORS = {"plain": (RATE, 0, 0), "printed": (RATE, ALPHA * RATE, 0), "heavy ball": (RATE, 0, ALPHA)}


def _path(update, steps=6, **options):
    places = _descents.path(
        lambda w: CURVATURE * w,
        np.ones(1),
        np.array([FACTORS[update]]),
        steps=steps,
        noise=0.0,
        generator=np.random.default_rng(0),
        **options,
    )
    return np.array(list(places))[:, 0, 0]


def test_plain_descent_shrinks_a_quadratic_by_one_factor():
    assert _path("plain") == pytest.approx((1 - RATE * CURVATURE) ** np.arange(7))


def test_momentum_as_printed_is_plain_descent_at_a_larger_rate():
    assert _path("printed") == pytest.approx((1 - (1 + ALPHA) * RATE * CURVATURE) ** np.arange(7))


def test_a_second_gradient_of_random_sign_adds_to_the_first_or_takes_from_it():
    places = _path("printed", steps=40, second="of random sign")
    larger, smaller = (1 - (1 + sign * ALPHA) * RATE * CURVATURE for sign in (1, -1))
    factors = np.unique(np.round(places[1:] / places[:-1], 12))
    assert factors == pytest.approx([larger, smaller])


def test_heavy_ball_follows_the_powers_of_its_companion_matrix():
    companion = np.array([[1 + ALPHA - RATE * CURVATURE, -ALPHA], [1, 0]])
    expected = [(np.linalg.matrix_power(companion, step) @ np.ones(2))[0] for step in range(7)]
    assert _path("heavy ball") == pytest.approx(expected)


def test_diverging_paths_stay_finite():
    generator = np.random.default_rng(0)
    places = _descents.path(
        lambda w: 1e4 * w, np.ones(1), np.array([[1.0, 0, 0]]), steps=50, noise=0, generator=generator
    )
    assert max(abs(place[0, 0]) for place in places) == _descents.FARTHEST


class TestRippledErrors:
    errors = _descents.RippledErrors(np.random.default_rng(0), 40)

    def heights(self, w):
        amplitude, frequency, phase = self.errors._amplitude, self.errors._frequency, self.errors._phase
        return w**2 / 2 + (amplitude * np.cos(frequency * w + phase)).sum(axis=0)

    def test_gradient_is_the_slope_of_the_heights(self):
        w, step = np.linspace(-3, 3, len(self.errors.start)), 1e-5
        slope = (self.heights(w + step) - self.heights(w - step)) / (2 * step)
        assert self.errors.gradient(w) == pytest.approx(slope, abs=1e-6)

    def test_runs_start_outside_the_deepest_basin(self):
        low, high = self.errors.basin
        assert ((self.errors.start < low) | (self.errors.start > high)).all()

    def test_rates_are_followed_side_by_side(self):
        w = np.random.default_rng(1).normal(size=(3, len(self.errors.start)))
        assert self.errors.gradient(w) == pytest.approx(np.array([self.errors.gradient(row) for row in w]))

    def test_basin_holds_the_deepest_place_between_ridges(self):
        heights = np.array([self.heights(w) for w in _descents.GRID])
        deepest = _descents.GRID[heights.argmin(axis=0)]
        low, high = self.errors.basin
        assert (low < deepest).all()
        assert (deepest < high).all()
        for run in range(len(low)):
            inside = (low[run] < _descents.GRID) & (high[run] > _descents.GRID)
            turns = np.diff(np.sign(np.diff(heights[inside, run])))
            assert (turns != 0).sum() == 1


def test_plain_descent_changes_sign_at_every_step_above_the_inverse_curvature():
    factors = np.array([(0.15, 0, 0), (0.05, 0, 0)])
    found = _descents.sign_changes(factors, steps=10, noise=0.0, seed=0, condition=10.0, count=3)
    assert found == pytest.approx([1, 0])


def test_a_run_that_ends_at_zero_has_no_sign_to_change():
    found = _descents.sign_changes(np.array([(0.0999, 0, 0)]), steps=200, noise=0.0, seed=0, condition=10.0, count=3)
    assert found == pytest.approx([0])


def test_without_noise_small_rates_escape_from_no_minimum():
    errors = _descents.RippledErrors(np.random.default_rng(0), 40)
    shares = _descents.shares_escaped(errors, np.array([[1e-3, 0, 0]]), steps=4000, noise=0.0, seed=0)
    assert shares == pytest.approx([0.0])


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_at_tuned_rates_momentum_as_printed_is_plain_descent(noise):
    table = _descents.descents(
        0,
        alpha=1.0,
        momentum=0.9,
        second="along the first",
        functions=20,
        courses=2,
        steps=100,
        noises=(noise,),
        condition=10.0,
        rates=[0.5, 1.0, 1.9],
    )
    tuned = table[table["rates"] == "tuned"].set_index("update")[["escaped", "sign_changes"]]
    assert tuned.loc["printed"].tolist() == tuned.loc["plain"].tolist()


def test_averages_from_the_first_gradient_step_as_adam_once():
    def gradient(parameters):
        return 2 * parameters

    start, options = np.array([[3.0, -1.0]]), {"squares": np.square}
    adam = adaptive._averages(start, gradient, [0.1] * 2, adaptive._corrected_step, **options)
    seeded = adaptive._averages(start, gradient, [0.1] * 2, adaptive._plain_step, from_zero=False, **options)
    assert seeded[0] == pytest.approx(adam[0])
    assert seeded[0] == pytest.approx(start - 0.1 * np.sign(start))
    assert seeded[1] != pytest.approx(adam[1], abs=1e-6)


def test_paths_of_keras_are_those_of_the_formulas():
    """Plain descent on a quadratic has a closed form, the power of one matrix."""

    def powers(start, gradient, rates):
        hessian = np.stack([gradient(np.tile(row, (len(start), 1))) for row in np.eye(_quadratics.DIMENSION)], axis=-1)
        step = np.eye(_quadratics.DIMENSION) - rates[0] * hessian
        return [(np.linalg.matrix_power(step, number + 1) @ start[..., None])[..., 0] for number in range(len(rates))]

    table = _quadratics.compare_paths(
        [3, 4], [2**-5] * 4, optimizer=keras.optimizers.SGD(2**-5), formulas={"powers": powers}
    )
    assert table.groupby("seed").size().tolist() == [32, 32]
    assert table["keras"].to_numpy() == pytest.approx(table["powers"].to_numpy())
    alone = _quadratics.compare_paths(
        [4], [2**-5] * 4, optimizer=keras.optimizers.SGD(2**-5), formulas={"powers": powers}
    )
    assert table[table["seed"] == 4]["keras"].to_numpy() == pytest.approx(alone["keras"].to_numpy())
