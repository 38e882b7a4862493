"""Linear regions of ReLU networks: how many hyperplanes cut out, and what depth does to their number."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AtLeast, AtMost, Rival, cheatsheet, claim
from repro.claims.expressivity._regions import folding_network, linear_pieces, most_regions, witnesses

with epy.lazy_imports():
    import keras

ARRANGEMENTS = ("normal", "glorot", "parallel", "through the origin")


@claim(
    r"m hyperplanes cut $\mathbb{R}^n$ into at most $R(m) = \sum_{i=0}^{\min\{n, m\}} \binom{m}{i}$ regions.",
    source=cheatsheet("1.2.4"),
    kind="theorem",
    scope="any hyperplanes; equality in general position is not claimed",
    literature="Schläfli 1901; Zaslavsky 1975",
    criterion=AtMost("regions", bound="bound"),
    rival=Rival(
        r"At most $\sum_{i=0}^{\min\{n, m\} - 1} \binom{m}{i}$, without the last term.",
        criterion=AtMost("regions", bound="without_the_last"),
    ),
    control={"kinks": 2},
)
def zaslavsky(seed, *, sizes=((2, 5), (3, 4)), arrangements=ARRANGEMENTS, kinks=1):
    """Counts the patterns of active units of a Keras Dense layer with ReLU, one for each region of its kinks.

    Five units of two inputs and four of three. Points lie on all sides of each corner in which planes meet, where in
    general position every region has one, and at random; Keras tells which units are active there. Weights and biases
    are normal, or by Keras' Glorot initialiser with normal biases (both in general position, where the bound is
    attained), or all weights are alike, or biases are nought. In the control a unit has kinks at two parallel
    hyperplanes, so that m units cut as twice as many would.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for dimension, units in sizes:
        for arrangement in arrangements:
            kernel, bias = _layer(generator, dimension, units, arrangement)
            norms = np.linalg.norm(kernel, axis=0)
            normals, offsets = (kernel / norms).T, -bias / norms
            if kinks == 2:
                normals, offsets = np.concatenate([normals] * 2), np.concatenate([offsets, offsets + 0.5])
            points = witnesses(generator, normals, offsets)
            layer = keras.layers.Dense(len(offsets), activation="relu", dtype="float64")
            layer.build((None, dimension))
            layer.set_weights([normals.T, -offsets])
            active = keras.ops.convert_to_numpy(layer(keras.ops.convert_to_tensor(points))) > 0
            counted = {
                "regions": len(np.unique(active, axis=0)),
                "bound": most_regions(units, dimension),
                "without_the_last": most_regions(units, dimension - 1),
            }
            size = np.abs(points).max()
            rows.append({"inputs": dimension, "units": units, "arrangement": arrangement, **counted, "furthest": size})
    return pd.DataFrame(rows)


@claim(
    r"A ReLU network with L layers of width m can have $R(m, L) \ge R(m) \left(\frac{m}{n}\right)^{n (L - 1)}$ linear "
    "regions.",
    source=cheatsheet("1.2.4"),
    kind="theorem",
    scope="n inputs, m of at least n, the largest number over all weights; whether n divides m is left open, and where "
    "it does not, only two or three layers are tried",
    left_open=("divisible",),
    literature="Montúfar et al. 2014, theorem 4 and corollary 5, which round m / n down",
    criterion=AtLeast("regions", bound="bound", each=("divisible",)),
    rival=Rival(
        r"$R(m, L) \ge R(m)\, m^{n (L - 1)}$, which from $n = 2$ exceeds what is possible: $R(m)^L$.",
        criterion=AtLeast("regions", bound="without_n", each=("divisible",)),
    ),
    smoke={"sizes": ((1, 3, 3), (2, 4, 2), (2, 3, 2), (2, 5, 2))},
    control={"weights": "random"},
)
def montufar(
    seed,
    *,
    sizes=((1, 3, 3), (1, 4, 3), (2, 4, 2), (2, 4, 3), (2, 3, 2), (2, 3, 3), (2, 5, 2)),
    weights="folding",
):
    """Counts the linear functions that networks of the folding construction are made of, exactly, by cutting polygons.

    Inputs n, width m and layers L from (1, 3, 3) to (2, 4, 3) where n divides m: within the unit cube, where the bound
    is attained. Else, from (2, 3, 2) to (2, 5, 2), one unit is left over; it folds the first input once more, and
    functions are counted within 20 units of the cube. The number of units m / n is rounded down in the theorem's proof;
    as printed, without it, the bound holds in these networks of few layers as well. With more layers the same
    construction falls short of it: 77 functions for (2, 3, 4), where 79.7 are asked for, and 622 to 630 for (2, 5, 3),
    where 625 are. This is no counterexample, since other weights may do better, and no proof of it is known here
    either. The last layer's hyperplanes are random. The control has normal weights and biases, not the best ones.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for inputs, units, layers in sizes:
        divisible = units % inputs == 0
        if weights == "folding":
            network = folding_network(generator, units, inputs, layers)
        else:
            fan_in = [inputs, *[units] * (layers - 1)]
            network = [(generator.normal(size=(n, units)), generator.normal(size=units)) for n in fan_in]
        reach = 0.0 if divisible and weights == "folding" else 20.0
        corners = np.array([[0.0], [1.0]]) if inputs == 1 else np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
        counted = linear_pieces(network, corners + reach * np.sign(corners - 0.5))
        first = most_regions(units, inputs)
        bounds = {
            "bound": first * (units / inputs) ** (inputs * (layers - 1)),
            "without_n": first * float(units) ** (inputs * (layers - 1)),
        }
        place = {"inputs": inputs, "units": units, "layers": layers, "divisible": divisible}
        rows.append({**place, "regions": counted, **bounds, "a_bias": network[-1][1][0]})
    return pd.DataFrame(rows)


def _layer(generator, dimension, units, arrangement):
    kernel, bias = generator.normal(size=(dimension, units)), generator.normal(size=units)
    if arrangement == "glorot":
        initializer = keras.initializers.GlorotUniform(seed=int(generator.integers(2**31)))
        kernel = keras.ops.convert_to_numpy(initializer((dimension, units))).astype(np.float64)
    elif arrangement == "parallel":
        kernel = np.repeat(kernel[:, :1], units, axis=1)
    elif arrangement == "through the origin":
        bias = np.zeros(units)
    return kernel, bias
