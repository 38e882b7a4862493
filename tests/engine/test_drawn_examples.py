"""Examples that each seed draws: the same numbers as when each seed is trained alone on its own."""

from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest

from repro.common.errors import TrainingError
from repro.engine import backend, programs
from repro.engine.arms import classifier
from repro.engine.data import load_data
from repro.engine.examples import FEW_SEEDS, draw_examples, pool_examples
from repro.engine.networks import mlp
from repro.engine.probing import probe
from repro.engine.programs import Program, replicas_at_once
from repro.engine.training import Record, train
from repro.engine.tuning import TUNING_SEEDS, tune

CLASSES = 3
SEEDS = [4, 0, 9]
TRAIN, TEST = 17, 6


def entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def labels(count, seed):
    return np.random.default_rng(seed).integers(CLASSES, size=count).astype(np.int32)


def vectors(count, seed, shape=(6,)):
    return np.random.default_rng((seed, 1)).normal(size=(count, *shape)).astype(np.float32)


def words(count, seed):
    return np.random.default_rng((seed, 1)).integers(7, size=(count, 5)).astype(np.int32)


COMMON = SimpleNamespace(
    x_train=vectors(TRAIN, 100), y_train=labels(TRAIN, 100), x_test=vectors(TEST, 101), y_test=labels(TEST, 101)
)


def examples(inputs, seed):
    return SimpleNamespace(
        x_train=inputs(TRAIN, seed),
        y_train=labels(TRAIN, seed),
        x_test=inputs(TEST, seed + 50),
        y_test=labels(TEST, seed + 50),
    )


def common_but(drawn, seed):
    """What all seeds have, but for the named arrays."""
    return SimpleNamespace(**{**vars(COMMON), **{name: getattr(examples(vectors, seed), name) for name in drawn}})


def chain(shape, *layers, dtype=None):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers, keras.layers.Dense(CLASSES)])


dense = partial(mlp, inputs=6, outputs=CLASSES, widths=(5,), activation="tanh")

KINDS = {
    "dense": (dense, partial(examples, vectors)),
    "dropout": (partial(dense, dropout=0.5), partial(examples, vectors)),
    "batch normalisation": (
        lambda: chain((6,), keras.layers.Dense(5), keras.layers.BatchNormalization(momentum=0.8)),
        partial(examples, vectors),
    ),
    "convolution": (
        lambda: chain((4, 4, 2), keras.layers.Conv2D(3, 3), keras.layers.Flatten()),
        partial(examples, partial(vectors, shape=(4, 4, 2))),
    ),
    "embedding": (
        lambda: chain((5,), keras.layers.Embedding(7, 3), keras.layers.Flatten(), dtype="int32"),
        partial(examples, words),
    ),
    "other training examples": (dense, partial(common_but, ("x_train", "y_train"))),
    "other labels": (dense, partial(common_but, ("y_train",))),
    "other test examples": (dense, partial(common_but, ("x_test", "y_test"))),
}


def run(network, data, **options):
    record = Record(every=3, metrics={"accuracy": keras.metrics.sparse_categorical_accuracy}, probed=5)
    settings = {"loss": entropy(), "optimizer": "sgd", "steps": 6, "batch_size": 8, "record": record, **options}
    return train(network, data, **settings)


