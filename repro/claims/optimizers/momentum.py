"""Gradient descent with a memory of its steps."""

from __future__ import annotations

import numpy as np
from etils import epy

from repro import AllOf, Boundary, Greater, Identity, PositiveControl, cheatsheet, claim, lectures
from repro.claims.optimizers._descents import descents
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


@claim(
    r"Momentum written as $w^{k+1} = w^k - \eta \nabla E(w^k) - \alpha \nabla E(w^k)$ helps avoid being trapped in "
    "local minima and encourages moving on in the same direction, smoothing out oscillations and escaping shallow "
    "local minima.",
    source=lectures("2.3.1"),
    kind="tendency",
    root="lectures_momentum",
    transcription=True,
    scope="errors with several local minima; the rates and the noise of the gradient are left open; section 2.4.3 "
    "prints the gradient of the step before in the last term",
    left_open=("rates", "noise"),
    literature="Polyak 1964: the momentum term is a multiple of the last step",
    criterion=AllOf(
        escape=Greater(
            "escaped",
            of="printed",
            than="plain",
            by="update",
            smallest_difference=0.01,
            each=("rates", "noise"),
        ),
        oscillation=Greater(
            "sign_changes",
            of="plain",
            than="printed",
            by="update",
            smallest_difference=0.01,
            each=("rates", "noise"),
        ),
    ),
    boundary=Boundary(
        "nowhere at tuned rates, where the printed update is plain descent at the sum of the rates; at equal rates "
        "noise carries it over ridges, as it does at any larger rate, and oscillations are not smoothed",
        holds="rates == 'equal' and part == 'escape' and noise > 0",
    ),
    smoke={"functions": 200, "steps": 200},
    positive_control=PositiveControl(
        "Heavy-ball momentum escapes more shallow minima than plain descent at a tenth of its best rate, and it "
        "oscillates less than plain descent.",
        criterion=AllOf(
            escape=Greater(
                "escaped",
                of="heavy ball",
                than="plain at a tenth",
                by="update",
                smallest_difference=0.02,
                each=("rates", "noise"),
                because="it is twice what matters",
            ),
            oscillation=Greater(
                "sign_changes",
                of="plain",
                than="heavy ball",
                by="update",
                smallest_difference=0.02,
                each=("rates", "noise"),
                because="it is twice what matters",
            ),
        ),
    ),
    seeds=48,
)
def momentum_lectures_first(
    seed,
    *,
    alpha=0.9,
    functions=500,
    courses=64,
    steps=400,
    noises=(0.0, 1.0),
    condition=100.0,
    largest_rate=1.98,
):
    r"""Follows plain descent, the printed update and heavy-ball momentum on one-dimensional errors and on quadratics.

    An error is a parabola with ripples of random phases and wavelengths, which make shallow minima; from a random start
    outside the basin of the deepest, a run escapes if it ends within. Oscillation is the share of steps at which the
    steepest coordinate of a quadratic of condition number 100 changes sign. Gradients have normal noise of the given
    deviation, or none. Each update is tuned on other functions of the same seed's: $\eta$ for the most escapes, or for
    the fastest descent on the quadratic, among thirteen rates up to nearly the largest at which it is stable there. At
    equal rates all have one $\eta$: a tenth of the tuned one of plain descent for escaping, where plain descent is
    trapped, and the largest on the quadratic, where it oscillates. $\alpha$ is 0.9 of $\eta$; for heavy ball the factor
    on the last step is 0.9. As printed both terms have one gradient, so that the update is plain descent at the rate
    $\eta + \alpha$.
    """
    return descents(
        seed,
        alpha=alpha,
        functions=functions,
        courses=courses,
        steps=steps,
        noises=noises,
        condition=condition,
        rates=np.geomspace(largest_rate / 64, largest_rate, 13),
    )
