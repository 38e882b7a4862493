"""What networks of certain activations can compute and learn, whatever their data."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Boundary, Identity, Rival, claim, lectures, notes
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras

XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


@claim(
    "A network whose layers all use the identity as activation is equivalent to a single-layer model; without "
    "non-linear activations it would be a linear classifier.",
    source=(
        notes("Remark 3.62", parts=("same_outputs",)),
        lectures("3.3.2", parts=("same_outputs", "linear_classifier")),
    ),
    kind="theorem",
    scope="the function that is computed, not the course of training; convolutions have a claim of their own",
    criterion=AllOf(
        same_outputs=Identity("network", "single_layer", operations=10**4, where={"of": "outputs"}),
        linear_classifier=AtMost("right", bound=3, where={"of": "XOR"}),
    ),
    control={"activation": "relu"},
)
def linear_stack_collapses(
    seed, *, activation="linear", widths=((8, 16, 1, 5, 3), (4, 16, 16, 2, 16, 7)), classifiers=1000
):
    """Compares deep Keras networks with one Keras layer, and counts what random ones get right of XOR.

    Networks of four and of five layers of 1 to 16 units with normal weights, bottlenecks included, with biases, in
    double precision; the weights of the single layer are the product of all, its biases what becomes of a zero input
    through them. XOR: the most points of four that one of 1000 random two-layer networks of three units has on the
    right side of zero; no line has more than three, which some attain. The control has ReLUs.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for sizes in widths:
        layers = [
            (generator.normal(size=pair) / np.sqrt(pair[0]), generator.normal(size=pair[1])) for pair in pairwise(sizes)
        ]
        kernel, bias = np.eye(sizes[0]), np.zeros(sizes[0])
        for of_layer, of_bias in layers:
            kernel, bias = kernel @ of_layer, bias @ of_layer + of_bias
        x = generator.normal(size=(32, sizes[0]))
        outputs = {"network": _network(layers, activation)(x), "single_layer": _network([(kernel, bias)], "linear")(x)}
        columns = {name: keras.ops.convert_to_numpy(values).ravel() for name, values in outputs.items()}
        tables.append(pd.DataFrame({"of": "outputs", **columns}))
    first, second = generator.normal(size=(classifiers, 3, 3)), generator.normal(size=(classifiers, 4, 1))
    inputs = keras.ops.convert_to_tensor(np.column_stack([XOR, np.ones(4)]))
    hidden = keras.activations.get(activation)(keras.ops.matmul(inputs, keras.ops.convert_to_tensor(first)))
    scores = keras.ops.convert_to_numpy(keras.ops.matmul(hidden, second[:, :3]) + second[:, 3:])[..., 0]
    right = ((scores > 0) == (XOR.sum(axis=1) == 1)).sum(axis=1)
    tables.append(pd.DataFrame({"of": "XOR", "right": [int(right.max())]}))
    return pd.concat(tables, ignore_index=True)


def _network(layers, activation):
    """Keras network in double precision from kernels and biases, whose last layer has no activation."""
    network = keras.Sequential([keras.Input((len(layers[0][0]),))])
    for number, (kernel, bias) in enumerate(layers, start=1):
        last = number == len(layers)
        network.add(keras.layers.Dense(len(bias), activation="linear" if last else activation, dtype="float64"))
        network.layers[-1].set_weights([kernel, bias])
    return network


@claim(
    "The binary step is not differentiable at zero and has derivative zero everywhere else, so that gradient-based "
    "methods make no progress with it.",
    source=notes("Remark 3.62"),
    kind="theorem",
    scope="plain gradients through the step; layers after the last step are left open",
    left_open=("weights",),
    literature="Bengio et al. 2013: straight-through estimators",
    criterion=AllOf(
        gradient=Identity("gradient", "none", atol=1e-9, each=("weights",), where={"of": "gradient"}),
        loss=Identity("loss", "loss_of_last_layer", operations=100, dtype="float32", where={"of": "training"}),
    ),
    boundary=Boundary(
        "for all weights before a step; a layer after the last one learns on what the steps give it",
        holds="part == 'loss' or weights == 'before a step'",
        assumption="every unit is a step, as in McCulloch and Pitts 1943",
    ),
    control={"activation": "sigmoid"},
    rival=Rival(
        "Gradients that are passed straight through the step, as if it were the identity, make no progress either.",
        activation="straight-through",
    ),
)
def step_blocks_learning(seed, *, activation="step", hidden=16, examples=64, steps=20):
    """Takes gradients of all weights of a network of two layers of steps, and trains it, and its last layer alone.

    64 normal inputs of 8 numbers, targets by a random quadratic function, 16 units a layer, squared error by Keras,
    whose gradient descent makes 20 steps at rate 0.01. The largest entry of a layer's gradient, at the start, and the
    losses after every step, against those of a run in which only the last layer is trained. The step is (1 + sign) / 2.
    In the control units are sigmoids, in the rival steps with the gradient of the identity.
    """
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(examples, 8)).astype(np.float32)
    y = ((x @ generator.normal(size=(8, 8))) * x).sum(axis=1, keepdims=True).astype(np.float32) / 8
    sizes = ((8, hidden), (hidden, hidden), (hidden, 1))
    start = [generator.normal(size=size).astype(np.float32) / np.sqrt(size[0]) for size in sizes]

    data = [keras.ops.convert_to_tensor(values) for values in (x, y)]
    kernels = [keras.ops.convert_to_tensor(kernel) for kernel in start]
    rows = []
    for place, gradient in enumerate(_descending(activation, trained=3)(*data, *kernels)[1]):
        weights = "before a step" if place < len(start) - 1 else "after the last step"
        largest = float(np.abs(keras.ops.convert_to_numpy(gradient)).max())
        rows.append({"of": "gradient", "weights": weights, "gradient": largest, "none": 0.0})
    losses = {}
    for name, trained in (("loss", 3), ("loss_of_last_layer", 1)):
        fixed, variables = kernels[:-trained], [keras.Variable(kernel) for kernel in start[-trained:]]
        descent, gradient = keras.optimizers.SGD(0.01), _descending(activation, trained)
        losses[name] = []
        for _ in range(steps):
            of_step, slopes = gradient(*data, *fixed, *[variable.value for variable in variables])
            descent.apply(slopes, variables)
            losses[name].append(float(of_step))
    return pd.concat([pd.DataFrame(rows), pd.DataFrame({"of": "training", **losses})], ignore_index=True)


