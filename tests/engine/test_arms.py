"""Classifiers as arms: the same training as when it is spelled out."""

import keras
import pandas as pd
import pytest

from repro.common.errors import ReproError
from repro.engine import Record, classifier, compare_arms, horizons, load_data, mlp, train


def small(*, shape, classes, filters=2):
    layers = [keras.Input(shape), keras.layers.Conv2D(filters, 3), keras.layers.Flatten(), keras.layers.Dense(classes)]
    return keras.Sequential(layers)


def spelled_out(network, images, **options):
    return train(
        network,
        images,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=keras.optimizers.SGD(),
        steps=10,
        **options,
    )


def test_a_network_of_vectors_gets_inputs_and_outputs():
    images = load_data("digits").flat()
    found = classifier(mlp, images, steps=10, every=5, widths=(8,))(seeds=[0, 1], learning_rate=[0.01, 0.1])
    record = Record(every=5, metrics={"accuracy": keras.metrics.sparse_categorical_accuracy})
    sizes = {"inputs": 64, "outputs": 10, "widths": (8,)}
    expected = spelled_out(mlp, images, batch_size=32, seeds=[0, 1], record=record, learning_rate=[0.01, 0.1], **sizes)
    pd.testing.assert_frame_equal(found.records[expected.records.columns], expected.records)


def test_a_network_of_images_gets_shape_and_classes():
    images = load_data("digits").subset(20, 0)
    found = classifier(small, images, steps=10, metrics={})(seeds=[0])
    expected = spelled_out(small, images, batch_size=20, seeds=[0], shape=(8, 8, 1), classes=10)
    pd.testing.assert_frame_equal(found.records[expected.records.columns], expected.records)
    assert "test_accuracy" not in found.records


def test_what_is_given_replaces_what_the_data_say():
    images = load_data("digits").flat()
    assert classifier(mlp, images, steps=2, outputs=12)(seeds=[0]).model(0).output_shape == (None, 12)


def test_trials_of_a_classifier_are_those_of_its_data_less_the_held_out_part():
    images = load_data("digits").flat().subset(100, 0)
    arm = classifier(mlp, images, steps=10, batch_size=100, widths=(8,), validation=0.3)
    found = arm.validate(seeds=[0, 1], learning_rate=0.1)
    held_out = classifier(mlp, images.held_out(0.3, 0), steps=10, batch_size=70, widths=(8,))
    expected = held_out(seeds=[0, 1], learning_rate=0.1)
    renamed = {f"test_{name}": f"validation_{name}" for name in ("loss", "accuracy")}
    pd.testing.assert_frame_equal(found.records, expected.records.rename(columns=renamed))
    assert found.of(seed=1).model(0).output_shape == (None, 10)


def test_images_of_each_seed_are_held_out_by_the_seed():
    images = load_data("digits").flat()
    arm = classifier(mlp, lambda seed: images.subset(50, seed), steps=10, widths=(8,))
    found = arm.validate(seeds=[3, 4], learning_rate=0.1).records.query("seed == 4")
    alone = classifier(mlp, images.subset(50, 4).held_out(0.2, 4), steps=10, widths=(8,))
    expected = alone(seeds=[4], learning_rate=0.1).records
    assert found["validation_loss"].item() == pytest.approx(expected["test_loss"].item(), rel=1e-4)


def test_classifiers_are_compared_at_the_rates_of_least_validation_loss():
    images = load_data("digits").standardized().flat().subset(100, 0)
    arms = {width: classifier(mlp, images, steps=20, every=10, widths=(width,)) for width in (4, 8)}
    space = {"learning_rate": [0.01, 0.1]}
    table = compare_arms(arms, space, 2, [0, 1], by="width", objective="validation_loss", widen=1)
    trials = pd.DataFrame(table.attrs["tuning"])
    for width, rows in trials.groupby("width"):
        best = rows.loc[rows["score"].idxmin()]
        assert best["best"]
        assert set(table.query(f"width == {width}")["learning_rate"]) == {best["learning_rate"]}
    assert "test_loss" in table
    assert "validation_loss" not in table
    two = horizons(table)
    assert list(two["steps"]) == [10, 20] * 4
    assert two.attrs == table.attrs


def measured(*steps, seeds=(0, 1)):
    return pd.DataFrame([{"seed": seed, "step": step, "test_loss": step + seed} for seed in seeds for step in steps])


def test_horizons_are_shares_of_the_last_step():
    found = horizons(measured(25, 50, 75, 100), shares=(1.0, 0.25))
    expected = {"seed": [0, 0, 1, 1], "steps": [25, 100, 25, 100], "test_loss": [25, 100, 26, 101]}
    pd.testing.assert_frame_equal(found, pd.DataFrame(expected))
    assert list(horizons(measured(100, 200, 300), shares=(1 / 3,))["steps"]) == [100, 100]


@pytest.mark.parametrize(
    ("records", "shares", "message"),
    [
        (measured(100), (0.5, 1.0), "not every replica was measured after 50 of 100 steps"),
        (measured(1, 2, 3), (0.5,), "not every replica was measured after 1.5 of 3 steps"),
        (measured(50, 100), (0.0,), "not every replica was measured after 0 of 100 steps"),
        (measured(50, 100).drop(0), (0.5,), "not every replica was measured after 50 of 100 steps"),
    ],
)
def test_horizons_must_have_been_measured(records, shares, message):
    with pytest.raises(ReproError, match=message) as raised:
        horizons(records, shares)
    assert str(raised.value).endswith("measure there with Record(every=...) or classifier(every=...)")
