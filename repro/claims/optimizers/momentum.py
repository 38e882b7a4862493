"""Gradient descent with a memory of its steps."""

from __future__ import annotations

from etils import epy

from repro import Identity, cheatsheet, claim
from repro.claims.optimizers._quadratics import compare_paths

with epy.lazy_imports():
    import keras

# Both are exact in single precision, which Keras keeps rates in.
RATE, MOMENTUM = 2**-5, 0.875


@claim(
    r"Heavy-ball momentum is $\theta_{t+1} = \theta_t - \eta \nabla h(\theta_t) + \beta(\theta_t - \theta_{t-1})$.",
    source=cheatsheet("1.3.3"),
    kind="formula",
    literature="Polyak 1964",
    criterion=Identity("keras", "formula", operations=4096),
    control={"nesterov": True},
)
def momentum_cheatsheet(seed, *, nesterov=False, steps=40):
    """Compares the path of Keras' SGD with momentum with that of the formula, on random quadratic functions.

    Functions of eight parameters with curvatures from 0.1 to 10 in random directions, 40 steps at rate 1/32 and
    momentum 7/8 from normal parameters, which rest before the first step; double precision. The control is Nesterov's
    variant.
    """
    return compare_paths(
        seed,
        steps,
        optimizer=lambda: keras.optimizers.SGD(RATE, momentum=MOMENTUM, nesterov=nesterov),
        formula=_heavy_ball,
    )


def _heavy_ball(start, hessian, steps):
    path = [start, start]
    for _ in range(steps):
        now, before = path[-1], path[-2]
        path.append(now - RATE * hessian @ now + MOMENTUM * (now - before))
    return path[2:]
