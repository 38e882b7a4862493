"""Plain descent, momentum as printed and heavy ball, on errors with several minima and on quadratics."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

UPDATES = ("plain", "printed", "heavy ball")
SLOW = "plain at a tenth"
RIPPLES = 3
GRID = np.linspace(-6, 6, 2401)
# Streams of random numbers of a seed.
TUNING, TESTING, ESCAPING, OSCILLATING = 1, 2, 3, 4
FARTHEST = 1e6  # from the origin: a run that diverges stays there


def descents(seed, *, alpha, functions, courses, steps, noises, condition, rates):
    """Share of runs that escape from shallow minima, and of steps that change sign, by update, rates and noise.

    Args:
        seed: Seed of functions, starts and noise.
        alpha: Factor on the second gradient, as a share of the rate, and on the last step of heavy ball.
        functions: Number of rippled errors that are drawn, each with one start.
        courses: Number of runs on the quadratic, which differ by their noise.
        steps: Number of steps.
        noises: Deviations of the gradients' noise.
        condition: Condition number of the quadratic.
        rates: Rates among which plain descent is tuned, over the largest curvature; the other updates among rates that
            are as near to the largest at which they are stable. Equal ones are a tenth of plain descent's best for
            escaping, where it is trapped, and the largest on the quadratic, where it oscillates.

    Returns:
        A row for each noise, choice of rates and update, and for plain descent at a tenth of its rate for escaping.
    """
    # Plain descent is stable up to 2 over the curvature, heavy ball up to 1 + alpha times that (Polyak 1964).
    stability = {"plain": 1.0, "printed": 1 / (1 + alpha), "heavy ball": 1 + alpha}
    grids = {update: np.array(rates) * stability[update] for update in UPDATES}
    tuning, testing = (RippledErrors(np.random.default_rng((seed, stream)), functions) for stream in (TUNING, TESTING))
    rows = []
    for noise in noises:
        options = {"alpha": alpha, "steps": steps, "noise": noise, "seed": seed}
        escaped = partial(_shares_escaped, **options)
        course = partial(_courses, condition=condition, count=courses, **options)
        for_escape = {update: grid[escaped(tuning, update, grid).argmax()] for update, grid in grids.items()}
        for_quadratic = {update: grid[course(update, grid)["height"].argmin()] for update, grid in grids.items()}
        tenth, largest = for_escape["plain"] / 10, max(rates)
        for chosen in ("tuned", "equal"):
            trials = [(update, update, for_escape[update], for_quadratic[update]) for update in UPDATES]
            if chosen == "equal":
                trials = [(update, update, tenth, largest) for update in UPDATES]
            for label, update, rate, rate_on_quadratic in (*trials, (SLOW, "plain", tenth, trials[0][-1])):
                rows.append(
                    {
                        "noise": noise,
                        "rates": chosen,
                        "update": label,
                        "escaped": escaped(testing, update, np.array([rate]))[0],
                        "sign_changes": course(update, np.array([rate_on_quadratic]))["sign_changes"][0],
                    }
                )
    return pd.DataFrame(rows)


def path(gradient, start, update, rate, *, alpha, steps, noise, generator):
    """Yield the places that an update visits from a start, which is the first of ``steps + 1``.

    The noise has the shape of the start; rates that broadcast with it share one draw.
    """
    w, last = start, np.zeros_like(start)
    yield w
    for _ in range(steps):
        slope = gradient(w) + noise * generator.normal(size=start.shape)
        step = {
            "plain": -rate * slope,
            "printed": -rate * slope - alpha * rate * slope,
            "heavy ball": -rate * slope + alpha * last,
        }[update]
        w, last = np.clip(w + step, -FARTHEST, FARTHEST), step
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


def _shares_escaped(errors, update, rates, *, seed, **options):
    """Share of the runs that end in the deepest basin, for each rate."""
    generator = np.random.default_rng((seed, ESCAPING))
    low, high = errors.basin
    *_, final = path(errors.gradient, errors.start, update, rates[:, None], generator=generator, **options)
    return ((low < final) & (final < high)).mean(axis=-1)


def _courses(update, rates, *, condition, count, seed, **options):
    """Final height and share of sign changes along the steep axis on a quadratic, for rates over its curvature.

    The quadratic has two curvatures, 1 and the condition number, and every run starts at one on both axes.
    """
    generator = np.random.default_rng((seed, OSCILLATING))
    curvatures = np.array([condition, 1.0])[:, None]
    places = path(
        lambda w: curvatures * w,
        np.ones((2, count)),
        update,
        rates[:, None, None] / condition,
        generator=generator,
        **options,
    )
    changes, before = np.zeros(len(rates)), next(places)[..., 0, :]
    for place in places:
        changes += (np.sign(place[..., 0, :]) != np.sign(before)).mean(axis=-1)
        before = place[..., 0, :]
    height = (curvatures * place**2).sum(axis=-2).mean(axis=-1)
    return {"height": height, "sign_changes": changes / options["steps"]}
