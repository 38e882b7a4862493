"""How often activation functions can be differentiated."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import Identity, claim, notes
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras

HIGHEST = 3  # order up to which derivatives are taken: smooth functions have them all
JUMP = 0.01  # a thousand times what smooth derivatives change by between the two sides
STATED = {
    "sigmoid": HIGHEST,
    "softplus": HIGHEST,
    "tanh": HIGHEST,
    "gelu": HIGHEST,
    "silu": HIGHEST,
    "softmax": HIGHEST,
    "relu": 0,
    "leaky_relu": 0,
    "maxout": 0,
    "elu, alpha one": 1,
    "elu, other alpha": 0,
}


@claim(
    r"Orders of continuity: sigmoid, softplus, tanh, GELU, SiLU and softmax are $C^\infty$; ReLU, leaky ReLU and "
    r"maxout are $C^0$; ELU is $C^1$ if $\alpha = 1$ and $C^0$ otherwise.",
    source=notes("3.2.5 table"),
    kind="formula",
    scope="functions on the real numbers; positive alpha in ELU",
    criterion=Identity("order", "stated", atol=1e-9),
    control={"alpha": 1.5},
)
def smoothness(seed, *, alpha=1.0, places=8):
    """Takes derivatives up to the third of Keras' activations on both sides of places, by automatic differentiation.

    Places: zero, where pieces are joined, and eight normal ones; sides are 1e-5 to either side, nearer to it than that
    of any other. The order is the highest of derivatives of which none, up to it, jumps by more than 0.01 at any place;
    three stands for all, which functions have that are analytic on the real line. Leaky ReLU has the
    slope 0.01 of the table, maxout is the larger of x and of a multiple of it, softmax that of x beside a constant.
    Other alphas are from 0.2 to 0.8 and from 1.2 to 2. In the control the ELU of alpha one has 1.5.
    """
    generator = np.random.default_rng(seed)
    at = np.concatenate([[0.0], generator.normal(size=places)])
    other = generator.choice([generator.uniform(0.2, 0.8), generator.uniform(1.2, 2.0)])
    slope, constant = generator.uniform(-2, 0.5), generator.normal()
    functions = {
        "gelu": lambda x: keras.activations.gelu(x, approximate=False),
        "softmax": lambda x: keras.activations.softmax(
            keras.ops.concatenate([x[:, None], 0 * x[:, None] + constant], axis=1)
        )[:, 0],
        "leaky_relu": lambda x: keras.activations.leaky_relu(x, negative_slope=0.01),
        "maxout": lambda x: keras.ops.maximum(x, slope * x),
        "elu, alpha one": lambda x: keras.activations.elu(x, alpha=alpha),
        "elu, other alpha": lambda x: keras.activations.elu(x, alpha=other),
    }
    rows = []
    for name, stated in STATED.items():
        function = functions[name] if name in functions else keras.activations.get(name)
        left, right = np.split(_derivatives(function, np.concatenate([at - 1e-5, at + 1e-5])), 2, axis=1)
        jumps = np.abs(right - left).max(axis=1) > JUMP
        order = HIGHEST if not jumps.any() else int(jumps.argmax()) - 1
        rows.append(
            {"activation": name, "order": float(order), "stated": float(stated), "jump": np.abs(right - left).max()}
        )
    return pd.DataFrame(rows)


def _derivatives(function, points):
    """Values and derivatives [orders, points] of an elementwise function."""
    found = []
    of_order = function
    for _ in range(HIGHEST + 1):
        found.append(keras.ops.convert_to_numpy(of_order(keras.ops.convert_to_tensor(points, "float64"))))
        of_order = _derived(of_order)
    return np.stack(found)


def _derived(function):
    def summed(values):
        return keras.ops.sum(function(values[0])), ()

    return lambda x: value_and_gradient(summed, [x])[2][0]
