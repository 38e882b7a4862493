"""What a memory of steps does for the speed of descent."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Greater, PositiveControl, claim, lectures, notes
from repro.claims.optimizers._accelerations import (
    DIMENSION,
    HEAVY_BALL,
    PLAIN,
    PRINTED,
    best_heavy_ball,
    best_plain,
    best_printed,
    best_rate,
    drawn_quadratics,
    measure,
)
from repro.claims.optimizers._speed import fastest
from repro.engine import classifier, load_data, mlp

with epy.lazy_imports():
    import keras

RATE = 2**-5  # exact in single precision, which Keras keeps rates in
TARGETS = (0.1, 0.02)  # training losses that full batches do not reach within the first measurement
SLOWER, CAREFUL = "plain at a quarter of the rate", "plain at three quarters of the rate"
TWICE: dict[str, Any] = {"smallest_ratio": 1.05**2, "because": "it is twice what matters"}


@claim(
    r"Momentum, $v_t = \gamma v_{t-1} + \eta \nabla L(\theta)$ and $\theta \leftarrow \theta - v_t$ with $\gamma$ "
    "typically 0.9, speeds up convergence by preserving the influence of the previous update direction to a certain "
    "degree.",
    source=notes("Definition 3.79"),
    kind="tendency",
    scope="conditioning, noise of the gradient (size of the batches) and the tuning of rates and momentum are left "
    "open",
    left_open=("condition", "momentum", "batches", "target"),
    literature="Polyak 1964: the square root of the condition number; Sutskever et al. 2013; Kidambi et al. 2018 and "
    "Shallue et al. 2019, section 4.4: no gain at small batches, where the noise limits the rate",
    criterion=AllOf(
        quadratic=Greater(
            "steps",
            of=PLAIN,
            than=HEAVY_BALL,
            by="update",
            each=("condition", "momentum"),
            where={"problem": "quadratic"},
        ),
        network=Greater(
            "steps_to_target",
            of=PLAIN,
            than=HEAVY_BALL,
            by="update",
            each=("batches", "target"),
            where={"problem": "network"},
        ),
    ),
    boundary=Boundary(
        "on quadratics where the momentum is tuned, or 0.9 and the condition number over 38, from where on plain "
        "descent at its best rate keeps more than 0.95 of the distance in a step; in networks at full batches",
        holds="(part == 'quadratic' and (momentum == 'tuned' or condition > 38)) "
        "or (part == 'network' and batches == 'full')",
    ),
    smoke={"images": 200, "network_steps": 300},
    full={"data": "mnist", "images": 5000, "network_steps": 2000},
    positive_control=PositiveControl(
        "Plain descent at its best rate is faster than at a quarter of it.",
        criterion=AllOf(
            quadratic=Greater(
                "steps",
                of=SLOWER,
                than=PLAIN,
                by="update",
                each=("condition", "momentum"),
                where={"problem": "quadratic"},
                **TWICE,
            ),
            network=Greater(
                "steps_to_target",
                of=SLOWER,
                than=PLAIN,
                by="update",
                each=("batches", "target"),
                where={"problem": "network"},
                **TWICE,
            ),
        ),
    ),
    seeds=48,
)
def heavy_ball(
    seeds,
    *,
    conditions=(20, 80),
    network_steps=500,
    images=300,
    width=32,
    small_batch=8,
    rates=(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28),
    data="digits",
):
    r"""Counts steps on quadratics and steps of networks to training losses, plain and with momentum.

    Quadratics of ten axes with curvatures from one over the condition number to one, normal starts: steps to a
    millionth of the distance; each at its best rate at worst, found by the roots of its recursion, with a momentum of
    0.9 or the best one (Polyak). At 0.9 heavy ball keeps at least $\sqrt{0.9}$ of the distance in a step, whatever the
    rate; plain descent keeps $(\kappa - 1) / (\kappa + 1)$. Networks: one hidden ReLU layer on 300 standardised images,
    which each seed redraws, full batches or batches of 8, Keras' SGD with a momentum of 0 or 0.9, each at its rate of
    the fewest steps to a training loss of 0.02, on seeds of their own; steps to losses of 0.1 and 0.02. Beside them
    plain descent at a quarter of its rate.
    """
    tables = []
    for condition in conditions:
        plain = best_plain(condition)
        balls = {"0.9": (best_rate(HEAVY_BALL, condition, 0.9), 0.9), "tuned": best_heavy_ball(condition)}
        generators = [np.random.default_rng((seed, condition)) for seed in seeds]
        curvatures, start = drawn_quadratics(generators, condition)
        counted = partial(measure, curvatures=curvatures, start=start, most=40 * condition + 400)
        by_plain = {PLAIN: counted(PLAIN, rate=plain), SLOWER: counted(PLAIN, rate=plain / 4)}
        for name, (rate, memory) in balls.items():
            arms = {**by_plain, HEAVY_BALL: counted(HEAVY_BALL, rate=rate, memory=memory)}
            for update, (steps, *_) in arms.items():
                labels = {"problem": "quadratic", "condition": condition, "momentum": name, "update": update}
                tables.append(pd.DataFrame({"seed": list(seeds), **labels, "steps": steps}))
    trials = []
    loaded = load_data(data).standardized().flat()
    for batches, size in (("full", images), ("small", small_batch)):
        for update, momentum in ((PLAIN, 0.0), (HEAVY_BALL, 0.9)):
            arm = classifier(
                mlp,
                lambda seed: loaded.subset(images, seed),
                steps=network_steps,
                batch_size=size,
                optimizer=keras.optimizers.SGD(0.1, momentum=momentum),
                every=5,
                metrics={},
                widths=(width,),
            )
            labels = {"problem": "network", "batches": batches}
            found, tuning = fastest(arm, rates, seeds, slower=0.25 if update == PLAIN else 1.0, targets=TARGETS)
            trials += tuning.table(**labels, update=update)
            tables.append(found.assign(**labels, update=np.where(found["share"] < 1, SLOWER, update)))
    table = pd.concat(tables, ignore_index=True)
    table.attrs["tuning"] = trials
    return table


@claim(
    r"The momentum update $w^{k+1} = w^k - \eta \nabla E(w^k) - \alpha \nabla E(w^{k-1})$ helps to accelerate gradient "
    "descent in the relevant direction and dampens oscillations.",
    source=lectures("2.4.3"),
    kind="tendency",
    root="lectures_momentum",
    scope="condition number and both rates (equal, or tuned for each update) are left open",
    left_open=("rates", "condition"),
    literature="Polyak 1964: the momentum term is a multiple of the last step, and the gain the root of the condition "
    "number; here it is a factor of two at most",
    criterion=AllOf(
        acceleration=Greater("steps", of=PLAIN, than=PRINTED, by="update", each=("rates", "condition")),
        oscillation=Greater("swings", of=PLAIN, than=PRINTED, by="update", each=("rates", "condition")),
    ),
    boundary=Boundary(
        "but for oscillations where rates are tuned: from rest the first step along the steepest axis is then nearly "
        "four times the distance",
        holds="part == 'acceleration' or rates == 'equal'",
    ),
    control={"second": "of random sign"},
    positive_control=PositiveControl(
        "Heavy-ball momentum accelerates plain descent, and plain descent oscillates less at three quarters of its "
        "rate.",
        criterion=AllOf(
            acceleration=Greater(
                "steps",
                of=PLAIN,
                than=HEAVY_BALL,
                by="update",
                each=("rates", "condition"),
                where={"rates": "tuned"},
                **TWICE,
            ),
            oscillation=Greater(
                "swings",
                of=PLAIN,
                than=CAREFUL,
                by="update",
                each=("rates", "condition"),
                where={"rates": "tuned"},
                **TWICE,
            ),
        ),
    ),
    seeds=48,
)
def momentum_lectures_second(seeds, *, conditions=(5, 1000), second="at the place before"):
    r"""Counts steps on quadratics and adds up the swings along the steepest axis, of plain descent and as printed.

    Quadratics as of ``heavy_ball``: steps to a millionth of the distance, and the distance from the minimum along the
    steepest axis, summed over the steps at which it changes its sign. Tuned: both have the
    rates of the least spectral radius over the spectrum, found by the roots of the recursion; equal: both have the
    $\eta$ of plain descent's best, and the printed update the $\alpha$ that goes best with it. Along flat directions
    the printed update is plain descent at $\eta + \alpha$; the gradient before lets that sum be up to twice as large
    as plain descent's rate may be, a factor that does not grow with the condition number, where heavy ball gains its
    root. Swings along one axis are in proportion to the start, so that their ratio does not depend on the seed. The
    control gives the second gradient a random sign in each step, at which tuned rates mostly diverge.
    """
    generators = [np.random.default_rng(seed) for seed in seeds]
    tables = []
    for condition in conditions:
        curvatures, start = drawn_quadratics(generators, condition)
        plain, most, signs = best_plain(condition), 20 * condition, None
        if second == "of random sign":
            signs = np.stack([generator.choice([-1.0, 1.0], size=most) for generator in generators], axis=1)
        for name, (rate, alpha) in (("tuned", best_printed(condition)), ("equal", best_printed(condition, plain))):
            coefficients = {PLAIN: (plain, 0.0), PRINTED: (rate, alpha), HEAVY_BALL: best_heavy_ball(condition)}
            coefficients[CAREFUL] = (0.75 * plain, 0.0)
            for update, (eta, memory) in coefficients.items():
                steps, swings, _ = measure(
                    PLAIN if update == CAREFUL else update,
                    curvatures,
                    start,
                    eta,
                    memory,
                    most=most,
                    signs=signs if update == PRINTED else None,
                )
                labels = {"rates": name, "condition": condition, "update": update}
                tables.append(pd.DataFrame({"seed": list(seeds), **labels, "steps": steps, "swings": swings}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"With $v_t = \gamma v_{t-1} + \eta \nabla L$: where the gradient is parallel to the previous speed $v_{t-1}$, "
    "that can speed up the search; where it is opposite to it, $v_t$ has a decelerating effect.",
    source=notes("Remark 3.65"),
    kind="tendency",
    scope="size of the gradient beside the speed, and what is meant by faster and slower (than the previous step, or "
    "than plain descent) are left open",
    left_open=("compared_with", "gradient"),
    literature="Polyak 1964",
    criterion=AllOf(
        parallel=Greater(
            "length",
            of="step",
            than="other",
            by="which",
            each=("compared_with", "gradient"),
            where={"towards": "parallel"},
        ),
        opposite=Greater(
            "length",
            of="other",
            than="step",
            by="which",
            each=("compared_with", "gradient"),
            where={"towards": "opposite"},
        ),
    ),
    boundary=Boundary(
        r"parallel: beside plain descent always, beside the previous step where the gradient step is over 1 - gamma of "
        "it; opposite: beside the previous step below 1 + gamma of it, beside plain descent above gamma / 2 of it",
        holds="(part == 'parallel' and (compared_with == 'plain descent' or gradient == 'large')) or (part == "
        "'opposite' and ((compared_with == 'plain descent' and gradient == 'large') or (compared_with == "
        "'the previous step' and gradient == 'small')))",
    ),
    positive_control=PositiveControl(
        "A gradient step of between half and seven tenths of the previous step speeds up or decelerates in every "
        "sense.",
        criterion=AllOf(
            parallel=Greater(
                "length",
                of="step",
                than="other",
                by="which",
                each=("compared_with", "gradient"),
                where={"towards": "parallel"},
                **TWICE,
            ),
            opposite=Greater(
                "length",
                of="other",
                than="step",
                by="which",
                each=("compared_with", "gradient"),
                where={"towards": "opposite"},
                **TWICE,
            ),
        ),
        small=(0.5, 0.7),
        large=(0.5, 0.7),
    ),
    seeds=48,
)
def momentum_brakes(seeds, *, small=(0.02, 0.04), large=(2.2, 8.0), momentum=0.9):
    r"""Measures the length of Keras' second step with momentum 0.9 after a first one, for gradients along it or not.

    Normal first gradients of eight parameters, rate 1/32; the second one is parallel or opposite, its step a small or a
    large multiple of the previous one, which each seed draws. By hand: with a gradient step s times the previous one,
    the lengths are $\gamma + s$ and $|\gamma - s|$ times the previous one, a worked number that only Keras' SGD could
    turn. What the words mean decides where they hold: at small s momentum goes on at 0.92 to 0.94 of its speed along
    the gradient, which is slower than the step before though far faster than plain descent, and against it, too, it is
    faster than plain descent.
    """
    rows = []
    for gradient, (low, high) in (("small", small), ("large", large)):
        first = np.stack([np.random.default_rng(seed).normal(size=DIMENSION) for seed in seeds])
        sizes = np.array([np.random.default_rng((seed, 1)).uniform(low, high) for seed in seeds])[:, None]
        for towards, sign in (("parallel", 1.0), ("opposite", -1.0)):
            steps = _two_steps(first, sign * sizes * first, momentum)
            plain = _two_steps(first, sign * sizes * first, 0.0)
            for compared_with, other in (("the previous step", steps[0]), ("plain descent", plain[1])):
                for which, lengths in (("step", steps[1]), ("other", other)):
                    labels = {"towards": towards, "gradient": gradient, "compared_with": compared_with, "which": which}
                    rows += [
                        {"seed": seed, **labels, "length": length}
                        for seed, length in zip(seeds, np.linalg.norm(lengths, axis=1), strict=True)
                    ]
    return pd.DataFrame(rows)


def _two_steps(first, second, momentum):
    """Steps of Keras' SGD along two gradients, from rest."""
    optimizer = keras.optimizers.SGD(RATE, momentum=momentum)
    parameters, places = keras.Variable(np.zeros_like(first), dtype="float64"), [np.zeros_like(first)]
    for gradient in (first, second):
        optimizer.apply([keras.ops.convert_to_tensor(gradient, dtype="float64")], [parameters])
        places.append(np.array(parameters.numpy()))
    return np.diff(places, axis=0)
