"""Which power of the accumulated squares divides the rate."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Greater, PositiveControl, claim, notes
from repro.claims.optimizers._speed import fastest
from repro.engine import classifier, load_data, mlp

with epy.lazy_imports():
    import keras

ROOT, NO_ROOT, SLOWER = "root", "no root", "no root at a quarter of the rate"
POWERS = {ROOT: 0.5, NO_ROOT: 1.0}
TWICE: dict[str, Any] = {"smallest_ratio": 1.05**2, "because": "it is twice what matters"}
FEATURES, EXAMPLES = 40, 400
# Of the numerical problem; the network has grids of its own.
RATES, OFFSETS = 10.0 ** np.arange(-3, 3.01, 0.5), (1e-8, 1e-4, 1.0)


@claim(
    "Without the square root operation AdaGrad performs much worse.",
    source=notes("Remark 3.66"),
    kind="tendency",
    scope="problem, rate and epsilon of each variant are left open",
    left_open=("problem", "target"),
    literature="Ruder 2016, section 4.3, the same remark; Mukkamala and Hein 2017: without the root it is the better "
    "one for strongly convex problems, where rates should fall as one over the number of steps",
    criterion=AllOf(
        convex=Greater(
            "loss", of=NO_ROOT, than=ROOT, by="variant", each=("problem", "steps"), where={"measured": "loss"}
        ),
        network=Greater(
            "steps_to_target", of=NO_ROOT, than=ROOT, by="variant", each=("target",), where={"measured": "steps"}
        ),
    ),
    boundary=Boundary(
        "not on strongly convex problems with noise, where a rate that falls as one over the steps is the right one",
        holds="part == 'network' or problem == 'sparse'",
    ),
    smoke={"images": 200, "network_steps": 200},
    full={"data": "mnist", "images": 5000, "network_steps": 3000},
    positive_control=PositiveControl(
        "Without the root the loss is larger at a quarter of the best rate.",
        criterion=AllOf(
            convex=Greater(
                "loss",
                of=SLOWER,
                than=NO_ROOT,
                by="variant",
                each=("problem", "steps"),
                where={"measured": "loss"},
                **TWICE,
            ),
            network=Greater(
                "steps_to_target",
                of=SLOWER,
                than=NO_ROOT,
                by="variant",
                each=("target",),
                where={"measured": "steps"},
                **TWICE,
            ),
        ),
    ),
    seeds=48,
)
def adagrad_square_root(seeds, *, steps=1024, network_steps=400, images=300, width=32, data="digits"):
    r"""Compares the loss of AdaGrad with that of steps $-\eta g / (\sum g^2 + \varepsilon)$, each at its best setting.

    Sparse: logistic regression on 400 examples with 40 features, of which feature k is there in one of k examples,
    labels from normal weights, one example a step. Strongly convex: least squares with ten directions of curvatures
    from 1 to 2 and normal noise of the gradient, loss above the least. On both a variant has the rate, over six
    decades, and the epsilon, 1e-8, 1e-4 or 1, of the least loss at the end of another run of the same seed. Network:
    one hidden ReLU layer of Keras on standardised images, which each seed redraws, batches of 32, by Keras' Adagrad
    from a sum of zero and by a class that leaves out its root, with the epsilon, 1e-7 or 0.01, and the rate of the
    fewest steps to a training loss of 0.1, on seeds of their own; steps to losses of 0.5 and 0.1. Convex losses are
    taken after half and all of the steps; beside them the variant without a root at a quarter of its rate.
    """
    tables = [_numerical(problem, seeds, steps) for problem in ("sparse", "strongly convex")]
    loaded, trials = load_data(data).standardized().flat(), []
    for variant, power, rates in (
        (ROOT, 0.5, (0.01, 0.03, 0.1, 0.3, 1.0)),
        (NO_ROOT, 1.0, (0.001, 0.003, 0.01, 0.03, 0.1)),
    ):
        found = []
        for epsilon in (1e-7, 1e-2):
            arm = classifier(
                mlp,
                lambda seed: loaded.subset(images, seed),
                steps=network_steps,
                optimizer=powered_adagrad()(0.1, power=power, epsilon=epsilon),
                every=5,
                metrics={},
                widths=(width,),
            )
            table, tuning = fastest(arm, rates, seeds, slower=0.25 if variant == NO_ROOT else 1.0)
            score = tuning.trials.loc[tuning.trials["best"], "score"].iloc[0]
            found.append((score, epsilon, table, tuning))
        _, epsilon, table, tuning = min(found, key=lambda item: item[0])
        trials += tuning.table(problem="network", variant=variant, epsilon=epsilon)
        tables.append(table.assign(measured="steps", variant=np.where(table["share"] < 1, SLOWER, variant)))
    table = pd.concat(tables, ignore_index=True)
    table.attrs["tuning"] = trials
    return table


@cache
def powered_adagrad():
    """Make the class of a Keras optimiser that divides by a power of the sum of squares, from zero."""

    class PoweredAdagrad(keras.optimizers.Adagrad):
        """Keras' Adagrad with another power than a half."""

        def __init__(self, learning_rate=0.1, power=0.5, epsilon=1e-7, **options):
            super().__init__(learning_rate, epsilon=epsilon, **{"initial_accumulator_value": 0.0, **options})
            self.power = power

        def update_step(self, gradient, variable, learning_rate):
            """Add the square, and step by the gradient over a power of the sum."""
            squares = self._accumulators[self._get_variable_index(variable)]
            self.assign_add(squares, gradient * gradient)
            divisor = keras.ops.power(squares + self.epsilon, self.power)
            self.assign_sub(variable, keras.ops.cast(learning_rate, variable.dtype) * gradient / divisor)

        def get_config(self):
            """Return the power besides."""
            return {**super().get_config(), "power": self.power}

    return PoweredAdagrad


