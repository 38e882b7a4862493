"""Descent with a memory on quadratic functions: steps to a tolerance, overshoot, and the best coefficients."""

from __future__ import annotations

from functools import cache

import numpy as np

DIMENSION = 10
TOLERANCE = 1e-6
# Factors of the gradient here and at the place before, of the last step, and of the look-ahead along that step.
PLAIN, HEAVY_BALL, NESTEROV, PRINTED = "plain", "heavy ball", "Nesterov", "printed"


def spectrum(generator, condition):
    """Curvatures from one over the condition number to one, in between at random."""
    between = condition ** -generator.uniform(size=DIMENSION - 2)
    return np.concatenate([[1 / condition], np.sort(between), [1.0]])


def path(update, curvatures, start, rate, memory=0.0, *, steps, signs=None):
    """Yield the places that an update visits on a quadratic with the given curvatures, the first of ``steps + 1``.

    Args:
        update: ``plain``, ``heavy ball``, ``Nesterov``, or ``printed``, which adds the gradient at the place before.
        curvatures: Curvature along each axis, [..., axes].
        start: Place that the update rests at before the first step, [..., axes].
        rate: Factor of the gradient.
        memory: Factor of the last step; in the printed update that of the gradient at the place before.
        steps: Number of steps.
        signs: Signs of the second gradient of the printed update at each step, [steps, ...]; None for none.
    """
    w, before = start, start
    yield w
    for number in range(steps):
        last = w - before
        if update == PRINTED:
            sign = 1.0 if signs is None else signs[number][..., None]
            after = w - rate * curvatures * w - sign * memory * curvatures * before
        else:
            place = w + memory * last if update == NESTEROV else w
            after = place - rate * curvatures * place + (memory * last if update == HEAVY_BALL else 0.0)
        w, before = np.clip(after, -1e9, 1e9), w
        yield w


def measure(update, curvatures, start, rate, memory=0.0, *, most, signs=None):
    """Steps to a millionth of the first distance, how far the steep axis swings, and how far any axis overshoots.

    Returns:
        The number of steps, infinite beyond ``most``; until then, the distance from the minimum along the steepest axis
        summed over the steps that change its sign, and the largest distance beyond the minimum along an axis as a share
        of the first; [...] each, for curvatures and starts, [..., axes].
    """
    distance = np.linalg.norm(start, axis=-1)
    count = np.full(distance.shape, np.inf)
    swings, overshoot = np.zeros((2, *distance.shape))
    before = start
    for number, w in enumerate(path(update, curvatures, start, rate, memory, steps=most, signs=signs)):
        runs = np.isinf(count)
        overshoot = np.where(runs, np.maximum(overshoot, (-w / start).max(axis=-1)), overshoot)
        turns = w[..., -1] * before[..., -1] < 0
        swings = swings + np.where(runs & turns, np.abs(w[..., -1]), 0.0)
        count = np.where(runs & (np.linalg.norm(w, axis=-1) <= TOLERANCE * distance), float(number), count)
        if np.isfinite(count).all():
            break
        before = w
    return count, swings, overshoot


def drawn_quadratics(generators, condition):
    """Curvatures and normal starts, [generators, axes] each."""
    drawn = [(spectrum(generator, condition), generator.normal(size=DIMENSION)) for generator in generators]
    return tuple(map(np.stack, zip(*drawn, strict=True)))


def best_plain(condition):
    """Rate of plain descent of the fewest steps at worst, which balances both ends of the spectrum."""
    return 2 / (1 + 1 / condition)


def best_heavy_ball(condition):
    """Rate and factor of heavy ball of the fewest steps at worst (Polyak 1964)."""
    root = condition**-0.5
    return 4 / (1 + root) ** 2, ((1 - root) / (1 + root)) ** 2


def best_nesterov(condition):
    """Rate and factor of Nesterov's method of the fewest steps at worst (Lessard, Recht and Packard 2016, table 1)."""
    root = (3 * condition + 1) ** 0.5
    return 4 / (3 + 1 / condition), (root - 2) / (root + 2)


@cache
def best_rate(update, condition, memory):
    """Rate of the least spectral radius over the spectrum, by search, for a given memory."""
    rates = np.linspace(0.02, 4.2, 419)
    radii = [_radius(update, condition, rate, memory) for rate in rates]
    return float(rates[int(np.argmin(radii))])


@cache
def best_printed(condition, rate=None):
    """Rate and factor of the printed update of the least spectral radius, by search; the factor alone at a rate."""
    rates = np.linspace(1.0, 3.2, 45) if rate is None else [rate]
    grid = [(_radius(PRINTED, condition, each, memory), each, memory) for each in rates for memory in ALPHAS]
    return min(grid)[1:]


ALPHAS = np.linspace(0.0, 1.0, 51)


def _radius(update, condition, rate, memory):
    """Largest modulus of the roots of the recursion along axes of all curvatures of the spectrum."""
    curvatures = np.geomspace(1 / condition, 1, 60)
    step = 1 - rate * curvatures
    middle, last = {
        PLAIN: (step, 0 * step),
        HEAVY_BALL: (step + memory, 0 * step + memory),
        NESTEROV: ((1 + memory) * step, memory * step),
        PRINTED: (step, memory * curvatures),
    }[update]
    # Roots of z^2 - middle z + last.
    root = np.sqrt((middle**2 / 4 - last).astype(complex))
    return float(np.maximum(np.abs(middle / 2 + root), np.abs(middle / 2 - root)).max())
