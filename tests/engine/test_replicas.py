"""Models from functions, grids and seeds, and errors that name what does not fit."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from repro.common.errors import TrainingError
from repro.engine.networks import mlp, residual_network
from repro.engine.replicas import build_model, check_fit, check_replicas, combinations, resolve


def test_combinations_are_the_product_of_lists_and_arrays_and_nothing_else():
    grids = {"width": [1, 2], "rate": np.array([0.1, 0.2]), "shape": (8, 8), "name": "tanh"}
    found = list(combinations(grids))
    assert [(values["width"], values["rate"]) for values in found] == [(1, 0.1), (1, 0.2), (2, 0.1), (2, 0.2)]
    assert all(values["shape"] == (8, 8) and values["name"] == "tanh" for values in found)
    assert type(found[0]["rate"]) is float
    assert list(combinations({})) == [{}]


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


def test_a_model_that_is_looked_at_keeps_its_variables():
    inputs = keras.Input((3,))
    normalized = keras.layers.BatchNormalization()(keras.layers.Dense(2)(inputs), training=True)
    model = keras.Model(inputs, normalized)
    before = [variable.numpy() for variable in model.variables]
    check_fit(model, keras.losses.MeanSquaredError(), examples((3,), np.zeros((2, 2))))
    for variable, values in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), values)


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
