"""What replicas start from: seeds decide it, and Keras' own initialisers draw it."""

import random
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from repro.common.errors import TrainingError
from repro.engine.initial_values import build_seeded, build_undrawn, distribution, initial_values, undrawn
from repro.engine.networks import mlp, residual_network


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
        build_undrawn(build)


def test_values_that_a_model_function_sets_by_itself_are_an_error_unless_every_build_sets_the_same():
    def build(biases):
        model = mlp(inputs=3, outputs=2, widths=())
        model.layers[0].bias.assign(next(biases))
        return model

    with pytest.raises(TrainingError, match="starts from other values"):
        build_undrawn(lambda: build(iter(np.random.default_rng().normal(size=(1, 2)))))
    model = build_undrawn(lambda: build(iter([[1.0, 2.0]])))
    np.testing.assert_array_equal(initial_values(model, [3])[1], [[1.0, 2.0]])


def test_a_model_that_is_built_without_drawing_draws_what_another_one_draws():
    def build():
        return residual_network(shape=(8, 8, 1), classes=3, depth=8, width=4)

    for left, right in zip(initial_values(build_undrawn(build), [4]), initial_values(build(), [4]), strict=True):
        np.testing.assert_array_equal(left, right)
        assert np.isfinite(left).all()


INITIALIZERS = {
    "RandomNormal": {"mean": 0.7, "stddev": 0.3},
    "RandomUniform": {"minval": -0.1, "maxval": 0.7},
    "TruncatedNormal": {"mean": 0.3, "stddev": 0.2},
    "VarianceScaling": {"scale": 3.0, "mode": "fan_out", "distribution": "untruncated_normal"},
    "GlorotNormal": {},
    "GlorotUniform": {},
    "HeNormal": {},
    "LecunUniform": {},
    "Orthogonal": {},
}


@pytest.mark.parametrize("shape", [(3,), (5, 3), (3, 3, 4, 6), (40, 50)], ids=str)
@pytest.mark.parametrize("name", INITIALIZERS)
def test_what_is_drawn_together_is_what_keras_draws_alone(name, shape):
    if name == "Orthogonal" and len(shape) == 1:
        pytest.skip("a vector is not orthogonal")

    class Weighted(keras.layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.weight_initializer = getattr(keras.initializers, name)(**INITIALIZERS[name])

        def build(self, _):
            self.weight = self.add_weight(shape=shape, initializer=self.weight_initializer, name="weight")

        def call(self, inputs):
            return inputs + keras.ops.sum(self.weight)

    drawn = initial_values(keras.Sequential([keras.Input((3,)), Weighted(), Weighted()]), [0, 7])
    for place, values in enumerate(drawn):
        for row, seed in zip(values, [0, 7], strict=True):
            state = np.random.SeedSequence((seed, 0, place)).generate_state(1)[0] >> 1
            generator = keras.random.SeedGenerator(int(state))
            alone = getattr(keras.initializers, name)(**INITIALIZERS[name] | {"seed": generator})(shape)
            # a compiled function rounds once where operations one by one round twice
            np.testing.assert_allclose(row, keras.ops.convert_to_numpy(alone), rtol=1e-6, atol=1e-7)


def test_weights_that_nobody_looks_at_are_not_drawn():
    with undrawn() as drawn:
        model = mlp(inputs=3, outputs=2, widths=(4,), initializer="he_normal")
    kernel, bias = model.get_weights()[:2]
    assert np.isnan(kernel).all()
    assert not bias.any()
    of_kernels = {(values.shape, each.kind) for each, values in drawn}
    assert of_kernels == {((3, 4), "truncated_normal"), ((4, 2), "truncated_normal")}


def test_threads_that_build_at_once_do_not_draw_what_is_no_number():
    with ThreadPoolExecutor(4) as threads:
        models = list(threads.map(lambda _: build_undrawn(lambda: mlp(inputs=3, outputs=2)), range(20)))
    assert all(np.isnan(model.layers[0].kernel.numpy()).all() for model in models)
    assert np.isfinite(mlp(inputs=3, outputs=2).layers[0].kernel.numpy()).all()


def test_an_initializer_that_does_more_than_to_draw_has_no_distribution():
    class Shifted(keras.initializers.HeNormal):
        def __call__(self, shape, dtype=None):
            return super().__call__(shape, dtype) + 1

    assert distribution(Shifted(), (3, 4)) is None
    assert distribution(keras.initializers.Orthogonal(), (3, 4)) is None
    kind, mean, deviation = distribution(keras.initializers.RandomNormal(0.5, 2.0), (3, 4))
    assert (kind, mean, deviation) == ("normal", 0.5, 2.0)