@cache
def _descending(activation, trained):
    """Compile a function of inputs, targets and kernels: squared error, and its gradient by the last kernels."""

    def error(variables, x, y, *fixed):
        signal, kernels = x, [*fixed, *variables]
        for kernel in kernels[:-1]:
            signal = ACTIVATIONS[activation](keras.ops.matmul(signal, kernel))
        return keras.ops.mean(keras.losses.mean_squared_error(y, keras.ops.matmul(signal, kernels[-1]))), ()

    def both(x, y, *kernels):
        value, _, gradient = value_and_gradient(error, kernels[-trained:], x, y, *kernels[:-trained])
        return value, gradient

    return compile_function(both)


def _step(z):
    return (1 + keras.ops.sign(z)) / 2


ACTIVATIONS = {
    "step": _step,
    "sigmoid": lambda z: keras.ops.sigmoid(z),
    "straight-through": lambda z: z + keras.ops.stop_gradient(_step(z) - z),
}


@claim(
    "Combined with the weights and biases of the layer before it, a ReLU can take the form of a bend at any location "
    "and of any degree.",
    source=notes("Remark 3.63"),
    kind="theorem",
    scope="one input and one unit with the weight and the bias before it; whether the weight after it counts, which "
    "turns the bend over, is left open",
    left_open=("weight_after", "bend"),
    criterion=AllOf(
        place=Identity("place", "wanted_place", operations=16, atol=1e-10, each=("weight_after", "bend")),
        degree=Identity("degree", "wanted_degree", operations=16, each=("weight_after", "bend")),
    ),
    boundary=Boundary(
        "with the weight after the unit, and for upward bends without it: the slope then changes by the size of the "
        "weight before, which is never negative",
        holds="part == 'place' or weight_after == 'free' or bend == 'upward'",
        assumption="the unit stands in a network, whose next layer has a weight for it",
    ),
    control={"bias": False},
)
def relu_bend(seed, *, bias=True, targets=64):
    """Measures where a Keras unit bends, and by how much its slope changes there, for wanted places and degrees.

    64 places from -3 to 3 and changes of slope of sizes 0.1 to 10, each upward and downward. The weight before is the
    size of the change, of either sign, the bias that weight times minus the place, the weight after one, or of the sign
    of the change where it is free. The bend is found by bisection on whether the derivative, by automatic
    differentiation, is that far to the right, to 2e-11; its degree is the difference of the derivatives at 10 and -10.
    The control has no bias.
    """
    generator = np.random.default_rng(seed)
    place = generator.uniform(-3, 3, size=targets)
    size = 10 ** generator.uniform(-1, 1, size=targets)
    before = generator.choice([-1.0, 1.0], size=targets) * size
    tables = []
    for bend, turn in (("upward", 1.0), ("downward", -1.0)):
        for weight_after, after in (("free", turn), ("one", 1.0)):
            slope = _slope(before, -before * place if bias else 0 * place, after)
            ends = slope(np.full(targets, -10.0)), slope(np.full(targets, 10.0))
            low, high = np.full(targets, -10.0), np.full(targets, 10.0)
            for _ in range(40):
                middle = (low + high) / 2
                beyond = slope(middle) == ends[1]
                low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
            labels = {"bend": bend, "weight_after": weight_after}
            wanted = {"wanted_place": place, "wanted_degree": turn * size}
            tables.append(pd.DataFrame({**labels, "place": high, "degree": ends[1] - ends[0], **wanted}))
    return pd.concat(tables, ignore_index=True)


def _slope(before, bias, after):
    """Make a function of inputs that gives the derivatives of units, in double precision."""
    unit = [keras.ops.convert_to_tensor(values, "float64") for values in (before, bias, after)]

    def slope(x):
        return keras.ops.convert_to_numpy(_compiled_slope()(keras.ops.convert_to_tensor(x, "float64"), *unit))

    return slope


@cache
def _compiled_slope():
    """Compile the derivative of units by their inputs, of weights before, biases and weights after."""

    def summed(values, before, bias, after):
        return keras.ops.sum(after * keras.activations.relu(before * values[0] + bias)), ()

    return compile_function(lambda x, *unit: value_and_gradient(summed, [x], *unit)[2][0])
