"""Random networks as random functions: linear layers are Gaussian processes, deep ones nearly so when they are wide."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Boundary, Equivalent, Rival, ScalingLaw, cheatsheet, claim
from repro.claims.gaussian_processes._activations import expected_products
from repro.claims.gaussian_processes._processes import error_limit, moment_errors

with epy.lazy_imports():
    import keras


@claim(
    r"With $w \sim N(0, \frac{\sigma^2}{n} I)$, $E[y_i y_j] = \frac{\sigma^2}{n} x_i \cdot x_j$.",
    source=cheatsheet("1.9.3"),
    kind="formula",
    scope="one linear unit without bias, inputs of dimension n",
    criterion=AtMost("error", bound="limit"),
    rival=Rival(r"$E[y_i y_j] = \frac{\sigma}{n} x_i \cdot x_j$.", criterion=AtMost("error_of_rival", bound="limit")),
    smoke={"units": 10_000},
    control={"variance": "the same for all n"},
)
def linear_layer(seed, *, units=20_000, dimensions=(4, 32, 128), variances=(0.5, 2.0), variance="over n"):
    """Second moments of the outputs of a Keras Dense layer of 20,000 units, each of them one draw of the weights.

    Four inputs of normal components with random scales, in 4, 32 and 128 dimensions; weights by Keras' VarianceScaling
    with fan in. The largest error of the ten moments, in standard errors, may be up to that which a correct formula
    exceeds once in a million. The rival takes the deviation for the variance, a factor of 1.4 either way here. The
    control draws weights of variance sigma^2 whatever the dimension.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for number, (dimension, sigma_squared) in enumerate(itertools.product(dimensions, variances)):
        x = generator.normal(size=(4, dimension)) * generator.uniform(0.5, 2, size=(4, 1))
        of_layer = np.random.default_rng((seed, number)).integers(2**31)
        if variance == "over n":
            initializer = keras.initializers.VarianceScaling(
                sigma_squared, mode="fan_in", distribution="untruncated_normal", seed=int(of_layer)
            )
        else:
            initializer = keras.initializers.RandomNormal(stddev=sigma_squared**0.5, seed=int(of_layer))
        layer = keras.layers.Dense(units, use_bias=False, kernel_initializer=initializer)
        outputs = keras.ops.convert_to_numpy(layer(keras.ops.convert_to_tensor(x, "float32"))).T.astype(np.float64)
        errors = [
            moment_errors(outputs, factor / dimension * x @ x.T)[1] for factor in (sigma_squared, sigma_squared**0.5)
        ]
        place = {"dimension": dimension, "sigma_squared": sigma_squared}
        limit = error_limit(10 * len(dimensions) * len(variances))
        rows.append({**place, "error": errors[0], "error_of_rival": errors[1], "limit": limit})
    return pd.DataFrame(rows)


