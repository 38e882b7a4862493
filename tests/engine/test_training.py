"""The engine against Keras' own training on the same batches, and its records, grids and errors."""

import math
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
import pytest

from repro.common.errors import TrainingError
from repro.engine import programs, training
from repro.engine.initial_values import build_seeded
from repro.engine.networks import _patch_convolution, mlp
from repro.engine.training import Record, batch_indices, train

CLASSES = 3


@dataclass(frozen=True)
class Examples:
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def noisy_classes(shape, *, train=24, test=10):
    """Inputs of unit variance around a mean of their class."""
    generator = np.random.default_rng(0)
    means = generator.normal(size=(CLASSES, *shape))
    y = generator.integers(CLASSES, size=train + test).astype(np.int32)
    x = (means[y] + generator.normal(size=(train + test, *shape))).astype(np.float32)
    return Examples(x[:train], y[:train], x[train:], y[train:])


DATA = noisy_classes((6,))
ONE_HOT = Examples(DATA.x_train, np.eye(CLASSES)[DATA.y_train], DATA.x_test, np.eye(CLASSES)[DATA.y_test])
IMAGES = noisy_classes((4, 4, 1))


def entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network(*, width=5, momentum=0.9, penalty=0.0, normalized=True):
    """Dense layers with batch normalisation and a penalty on the weights; no parameter of SGD but ``momentum``."""
    layers = [
        keras.Input((6,)),
        keras.layers.Dense(
            width, use_bias=not normalized, kernel_regularizer=keras.regularizers.L2(penalty) if penalty else None
        ),
        *([keras.layers.BatchNormalization(momentum=momentum)] if normalized else []),
        keras.layers.Activation("tanh"),
        keras.layers.Dense(CLASSES),
    ]
    return keras.Sequential(layers)


small = partial(mlp, inputs=6, outputs=CLASSES, widths=(5,), activation="tanh")
run = partial(train, data=DATA, steps=4, batch_size=8, seeds=[0])


def train_small(**options):
    settings = {"loss": entropy(), "optimizer": "sgd", **options}
    return run(small, **settings)


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adagrad": lambda: keras.optimizers.Adagrad(0.1),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "nadam": lambda: keras.optimizers.Nadam(0.01),
    "scheduled": lambda: keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.2, 2, 0.5)),
}


def trained_by_keras(build, data, optimizer, loss, *, steps, batch_size, seed):
    model = build_seeded(build, seed)
    model.compile(optimizer=optimizer, loss=loss, run_eagerly=True)
    for batch in batch_indices(len(data.x_train), batch_size, steps, seed):
        model.train_on_batch(data.x_train[batch], data.y_train[batch])
    return model


def assert_same_weights(left, right, **tolerance):
    for of_left, of_right in zip(left, right, strict=True):
        np.testing.assert_allclose(of_left, of_right, **{"rtol": 1e-4, "atol": 1e-5, **tolerance})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_replica_takes_the_trajectory_of_keras(name):
    build = partial(network, penalty=0.05)
    trained = run(build, loss=entropy(), optimizer=OPTIMIZERS[name](), steps=5, seeds=[3])
    expected = trained_by_keras(build, DATA, OPTIMIZERS[name](), entropy(), steps=5, batch_size=8, seed=3)
    assert_same_weights(trained.weights[0], expected.get_weights())


def convolutional(*, patches):
    convolution = _patch_convolution() if patches else keras.layers.Conv2D
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            convolution(4, 3, strides=2, padding="same", use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES),
        ]
    )


def test_a_replica_of_patch_convolutions_takes_the_trajectory_of_keras_convolutions():
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    trained = run(convolutional, data=IMAGES, loss=entropy(), optimizer=optimizer, steps=5, patches=True)
    reference = partial(convolutional, patches=False)
    expected = trained_by_keras(reference, IMAGES, optimizer, entropy(), steps=5, batch_size=8, seed=0)
    assert_same_weights(trained.weights[0], expected.get_weights())


