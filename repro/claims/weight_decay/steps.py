"""Penalties on weights, and the steps that they take."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Identity, Rival, cheatsheet, claim
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras

# Both are exact in single precision, which Keras keeps rates in.
RATE, DECAY = 2**-5, 2**-3


@claim(
    r"Gradient descent on $E(\theta) + \frac{\mu}{2} \lVert \theta \rVert^2$ changes $\theta$ by "
    r"$-\eta \nabla E(\theta) - \eta \mu \theta$.",
    source=cheatsheet("1.8.2"),
    kind="formula",
    scope="plain gradient descent",
    literature="Hanson and Pratt 1988; Loshchilov and Hutter 2019, proposition 1",
    criterion=Identity("keras", "formula", operations=256),
    rival=Rival(
        r"The change is $-\eta \nabla E(\theta) - 2 \eta \mu \theta$, as it is for the penalty without the half.",
        criterion=Identity("keras", "without_half", operations=256),
    ),
)
def update(seeds, *, steps=10, examples=20, inputs=6, outputs=3):
    """Compares ten steps of Keras' plain gradient descent with those of the formula, on normal linear regressions.

    Keras has weight decay twice, and both must agree with the formula: as an L2 regulariser, here of half of mu, whose
    gradient comes from automatic differentiation, and as an option of the optimiser, of mu. The error is half the mean
    squared one, its gradient in the formula is worked out by hand. Rate 1/32, mu 1/8, double precision. The rival has
    twice the decay, which Keras' regulariser has where it is given mu itself.
    """
    drawn = [_regression(seed, examples, inputs, outputs) for seed in seeds]
    x, y, start = (np.stack(arrays) for arrays in zip(*drawn, strict=True))
    columns = {}
    for name, decay in (("formula", DECAY), ("without_half", 2 * DECAY)):
        path = [start]
        for _ in range(steps):
            gradient = np.swapaxes(x, 1, 2) @ (x @ path[-1] - y) / examples
            path.append(path[-1] - RATE * gradient - RATE * decay * path[-1])
        columns[name] = np.stack(path[1:], axis=1)
    tables = []
    for decay in ("regularizer", "optimizer"):
        by_keras = _descended(x, y, start, decay, steps)
        for number, seed in enumerate(seeds):
            values = {name: np.ravel(path[number]) for name, path in (columns | {"keras": by_keras}).items()}
            tables.append(pd.DataFrame({"seed": seed, "decay": decay, **values}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"For several layers, $\theta = (\mathrm{vec}(W^1), \ldots, \mathrm{vec}(W^L))$, the penalty is "
    r"$\Omega_\mu(\theta) = \sum_l \mu_l \lVert W^l \rVert_F^2$; for one $\mu$ it is $\Omega_\mu(\theta) = "
    r"\frac{\mu}{2} \lVert \theta \rVert^2$.",
    source=cheatsheet("1.8.2"),
    kind="formula",
    scope="whether the weights of the layers absorb the half of the single penalty is left open; no step is stated",
    left_open=("weights_of_layers",),
    literature="Goodfellow, Bengio and Courville 2016, section 7.1.1, has the half; Keras' regulariser L2 has none",
    criterion=AllOf(
        layers=Identity("gradient", "stated", operations=16, where={"quantity": "gradient"}),
        one_symbol=Identity(
            "several", "single", operations=256, where={"quantity": "penalty"}, each=("weights_of_layers",)
        ),
    ),
    boundary=Boundary(
        "where the weights of the layers absorb the half; with equal letters the penalties differ by a factor of two",
        holds="part == 'layers' or weights_of_layers == 'half of mu'",
        assumption="a penalty weight is named up to a constant factor, as Keras' L2 and the textbook's do",
    ),
    control={"squared": False},
)
def layerwise(seed, *, widths=(6, 5, 4, 3), squared=True):
    r"""Compares Keras' penalties of three layers with both expressions that the cheat sheet prints for one symbol.

    Normal weights, double precision. Layers: the gradient of the sum of Keras' L2 penalties, by automatic
    differentiation, with another $\mu_l$ for each layer (1/8, 1/4 and 1/2), against $2 \mu_l W^l$ by hand. One symbol:
    the sum of Keras' penalties with the same weight for all layers, half of $\mu$ or $\mu$ itself, against
    $\frac{\mu}{2} \lVert \theta \rVert^2$. The sheet states no step for several layers, so that the half may be meant
    to be in $\mu_l$. The control has penalties of the first power, Keras' L1.
    """
    generator = np.random.default_rng(seed)
    weights = [generator.normal(size=shape) for shape in itertools.pairwise(widths)]
    regularizer = keras.regularizers.L2 if squared else keras.regularizers.L1
    penalties = [regularizer(DECAY * 2**layer) for layer in range(len(weights))]
    _, _, gradients = value_and_gradient(
        lambda layers: (sum(penalty(layer) for penalty, layer in zip(penalties, layers, strict=True)), ()),
        [_doubles(layer) for layer in weights],
    )
    tables = []
    for layer, (values, gradient) in enumerate(zip(weights, gradients, strict=True)):
        sides = {
            "gradient": keras.ops.convert_to_numpy(gradient).ravel(),
            "stated": 2 * DECAY * 2**layer * values.ravel(),
        }
        tables.append(pd.DataFrame({"quantity": "gradient", "layer": layer + 1, **sides}))
    single = DECAY / 2 * sum((layer**2).sum() for layer in weights)
    for name, weight in (("half of mu", DECAY / 2), ("mu", DECAY)):
        several = float(sum(regularizer(weight)(_doubles(layer)) for layer in weights))
        sides = {"several": [several], "single": [single]}
        tables.append(pd.DataFrame({"quantity": "penalty", "weights_of_layers": name, **sides}))
    return pd.concat(tables, ignore_index=True)


def _regression(seed, examples, inputs, outputs):
    """Inputs, targets and weights at the start of a normal linear regression."""
    generator = np.random.default_rng(seed)
    return tuple(generator.normal(size=size) for size in ((examples, inputs), (examples, outputs), (inputs, outputs)))


def _descended(x, y, start, decay, steps):
    """Parameters after each step of Keras' plain descent on half the mean squared error, for all seeds side by side.

    Args:
        x: Inputs, [seeds, examples, inputs].
        y: Targets, [seeds, examples, outputs].
        start: Parameters at the start, [seeds, inputs, outputs].
        decay: Place of the decay, ``regularizer`` or ``optimizer``.
        steps: Number of steps.

    Returns:
        Parameters, [seeds, steps, inputs, outputs].
    """
    parameters = keras.Variable(start, dtype="float64")
    penalty = keras.regularizers.L2(DECAY / 2)
    stepping = keras.optimizers.SGD(RATE, weight_decay=DECAY if decay == "optimizer" else None)

    def objective(values, x, y):
        error = keras.ops.sum((keras.ops.matmul(x, values[0]) - y) ** 2) / (2 * x.shape[1])
        return error + (penalty(values[0]) if decay == "regularizer" else 0.0), ()

    gradient = compile_function(lambda theta, x, y: value_and_gradient(objective, [theta], x, y)[2][0])
    path, data = [], (_doubles(x), _doubles(y))
    for _ in range(steps):
        stepping.apply([gradient(parameters.value, *data)], [parameters])
        path.append(np.array(parameters.numpy()))
    return np.stack(path, axis=1)


def _doubles(values):
    return keras.ops.convert_to_tensor(values, dtype="float64")
