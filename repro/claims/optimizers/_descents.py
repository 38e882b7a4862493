"""Plain descent, momentum as printed and heavy ball, on errors with several minima and on quadratics."""

from __future__ import annotations

import numpy as np
import pandas as pd

UPDATES = ("plain", "printed", "heavy ball")
SLOW = "plain at a tenth"
RIPPLES = 3
GRID = np.linspace(-6, 6, 2401)
# Streams of random numbers of a seed.
TUNING, TESTING, ESCAPING, OSCILLATING = 1, 2, 3, 4
FARTHEST = 1e6  # from the origin: a run that diverges stays there


def descents(seed, *, alpha, momentum, second, functions, courses, steps, noises, condition, rates):
    """Share of runs that escape from shallow minima, and of steps that change sign, by update, rates and noise.

    Args:
        seed: Seed of functions, starts and noise.
        alpha: Factor on the second gradient of the printed update, as a share of the rate.
        momentum: Factor on the last step of heavy ball.
        second: Direction of the second gradient: ``along the first`` or ``of random sign``.
        functions: Number of rippled errors that are drawn, each with one start.
        courses: Number of runs on the quadratic, which differ by their start and their noise.
        steps: Number of steps.
        noises: Deviations of the gradients' noise.
        condition: Condition number of the quadratic.
        rates: Rates among which plain descent is tuned for escaping; the other updates are tuned among rates that are
            as near to the largest at which they are stable. On the quadratic the best rates are known: those of plain
            descent and the printed update balance both axes, that of heavy ball damps the flat one critically (Polyak
            1964). Equal rates are the best ones of plain descent over 1 + alpha, for all updates.

    Returns:
        A row for each noise, choice of rates and update, and for plain descent at a tenth of its best rate for
        escaping.
    """
    # Plain descent is stable up to 2 over the curvature, heavy ball up to 1 + momentum times that.
    stability = {"plain": 1.0, "printed": 1 / (1 + alpha), "heavy ball": 1 + momentum}
    balanced = 2 / (condition + 1)
    on_quadratic = {"plain": balanced, "printed": balanced / (1 + alpha), "heavy ball": (1 - momentum**0.5) ** 2}
    factors = {"plain": (1.0, 0.0, 0.0), "printed": (1.0, alpha, 0.0), "heavy ball": (1.0, 0.0, momentum)}
    tuning, testing = (RippledErrors(np.random.default_rng((seed, stream)), functions) for stream in (TUNING, TESTING))

    def coefficients(trials):
        """Factors of each trial, an update and its rate: of the gradient, once more of it, and of the last step."""
        return np.array([np.multiply(factors[update], (rate, rate, 1.0)) for update, rate in trials])

    rows = []
    for noise in noises:
        options = {"steps": steps, "noise": noise, "second": second, "seed": seed}
        grids = {update: [rate * stability[update] for rate in rates] for update in UPDATES}
        trials = [(update, rate) for update, grid in grids.items() for rate in grid]
        shares = shares_escaped(tuning, coefficients(trials), **options).reshape(len(UPDATES), len(rates))
        best = {update: grids[update][row.argmax()] for update, row in zip(UPDATES, shares, strict=True)}
        equal, equal_on_quadratic = (
            dict.fromkeys(UPDATES, tuned["plain"] / (1 + alpha)) for tuned in (best, on_quadratic)
        )
        for name, escaping, steady in (("tuned", best, on_quadratic), ("equal", equal, equal_on_quadratic)):
            to_escape = [*escaping.items(), ("plain", best["plain"] / 10)]
            on_axes = [*steady.items(), ("plain", steady["plain"])]
            escaped = shares_escaped(testing, coefficients(to_escape), **options)
            changes = sign_changes(coefficients(on_axes), condition=condition, count=courses, **options)
            for update, share, change in zip((*UPDATES, SLOW), escaped, changes, strict=True):
                columns = {"update": update, "escaped": share, "sign_changes": change}
                rows.append({"noise": noise, "rates": name, **columns})
    return pd.DataFrame(rows)


