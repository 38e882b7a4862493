"""Plain descent, momentum as printed and heavy ball, on errors with several minima and on quadratics."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pandas as pd

UPDATES = ("plain", "printed", "heavy ball")
RIPPLES = 3
GRID = np.linspace(-6, 6, 2401)
# Streams of random numbers of a seed.
TUNING, TESTING, ESCAPING, OSCILLATING = 1, 2, 3, 4
FARTHEST = 1e6  # from the origin: a run that diverges stays there


def descents(seed, *, alpha, functions, steps, noises, condition, rates):
    """Share of runs that escape a shallow minimum, and of steps that change sign, by update, rates and noise.

    Args:
        seed: Seed of functions, starts and noise.
        alpha: Factor on the second gradient, as a share of the rate, and on the last step of heavy ball.
        functions: Number of rippled errors, each with one start.
        steps: Number of steps.
        noises: Deviations of the gradients' noise.
        condition: Condition number of the quadratic.
        rates: Rates among which each update is tuned, ascending. Equal ones are a tenth of plain descent's best for
            escaping, where it is trapped, and the largest on the quadratic, where it oscillates.
    """
    tuning, testing = (RippledErrors(np.random.default_rng((seed, stream)), functions) for stream in (TUNING, TESTING))
    rows = []
    for noise in noises:
        options = {"alpha": alpha, "steps": steps, "noise": noise, "seed": seed}
        escaped = partial(_share_escaped, **options)
        course = partial(_course, condition=condition, **options)
        best = {
            update: (
                max(rates, key=lambda rate, update=update, escaped=escaped: escaped(tuning, update, rate)),
                min(rates, key=lambda rate, update=update, course=course: _height(course(update, rate), condition)),
            )
            for update in UPDATES
        }
        for chosen, update in itertools.product(("tuned", "equal"), UPDATES):
            trapped, oscillating = best["plain"][0] / 10, max(rates)
            for_escape, for_quadratic = best[update] if chosen == "tuned" else (trapped, oscillating)
            steep = course(update, for_quadratic)[:, 0]
            rows.append(
                {
                    "noise": noise,
                    "rates": chosen,
                    "update": update,
                    "escaped": escaped(testing, update, for_escape),
                    "sign_changes": float((np.sign(steep[1:]) != np.sign(steep[:-1])).mean()),
                }
            )
    return pd.DataFrame(rows)


def path(gradient, start, update, rate, *, alpha, steps, noise, generator):
    """Places that an update visits from a start, [steps + 1, ...]."""
    w, last = start, np.zeros_like(start)
    places = [w]
    for _ in range(steps):
        slope = gradient(w) + noise * generator.normal(size=w.shape)
        step = {
            "plain": -rate * slope,
            "printed": -rate * slope - alpha * rate * slope,
            "heavy ball": -rate * slope + alpha * last,
        }[update]
        w, last = np.clip(w + step, -FARTHEST, FARTHEST), step
        places.append(w)
    return np.array(places)


class RippledErrors:
    """Parabolas with ripples, one for each run: E(w) = w^2 / 2 + sum of a cos(k w + phase).

    Attributes:
        start: Place of a minimum of each error that is not the deepest, [functions].
        basin: Limits of the basin of the deepest minimum of each error, [2, functions].
    """

    def __init__(self, generator, functions):
        self._amplitude = generator.uniform(0.3, 1.0, size=(RIPPLES, functions))
        self._frequency = generator.uniform(2.0, 5.0, size=(RIPPLES, functions))
        self._phase = generator.uniform(0, 2 * np.pi, size=(RIPPLES, functions))
        found = [_minima(generator, heights) for heights in self._heights(GRID).T]
        self.start = np.array([start for start, _, _ in found])
        self.basin = np.array([(low, high) for _, low, high in found]).T

    def gradient(self, w):
        """Slope of each error at its own place, [functions]."""
        return w - (self._amplitude * self._frequency * np.sin(self._frequency * w + self._phase)).sum(axis=0)

    def _heights(self, grid):
        ripples = self._amplitude * np.cos(self._frequency * grid[:, None, None] + self._phase)
        return grid[:, None] ** 2 / 2 + ripples.sum(axis=1)


def _minima(generator, heights):
    """Place of a minimum that is not the deepest, or of that one if there is no other, and the deepest one's basin."""
    inner, before, after = heights[1:-1], heights[:-2], heights[2:]
    minima = GRID[1:-1][(inner < before) & (inner < after)]
    ridges = GRID[1:-1][(inner > before) & (inner > after)]
    deepest = GRID[heights.argmin()]
    others = minima[np.abs(minima - deepest) > GRID[1] - GRID[0]]
    start = generator.choice(others) if len(others) else deepest
    return start, max([-np.inf, *ridges[ridges < deepest]]), min([np.inf, *ridges[ridges > deepest]])


def _share_escaped(errors, update, rate, *, seed, **options):
    generator = np.random.default_rng((seed, ESCAPING))
    low, high = errors.basin
    final = path(errors.gradient, errors.start, update, rate, generator=generator, **options)[-1]
    return float(((low < final) & (final < high)).mean())


def _course(update, rate, *, condition, seed, **options):
    """Path on a quadratic of two curvatures, 1 and the condition number, at a rate over the larger one."""
    generator = np.random.default_rng((seed, OSCILLATING))
    curvatures = np.array([condition, 1.0])
    return path(lambda w: curvatures * w, np.ones(2), update, rate / condition, generator=generator, **options)


def _height(places, condition):
    return float(condition * places[-1][0] ** 2 + places[-1][1] ** 2)