def test_a_penalty_is_trained_on_and_not_recorded():
    build = partial(network, penalty=1.0, normalized=False)
    trained = run(build, loss=entropy(), optimizer=keras.optimizers.SGD(0.1), steps=3)
    model = trained.model(0)
    without = trained_by_keras(
        partial(network, normalized=False), DATA, keras.optimizers.SGD(0.1), entropy(), steps=3, batch_size=8, seed=0
    )
    for split, x, y in (("train", DATA.x_train, DATA.y_train), ("test", DATA.x_test, DATA.y_test)):
        assert trained.final[f"{split}_loss"][0] == pytest.approx(float(entropy()(y, model(x))), rel=1e-4)
    # gradient descent on w² alone multiplies a weight by 1 - 2 · 0.1 in each step
    assert np.linalg.norm(trained.weights[0][0]) < 0.8 * np.linalg.norm(without.get_weights()[0])


def test_a_model_of_the_training_gives_the_recorded_numbers():
    record = Record(metrics={"accuracy": keras.metrics.sparse_categorical_accuracy})
    trained = run(network, loss=entropy(), optimizer="adam", seeds=[0, 1], record=record)
    for replica in (0, 1):
        logits = trained.model(replica).predict(DATA.x_test, verbose=0)
        final = trained.final.iloc[replica]
        assert final["test_accuracy"] == pytest.approx((logits.argmax(axis=1) == DATA.y_test).mean())
        assert final["test_loss"] == pytest.approx(float(entropy()(DATA.y_test, logits)), rel=1e-4)
    # TensorFlow cannot vectorise the argmax of an accuracy, which is no reason to train one by one
    assert not trained.programs["sequential"].any()


def test_records_have_a_row_per_replica_and_measurement():
    record = Record(every=2, metrics={"accuracy": keras.metrics.sparse_categorical_accuracy})
    trained = train_small(seeds=[7, 5], steps=6, record=record, learning_rate=[0.1, 0.2])
    assert list(trained.records) == [
        "seed",
        "learning_rate",
        "step",
        "train_loss",
        "train_accuracy",
        "test_loss",
        "test_accuracy",
    ]
    assert list(trained.records["step"]) == [2, 4, 6] * 4
    assert list(trained.replicas.itertuples(index=False, name=None)) == [(7, 0.1), (5, 0.1), (7, 0.2), (5, 0.2)]
    assert list(trained.final["step"]) == [6] * 4
    assert trained.final[["seed", "learning_rate"]].equals(trained.replicas)
    assert len(trained.weights) == len(trained.builders) == 4


def test_measuring_does_not_change_the_run():
    often, once = (train_small(optimizer="adam", record=record) for record in (Record(every=1), None))
    assert_same_weights(often.weights[0], once.weights[0], rtol=1e-6, atol=1e-7)
    assert list(once.records["step"]) == [4]
    np.testing.assert_allclose(often.final["train_loss"], once.final["train_loss"], rtol=1e-6)


def test_evaluation_in_batches_is_evaluation_at_once(monkeypatch):
    record = Record(every=2, metrics={"accuracy": keras.metrics.sparse_categorical_accuracy})
    at_once = train_small(record=record)
    monkeypatch.setattr(programs, "EVALUATION_BATCH", 7)
    in_batches = train_small(record=record)
    np.testing.assert_allclose(in_batches.records, at_once.records, rtol=1e-5)