@claim(
    "Deep layers are no longer exactly normal, since products break normality, but near-normal for inputs of high "
    "dimension.",
    source=cheatsheet("1.9.3"),
    kind="tendency",
    scope="random weights, a unit as a random function of them; the dimension is that of the inputs of a layer, its "
    "width; depth and activation are left open",
    left_open=("activation", "hidden"),
    literature="Lee et al. 2018; Hanin and Nica 2020: what is left of non-normality grows as depth over width",
    criterion=AllOf(
        # Expected is an excess of 0.75 or more, four standard errors above the bound at 100 networks.
        broken=AtLeast("excess", bound=0.15, where={"width": 8}, each=("activation", "hidden")),
        near=ScalingLaw(
            "width",
            "excess",
            at_most=-0.5,
            because="halfway between the inverse width of theory and none",
            each=("activation", "hidden"),
        ),
    ),
    smoke={"networks": 100},
    control={"weights": "cauchy"},
    seeds=48,
)
def deep_nets_near_normal(
    seed, *, networks=200, widths=(8, 32, 128), depths=(1, 4), activations=("linear", "relu"), weights="normal"
):
    r"""Kurtosis, over draws of all weights, of a unit after one and after four hidden layers, against their width.

    Given what enters its last layer the unit is normal, so its kurtosis is $3 (1 + \mathrm{Var}(q) / E[q]^2)$ with q
    the mean square of what enters: that is measured over 200 networks, three being that of a normal distribution. The
    unit is taken at a random combination of two random inputs of 16 dimensions, so that joint normality is asked.
    Broken: at width 8 its excess over three is 0.15 at least, five per cent of the kurtosis of a unit of the first
    layer, whose excess is nought by this measure, since what enters it is the same in all networks. Near: the excess
    falls as a power of the width. For linear layers theory has an excess of $3 ((1 + 2/n)^l - 1)$ after l hidden layers
    of width n; for ReLU it is 15/n after one at a single input, and another multiple of 1/n at a combination of two.
    The control has hidden weights of Cauchy's distribution, whose sums over many inputs do not come near a normal one.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for activation, hidden, width in itertools.product(activations, depths, widths):
        x = keras.ops.convert_to_tensor(np.broadcast_to(generator.normal(size=(2, 16)) / 4, (networks, 2, 16)))
        mixture = keras.ops.convert_to_tensor(generator.normal(size=2))
        function, fan_in = keras.activations.get(activation), 1
        for _ in range(hidden):
            shape = (networks, x.shape[-1], width)
            drawn = generator.standard_cauchy(shape) if weights == "cauchy" else generator.normal(size=shape)
            # A mean of Cauchy's numbers has their own distribution, so that they are divided by n and not by its root.
            scale = fan_in if weights == "cauchy" else fan_in**0.5
            x = function(keras.ops.matmul(x, keras.ops.convert_to_tensor(drawn / scale)))
            fan_in = width
        combined = keras.ops.einsum("k,bkn->bn", mixture, x)
        q = keras.ops.convert_to_numpy(keras.ops.sum(keras.ops.square(combined), axis=1)) / width
        relative = np.var(q, ddof=1) / np.mean(q) ** 2
        place = {"activation": activation, "hidden": hidden, "width": width}
        rows.append({**place, "excess": 3 * relative})
    return pd.DataFrame(rows)


@claim(
    r"$K^l_{\mu\nu} = E[\varphi(x^{l-1}_{i\mu}) \varphi(x^{l-1}_{i\nu})] = \sigma^2 E[\varphi(f_\mu) \varphi(f_\nu)]$, "
    r"$f \sim GP(0, K^{l-1})$.",
    source=cheatsheet("1.9.3"),
    kind="formula",
    scope="infinite width, weights of variance sigma^2 / n; whether x is what enters the weights of a layer or what "
    "they give, and so where sigma^2 enters the first expectation, is left open",
    left_open=("activation", "variance", "reading"),
    literature="Cho and Saul 2009, with weights of unit variance; Lee et al. 2018: sigma^2 stands before "
    "the expectation of activations",
    criterion=AllOf(
        recursion=Equivalent(
            "error",
            0.0,
            smallest_difference=0.05,
            source="the project's table: five per cent of a ratio, here of the variance",
            each=("activation", "variance"),
            where={"of": "recursion"},
        ),
        first_expectation=Equivalent(
            "error",
            0.0,
            smallest_difference=0.05,
            source="the project's table: five per cent of a ratio, here of the variance",
            each=("reading", "activation", "variance"),
            where={"of": "first expectation"},
        ),
    ),
    boundary=Boundary(
        "with weights of unit variance; for others the recursion holds as it stands, but the first expectation agrees "
        "only if x is read after the weights and the activation is homogeneous",
        holds="part == 'recursion' or variance == 1 or (reading == 'after the weights' and activation == 'relu')",
        named=(
            {"part": "recursion", "activation": "tanh", "variance": 2},
            {"part": "first_expectation", "reading": "before the weights", "activation": "relu", "variance": 1},
            {"part": "first_expectation", "reading": "before the weights", "activation": "relu", "variance": 2},
            {"part": "first_expectation", "reading": "after the weights", "activation": "tanh", "variance": 2},
        ),
        assumption="Cho and Saul 2009: weights of unit variance, sigma = 1; or, for homogeneous activations, x read "
        "after the weights",
    ),
    smoke={"networks": 16},
    control={"inputs": "orthogonal"},
    seeds=48,
)
def kernel_recursion(
    seed, *, width=512, units=512, networks=32, variances=(1.0, 2.0), activations=("relu", "tanh"), inputs="given"
):
    r"""Second moments in Keras networks of two layers, at six inputs, against closed forms.

    Means over 32 networks of Dense layers of 512 units each without biases, weights of variance sigma^2 / n by Keras'
    VarianceScaling; inputs are normal in ten dimensions. Moments are in units of the formula's root variances, and the
    root mean square error of the 36 of them may be five per cent. The right side is the closed form of Cho and Saul for
    ReLU and Gauss-Hermite quadrature for tanh, with the exact $K^1 = \frac{\sigma^2}{d} x \cdot x$. Recursion: K as the
    moments of the second layer's units. First expectation, with x the first layer's units, before the next weights: it
    lacks sigma^2, since K is the moment of units. With x after the weights, K is the moment of activations, and $f$ has
    the moments of the activations one layer before: then sigma^2 is inside the activation, from which it can be drawn
    where that is homogeneous. The control has formulas for uncorrelated inputs of the same lengths.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for variance in variances:
        x = generator.normal(size=(6, 10))
        found = _moments(x, activations, variance, (width, units), generator.integers(2**31, size=(networks, 2)))
        first = variance / x.shape[1] * x @ x.T
        if inputs == "orthogonal":
            first = np.diag(np.diag(first))
        for activation in activations:
            of_first = expected_products(activation, first)
            after = variance * expected_products(activation, of_first)
            pairs = {
                ("recursion", "none"): ("units", variance * of_first),
                ("first expectation", "before the weights"): ("activations", variance * of_first),
                ("first expectation", "after the weights"): ("activations of units", after),
            }
            for (of, reading), (name, formula) in pairs.items():
                root = np.sqrt(np.outer(np.diag(formula), np.diag(formula)))
                error = np.sqrt(np.mean(((found[activation, name] - formula) / root) ** 2))
                place = {"of": of, "reading": reading, "activation": activation, "variance": variance}
                rows.append({**place, "error": error})
    return pd.DataFrame(rows)


