"""Many replicas in one program: the same numbers as one by one, for every kind of layer and optimiser."""

import math
from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from repro.common.errors import TrainingError
from repro.engine import backend, programs, training
from repro.engine.initial_values import build_seeded, initial_values
from repro.engine.networks import _patch_convolution, mlp
from repro.engine.probing import probe
from repro.engine.programs import Program, evaluation_batches, replicas_at_once
from repro.engine.training import Record, batch_indices, train

CLASSES = 3


def labelled(x, test=6):
    y = np.random.default_rng(1).integers(CLASSES, size=len(x)).astype(np.int32)
    return SimpleNamespace(x_train=x[test:], y_train=y[test:], x_test=x[:test], y_test=y[:test])


def normal(*shape):
    return labelled(np.random.default_rng(0).normal(size=(22, *shape)).astype(np.float32))


VECTORS = normal(6)
IMAGES = normal(4, 4, 2)
SEQUENCES = normal(5, 4)
WORDS = labelled(np.random.default_rng(0).integers(7, size=(22, 5)).astype(np.int32))


def entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def chain(shape, *layers, dtype=None):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers, keras.layers.Dense(CLASSES)])


def attentive():
    inputs = keras.Input((5, 4))
    attended = keras.layers.MultiHeadAttention(2, 3)(inputs, inputs)
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Add()([inputs, attended]))
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(pooled))


NETWORKS = {
    "dense": (lambda: chain((6,), keras.layers.Dense(5, activation="tanh")), VECTORS),
    "batch normalisation": (
        lambda: chain((6,), keras.layers.Dense(5), keras.layers.BatchNormalization(momentum=0.8)),
        VECTORS,
    ),
    "layer normalisation": (lambda: chain((6,), keras.layers.LayerNormalization()), VECTORS),
    "group normalisation": (
        lambda: chain((4, 4, 2), keras.layers.GroupNormalization(2), keras.layers.Flatten()),
        IMAGES,
    ),
    "dropout": (lambda: chain((6,), keras.layers.Dense(5), keras.layers.Dropout(0.5)), VECTORS),
    "convolution": (
        lambda: chain((4, 4, 2), keras.layers.Conv2D(3, 3), keras.layers.MaxPooling2D(), keras.layers.Flatten()),
        IMAGES,
    ),
    "depthwise convolution": (
        lambda: chain((4, 4, 2), keras.layers.DepthwiseConv2D(3), keras.layers.Flatten()),
        IMAGES,
    ),
    "separable convolution": (
        lambda: chain((4, 4, 2), keras.layers.SeparableConv2D(3, 3), keras.layers.Flatten()),
        IMAGES,
    ),
    "patch convolution": (
        lambda: chain((4, 4, 2), _patch_convolution()(3, 3, padding="same"), keras.layers.GlobalAveragePooling2D()),
        IMAGES,
    ),
    "long short-term memory": (lambda: chain((5, 4), keras.layers.LSTM(3)), SEQUENCES),
    "gated recurrent unit": (lambda: chain((5, 4), keras.layers.GRU(3)), SEQUENCES),
    "attention": (attentive, SEQUENCES),
    "embedding": (
        lambda: chain((5,), keras.layers.Embedding(7, 3), keras.layers.Flatten(), dtype="int32"),
        WORDS,
    ),
}


def run(model, data, at_once, monkeypatch, **options):
    monkeypatch.setattr(training, "replicas_at_once", lambda *_: at_once)
    settings = {"loss": entropy(), "optimizer": "sgd", "steps": 4, "batch_size": 8, "seeds": [0, 1, 2], **options}
    return train(model, data, **settings)


def assert_same(left, right, rtol=1e-4, atol=1e-6):
    for of_left, of_right in zip(left.weights, right.weights, strict=True):
        for one, other in zip(of_left, of_right, strict=True):
            np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


@pytest.mark.parametrize("kind", NETWORKS)
def test_replicas_at_once_are_replicas_one_by_one(kind, monkeypatch):
    network, data = NETWORKS[kind]
    together, alone = (run(network, data, at_once, monkeypatch, learning_rate=[0.1, 0.5]) for at_once in (4, 1))
    assert_same(together, alone)
    np.testing.assert_allclose(together.records, alone.records, rtol=1e-4)
    assert len(together.programs) == 1
    assert alone.programs["sequential"].all()
    if kind in ("dense", "dropout"):
        assert not together.programs["sequential"].any()


@pytest.mark.parametrize("kind", [kind for kind in NETWORKS if kind != "dropout"])
def test_every_kind_of_layer_takes_the_trajectory_of_keras(kind, monkeypatch):
    network, data = NETWORKS[kind]
    trained = run(network, data, 3, monkeypatch, optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
    model = build_seeded(network, 2)
    model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9), loss=entropy(), run_eagerly=True)
    for batch in batch_indices(len(data.x_train), 8, 4, 2):
        model.train_on_batch(data.x_train[batch], data.y_train[batch])
    for weights, expected in zip(trained.weights[2], model.get_weights(), strict=True):
        np.testing.assert_allclose(weights, expected, rtol=1e-3, atol=1e-5)


