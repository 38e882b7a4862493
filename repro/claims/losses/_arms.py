"""Arms of comparisons of losses: networks that are trained by different losses, each at its tuned rate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from etils import epy

from repro.engine import Record, ValidatedArm, train

with epy.lazy_imports():
    import keras

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs and targets, [examples, ...] each."""

    x_train: npt.NDArray[np.float32]
    y_train: npt.NDArray[Any]
    x_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[Any]


def arm(
    network: Callable[..., Any],
    loss: Any,
    data: Callable[[int], Any],
    held_out: Callable[[int], Any],
    *,
    steps: int,
    every: int,
    metrics: Mapping[str, Callable[[Any, Any], Any]],
    optimizer: str = "sgd",
    batch_size: int = 32,
    **grids: Any,
) -> ValidatedArm:
    """Prepare an arm of any loss, as ``repro.engine.classifier`` does one of softmax cross-entropy.

    Args:
        network: Function that builds a Keras model.
        loss: Keras loss, or a function of targets and outputs that gives a number for each example.
        data: Function from a seed to its examples.
        held_out: Function from a seed to the examples of its trials, whose test examples are validation examples.
        steps: Number of optimiser steps.
        every: Number of steps between measurements.
        metrics: Measurements besides the loss, see ``repro.engine.Record``.
        optimizer: Name of the Keras optimiser.
        batch_size: Number of examples per step.
        **grids: Values of parameters of the network and of the optimiser.
    """
    options = {"loss": loss, "optimizer": optimizer, "steps": steps, "batch_size": batch_size}
    record = Record(every=every, metrics=metrics)
    final, trial = (partial(train, network, of, **options, record=record, **grids) for of in (data, held_out))
    return ValidatedArm(final, trial)


def perceptron(*, inputs: int, outputs: int, hidden: int, last: str = "linear") -> Any:
    """Build a network with one hidden layer of ReLU units, or none, and an activation of the outputs."""
    layers = [keras.Input((inputs,))]
    if hidden:
        layers.append(keras.layers.Dense(hidden, activation="relu", kernel_initializer="he_normal"))
    return keras.Sequential([*layers, keras.layers.Dense(outputs, activation=last)])
