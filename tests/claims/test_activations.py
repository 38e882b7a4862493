"""Helpers of the claims on activations, against values worked out elsewhere."""

import keras
import numpy as np
import pandas as pd
import pytest

from repro.claims.activations import _networks, _trainings, cost, figures, kink, patterns, speed
from repro.engine import backend

POINTS = np.array([-8.0, -1.5, -0.2, 0.3, 2.0, 7.0])  # none where a function has a kink


@pytest.mark.parametrize("name", _networks.ACTIVATIONS)
def test_arrays_and_tensors_have_the_same_activation_and_slope(name):
    activation = _networks.ACTIVATIONS[name]
    by_keras = activation.keras(keras.ops.convert_to_tensor(POINTS, "float32"))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(by_keras), activation.value(POINTS), rtol=1e-5, atol=1e-6)
    quotient = (activation.value(POINTS + 1e-6) - activation.value(POINTS - 1e-6)) / 2e-6
    np.testing.assert_allclose(quotient, activation.slope(POINTS), atol=1e-6)


@pytest.mark.parametrize("name", ["tanh", "relu6", "elu"])
def test_gradients_of_single_examples_are_those_of_keras(name):
    generator = np.random.default_rng(0)
    model = _networks.network(inputs=5, outputs=3, depth=2, width=4, activation=name)
    x, y = generator.normal(size=(1, 5)).astype(np.float32), np.array([1])
    variables = model.trainable_variables

    def loss(values):
        outputs, _ = model.stateless_call(values, [], x)
        return keras.ops.sum(keras.losses.sparse_categorical_crossentropy(y, outputs, from_logits=True)), ()

    gradients = backend.value_and_gradient(loss, [variable.value for variable in variables])[2]
    inputs, passed = _networks.deltas(model.get_weights(), x, y, name)
    for layer, (entering, delta) in enumerate(zip(inputs, passed, strict=True)):
        kernel = keras.ops.convert_to_numpy(gradients[2 * layer])
        np.testing.assert_allclose(np.outer(entering[0], delta[0]), kernel, atol=1e-5)


def test_participation_is_one_for_equal_entries_and_least_for_one_alone():
    equal = patterns.participation([np.ones((1, 3))], [np.full((1, 5), -2.0)])
    alone = patterns.participation([np.eye(3)[:1]], [np.eye(5)[:1]])
    np.testing.assert_allclose([equal[0], alone[0]], [1, 1 / 15])
    assert patterns.participation([np.ones((1, 3))], [np.zeros((1, 5))]) == [0]


def test_a_square_has_four_corners():
    # the score 1 - |x| - |y|, which four ReLUs make, turned so that no ray goes through a corner
    turned = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    kernel = turned @ np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])
    outputs = np.column_stack([np.zeros(4), -np.ones(4)])
    turns = figures._turns([kernel, np.zeros(4), outputs, np.array([0.0, 1.0])], "relu")
    np.testing.assert_allclose(np.sort(turns)[-4:], np.pi / 2, atol=1e-6)
    corners = figures._corners(turns)
    assert corners["corners"] == 4
    assert corners["concentration"] == pytest.approx(1)


def test_a_line_has_no_corners_and_a_circle_has_them_everywhere():
    line = figures._turns(
        [np.array([[1.0], [0.5]]), np.zeros(1), np.array([[0.0, 1.0]]), np.array([0.0, 0.2])], "linear"
    )
    assert figures._corners(line) == {"concentration": 0.0, "corners": 0}
    assert figures._corners(np.full(360, 2 * np.pi / 360))["concentration"] == pytest.approx(10 / 360)


def test_steps_to_a_loss_are_interpolated_where_losses_fall_exponentially():
    steps = np.arange(10, 110, 10)
    runs = pd.DataFrame({"seed": 0, "learning_rate": 0.1, "step": steps, "train_loss": np.exp(-steps / 20)})
    assert _trainings.steps_until(runs, np.exp(-33 / 20)).to_numpy() == pytest.approx([33])
    assert _trainings.steps_until(runs, 1e-9).to_numpy() == [np.inf]


def test_largest_rate_lies_between_the_last_that_trains_and_the_next():
    rates = np.array([0.1, 1.0, 10.0])
    level = np.sqrt(0.1 * np.log(10))
    assert speed._largest_rate(rates, np.array([0.01, 0.1, 50.0]), level) == pytest.approx(np.sqrt(10))
    assert speed._largest_rate(rates, np.array([5.0, 5.0, 5.0]), level) == pytest.approx(0.05)
    assert speed._largest_rate(rates, np.array([0.1, 0.1, 0.1]), level) == 10


@pytest.mark.parametrize("derivative", [0.0, 0.5, 1.0])
def test_derivative_at_zero_is_what_is_chosen(derivative):
    layer = kink._kinked()(derivative, 0.0)
    layer.build((None, 3))
    x = keras.ops.convert_to_tensor(np.array([[-1.0, 0.0, 2.0]], np.float32))
    _, values, (slopes,) = backend.value_and_gradient(
        lambda given: (keras.ops.sum(layer(given[0])), layer(given[0])), [x]
    )
    np.testing.assert_allclose(keras.ops.convert_to_numpy(values), [[0, 0, 2]])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(slopes), [[0, derivative, 1]])


def test_a_threshold_is_one_operation_and_a_polynomial_counts_by_its_degree():
    assert cost.degree_of_exponential(1e-2) == 2  # the remainder of degree n is near (log(2) / 4)^(n + 1) 2 / (n + 1)!
    assert cost.degree_of_exponential() == 6
    assert cost.operations("relu", "forward") == 1
    assert cost.operations("tanh", "forward") == 12
