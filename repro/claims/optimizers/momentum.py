"""Gradient descent with a memory of its steps."""

from __future__ import annotations

import numpy as np
from etils import epy

from repro import AllOf, Boundary, Greater, Identity, PositiveControl, Rival, cheatsheet, claim, lectures
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
    scope="parameters rest before the first step",
    literature="Polyak 1964",
    criterion=Identity("keras", "formula", operations=4096),
    control={"nesterov": True},
    rival=Rival(
        r"The last term is multiplied by $\eta_t / \eta_{t-1}$: the rate multiplies a sum of gradients.",
        criterion=Identity("keras", "rescaled", operations=4096),
    ),
)
def momentum_cheatsheet(seeds, *, nesterov=False, steps=40):
    """Compares the path of Keras' SGD with momentum with that of the formula, on random quadratic functions.

    Functions of eight parameters with curvatures from 0.1 to 10 in random directions, 40 steps with momentum 7/8 from
    normal parameters, which rest before the first step; double precision. The rate is 1/32 for the first half of the
    steps and 1/64 for the others: there the formula, which is also that of Sutskever et al. 2013, differs from the form
    that PyTorch has, in which the rate multiplies a sum of gradients, the rival. The control is Nesterov's variant.
    """
    rates = [RATE] * (steps // 2) + [RATE / 2] * (steps - steps // 2)
    return compare_paths(
        seeds,
        rates,
        optimizer=keras.optimizers.SGD(RATE, momentum=MOMENTUM, nesterov=nesterov),
        formulas={"formula": _heavy_ball, "rescaled": _rate_times_sum},
    )


def _heavy_ball(start, gradient, rates):
    path = [start, start]
    for rate in rates:
        now, before = path[-1], path[-2]
        path.append(now - rate * gradient(now) + MOMENTUM * (now - before))
    return path[2:]


def _rate_times_sum(start, gradient, rates):
    path, gradients = [start], 0.0
    for rate in rates:
        gradients = MOMENTUM * gradients + gradient(path[-1])
        path.append(path[-1] - rate * gradients)
    return path[1:]


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
        "not at tuned rates, where the printed update is plain descent at the sum of the rates; where both have one "
        "rate below the best, the sum carries it out of more minima, as any larger rate does; oscillations are nowhere "
        "smoothed",
        holds="rates == 'equal' and part == 'escape'",
    ),
    smoke={"functions": 100},
    control={"second": "of random sign"},
    positive_control=PositiveControl(
        "Heavy-ball momentum escapes more shallow minima than plain descent at a tenth of its best rate, and at tuned "
        "rates it oscillates less than plain descent.",
        criterion=AllOf(
            escape=Greater(
                "escaped",
                of="heavy ball",
                than="plain at a tenth",
                by="update",
                smallest_difference=0.02,
                where={"rates": "tuned"},
                each=("rates", "noise"),
                because="it is twice what matters",
            ),
            oscillation=Greater(
                "sign_changes",
                of="plain",
                than="heavy ball",
                by="update",
                smallest_difference=0.02,
                where={"rates": "tuned"},
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
    alpha=1.0,
    momentum=0.9,
    second="along the first",
    functions=200,
    courses=64,
    steps=200,
    noises=(0.0, 1.0),
    condition=100.0,
    largest_rate=1.98,
):
    r"""Follows plain descent, the printed update and heavy-ball momentum on one-dimensional errors and on quadratics.

    An error is a parabola with ripples of random phases and wavelengths, which make shallow minima; from a random start
    outside the basin of the deepest, a run escapes if it ends within. Oscillation is the share of steps at which the
    steep coordinate of a quadratic of condition number 100 changes sign. Gradients have normal noise of the given
    deviation, or none.

    As printed both terms have one gradient, so that the update is plain descent at the rate $\eta + \alpha$, whatever
    $\alpha$ is; here it is as large as $\eta$. Tuned: each update has the $\eta$ of the most escapes on other functions
    of the same seed's, among six up to nearly the largest at which it is stable; on the quadratic its best one is
    known. The printed update and plain descent are the same then, bit by bit. Equal: all have one $\eta$, half of plain
    descent's best, so that the printed update is plain descent at its best rate. Heavy ball has the factor 0.9 on the
    last step; plain descent at a tenth of its best rate is trapped, for the positive control. In the control the second
    gradient has a random sign in each step, so that it encourages no direction.
    """
    return descents(
        seed,
        alpha=alpha,
        momentum=momentum,
        second=second,
        functions=functions,
        courses=courses,
        steps=steps,
        noises=noises,
        condition=condition,
        rates=largest_rate / 2.0 ** np.arange(6),
    )