def test_what_a_backend_cannot_vectorise_runs_one_by_one_and_says_so(monkeypatch):
    several = backend.over_replicas

    def refuse(function, *arguments):
        if keras.tree.flatten(arguments)[0].shape[0] > 1:
            raise NotImplementedError("no vectorised form\nof this")
        return several(function, *arguments)

    expected = run(NETWORKS["dense"][0], VECTORS, 1, monkeypatch)
    monkeypatch.setattr(backend, "over_replicas", refuse)
    training._program.cache_clear()
    trained = run(NETWORKS["dense"][0], VECTORS, 3, monkeypatch)
    training._program.cache_clear()
    assert list(trained.programs["sequential"]) == ["no vectorised form"]
    assert_same(trained, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("optimizer", "grid"),
    [
        (lambda **values: keras.optimizers.SGD(**values), {"learning_rate": [0.1, 0.5], "momentum": [0.5, 0.9]}),
        (
            lambda **values: keras.optimizers.SGD(nesterov=True, **values),
            {"learning_rate": [0.1], "momentum": [0.5, 0.9]},
        ),
        (lambda **values: keras.optimizers.RMSprop(**values), {"learning_rate": [0.01], "momentum": [0.5, 0.9]}),
        (lambda **values: keras.optimizers.Adam(**values), {"learning_rate": [0.01, 0.1], "beta_1": [0.8, 0.9]}),
        (lambda **values: keras.optimizers.AdamW(**values), {"learning_rate": [0.01], "weight_decay": [0.1, 0.5]}),
    ],
    ids=["sgd", "nesterov", "rmsprop", "adam", "adamw"],
)
def test_variables_of_the_optimiser_are_those_of_each_replica(optimizer, grid, monkeypatch):
    network = NETWORKS["dense"][0]
    trained = run(network, VECTORS, 8, monkeypatch, optimizer=optimizer(), seeds=[3], **grid)
    assert len(trained.programs) == 1
    for replica, values in trained.replicas.iterrows():
        model = build_seeded(network, 3)
        values = {name: float(values[name]) for name in grid}
        model.compile(optimizer=optimizer(**values), loss=entropy(), run_eagerly=True)
        for batch in batch_indices(len(VECTORS.x_train), 8, 4, 3):
            model.train_on_batch(VECTORS.x_train[batch], VECTORS.y_train[batch])
        for weights, expected in zip(trained.weights[replica], model.get_weights(), strict=True):
            np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-6)


def test_the_record_says_which_values_have_a_program_of_their_own(monkeypatch):
    grids = {"learning_rate": [0.1, 0.2], "momentum": [0.0, 0.5, 0.9], "widths": [(3,), (4,)]}
    model = partial(mlp, inputs=6, outputs=CLASSES)
    trained = run(model, VECTORS, 8, monkeypatch, optimizer=keras.optimizers.SGD(), **grids)
    assert len(trained.replicas) == 3 * 12
    assert set(trained.programs) == {"widths", "momentum", "replicas", "sequential"}
    without, held = (
        trained.programs[mask] for mask in (trained.programs["momentum"] == 0, trained.programs["momentum"].isna())
    )
    assert list(zip(without["widths"], without["replicas"], strict=True)) == [((3,), 6), ((4,), 6)]
    assert list(zip(held["widths"], held["replicas"], strict=True)) == [((3,), 12), ((4,), 12)]
    # rows keep the order of the grid
    assert list(trained.replicas["momentum"][:9]) == [0.0] * 6 + [0.5] * 3
    chosen = trained.of(learning_rate=0.2, momentum=0.9, widths=(4,))
    assert list(chosen.replicas["seed"]) == [0, 1, 2]
    assert [weights[0].shape for weights in chosen.weights] == [(6, 4)] * 3
    assert set(chosen.final["momentum"]) == {0.9}
    assert set(chosen.final["widths"]) == {(4,)}


def test_settings_are_combined_with_grids_and_not_with_each_other(monkeypatch):
    settings = [{"learning_rate": 0.1, "momentum": 0.5}, {"learning_rate": 0.2, "momentum": 0.9}]
    model = partial(mlp, inputs=6, outputs=CLASSES, widths=())
    trained = run(model, VECTORS, 8, monkeypatch, optimizer=keras.optimizers.SGD(), seeds=[0], settings=settings)
    assert list(zip(trained.replicas["learning_rate"], trained.replicas["momentum"], strict=True)) == [
        (0.1, 0.5),
        (0.2, 0.9),
    ]


@pytest.mark.parametrize("at_once", [2, 3, 5, 7, 100])
def test_chunks_make_no_difference(at_once, monkeypatch):
    model = partial(mlp, inputs=6, outputs=CLASSES, widths=(4,))
    expected = run(model, VECTORS, 1, monkeypatch, seeds=range(7))
    assert_same(run(model, VECTORS, at_once, monkeypatch, seeds=range(7)), expected, rtol=1e-5)