def test_a_loss_by_name_a_loss_function_and_a_loss_object_are_the_same():
    losses = ["mean_squared_error", keras.losses.mean_squared_error, keras.losses.MeanSquaredError()]
    trained = [train_small(data=ONE_HOT, loss=loss) for loss in losses]
    for other in trained[1:]:
        assert_same_weights(trained[0].weights[0], other.weights[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(trained[0].final["test_loss"], other.final["test_loss"], rtol=1e-5)


def test_replicas_depend_on_their_seed_alone():
    build = partial(small, dropout=0.5)
    together = run(build, loss=entropy(), optimizer="adam", seeds=[0, 1, 2])
    # as many as before: programs of another size may round otherwise
    reversed_ = run(build, loss=entropy(), optimizer="adam", seeds=[2, 7, 0])
    for left, right in ((0, 2), (2, 0)):
        assert_same_weights(together.weights[left], reversed_.weights[right], rtol=0, atol=0)
    assert not np.allclose(together.weights[0][0], together.weights[1][0])
    assert together.records["train_loss"].nunique() == 3


def test_an_optimizer_that_was_used_before_starts_afresh():
    optimizer = keras.optimizers.Adam(0.01)
    first, again = (train_small(optimizer=optimizer) for _ in range(2))
    assert_same_weights(first.weights[0], again.weights[0], rtol=0, atol=0)
    assert not optimizer.built


@pytest.mark.parametrize(
    "grid",
    [{"learning_rate": [0.05, 0.5]}, {"momentum": [0.0, 0.9]}, {"widths": [(3,), (5, 4)]}],
    ids=lambda grid: next(iter(grid)),
)
def test_a_grid_is_the_same_as_separate_runs(grid):
    (name, values), *_ = grid.items()
    model = partial(mlp, inputs=6, outputs=CLASSES)
    optimizer = keras.optimizers.SGD(0.2)
    together = run(model, loss=entropy(), optimizer=optimizer, **grid)
    for replica, value in enumerate(values):
        alone = run(model, loss=entropy(), optimizer=optimizer, **{name: value})
        assert together.replicas[name][replica] == value
        assert_same_weights(together.weights[replica], alone.weights[0], rtol=1e-5, atol=1e-6)  # one has no block
    assert together.records["train_loss"].nunique() == len(values)


def test_a_learning_rate_of_the_grid_is_that_of_the_optimizer():
    by_grid = train_small(optimizer="sgd", learning_rate=0.3)
    by_optimizer = train_small(optimizer=keras.optimizers.SGD(0.3))
    assert_same_weights(by_grid.weights[0], by_optimizer.weights[0], rtol=0, atol=0)
    # the same program with the optimiser's own rate again
    assert not np.allclose(train_small(optimizer="sgd").weights[0][0], by_grid.weights[0][0])


def test_programs_are_compiled_once_for_all_seeds_and_learning_rates():
    training._program.cache_clear()
    for options in ({"seeds": [1]}, {"seeds": [2, 3]}, {"learning_rate": [0.1, 0.2]}, {"loss": entropy()}):
        train_small(**options)
    assert training._program.cache_info().misses == 1
    train_small(momentum=0.5)
    assert training._program.cache_info().misses == 2


def weighted(weight, targets, outputs):
    return weight * keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)


def test_functions_that_bind_the_same_are_the_same():
    training._program.cache_clear()
    first, again, doubled = (train_small(loss=partial(weighted, weight)) for weight in (1.0, 1.0, 2.0))
    assert training._program.cache_info().misses == 2
    assert again.records.equals(first.records)
    assert not doubled.records.equals(first.records)
    train_small(loss=partial(weighted, np.ones(1, np.float32)))  # what cannot be compared is never the same


def test_a_grid_value_may_be_a_configuration():
    initializer = {"class_name": "Zeros", "config": {}}
    trained = train_small(initializer=initializer, learning_rate=0.0)
    assert all((weights == 0).all() for weights in trained.weights[0])
    assert trained.final["train_loss"][0] == pytest.approx(math.log(CLASSES), rel=1e-6)


def test_a_run_that_diverges_is_recorded_as_infinite():
    trained = train_small(data=ONE_HOT, loss="mean_squared_error", learning_rate=[0.1, 1e15], seeds=[0, 1])
    losses = trained.records.set_index("learning_rate")[["train_loss", "test_loss"]]
    assert np.isfinite(losses.loc[0.1]).all(axis=None)
    assert (losses.loc[1e15] == np.inf).all(axis=None)


def masked_sum(*, units, rate):
    """One output without a bias, from inputs that are dropped; its weights start from zero."""
    return keras.Sequential(
        [
            keras.Input((units,)),
            keras.layers.Dropout(rate),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
        ]
    )


def minus_output(targets, outputs):
    return -keras.ops.reshape(outputs, (-1,)) + 0 * targets


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_dropout_drops_at_its_rate_and_anew_in_each_step(rate):
    units = 4000
    x, y = np.ones((1, units), np.float32), np.zeros(1, np.float32)
    # gradient ascent on the masked sum adds each step's mask to the weights
    trained = {
        steps: train(
            masked_sum,
            Examples(x, y, x, y),
            loss=minus_output,
            optimizer=keras.optimizers.SGD(1.0),
            steps=steps,
            batch_size=1,
            seeds=[0, 1],
            units=units,
            rate=rate,
        )
        for steps in (1, 2)
    }
    first, of_other_seed = (weights[0].ravel() * (1 - rate) for weights in trained[1].weights)
    both = trained[2].weights[0][0].ravel() * (1 - rate)
    assert set(np.unique(np.round(first, 5))) == {0.0, 1.0}
    # four standard deviations of a proportion
    assert (first == 0).mean() == pytest.approx(rate, abs=4 * math.sqrt(rate * (1 - rate) / units))
    assert (both == 0).mean() == pytest.approx(rate**2, abs=4 * math.sqrt(rate**2 * (1 - rate**2) / units))
    assert ((first == 0) & (of_other_seed == 0)).mean() == pytest.approx(rate**2, abs=0.04)
    # without noise at measuring: the sum of the weights
    assert trained[1].final["test_loss"][0] == pytest.approx(-trained[1].weights[0][0].sum(), rel=1e-5)


@pytest.mark.parametrize(("examples", "batch_size", "steps"), [(10, 5, 6), (10, 3, 7), (4, 4, 3), (5, 1, 12)])
def test_every_epoch_is_a_permutation_without_its_incomplete_last_batch(examples, batch_size, steps):
    indices = batch_indices(examples, batch_size, steps, seed=0)
    assert indices.shape == (steps, batch_size)
    assert indices.dtype == np.int32
    in_epoch = examples // batch_size
    for start in range(0, steps, in_epoch):
        epoch = indices[start : start + in_epoch].ravel()
        assert len(set(epoch)) == len(epoch)
        assert set(epoch) <= set(range(examples))


def test_batches_follow_from_the_seed_and_differ_from_epoch_to_epoch():
    first, again, other = (batch_indices(50, 10, 10, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first[:5] != first[5:]).any()


def test_more_steps_begin_with_the_same_batches():
    np.testing.assert_array_equal(batch_indices(50, 10, 8, seed=0)[:3], batch_indices(50, 10, 3, seed=0))


def part(**arrays):
    return Examples(**{name: arrays.get(name, getattr(DATA, name)) for name in vars(DATA)})


EMPTY = {"x_train": DATA.x_train[:0], "y_train": DATA.y_train[:0]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widht": 3}, "model 'mlp' cannot be built: .*'widht'"),
        ({"momentum": 2.0}, "momentum"),
        ({"train_loss": 1.0}, "a grid cannot be named 'train_loss'"),
        ({"seeds": []}, "there are no seeds"),
        ({"data": part(**EMPTY)}, "the data have no examples"),
        ({"data": part(y_test=DATA.y_test[:3])}, "the data have 10 inputs and 3 targets"),
        ({"batch_size": 25}, "a batch of 25 does not fit 24 training examples"),
        ({"batch_size": 0}, "a batch of 0 does not fit"),
        ({"record": Record(every=3)}, "measurements every 3 steps do not divide a run of 4 steps"),
        ({"record": Record(every=0)}, "measurements every 0 steps"),
        ({"steps": 0}, "a run of 0 steps"),
        ({"data": IMAGES}, r"does not take inputs of shape \(4, 4, 1\)"),
        (
            {"data": part(y_train=np.zeros((24, 7)), y_test=np.zeros((10, 7)))},
            r"does not fit targets of shape \(7,\) and outputs of shape \(3,\)",
        ),
        ({"data": part(y_train=np.zeros((24, 7)))}, r"training targets of shape \(7,\) and test targets of shape \(\)"),
        ({"data": part(x_test=np.zeros((10, 5)))}, r"training inputs of shape \(6,\) and test inputs of shape \(5,\)"),
        ({"loss": "entropie"}, "entropie"),
        ({"optimizer": "newton"}, "newton"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(options, message):
    with pytest.raises(TrainingError, match=message) as raised:
        train_small(**options)
    assert "\n" not in str(raised.value)


def test_a_metric_cannot_be_named_loss():
    with pytest.raises(TrainingError, match="a metric cannot be named 'loss'"):
        Record(metrics={"loss": keras.metrics.sparse_categorical_accuracy})
