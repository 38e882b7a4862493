"""What is measured at initialisation, against backpropagation by hand and known expectations."""

from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.special

from repro.common.errors import TrainingError
from repro.engine.initial_values import build_seeded
from repro.engine.networks import mlp
from repro.engine.probing import probe

CLASSES = 3


def standard_normal(examples, inputs):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(examples, inputs)).astype(np.float32)
    return SimpleNamespace(x_train=x, y_train=generator.integers(CLASSES, size=examples).astype(np.int32))


DATA = standard_normal(16, 4)


def entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network(*, width=5, activation="tanh"):
    return mlp(inputs=4, outputs=CLASSES, widths=(width,), activation=activation)


def test_a_two_layer_network_is_measured_as_by_hand():
    measured = probe(network, DATA, [3], loss=entropy())
    first, first_bias, last, last_bias = (weights.astype(float) for weights in build_seeded(network, 3).get_weights())
    hidden = np.tanh(DATA.x_train @ first + first_bias)
    logits = hidden @ last + last_bias
    # of the mean of the cross-entropies: (p - y) / n, then the transpose of the last layer
    error = (scipy.special.softmax(logits, axis=1) - np.eye(CLASSES)[DATA.y_train]) / len(DATA.x_train)

    assert list(measured["layer"]) == [1, 2]
    assert list(measured["layers_back"]) == [1, 0]
    assert list(measured["seed"]) == [3, 3]
    for column, values in {
        "mean": [hidden.mean(), logits.mean()],
        "variance": [hidden.var(), logits.var()],
        "second_moment": [np.square(hidden).mean(), np.square(logits).mean()],
        "active": [(hidden > 0).mean(), (logits > 0).mean()],
        "gradient": [np.linalg.norm(error @ last.T), np.linalg.norm(error)],
    }.items():
        np.testing.assert_allclose(measured[column], values, rtol=1e-4, atol=1e-6, err_msg=column)


def test_networks_that_share_a_program_are_measured_as_alone():
    def drawn(*, activation, initializer):
        return mlp(inputs=4, outputs=CLASSES, widths=(5,), activation=activation, initializer=initializer)

    activations, initializers = ["tanh", "relu"], ["glorot_normal", "he_uniform"]
    together = probe(drawn, DATA, [0, 1], loss=entropy(), activation=activations, initializer=initializers)
    alone = [
        probe(drawn, DATA, [0, 1], loss=entropy(), activation=activation, initializer=initializer)
        for activation in activations
        for initializer in initializers
    ]
    pd.testing.assert_frame_equal(together, pd.concat(alone, ignore_index=True))  # layers have the same names, too
    assert set(together["name"]) == {"dense", "dense_1"}


def test_a_linear_orthogonal_network_keeps_second_moments_and_gradients():
    def orthogonal(*, depth):
        layers = [keras.layers.Dense(8, kernel_initializer="orthogonal") for _ in range(depth)]
        return keras.Sequential([keras.Input((8,)), *layers])

    measured = probe(orthogonal, standard_normal(16, 8), [0, 1], loss=entropy(), depth=12)
    for _, layers in measured.groupby("seed"):
        assert len(layers) == 12
        for column in ("gradient", "second_moment"):
            np.testing.assert_allclose(layers[column], layers[column].iloc[0], rtol=1e-4)


def test_he_initialisation_keeps_the_second_moment_and_half_of_the_units():
    """Over the weights, the expected mean square after any ReLU layer is half the square of the layer's inputs."""

    def rectified(*, scale):
        initializer = {"class_name": "VarianceScaling", "config": {"scale": scale, "mode": "fan_in"}}
        return mlp(inputs=64, outputs=CLASSES, widths=(512,) * 6, initializer=initializer)

    data = standard_normal(32, 64)
    measured = probe(rectified, data, [0, 1], loss=entropy(), scale=[2.0, 1.0]).query("layers_back > 0")
    initial = np.square(data.x_train).mean()
    he, half = (measured[measured["scale"] == scale] for scale in (2.0, 1.0))
    np.testing.assert_allclose(he["second_moment"], initial, rtol=0.25)
    np.testing.assert_allclose(half["second_moment"], initial / 2.0 ** half["layer"], rtol=0.25)
    assert measured["active"].mean() == pytest.approx(0.5, abs=0.02)