def _moments(x, activations, variance, sizes, seeds):
    """Mean products over the units of random networks, [s, s], by the activation and by what is multiplied.

    Args:
        x: Inputs, [s, d].
        activations: Names of activations; networks with each of them have the same weights.
        variance: Variance of the weights, times the number of inputs of a layer.
        sizes: Units of both layers.
        seeds: Seeds of the layers of each network, [networks, 2].
    """
    inputs = keras.ops.convert_to_tensor(x, "float32")
    sums = dict.fromkeys(itertools.product(activations, ("activations", "units", "activations of units")), 0.0)
    for of_network in seeds:
        first, second = (
            keras.layers.Dense(
                size,
                use_bias=False,
                kernel_initializer=keras.initializers.VarianceScaling(
                    variance, mode="fan_in", distribution="untruncated_normal", seed=int(of_layer)
                ),
            )
            for size, of_layer in zip(sizes, of_network, strict=True)
        )
        units = first(inputs)
        for activation in activations:
            function = keras.activations.get(activation)
            hidden = function(units)
            outputs = second(hidden)
            for name, values in zip(
                ("activations", "units", "activations of units"), (hidden, outputs, function(outputs)), strict=True
            ):
                array = keras.ops.convert_to_numpy(values).astype(np.float64)
                sums[activation, name] += array @ array.T / array.shape[1]
    return {name: total / len(seeds) for name, total in sums.items()}
