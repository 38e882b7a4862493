"""Keys of values and networks: equal for what computes the same, and only for that."""

from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
import pytest

from repro.engine.identity import UnidentifiedError, architecture, identify, keyed
from repro.engine.networks import mlp, residual_network


def scaled(factor):
    return lambda x: factor * x


@dataclass(frozen=True)
class Setting:
    rate: float


SAME = {
    "numbers": lambda: (1, 2.5, float("nan"), None, True),
    "nested": lambda: {"a": [1, (2, 3)], "b": {"c": {4, 5}}},
    "an array": lambda: np.arange(6.0).reshape(2, 3),
    "a closure": lambda: scaled(2),
    "a partial": lambda: partial(scaled, factor=3),
    "a data class": lambda: Setting(0.1),
    "a method": lambda: Setting(0.1).__repr__,
    "a loss": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "an optimiser": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "an initialiser": lambda: keras.initializers.HeNormal(seed=3),
}
DIFFERENT = {
    "a number and a truth": (1, True),
    "a number and another type": (1, 1.0),
    "noughts": (0.0, -0.0),
    "an order": ([1, 2], [2, 1]),
    "shapes": (np.zeros((2, 3)), np.zeros((3, 2))),
    "types": (np.zeros(3, np.float32), np.zeros(3)),
    "what is bound": (scaled(2), scaled(3)),
    "what is bound in an array": (scaled(np.zeros(3)), scaled(np.ones(3))),
    "defaults": (lambda x=1: x, lambda x=2: x),
    "options": (partial(scaled, 1), partial(scaled, factor=1)),
    "fields": (Setting(0.1), Setting(0.2)),
    "settings": (keras.losses.Huber(delta=1.0), keras.losses.Huber(delta=2.0)),
    "classes": (keras.losses.MeanSquaredError(), keras.losses.MeanAbsoluteError()),
}


@pytest.mark.parametrize("make", SAME.values(), ids=SAME)
def test_what_is_made_alike_is_the_same(make):
    assert identify(make()) == identify(make())
    assert hash(identify(make())) == hash(identify(make()))


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_what_is_made_of_something_else_is_not_the_same(pair):
    left, right = pair
    assert identify(left) != identify(right)


@pytest.mark.parametrize("value", [object(), iter([1]), np.array([None]), np.random.default_rng(0)], ids=type)
def test_what_cannot_be_told_apart_equals_itself_alone(value):
    with pytest.raises(UnidentifiedError):
        identify(value)
    assert keyed(value) == keyed(value)
    assert keyed(value) != keyed(iter([1]))


def test_a_value_that_holds_itself_cannot_be_told_apart():
    endless = []
    endless.append(endless)
    with pytest.raises(UnidentifiedError):
        identify(endless)


NETWORKS = {
    "an MLP": lambda: mlp(inputs=5, outputs=2, widths=(4, 3), dropout=0.5),
    "a residual network": lambda: residual_network(shape=(8, 8, 1), classes=3, depth=8, width=4),
}


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_networks_that_are_built_alike_have_one_architecture(build):
    assert architecture(build()) is not None
    assert architecture(build()) == architecture(build())


def test_names_seeds_and_initialisers_are_no_part_of_the_architecture():
    def build(name, seed, initializer):
        inputs = keras.Input((5,), name=f"{name}_inputs")
        hidden = keras.layers.Dense(4, name=name, kernel_initializer=initializer)(inputs)
        return keras.Model(inputs, keras.layers.Dropout(0.5, seed=seed)(hidden), name=f"{name}_model")

    assert architecture(build("a", 1, "zeros")) == architecture(build("b", 2, keras.initializers.HeNormal(seed=3)))


def functional(function, *, shape=(6, 6, 2)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs))


def shared(*, once):
    layer, other = keras.layers.Dense(2), keras.layers.Dense(2)
    return functional(lambda x: (layer if once else other)(layer(x)))


def frozen(trainable):
    model = mlp(inputs=3, outputs=2)
    model.layers[0].trainable = trainable
    return model


def dense(**options):
    return functional(keras.layers.Dense(2, **options))


def subtracted(*, first):
    return functional(lambda x: keras.ops.subtract(*((x, keras.ops.relu(x)) if first else (keras.ops.relu(x), x))))


def distributed(activation):
    return functional(keras.layers.TimeDistributed(keras.layers.Dense(2, activation=activation)), shape=(4, 3))


