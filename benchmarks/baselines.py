"""What the engine is measured against; called in worker processes of their own, with the frameworks' own threads."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from etils import epy

from benchmarks.workloads import LEARNING_RATE, LEARNING_RATES, MLP, WORKLOADS, loss
from repro.engine import backend, training
from repro.engine.initial_values import initial_values

with epy.lazy_imports():
    import keras
    import keras_tuner

PRODUCT_SIZE = 4096
PRODUCT_SIZE_ON_ACCELERATOR = 16384


@cache
def compiled(workload: str, convolution: str, steps_per_execution: int, jit_compile: bool) -> Any:
    """Compile a network for ``fit``.

    Args:
        workload: its name.
        convolution: ``own`` for Keras' own layers, ``patches`` for those of the engine.
        steps_per_execution: of ``compile``.
        jit_compile: of ``compile``.
    """
    of = WORKLOADS[workload]
    model = of.build()
    if convolution == "own":
        model = keras.models.clone_model(model, clone_function=_own_layer)
    model.compile(of.optimizer(), loss(), steps_per_execution=steps_per_execution, jit_compile=jit_compile)
    return model


def _own_layer(layer: Any) -> Any:
    kind = keras.layers.Conv2D if isinstance(layer, keras.layers.Conv2D) else type(layer)
    return kind.from_config(layer.get_config())


def fit(workload: str, convolution: str, steps_per_execution: int, jit_compile: bool, epochs: int) -> None:
    """Train with ``fit`` on arrays."""
    of = WORKLOADS[workload]
    model = compiled(workload, convolution, steps_per_execution, jit_compile)
    model.fit(of.examples.x_train, of.examples.y_train, batch_size=of.batch_size, epochs=epochs, verbose=0)


def fit_pipeline(workload: str, steps_per_execution: int, jit_compile: bool, epochs: int) -> None:
    """Train with ``fit`` on a TensorFlow pipeline without end, in a single long epoch."""
    model = compiled(workload, "own", steps_per_execution, jit_compile)
    steps = epochs * WORKLOADS[workload].epoch
    model.fit(_pipeline(workload), steps_per_epoch=steps, epochs=1, verbose=0)


@cache
def _pipeline(workload: str) -> Any:
    import tensorflow

    of = WORKLOADS[workload]
    examples = of.examples
    rows = tensorflow.data.Dataset.from_tensor_slices((examples.x_train, examples.y_train)).cache()
    shuffled = rows.shuffle(len(examples.x_train)).repeat()
    return shuffled.batch(of.batch_size, drop_remainder=True).prefetch(tensorflow.data.AUTOTUNE)


def search(trials: int, epochs: int) -> float:
    """Search the learning rate of the MLP with Keras Tuner's random search and return the best."""

    def build(hyperparameters: Any) -> Any:
        model = MLP.build()
        low, high = LEARNING_RATES
        learning_rate = hyperparameters.Float("learning_rate", low, high, sampling="log")
        model.compile(MLP.optimizer(learning_rate), loss())
        return model

    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(
            build, keras_tuner.Objective("loss", "min"), max_trials=trials, seed=1, directory=folder
        )
        examples = MLP.examples
        tuner.search(examples.x_train, examples.y_train, batch_size=MLP.batch_size, epochs=epochs, verbose=0)
        return float(tuner.get_best_hyperparameters()[0].get("learning_rate"))


def plain_jax(steps: int, seeds: Sequence[int], at_once: int) -> list[float]:
    """Train the MLP as one would by hand in JAX, without Keras, and return the final training losses.

    The batches are drawn as the engine draws them; the initial weights, the engine's own, are given.
    """
    import jax

    backend.configure()
    examples = MLP.examples
    kernels = _initial_weights(tuple(seeds))
    run = _jitted()
    losses = []
    for start in range(0, len(seeds), at_once):
        chosen = slice(start, start + at_once)
        batches = np.stack(
            [training.batch_indices(len(examples.x_train), MLP.batch_size, steps, seed) for seed in seeds[chosen]]
        )
        weights = [values[chosen] for values in kernels]
        losses.append(run(weights, batches, examples.x_train, examples.y_train, examples.x_test, examples.y_test))
    return np.concatenate([jax.device_get(train) for train, _ in losses]).tolist()  # type: ignore[no-any-return]


@cache
def _initial_weights(seeds: tuple[int, ...]) -> list[Any]:
    return [np.asarray(values) for values in initial_values(MLP.build(), seeds)]


@cache
def _jitted() -> Any:
    import jax

    def cross_entropy(weights: Any, x: Any, y: Any) -> Any:
        for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            x = jax.nn.relu(x @ kernel + bias)
        logits = x @ weights[-2] + weights[-1]
        chosen = jax.numpy.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)
        return -chosen.mean()

    def run(weights: Any, batches: Any, x: Any, y: Any, x_test: Any, y_test: Any) -> Any:
        def step(weights: Any, batch: Any) -> Any:
            gradient = jax.grad(cross_entropy)(weights, x[batch], y[batch])
            return [
                value - np.float32(LEARNING_RATE) * slope for value, slope in zip(weights, gradient, strict=True)
            ], None

        weights, _ = jax.lax.scan(step, weights, batches)
        return cross_entropy(weights, x, y), cross_entropy(weights, x_test, y_test)

    return jax.jit(jax.vmap(run, in_axes=(0, 0, None, None, None, None)))


def multiply(repetitions: int) -> None:
    """Multiply large float32 matrices with all cores."""
    values = _matrix()
    for _ in range(repetitions):
        np.matmul(values, values)


@cache
def _matrix() -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((PRODUCT_SIZE, PRODUCT_SIZE), np.float32)


def multiply_on_accelerator(repetitions: int) -> None:
    """Multiply large float32 matrices in full precision on the accelerator."""
    values, product = _product_on_accelerator()
    for _ in range(repetitions):
        product(values).block_until_ready()


@cache
def _product_on_accelerator() -> tuple[Any, Any]:
    import jax

    backend.configure()
    shape = (PRODUCT_SIZE_ON_ACCELERATOR, PRODUCT_SIZE_ON_ACCELERATOR)
    return jax.random.normal(jax.random.key(0), shape, "float32"), jax.jit(lambda matrix: matrix @ matrix)