def test_gradients_below_the_square_root_of_the_smallest_number_are_measured():
    def vanishing(*, depth):
        small = keras.initializers.Constant(1e-3)
        layers = [keras.layers.Dense(1, kernel_initializer=small) for _ in range(depth)]
        return keras.Sequential([keras.Input((4,)), *layers])

    data = SimpleNamespace(x_train=DATA.x_train, y_train=np.ones(len(DATA.x_train)))
    gradients = probe(vanishing, data, [0], loss="mean_squared_error", depth=10)["gradient"]
    np.testing.assert_allclose(gradients[:-1] / gradients.shift(-1)[:-1], 1e-3, rtol=1e-4)
    assert gradients[0] < 1e-26


def test_seeds_and_grids_give_rows_of_their_own():
    measured = probe(network, DATA, [5, 4], loss=entropy(), width=[5, 6], activation="relu")
    assert list(measured.groupby(["width", "seed"], sort=False).groups) == [(5, 5), (5, 4), (6, 5), (6, 4)]
    assert (measured["activation"] == "relu").all()
    assert measured["variance"].nunique() == len(measured)
    alone = probe(network, DATA, [4], loss=entropy(), width=6, activation="relu")
    np.testing.assert_array_equal(alone["gradient"], measured.query("width == 6 and seed == 4")["gradient"])


def test_only_as_many_examples_as_asked_for_are_used():
    few = SimpleNamespace(x_train=DATA.x_train[:7], y_train=DATA.y_train[:7])
    np.testing.assert_allclose(
        probe(network, DATA, [0], loss=entropy(), examples=7)["gradient"],
        probe(network, few, [0], loss=entropy())["gradient"],
    )


def test_functional_networks_are_measured_along_their_branches():
    def residual(*, width=4):
        inputs = keras.Input((width,))
        branch = keras.layers.Dense(width, activation="relu", use_bias=False, name="branch")(inputs)
        total = keras.layers.Add(name="sum")([inputs, branch])
        return keras.Model(inputs, keras.layers.Dense(CLASSES, use_bias=False, name="logits")(total))

    measured = probe(residual, DATA, [0], loss=entropy()).set_index("name")
    branch, last = (weights.astype(float) for weights in build_seeded(residual, 0).get_weights())
    rectified = np.maximum(DATA.x_train @ branch, 0)
    logits = (DATA.x_train + rectified) @ last
    error = (scipy.special.softmax(logits, axis=1) - np.eye(CLASSES)[DATA.y_train]) / len(DATA.x_train)
    np.testing.assert_allclose(measured.loc["sum", "gradient"], np.linalg.norm(error @ last.T), rtol=1e-4)
    np.testing.assert_allclose(measured.loc["branch", "gradient"], np.linalg.norm(error @ last.T), rtol=1e-4)
    of_branch = DATA.x_train.T @ (error @ last.T * (rectified > 0))
    np.testing.assert_allclose(measured.loc["branch", "weight_gradient"], np.linalg.norm(of_branch), rtol=1e-4)
    assert np.isnan(measured.loc["sum", "weight_gradient"])


def test_units_that_are_never_positive_are_dead():
    def rectified(*, bias):
        layer = keras.layers.Dense(2, activation="relu", kernel_initializer="zeros", bias_initializer=bias)
        return keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(CLASSES)])

    dead = probe(rectified, DATA, [0], loss=entropy(), bias=["ones", "zeros"]).query("layer == 1")["dead"]
    assert list(dead) == [0.0, 1.0]


def subclassed():
    class Chain(keras.Model):
        def __init__(self):
            super().__init__(name="chain")
            self.layer = keras.layers.Dense(CLASSES)

        def call(self, x):
            return self.layer(x)

    chain = Chain()
    chain.build((None, 4))
    return chain


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (subclassed, {}, "model 'chain' must be sequential or functional"),
        (network, {"variance": [1.0]}, "a grid cannot be named 'variance'"),
        (network, {"widht": 3}, "model 'network' cannot be built: .*'widht'"),
        (network, {"data": standard_normal(4, 9)}, r"does not take inputs of shape \(9,\)"),
        (network, {"loss": "entropie"}, "entropie"),
        (network, {"seeds": []}, "there are no seeds"),
    ],
)
def test_what_does_not_fit_is_named(model, options, message):
    settings = {"data": DATA, "seeds": [0], "loss": entropy(), **options}
    with pytest.raises(TrainingError, match=message):
        probe(model, settings.pop("data"), settings.pop("seeds"), **settings)
