"""Faults are planted everywhere, do what they say and leave nothing behind."""

import pickle

import keras
import numpy as np
import pytest
from keras import activations

from repro.audits import mutations
from repro.audits.faults import BY_KIND, METHODS, SPECIAL, candidates, faults_of
from repro.audits.mutations import planted
from repro.common.errors import ReproError
from repro.engine.backend import value_and_gradient

X = np.array([[-1.0, 0.5, 2.0], [3.0, -0.5, 1.0]], np.float32)


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def fault(name):
    (chosen,) = [each for each in faults_of(name.partition(":")[0]) if each.change == name.partition(": ")[2]]
    return {chosen.target: chosen.mutation}


def test_a_faulty_function_is_faulty_wherever_it_is_known():
    with planted(fault("keras.activations.relu: output doubled")):
        dense = keras.layers.Dense(2, activation="relu", kernel_initializer="ones")
        found = [array(dense(X)), array(keras.activations.get("relu")(X)), array(activations.relu(X))]
    rectified = np.maximum(X, 0)
    np.testing.assert_allclose(found[0], np.repeat(2 * np.maximum(X.sum(axis=1, keepdims=True), 0), 2, axis=1))
    np.testing.assert_allclose(found[1:], [2 * rectified, 2 * rectified])
    np.testing.assert_allclose(array(keras.activations.get("relu")(X)), rectified)


def test_an_inherited_method_is_faulty_in_its_class_only_and_restored():
    with planted(fault("keras.initializers.HeNormal.__call__: variance doubled")):
        faulty = array(keras.initializers.HeNormal(seed=1)((2000, 10)))
        other = array(keras.initializers.LecunNormal(seed=1)((2000, 10)))
    assert faulty.std() == pytest.approx((4 / 2000) ** 0.5, rel=0.03)
    assert other.std() == pytest.approx((1 / 2000) ** 0.5, rel=0.03)
    assert "__call__" not in vars(keras.initializers.HeNormal)


def test_what_is_planted_is_restored_after_an_error():
    with pytest.raises(ZeroDivisionError), planted(fault("keras.ops.mean: result doubled")):
        1 / 0  # noqa: B018
    assert array(keras.ops.mean(X)) == pytest.approx(X.mean())


def test_a_derivative_can_be_wrong_alone():
    tensor = [keras.ops.convert_to_tensor(X)]
    with planted(fault("keras.activations.tanh: derivative halved")):
        value, _, (gradient,) = value_and_gradient(lambda x: (keras.ops.sum(keras.activations.tanh(x[0])), ()), tensor)
    assert array(value) == pytest.approx(np.tanh(X).sum(), rel=1e-5)
    np.testing.assert_allclose(array(gradient), (1 - np.tanh(X) ** 2) / 2, rtol=1e-4)


def test_a_wrong_axis():
    with planted(fault("keras.ops.sum: wrong axis")):
        np.testing.assert_allclose(array(keras.ops.sum(X, axis=-1)), X.sum(axis=0))
        np.testing.assert_allclose(array(keras.ops.sum(X, axis=0)), X.sum(axis=-1))
        assert array(keras.ops.sum(X)) == pytest.approx(X.sum())


def test_a_lost_term():
    with planted(fault("keras.ops.subtract: second term lost")):
        np.testing.assert_allclose(array(keras.ops.subtract(X, 2 * X)), X)
    with planted(fault("keras.layers.Dense.call: bias lost")):
        dense = keras.layers.Dense(1, kernel_initializer="ones", bias_initializer="ones")
        np.testing.assert_allclose(array(dense(X))[:, 0], X.sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(array(dense(X))[:, 0], X.sum(axis=1) + 1, rtol=1e-6)


def test_stale_moving_statistics():
    layer = keras.layers.BatchNormalization()
    layer.build(X.shape)
    with planted(fault("keras.layers.BatchNormalization.call: moving statistics are stale")):
        layer(X, training=True)
        np.testing.assert_array_equal(array(layer.moving_mean), 0)
        np.testing.assert_array_equal(array(layer.moving_variance), 1)
    layer(X, training=True)
    np.testing.assert_allclose(array(layer.moving_mean), 0.01 * X.mean(axis=0), rtol=1e-5)


def test_dropout_that_does_not_rescale_and_draws_one_mask():
    ones = np.ones((1, 1000), np.float32)
    with planted(fault("keras.layers.Dropout.call: kept units not rescaled")):
        assert set(np.unique(array(keras.layers.Dropout(0.5, seed=1)(ones, training=True)))) == {0.0, 1.0}
    layer = keras.layers.Dropout(0.5, seed=1)
    with planted(fault("keras.random.SeedGenerator.next: state is stale")):
        np.testing.assert_array_equal(array(layer(ones, training=True)), array(layer(ones, training=True)))
    assert (array(layer(ones, training=True)) != array(layer(ones, training=True))).any()


def test_an_optimiser_that_climbs():
    with planted(fault("keras.optimizers.SGD.update_step: climbs")):
        variable = keras.Variable([1.0])
        keras.optimizers.SGD(0.1).apply([keras.ops.convert_to_tensor([2.0])], [variable])
    assert array(variable)[0] == pytest.approx(1.2)


def test_every_fault_fits_this_version_of_keras_and_can_be_sent_to_a_process():
    for target in candidates():
        for each in faults_of(target):
            assert pickle.loads(pickle.dumps(each)).name == each.name
            owner, name = mutations.locate(target)
            each.mutation(getattr(owner, name))


def test_names_are_unique_and_every_special_target_has_faults():
    faults = [each for target in candidates() for each in faults_of(target)]
    assert len({each.name for each in faults}) == len(faults)
    assert set(SPECIAL) <= {each.target for each in faults}
    assert set(METHODS) <= set(BY_KIND)


@pytest.mark.parametrize("target", ["keras.ops.no_such_op", "keras.layers.NoSuchLayer.call"])
def test_a_target_that_keras_lacks_is_named(target):
    with pytest.raises(ReproError, match=target), planted({target: mutations.passed_through}):
        pass


def test_an_argument_that_a_function_lacks_is_named():
    with pytest.raises(ReproError, match="no argument 'axes'"):
        mutations.with_argument(keras.ops.mean, name="axes", change=mutations.negated)