def path(gradient, start, coefficients, *, steps, noise, generator, second="along the first"):
    """Yield the places that updates visit from a start, the first of ``steps + 1``.

    Args:
        gradient: Function that maps places to slopes.
        start: Place where all trials start, [...].
        coefficients: Of the gradient, once more of the gradient, and of the last step, [trials, 3].
        steps: Number of steps.
        noise: Deviation of the normal noise of gradients, which all trials share.
        generator: Generator of the noise.
        second: Direction of the second gradient: ``along the first``, or ``of random sign`` in each step.
    """
    once, again, memory = np.reshape(coefficients.T, (3, -1, *[1] * start.ndim))
    w = np.broadcast_to(start, (len(coefficients), *start.shape))
    last = np.zeros_like(w)
    yield w
    for _ in range(steps):
        slope = gradient(w) + noise * generator.normal(size=start.shape)
        sign = generator.choice([-1.0, 1.0]) if second == "of random sign" else 1.0
        last = -once * slope - sign * again * slope + memory * last
        w = np.clip(w + last, -FARTHEST, FARTHEST)
        yield w


class RippledErrors:
    """Parabolas with ripples, one for each run: E(w) = w^2 / 2 + sum of a cos(k w + phase), with several minima.

    Those that were drawn and have a single minimum are left out.

    Attributes:
        start: Place outside the basin of the deepest minimum of each error, [functions].
        basin: Limits of the basin of the deepest minimum of each error, [2, functions].
    """

    def __init__(self, generator, functions):
        self._amplitude = generator.uniform(0.3, 1.0, size=(RIPPLES, functions))
        self._frequency = generator.uniform(2.0, 5.0, size=(RIPPLES, functions))
        self._phase = generator.uniform(0, 2 * np.pi, size=(RIPPLES, functions))
        basins = np.array([_deepest_basin(self._height(run)) for run in range(functions)])
        several = (basins[:, 0] > GRID[0]) | (basins[:, 1] < GRID[-1])
        self.basin = basins[several].T
        self._amplitude, self._frequency, self._phase = (
            drawn[:, several] for drawn in (self._amplitude, self._frequency, self._phase)
        )
        self.start = np.array([generator.choice(GRID[(low > GRID) | (high < GRID)]) for low, high in self.basin.T])

    def gradient(self, w):
        """Slope of each error at its own place, [..., functions]."""
        ripples = self._amplitude * self._frequency * np.sin(self._frequency * w[..., None, :] + self._phase)
        return w - ripples.sum(axis=-2)

    def _height(self, run):
        ripples = self._amplitude[:, run] * np.cos(np.outer(GRID, self._frequency[:, run]) + self._phase[:, run])
        return GRID**2 / 2 + ripples.sum(axis=1)


def _deepest_basin(heights):
    inner, before, after = heights[1:-1], heights[:-2], heights[2:]
    ridges = GRID[1:-1][(inner > before) & (inner > after)]
    deepest = GRID[heights.argmin()]
    return max([GRID[0], *ridges[ridges < deepest]]), min([GRID[-1], *ridges[ridges > deepest]])


def shares_escaped(errors, coefficients, *, seed, **options):
    """Share of the runs that end in the deepest basin, [trials]."""
    generator = np.random.default_rng((seed, ESCAPING))
    low, high = errors.basin
    *_, final = path(errors.gradient, errors.start, coefficients, generator=generator, **options)
    return ((low < final) & (final < high)).mean(axis=-1)


def sign_changes(coefficients, *, condition, count, seed, **options):
    """Share of the steps that change sign along the steep axis of a quadratic, [trials].

    The quadratic has two curvatures, 1 and the condition number; runs start at normal places. A place of zero, where
    the smallest numbers end, is no change.
    """
    generator = np.random.default_rng((seed, OSCILLATING))
    curvatures = np.array([condition, 1.0])[:, None]
    start = generator.normal(size=(2, count))
    places = path(lambda w: curvatures * w, start, coefficients, generator=generator, **options)
    changes, before = np.zeros(len(coefficients)), next(places)[:, 0]
    for place in places:
        changes += (np.sign(place[:, 0]) * np.sign(before) < 0).mean(axis=-1)
        before = place[:, 0]
    return changes / options["steps"]