def _numerical(problem, seeds, steps):
    rows = []
    settings = [(power, rate, offset) for power in POWERS.values() for rate in RATES for offset in OFFSETS]
    for seed in seeds:
        trial = _losses(problem, (seed, 1), steps, np.array(settings))[-1]
        chosen = {}
        for name, power in POWERS.items():
            of_power = [place for place, setting in enumerate(settings) if setting[0] == power]
            chosen[name] = settings[min(of_power, key=lambda place: trial[place])]
        power, rate, offset = chosen[NO_ROOT]
        chosen[SLOWER] = (power, rate / 4, offset)
        losses = _losses(problem, (seed, 2), steps, np.array(list(chosen.values())))
        for number, of_number in zip((steps // 2, steps), losses, strict=True):
            labels = {"seed": seed, "measured": "loss", "problem": problem, "steps": number}
            rows += [{**labels, "variant": name, "loss": loss} for name, loss in zip(chosen, of_number, strict=True)]
    return pd.DataFrame(rows)


def _losses(problem, seed, steps, settings):
    """Losses after half and all of the steps, [2, settings], for rows of power, rate and epsilon."""
    generator = np.random.default_rng(seed)
    power, rate, offset = settings.T[:, :, None]
    if problem == "sparse":
        x = generator.normal(size=(EXAMPLES, FEATURES))
        x *= generator.uniform(size=x.shape) < 1 / np.arange(1, FEATURES + 1)
        y = np.sign(x @ generator.normal(size=FEATURES) + 0.1 * generator.normal(size=EXAMPLES))
        signed, order = x * y[:, None], generator.integers(EXAMPLES, size=steps)

        def gradient(w, step):
            row = signed[order[step]]
            return -row / (1 + np.exp(np.clip(w @ row, -500, 500)))[:, None]

        def loss(w):
            return np.logaddexp(0, -(w @ signed.T)).mean(axis=1)
    else:
        curvatures, minimum = np.geomspace(1, 2, 10), generator.normal(size=10)
        noise = generator.normal(size=(steps, 10))

        def gradient(w, step):
            return curvatures * (w - minimum) + noise[step]

        def loss(w):
            return (curvatures * (w - minimum) ** 2).sum(axis=1) / 2

    w = total = np.zeros((len(settings), FEATURES if problem == "sparse" else 10))
    found = []
    for step in range(steps):
        slope = gradient(w, step)
        total = total + slope**2
        w = np.clip(w - rate * slope / (total + offset) ** power, -1e6, 1e6)
        if step + 1 in (steps // 2, steps):
            found.append(loss(w))
    return np.stack(found)