@pytest.mark.parametrize("batch", [2048, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_each_seed_is_trained_as_it_is_alone_on_its_own_examples(kind, batch, monkeypatch):
    monkeypatch.setattr(programs, "EVALUATION_BATCH", batch)
    network, data = KINDS[kind]
    together = run(network, data, seeds=SEEDS, learning_rate=[0.1, 0.5])
    alone = [run(network, data(seed), seeds=[seed], learning_rate=[0.1, 0.5]) for seed in SEEDS]
    for table in ("records", "layers"):
        key = ["learning_rate", "seed", "step", *(["layer"] if table == "layers" else [])]
        expected, found = (
            pd.concat(tables).sort_values(key, ignore_index=True)
            for tables in ([getattr(one, table) for one in alone], [getattr(together, table)])
        )
        pd.testing.assert_frame_equal(found, expected, rtol=1e-4, atol=1e-6)
    for replica, (seed, rate) in enumerate(together.replicas.itertuples(index=False, name=None)):
        weights = alone[SEEDS.index(seed)].of(learning_rate=rate).weights[0]
        for one, other in zip(together.weights[replica], weights, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert together.records["train_loss"].nunique() == len(together.records)


def test_many_seeds_with_examples_of_their_own_run_in_one_program():
    trained = run(dense, partial(examples, vectors), seeds=range(40), learning_rate=[0.1, 0.5])
    assert list(trained.programs["replicas"]) == [80]
    assert list(trained.programs["sequential"]) == [""]


def test_a_function_that_gives_every_seed_the_same_is_no_function():
    fixed, drawn = (run(dense, data, seeds=SEEDS) for data in (COMMON, lambda _: COMMON))
    pd.testing.assert_frame_equal(fixed.records, drawn.records, check_exact=True)
    pd.testing.assert_frame_equal(fixed.layers, drawn.layers, check_exact=True)


def test_inputs_that_are_the_test_inputs_too_count_once_for_each():
    same = SimpleNamespace(x_train=COMMON.x_train, y_train=COMMON.y_train, x_test=COMMON.x_train, y_test=COMMON.y_train)
    pool = pool_examples({0: same, 1: same})
    assert len(pool.x) == len(pool.y) == 2 * TRAIN
    assert pool.of([0, 1], 2)[2] == ()


def test_what_seeds_have_in_common_is_pooled_once():
    pool = pool_examples(draw_examples(partial(common_but, ("x_train",)), SEEDS))
    assert len(pool.x) == 3 * TRAIN + TEST
    assert len(pool.y) == TRAIN + TEST
    x, y, (of_x, of_y) = pool.of([0, 9], 2)
    assert len(x) == 2 * TRAIN + TEST
    joined = np.concatenate([common_but(("x_train",), 9).x_train, COMMON.x_test])
    np.testing.assert_array_equal(x[of_x[1]], joined)
    np.testing.assert_array_equal(y[of_y[0]], np.concatenate([COMMON.y_train, COMMON.y_test]))


def test_shapes_depend_on_how_many_seeds_there_may_be_and_not_on_how_many():
    pool = pool_examples(draw_examples(partial(common_but, ("x_train",)), SEEDS))
    few, many = pool.of([0], 3), pool.of(SEEDS, 3)
    assert few[0].shape == many[0].shape == (3 * TRAIN + TEST, *COMMON.x_train.shape[1:])
    assert few[1].shape == many[1].shape
    np.testing.assert_array_equal(few[0][few[2][0][0]], many[0][many[2][0][SEEDS.index(0)]])


def test_many_replicas_of_few_seeds_have_room_for_their_seeds_alone():
    pool = pool_examples(draw_examples(partial(common_but, ("x_train",)), SEEDS))
    assert len(pool.of(SEEDS, 4096)[0]) == FEW_SEEDS * TRAIN + TEST


@pytest.mark.parametrize("own", [False, True])
def test_held_out_images_are_measured_in_the_shapes_of_test_images(own):
    images = load_data("digits").flat().subset(40, 0)

    def draw(seed):
        return images.subset(20, seed) if own else images

    def held_out(seed):
        return draw(seed).held_out(0.2, seed) if own else held

    held = images.held_out(0.2, 0)
    whole = pool_examples({seed: draw(seed) for seed in (0, 1)}).of([0, 1], 2)
    held = pool_examples({seed: held_out(seed) for seed in (0, 1)}).of([0, 1], 2)
    assert [values.shape for values in (*whole[:2], *whole[2])] == [values.shape for values in (*held[:2], *held[2])]


def test_views_of_one_array_are_the_same_if_they_show_the_same():
    images = load_data("digits")
    pool = pool_examples({seed: images.subset(30, seed).flat() for seed in (0, 1)})
    assert len(pool.x) == 2 * 30 + 360
    whole = vectors(2 * TRAIN, 7)
    halves = {seed: common_but(("x_test",), 0) for seed in (0, 1)}
    for seed, half in halves.items():
        half.x_train = whole[seed::2]
    pool = pool_examples(halves)
    x, _, (places, _) = pool.of([0, 1], 2)
    np.testing.assert_array_equal(x[places[:, 0]], whole[:2])


@pytest.mark.parametrize("array", ["x_train", "y_train", "x_test", "y_test"])
def test_seeds_must_draw_as_many_examples(array):
    def uneven(seed):
        drawn = examples(vectors, seed)
        setattr(drawn, array, getattr(drawn, array)[seed:])
        return drawn

    message = rf"the data of seed 2 have {array} of shape \(.*\), those of seed 0 of shape \(.*\); draw as many"
    with pytest.raises(TrainingError, match=message) as raised:
        run(dense, uneven, seeds=[0, 2])
    assert "\n" not in str(raised.value)


def test_wrong_examples_are_named_as_those_of_all_seeds_are():
    with pytest.raises(TrainingError, match="a batch of 18 does not fit 17 training examples"):
        run(dense, partial(examples, vectors), seeds=SEEDS, batch_size=18)


def test_inputs_of_their_own_leave_room_for_fewer_replicas_on_an_accelerator(monkeypatch):
    program = Program(dense(), entropy(), keras.optimizers.SGD(), 1, [], 0)
    monkeypatch.setattr(backend, "device", lambda: "GPU")
    counts = [replicas_at_once(program, 32, 4096, own_values) for own_values in (0, 1000, 1_000_000)]
    assert counts[0] == 4096
    assert counts == sorted(counts, reverse=True)
    assert counts[2] == 1


def test_networks_are_probed_with_the_examples_of_their_seed():
    data = partial(examples, vectors)
    measured = probe(dense, data, SEEDS, loss=entropy(), examples=9)
    alone = [probe(dense, data(seed), [seed], loss=entropy(), examples=9) for seed in SEEDS]
    pd.testing.assert_frame_equal(measured, pd.concat(alone, ignore_index=True))
    with pytest.raises(TrainingError, match=r"the data of seed 1 have x_train of shape \(16, 6\)"):
        probe(dense, lambda seed: SimpleNamespace(x_train=vectors(17 - seed, 0), y_train=None), [0, 1], loss="mse")


def test_a_classifier_draws_the_images_of_its_seeds_and_its_trials_those_of_theirs():
    images, drawn = load_data("digits").flat(), []

    def few(seed):
        drawn.append(seed)
        return images.subset(20, seed).with_label_noise(0.2, seed)

    arm = classifier(mlp, few, steps=10, widths=(8,))
    drawn.clear()
    trained = arm(seeds=[1, 2], learning_rate=0.1)
    assert drawn == [1, 2]
    for place, seed in enumerate((1, 2)):
        alone = classifier(mlp, few(seed), steps=10, widths=(8,))(seeds=[seed], learning_rate=0.1)
        found = trained.final.iloc[[place]].reset_index(drop=True)
        pd.testing.assert_frame_equal(found, alone.final, rtol=1e-4)
    drawn.clear()
    tune(arm, {"learning_rate": [0.1, 0.2]}, 2)
    assert tuple(drawn) == TUNING_SEEDS
