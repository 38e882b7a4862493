"""Models from functions, grids and seeds, and errors that name what does not fit."""

import random
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from repro.common.errors import TrainingError
from repro.engine.networks import mlp, residual_network
from repro.engine.replicas import (
    build_model,
    build_seeded,
    check_fit,
    check_replicas,
    check_reproducible,
    combinations,
    initial_values,
    resolve,
)


def test_combinations_are_the_product_of_lists_and_arrays_and_nothing_else():
    grids = {"width": [1, 2], "rate": np.array([0.1, 0.2]), "shape": (8, 8), "name": "tanh"}
    found = list(combinations(grids))
    assert [(values["width"], values["rate"]) for values in found] == [(1, 0.1), (1, 0.2), (2, 0.1), (2, 0.2)]
    assert all(values["shape"] == (8, 8) and values["name"] == "tanh" for values in found)
    assert type(found[0]["rate"]) is float
    assert list(combinations({})) == [{}]


def test_initial_weights_follow_from_the_seed_alone():
    def build():
        return mlp(inputs=3, outputs=2, widths=(4,))

    first = build_seeded(build, 1).get_weights()
    other = build_seeded(build, 2).get_weights()
    again = build_seeded(build, np.int64(1)).get_weights()
    for left, right in zip(first, again, strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.allclose(first[0], other[0])


def test_initial_weights_do_not_depend_on_who_else_draws_random_numbers():
    def build():
        random.seed(next(entropy))
        return mlp(inputs=3, outputs=2, widths=(4, 4), dropout=0.5)

    entropy = iter((1, 2))
    for left, right in zip(build_seeded(build, 0).variables, build_seeded(build, 0).variables, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy())


def test_initial_weights_have_the_distribution_of_their_initializer_and_layers_differ():
    network = build_seeded(lambda: mlp(inputs=300, outputs=300, widths=(300,), initializer="he_normal"), 0)
    first, last = network.layers[0].kernel.numpy(), network.layers[1].kernel.numpy()
    assert first.var() == pytest.approx(2 / 300, rel=0.05)
    assert abs(np.corrcoef(first.ravel(), last.ravel())[0, 1]) < 0.02


def test_recurrent_kernels_are_drawn_by_their_own_initializer():
    network = build_seeded(lambda: keras.Sequential([keras.Input((5, 2)), keras.layers.SimpleRNN(4)]), 3)
    kernel = network.layers[0].cell.recurrent_kernel.numpy()
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(4), atol=1e-6)


def test_initial_weights_have_the_type_of_their_variable_whatever_the_initializer_computes_in():
    class Doubled(keras.initializers.GlorotUniform):
        def __call__(self, shape, dtype=None):
            return np.float64(2) * super().__call__(shape, dtype)

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, kernel_initializer=Doubled())])
    kernel, bias = initial_values(model, [0])
    assert keras.backend.standardize_dtype(kernel.dtype) == keras.backend.standardize_dtype(bias.dtype) == "float32"


def test_networks_that_differ_in_layers_without_random_weights_start_alike():
    def network(*layers):
        return lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), *layers, keras.layers.Dense(2)])

    plain, normalized = build_seeded(network(), 5), build_seeded(network(keras.layers.BatchNormalization()), 5)
    np.testing.assert_array_equal(plain.layers[-1].kernel.numpy(), normalized.layers[-1].kernel.numpy())


def test_random_values_that_no_initializer_tells_are_an_error():
    class Hidden(keras.layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=shape[1:], initializer=keras.initializers.RandomNormal(), name="scale")

        def call(self, inputs):
            return inputs * self.scale

    def build():
        return keras.Sequential([keras.Input((3,)), Hidden()])

    with pytest.raises(TrainingError, match=r"scale.*scale_initializer"):
        check_reproducible(build, build())
    check_reproducible(lambda: mlp(inputs=3, outputs=2), mlp(inputs=3, outputs=2))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"inputs": 3, "outputs": 2, "wdiths": (4,)}, "model 'mlp' cannot be built: .*'wdiths'"),
        ({"inputs": 3}, "model 'mlp' cannot be built: .*'outputs'"),
    ],
)
def test_parameters_that_a_model_does_not_take_are_an_error(parameters, message):
    with pytest.raises(TrainingError, match=message):
        build_model(mlp, parameters)


def test_errors_inside_a_model_function_are_its_own():
    def broken(*, width):
        return width + "1"

    with pytest.raises(TypeError, match="unsupported operand"):
        build_model(broken, {"width": 1})


@pytest.mark.parametrize(
    ("seeds", "grids", "message"),
    [
        ([], {}, "there are no seeds"),
        ([0], {"step": [1, 2]}, "a grid cannot be named 'step'"),
        ([0], {"width": []}, "grid 'width' has no values"),
    ],
)
def test_replicas_that_cannot_be_told_apart_or_are_none_are_an_error(seeds, grids, message):
    with pytest.raises(TrainingError, match=message):
        check_replicas(seeds, grids, {"step"})


def test_an_unknown_loss_or_optimizer_is_an_error():
    with pytest.raises(TrainingError, match="loss identifier: squared"):
        resolve(keras.losses.get, "squared")
    with pytest.raises(TrainingError, match="optimizer identifier: newton"):
        resolve(keras.optimizers.get, "newton")


def examples(x_shape, y):
    return SimpleNamespace(x_train=np.zeros((2, *x_shape), np.float32), y_train=np.asarray(y))


def test_a_model_a_loss_and_data_that_fit_are_no_error():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    check_fit(mlp(inputs=3, outputs=2), loss, examples((3,), [0, 1]))


@pytest.mark.parametrize(
    ("build", "shape", "message"),
    [
        (lambda: mlp(inputs=3, outputs=2), (4,), r"does not take inputs of shape \(4,\): Input 0 .* value 3"),
        (
            lambda: residual_network(shape=(8, 8, 1), classes=2, depth=8, width=2),
            (64,),
            r"does not take inputs of shape \(64,\): .*\(None, 8, 8, 1\)",
        ),
    ],
)
def test_inputs_that_a_model_does_not_take_are_an_error_of_one_line(build, shape, message):
    model = build()
    with pytest.raises(TrainingError, match=f"model {model.name!r} {message}") as raised:
        check_fit(model, keras.losses.MeanSquaredError(), examples(shape, [0, 1]))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True, name="entropy"), np.zeros((2, 3))),
        (lambda: keras.losses.MeanSquaredError(name="entropy"), np.zeros((2, 3))),
    ],
)
def test_targets_that_a_loss_does_not_take_are_an_error_of_one_line(loss, y):
    model = mlp(inputs=3, outputs=2)
    message = (
        rf"loss 'entropy' does not fit targets of shape \(3,\) and outputs of shape \(2,\) of model {model.name!r}"
    )
    with pytest.raises(TrainingError, match=message) as raised:
        check_fit(model, loss(), examples((3,), y))
    assert "\n" not in str(raised.value)


def test_a_loss_that_sums_over_examples_is_an_error():
    loss = keras.losses.MeanSquaredError(reduction="sum", name="squares")
    with pytest.raises(TrainingError, match="'squares' sums over examples; give it reduction='sum_over_batch_size'"):
        check_fit(mlp(inputs=3, outputs=2), loss, examples((3,), np.zeros((2, 2))))