PAIRS = {
    "activations": [partial(mlp, inputs=3, outputs=2, activation=name) for name in ("relu", "tanh")],
    "widths": [partial(mlp, inputs=3, outputs=2, widths=widths) for widths in ((64, 64), (64,))],
    "rates of dropout": [partial(mlp, inputs=3, outputs=2, dropout=rate) for rate in (0.1, 0.2)],
    "penalties": [lambda size=size: dense(kernel_regularizer=keras.regularizers.L2(size)) for size in (0.1, 0.2)],
    "constraints": [lambda size=size: dense(kernel_constraint=keras.constraints.MaxNorm(size)) for size in (1, 2)],
    "precision": [partial(dense, dtype=name) for name in ("float32", "float64")],
    "functions": [lambda factor=factor: functional(keras.layers.Lambda(scaled(factor))) for factor in (2, 3)],
    "operations": [
        lambda name=name: functional(lambda x: getattr(keras.ops, name)(x, 1.0)) for name in ("add", "power")
    ],
    "constants of operations": [lambda one=one: functional(lambda x: keras.ops.add(x, one)) for one in (1.0, 2.0)],
    "axes": [lambda axis=axis: functional(lambda x: keras.ops.softmax(x, axis=axis)) for axis in (1, 2)],
    "order of arguments": [partial(subtracted, first=first) for first in (True, False)],
    "layers that are shared": [partial(shared, once=once) for once in (True, False)],
    "what is trained": [partial(frozen, trainable) for trainable in (True, False)],
    "arguments of calls": [
        lambda mode=mode: functional(lambda x: keras.layers.Dropout(0.5)(x, training=mode)) for mode in (True, False)
    ],
    "layers inside layers": [partial(distributed, name) for name in ("relu", "tanh")],
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_networks_that_compute_something_else_have_another_architecture(pair):
    left, right = (architecture(build()) for build in pair)
    assert left is not None
    assert left != right


class Foreign(keras.layers.Layer):
    """A layer of a user's own, which might compute with what no key sees."""

    def call(self, inputs):
        return inputs


def test_foreign_layers_and_subclassed_networks_are_not_shared():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    assert architecture(functional(Foreign())) is None
    assert architecture(Subclassed()) is None
    held = object()
    assert architecture(functional(keras.layers.Lambda(lambda x: (x, held)[0]))) is None


def self_attention():
    layer = keras.layers.MultiHeadAttention(2, 2)
    return lambda inputs: layer(inputs, inputs)


# One layer for each way to compute in Keras, with an input that it takes.
LAYERS = {
    "Dense": (lambda: keras.layers.Dense(3, activation="relu"), (4,)),
    "Conv2D": (lambda: keras.layers.Conv2D(3, 2, strides=1, padding="same"), (5, 5, 2)),
    "DepthwiseConv2D": (lambda: keras.layers.DepthwiseConv2D(2), (5, 5, 2)),
    "MaxPooling2D": (lambda: keras.layers.MaxPooling2D(2), (6, 6, 2)),
    "BatchNormalization": (keras.layers.BatchNormalization, (5, 5, 2)),
    "LayerNormalization": (keras.layers.LayerNormalization, (4,)),
    "GroupNormalization": (lambda: keras.layers.GroupNormalization(2), (5, 5, 4)),
    "Dropout": (lambda: keras.layers.Dropout(0.4), (4,)),
    "GaussianNoise": (lambda: keras.layers.GaussianNoise(0.4), (4,)),
    "ELU": (lambda: keras.layers.ELU(0.7), (4,)),
    "Embedding": (lambda: keras.layers.Embedding(7, 3), (4,)),
    "SimpleRNN": (lambda: keras.layers.SimpleRNN(3), (4, 2)),
    "MultiHeadAttention": (self_attention, (4, 2)),
    "Rescaling": (lambda: keras.layers.Rescaling(0.5, offset=0.1), (4,)),
    "UnitNormalization": (keras.layers.UnitNormalization, (4,)),
    "ZeroPadding2D": (lambda: keras.layers.ZeroPadding2D(1), (5, 5, 2)),
}


def mutated(value):
    """Other values that an attribute could have in its place."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, -value - 1]
    if isinstance(value, str):
        return ["same", "valid", "tanh", "max", value + "_"]
    if isinstance(value, tuple):
        return [tuple(reversed(value)), value[:-1], tuple(2 * item for item in value if isinstance(item, int))]
    if value is None:
        return [1, keras.regularizers.L2(0.5)]
    return [keras.activations.tanh] if callable(value) else []


@pytest.mark.parametrize("name", LAYERS)
def test_every_attribute_of_a_layer_makes_another_architecture_or_no_difference(name):
    """A network would get another one's numbers by an attribute that no key sees and that is computed with."""
    make, shape = LAYERS[name]
    model = functional(make(), shape=shape)
    inputs = np.random.default_rng(0).integers(0, 6, (2, *shape)).astype(np.float32)
    key = architecture(model)
    assert key is not None
    changed = 0
    for layer in [layer for layer in model._flatten_layers() if not isinstance(layer, keras.Model)]:
        for attribute, value in list(vars(layer).items()):
            for other in mutated(value):
                before = outputs(model, inputs)
                object.__setattr__(layer, attribute, other)
                try:
                    if architecture(model) == key:
                        assert same(before, outputs(model, inputs)), f"{attribute} = {other!r}"
                    else:
                        changed += 1
                finally:
                    object.__setattr__(layer, attribute, value)
    assert changed > 10
    assert architecture(functional(make(), shape=shape)) == key


def outputs(model, inputs):
    """What a network computes while training and afterwards; None where it cannot."""
    try:
        variables = [
            [variable.value for variable in of] for of in (model.trainable_variables, model.non_trainable_variables)
        ]
        computed = [model.stateless_call(*variables, inputs, training=training)[0] for training in (True, False)]
        return [keras.ops.convert_to_numpy(values) for values in computed]
    except Exception:  # noqa: BLE001  a layer that was broken fails in its own way
        return None


def same(left, right):
    return left is None or right is None or all(map(np.array_equal, left, right))
