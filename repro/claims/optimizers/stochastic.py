"""The noise of sampled gradients, and how fast stochastic gradient descent with averaging gets there."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from repro import AllOf, Identity, Rival, ScalingLaw, cheatsheet, claim
from repro.claims.optimizers._functions import INPUTS, NETWORK_SIZE, Function, network

LIMIT = 1.0  # of the interval that steps are projected on


@claim(
    r"The variance of the gradient of a uniformly drawn sample is $V[\theta](S) = \frac{1}{s} \sum_{i=1}^s \lVert "
    r"\nabla h[\theta](S) - \nabla h[\theta](x_i, y_i) \rVert^2$.",
    source=cheatsheet("1.3.4"),
    kind="formula",
    scope="one sample, drawn uniformly from S; h(S) is the mean over S",
    literature="the identity of the mean squared deviation and half the mean squared difference of two draws",
    criterion=Identity("formula", "half_squared_difference", operations=4096),
    control={"centred": False},
    rival=Rival(
        "The divisor is s - 1, as for an estimate of the variance of a population that S is drawn from.",
        criterion=Identity("with_one_less", "half_squared_difference", operations=4096),
    ),
)
def sgd_variance(seed, *, centred=True, examples=24, points=5):
    """Compares the formula with the variance of a drawn gradient, as half the mean squared difference of two draws.

    Half the squared error of a tanh network of 13 weights, at five normal weights, on 24 normal examples; gradients of
    single examples and of their mean by automatic differentiation, each by itself, in double precision. The other side
    enumerates all ordered pairs of draws with replacement, and knows no mean. The control leaves out the gradient of
    the mean, the rival divides by s - 1.
    """
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(examples, INPUTS)), generator.normal(size=examples)
    weights = generator.normal(size=(points, NETWORK_SIZE))
    single = np.stack([Function(network, (x[[i]], y[[i]], 0.0)).gradients(weights) for i in range(examples)])
    of_all = Function(network, (x, y, 0.0)).gradients(weights) if centred else 0.0
    squares = np.square(single - of_all).sum(axis=(0, 2))
    pairs = itertools.product(range(examples), repeat=2)
    differences = sum(np.square(single[i] - single[j]).sum(axis=1) for i, j in pairs)
    return pd.DataFrame(
        {
            "formula": squares / examples,
            "with_one_less": squares / (examples - 1),
            "half_squared_difference": differences / (2 * examples**2),
        }
    )


@claim(
    r"Stochastic gradient descent with averaging: $E[h(\bar\theta_t)] - \min h \le O(1 / \sqrt{t})$ in general.",
    source=cheatsheet("1.3.4"),
    kind="theorem",
    transcription=True,
    scope="convex h, bounded subgradients; steps are left open, here proportional to one over the root of their number",
    literature="Nemirovski et al. 2009, section 2.2; Agarwal et al. 2012: no method is faster on every such h",
    criterion=AllOf(
        worst=ScalingLaw("steps", "gap", expected=-0.5, rivals=(-0.25,), where={"problem": "biased coin"}),
        corner=ScalingLaw("steps", "gap", expected=-0.5, rivals=(-0.25,), where={"problem": "absolute value"}),
        flat=ScalingLaw("steps", "gap", expected=-0.5, rivals=(-0.25,), where={"problem": "fourth power"}),
    ),
    smoke={"horizons": (64, 256, 1024), "runs": 500},
    control={"decay": 0.0, "averaged": False},
    rival=Rival(
        "The error is O(1 / t).",
        criterion=ScalingLaw("steps", "gap", expected=-1.0, rivals=(-0.5,), where={"problem": "biased coin"}),
    ),
)
def sgd_rate_general(seed, *, decay=0.5, averaged=True, horizons=(64, 256, 1024, 4096), runs=1000):
    r"""Error of the averaged iterate against the number of steps, as a mean over 1000 runs, in one parameter.

    Steps $\eta_k = k^{-1/2}$ on the interval from -1 to 1. Biased coin: a linear function whose slope is one over the
    root of the number of steps, seen through subgradients of plus or minus one; no method can tell its sign sooner, so
    that the rate is attained; there the gap is at most twice the slope, whatever descends, so that it cannot fail the
    claim and is what the rival fails on. Absolute value of the distance from a random place, and its fourth power, with
    normal noise of variance one. Asked is an exponent of at most halfway to -1/4, that of steps proportional to
    $k^{-3/4}$. In the control steps do not shrink and the last iterate stands for the average: on the coin nothing
    falls but the slope, and on the others nothing.
    """
    generator = np.random.default_rng(seed)
    place = generator.uniform(-0.5, 0.5)
    rows = []
    for steps in horizons:
        bias = steps**-0.5

        def coin(theta, bias=bias):
            return np.where(generator.uniform(size=theta.shape) < (1 + bias) / 2, -1.0, 1.0)

        theta = _descend(coin, steps, runs, decay, averaged)[steps]
        rows.append({"problem": "biased coin", "steps": steps, "gap": bias * (LIMIT - theta).mean()})

    def corner(theta):
        return np.sign(theta - place) + generator.normal(size=theta.shape)

    def flat(theta):
        return 4 * (theta - place) ** 3 + generator.normal(size=theta.shape)

    for name, gradient, power in (("absolute value", corner, 1), ("fourth power", flat, 4)):
        thetas = _descend(gradient, max(horizons), runs, decay, averaged)
        rows += [
            {"problem": name, "steps": steps, "gap": (np.abs(thetas[steps] - place) ** power).mean()}
            for steps in horizons
        ]
    return pd.DataFrame(rows)


@claim(
    r"Stochastic gradient descent with averaging: $E[h(\bar\theta_t)] - \min h \le O(\log t / t)$ for strongly convex "
    r"h, and $O(1 / t)$ where it is smooth besides.",
    source=cheatsheet("1.3.4"),
    kind="theorem",
    transcription=True,
    scope="bounded noise of the gradient; steps are left open, here proportional to one over their number; printed is "
    "log(t/t), which would be zero",
    literature="Hazan, Agarwal and Kale 2007; Rakhlin, Shamir and Sridharan 2012, theorems 2 and 4; averages of the "
    "last half of the iterates take the logarithm away",
    criterion=AllOf(
        strongly_convex=ScalingLaw(
            "logarithm", "error_times_steps", expected=1.0, rivals=(2.0,), where={"problem": "not smooth"}
        ),
        smooth=ScalingLaw("logarithm", "error_times_steps", expected=0.0, rivals=(1.0,), where={"problem": "smooth"}),
    ),
    smoke={"horizons": (64, 256, 1024), "runs": 1000},
    control={"strongly_convex": False},
    rival=Rival(
        "The error is O(1 / t) for strongly convex h that are not smooth, too.",
        criterion=ScalingLaw(
            "logarithm", "error_times_steps", expected=0.0, rivals=(1.0,), where={"problem": "not smooth"}
        ),
    ),
)
def sgd_rate_strongly_convex(
    seed, *, strongly_convex=True, horizons=(64, 256, 1024, 4096), runs=2000, noise=(0.5, 2.0)
):
    r"""Error of the averaged iterate times the number of steps t against the logarithm of t, over 2000 runs.

    Steps 1/k in one parameter on the interval from -1 to 1, strong convexity 1. Not smooth: the function of Rakhlin et
    al., $w^2/2 + w$ above zero and $w^2/2 - 7w$ below, with noise uniform from -2 to 2 above zero and none below, where
    the logarithm is known to be needed. Smooth: $w^2/2 + \log \cosh w$, of curvatures from 1 to 2, with
    normal noise of a deviation from 0.5 to 2, which each seed draws. The exponent in log t is one for log t / t, and
    zero for 1 / t. Asked is at most halfway to the next. In the control the linear function of a biased coin, which is
    convex only, takes the place of both.
    """
    generator = np.random.default_rng(seed)
    deviation = generator.uniform(*noise)

    def rough(theta):
        above = theta >= 0
        return theta + np.where(above, 1 + generator.uniform(-2, 2, size=theta.shape), -7.0)

    def smooth(theta):
        return theta + np.tanh(theta) + deviation * generator.normal(size=theta.shape)

    def coin(theta):
        return np.where(generator.uniform(size=theta.shape) < 0.6, -1.0, 1.0)

    problems = {
        "not smooth": (rough, lambda w: w**2 / 2 + np.where(w >= 0, w, -7 * w)),
        "smooth": (smooth, lambda w: w**2 / 2 + np.log(np.cosh(w))),
    }
    if not strongly_convex:
        problems = dict.fromkeys(problems, (coin, lambda w: 0.2 * (LIMIT - w)))
    rows = []
    for name, (gradient, value) in problems.items():
        thetas = _descend(gradient, max(horizons), runs, 1.0, averaged=True)
        for steps in horizons:
            scaled = steps * value(thetas[steps]).mean()
            rows.append({"problem": name, "logarithm": np.log(steps), "error_times_steps": scaled})
    return pd.DataFrame(rows)


def _descend(gradient, steps, runs, decay, averaged):
    """Averages of the iterates, or the last ones, after each power of two of steps, by that number: [runs] each.

    Args:
        gradient: Function that maps the parameters of all runs to sampled gradients.
        steps: Number of steps from zero, each projected on the interval.
        runs: Number of runs.
        decay: Power of the number of a step by which its rate is divided.
        averaged: Whether averages are wanted, of the iterates that gradients were taken at.
    """
    theta, total, found = np.zeros(runs), np.zeros(runs), {}
    for number in range(1, steps + 1):
        total += theta
        theta = np.clip(theta - number**-decay * gradient(theta), -LIMIT, LIMIT)
        if number & (number - 1) == 0:
            found[number] = total / number if averaged else theta
    return found
