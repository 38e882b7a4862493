"""Classifiers as arms: the same training as when it is spelled out."""

import keras
import pandas as pd

from repro.engine import Record, classifier, load_data, mlp, train


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