def test_a_thousand_replicas_are_trained_in_chunks():
    model = partial(mlp, inputs=6, outputs=CLASSES, widths=(4,))
    trained = train(model, VECTORS, loss=entropy(), optimizer="sgd", steps=3, batch_size=8, seeds=range(1000))
    assert len(trained.final) == 1000
    assert trained.final["train_loss"].nunique() > 990


@pytest.mark.parametrize("replicas", [64, 65, 100, 1000])
def test_many_replicas_are_divided_evenly_on_cpu(replicas, monkeypatch):
    monkeypatch.setattr(backend, "device", lambda: "CPU")
    model = partial(mlp, inputs=64, outputs=10, widths=(64, 64))
    program = Program(model(), entropy(), keras.optimizers.SGD(), 1, [], 0)
    at_once = replicas_at_once(program, 32, replicas)
    chunks = math.ceil(replicas / at_once)
    assert 1 < chunks < replicas / 16
    assert chunks * at_once - replicas < chunks


@pytest.mark.parametrize(("replicas", "at_once"), [(1, 1), (2, 2), (13, 16), (64, 64), (5000, 2500)])
def test_an_accelerator_has_no_more_places_than_the_next_power_of_two(replicas, at_once, monkeypatch):
    monkeypatch.setattr(backend, "device", lambda: "GPU")
    program = Program(mlp(inputs=6, outputs=CLASSES), entropy(), keras.optimizers.SGD(), 1, [], 0)
    assert replicas_at_once(program, 32, replicas) == at_once


def test_larger_networks_have_fewer_replicas_at_once():
    def program(width):
        model = mlp(inputs=6, outputs=CLASSES, widths=(width,))
        return Program(model, entropy(), keras.optimizers.SGD(), 1, [], 0)

    counts = [replicas_at_once(program(width), 8, 64) for width in (4, 2000, 20_000, 200_000)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 8
    assert counts[-1] == 1


@pytest.mark.parametrize("name", ["glorot_uniform", "he_normal", "orthogonal", "random_normal", "lecun_uniform"])
def test_initial_weights_are_those_that_keras_draws_from_the_same_seeds(name):
    model = mlp(inputs=6, outputs=CLASSES, widths=(4,), initializer=name)
    drawn = initial_values(model, [5, 0, 5])
    for place, index in enumerate((0, 2)):
        for replica, seed in enumerate((5, 0)):
            of_variable = int(np.random.SeedSequence((seed, 0, place)).generate_state(1)[0] >> 1)
            expected = keras.initializers.get({"class_name": name, "config": {"seed": of_variable}})(
                model.variables[index].shape
            )
            np.testing.assert_allclose(drawn[index][replica], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(drawn[0][0], drawn[0][2])


def test_layers_are_observed_during_training_as_they_are_by_a_probe(monkeypatch):
    model = partial(mlp, inputs=6, outputs=CLASSES, widths=(5, 4))
    record = Record(every=2, probed=7)
    still = run(model, VECTORS, 4, monkeypatch, record=record, learning_rate=0.0, seeds=[4, 9])
    untrained = probe(model, VECTORS, [4, 9], loss=entropy(), examples=7)
    for step in (2, 4):
        rows = still.layers.query(f"step == {step}").reset_index(drop=True)
        assert list(rows["seed"]) == [4, 4, 4, 9, 9, 9]
        assert list(rows["layer"]) == [1, 2, 3] * 2
        for name in ("mean", "variance", "active", "dead", "gradient", "weight_gradient"):
            np.testing.assert_allclose(rows[name], untrained[name], rtol=1e-4, atol=1e-7)
    moving = run(model, VECTORS, 4, monkeypatch, record=record, learning_rate=0.5, seeds=[4, 9])
    assert (moving.layers.query("step == 4")["gradient"].to_numpy() != rows["gradient"].to_numpy()).all()
    assert run(model, VECTORS, 4, monkeypatch).layers.empty


def test_layers_of_a_subclassed_model_cannot_be_observed(monkeypatch):
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__(name="subclassed")
            self.layer = keras.layers.Dense(CLASSES)

        def call(self, x):
            return self.layer(x)

    def build():
        model = Subclassed()
        model.build((None, 6))
        return model

    with pytest.raises(TrainingError, match="'subclassed' must be sequential or functional"):
        run(build, VECTORS, 4, monkeypatch, record=Record(probed=4))
    assert replicas_at_once(Program(build(), entropy(), keras.optimizers.SGD(), 1, [], 0), 8, 64) == 1


@pytest.mark.parametrize("spare", [0, 5])
@pytest.mark.parametrize(("train", "test"), [(24, 10), (3, 4), (7, 7), (1, 1), (100, 1)])
def test_evaluation_batches_average_over_training_and_over_test_examples(train, test, spare, monkeypatch):
    monkeypatch.setattr(programs, "EVALUATION_BATCH", 8)
    values = np.random.default_rng(0).normal(size=train + test + spare)
    indices, shares = evaluation_batches(train, test, spare)
    assert indices.shape[1] <= 8
    averages = np.einsum("bsi,bi->s", shares, values[indices])
    expected = [values[:train].mean(), values[train : train + test].mean()]
    np.testing.assert_allclose(averages, expected, rtol=1e-4, atol=1e-6)
