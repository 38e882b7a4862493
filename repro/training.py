"""The training engine: whole runs of Keras models as single XLA programs, with the data on the device.

A replica is one run: a seed with one value of every grid. Its initial weights, the order of its batches and its noise
follow from the seed alone. Models, losses and optimisers are Keras' own; a replica takes the trajectory that ``fit``
would take on the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from etils import epy

from repro import backend
from repro.errors import TrainingError
from repro.replicas import (
    Array,
    Examples,
    ModelFunction,
    build_model,
    check_fit,
    check_replicas,
    check_reproducible,
    combinations,
    found,
    initial_values,
    seeded,
    tensors,
)

with epy.lazy_imports():
    import keras

Metric = Callable[[Any, Any], Any]

EVALUATION_BATCH = 2048


@dataclass(frozen=True)
class Record:
    """What is measured during a run, in inference mode, over all training and all test examples.

    The loss always is; it includes no regularisation.

    Attributes:
        every: steps between measurements; None for one at the end. Must divide the steps of the run.
        metrics: name to a function of targets and outputs that gives one number per example, such as
            ``keras.metrics.sparse_categorical_accuracy``.
    """

    every: int | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "loss" in self.metrics:
            raise TrainingError("a metric cannot be named 'loss', which is measured anyway; rename it")

    @property
    def columns(self) -> list[str]:
        """Names of what is measured."""
        return [f"{split}_{name}" for split in ("train", "test") for name in ("loss", *self.metrics)]


@dataclass(frozen=True, eq=False)
class Training:
    """What a training leaves.

    Attributes:
        records: one row per replica and measurement: ``seed``, the grids' columns, ``step``, ``train_loss``,
            ``test_loss`` and for each metric ``train_<name>`` and ``test_<name>``. Losses of a run that diverged are
            infinite.
        replicas: one row per replica: ``seed`` and the grids' columns.
        weights: of each replica after the last step, in the order of ``model.weights``.
        builders: of each replica, build the model as it was before training.
    """

    records: pd.DataFrame
    replicas: pd.DataFrame
    weights: tuple[list[Array], ...]
    builders: tuple[Callable[[], Any], ...]

    def model(self, replica: int) -> Any:
        """Build an ordinary Keras model with the trained weights of a replica."""
        model = self.builders[replica]()
        model.set_weights(self.weights[replica])
        return model

    @property
    def final(self) -> pd.DataFrame:
        """The records of the last step, one row per replica."""
        step = self.records["step"]
        final: pd.DataFrame = self.records[step == step.max()].reset_index(drop=True)
        return final


def train(
    model: ModelFunction,
    data: Examples,
    *,
    loss: Any,
    optimizer: Any,
    steps: int,
    batch_size: int,
    seeds: Sequence[int],
    record: Record | None = None,
    **grids: Any,
) -> Training:
    """Train one replica for every seed and every combination of grid values.

    Args:
        model: builds a Keras model; takes the grids that the optimiser does not have as keywords.
        data: examples to train and to test on.
        loss: a Keras loss, its name, or a function of targets and outputs.
        optimizer: a Keras optimiser, or its name; every replica has its own state.
        steps: number of optimiser steps.
        batch_size: examples per step, drawn without replacement in each epoch; an incomplete last batch is dropped.
        seeds: of the replicas.
        record: what is measured; by default the losses at the end.
        **grids: a value, or a list of values, for parameters of the optimiser (``learning_rate``, ``momentum``) and of
            ``model``.

    Raises:
        TrainingError: no seeds, no examples, fewer than one batch, a model whose inputs do not fit the data, a loss
            that does not fit the outputs, a grid that nothing takes, or measurements that do not divide the steps.
    """
    record = record or Record()
    every = steps if record.every is None else record.every
    if not 1 <= every <= steps or steps % every:
        raise TrainingError(f"measurements every {every} steps do not divide a run of {steps} steps")
    _check_examples(data, batch_size)
    check_replicas(seeds, grids, {"seed", "step", *record.columns})
    loss, optimizer = found(keras.losses.get, loss), found(keras.optimizers.get, optimizer)
    defaults = optimizer.get_config()
    examples = (
        keras.ops.convert_to_tensor(np.concatenate([data.x_train, data.x_test])),
        keras.ops.convert_to_tensor(np.concatenate([data.y_train, data.y_test])),
        evaluation_batches(len(data.x_train), len(data.x_test)),
    )
    rows, replicas, weights, builders = [], [], [], []
    for values in combinations(grids):
        of_model = {name: value for name, value in values.items() if name not in defaults}
        settings = {name: values.get(name, default) for name, default in defaults.items()}
        rate = settings["learning_rate"]
        if isinstance(rate, Real):
            settings["learning_rate"] = 0.0  # a variable of the program, which is compiled once for all rates
        program = _program(
            model,
            _Keyed(_hashable(of_model), of_model),
            _configured(loss) if isinstance(loss, keras.Loss) else _Keyed(loss, loss),
            _configured(found(type(optimizer).from_config, settings)),
            every,
            tuple(record.metrics.items()),
        )
        check_fit(program.model, loss, data)
        for seed in seeds:
            batches = batch_indices(len(data.x_train), batch_size, steps, seed)
            measured, trained = program.run(examples, batches, seed, rate)
            rows += [{"seed": seed, **values, "step": (index + 1) * every, **row} for index, row in enumerate(measured)]
            replicas.append({"seed": seed, **values})
            weights.append(trained)
            builders.append(partial(seeded, program.build, seed))
    return Training(pd.DataFrame(rows), pd.DataFrame(replicas), tuple(weights), tuple(builders))


def batch_indices(examples: int, batch_size: int, steps: int, seed: int) -> npt.NDArray[np.int32]:
    """Draw which examples make up each batch of a replica.

    Args:
        examples: number of training examples.
        batch_size: examples per step, at most all of them.
        steps: number of batches.
        seed: of the replica.

    Returns:
        Indices of shape [steps, batch_size]; each epoch is a fresh permutation without its incomplete last batch.
    """
    generator = np.random.default_rng(seed)
    in_epoch = examples // batch_size
    epochs = [
        generator.permutation(examples)[: in_epoch * batch_size].reshape(in_epoch, batch_size)
        for _ in range(-(-steps // in_epoch))
    ]
    return np.concatenate(epochs)[:steps].astype(np.int32)


class _Program:
    """A compiled training run for one model, loss, optimiser and set of measurements."""

    def __init__(
        self, build: Callable[[], Any], loss: Any, optimizer: Any, every: int, metrics: tuple[tuple[str, Metric], ...]
    ) -> None:
        self.build = build
        self.model = build()
        check_reproducible(build, self.model)
        self.loss = loss
        self.optimizer = backend.functional(optimizer)
        self.optimizer.build(self.model.trainable_variables)
        self.every = every
        self.metrics = metrics
        self.measured = Record(metrics=dict(metrics)).columns
        self.compiled = backend.compiled(self._run)

    def run(
        self, examples: tuple[Any, ...], batches: npt.NDArray[np.int32], seed: int, rate: Any
    ) -> tuple[list[dict[str, float]], list[Array]]:
        """Train one replica.

        Args:
            examples: inputs and targets, the test examples after the training examples, and ``evaluation_batches``.
            batches: indices of the examples of each step, [steps, batch size].
            seed: of the initial weights and the noise.
            rate: learning rate; anything else than a number is a schedule, which the optimiser has already.

        Returns:
            One row of losses and metrics per measurement, and the trained weights.
        """
        if isinstance(rate, Real):
            self.optimizer.learning_rate = rate
        values = dict(zip(map(id, self.model.variables), initial_values(self.model, seed), strict=True))
        trainable, non_trainable = self.model.trainable_variables, self.model.non_trainable_variables
        state = (
            [values[id(variable)] for variable in trainable],
            [values[id(variable)] for variable in non_trainable],
            tensors(self.optimizer.variables),
        )
        chunks = batches.reshape(-1, self.every, batches.shape[1])
        (*trained, _), measured = self.compiled(state, chunks, *examples)
        variables = [*trainable, *non_trainable]
        values = dict(zip(map(id, variables), [*trained[0], *trained[1]], strict=True))
        weights = [keras.ops.convert_to_numpy(values[id(variable)]) for variable in self.model.weights]
        table = pd.DataFrame({name: keras.ops.convert_to_numpy(measured[name]) for name in self.measured})
        losses = ["train_loss", "test_loss"]
        table[losses] = table[losses].fillna(np.inf)
        return table.to_dict("records"), weights  # type: ignore[return-value]

    def _run(self, state: Any, chunks: Any, x: Any, y: Any, evaluation: Any) -> Any:
        def step(state: Any, batch: Any) -> tuple[Any, Any]:
            return self._step(state, batch, x, y), ()

        def advance(state: Any, batches: Any) -> tuple[Any, Any]:
            state, _ = backend.scan(step, state, batches)
            return state, self._measure(state, x, y, evaluation)

        return backend.scan(advance, state, chunks, {name: keras.ops.zeros(()) for name in self.measured})

    def _step(self, state: Any, batch: Any, x: Any, y: Any) -> Any:
        trainable, non_trainable, optimizer = state
        inputs, targets = keras.ops.take(x, batch, axis=0), keras.ops.take(y, batch, axis=0)
        _, non_trainable, gradient = backend.value_and_gradient(
            self._objective, trainable, non_trainable, inputs, targets
        )
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, gradient, trainable)
        return list(trainable), list(non_trainable), list(optimizer)

    def _objective(self, trainable: Any, non_trainable: Any, x: Any, y: Any) -> tuple[Any, Any]:
        outputs, non_trainable, regularization = self.model.stateless_call(
            trainable, non_trainable, x, training=True, return_losses=True
        )
        return keras.ops.mean(self.loss(y, outputs)) + sum(regularization), list(non_trainable)

    def _measure(self, state: Any, x: Any, y: Any, evaluation: Any) -> dict[str, Any]:
        """Average loss and metrics over the training and over the test examples."""

        def average(batch: Any) -> Any:
            indices, shares = batch
            inputs, targets = keras.ops.take(x, indices, axis=0), keras.ops.take(y, indices, axis=0)
            outputs, _ = self.model.stateless_call(*state[:2], inputs, training=False)
            each = [_per_example(function, targets, outputs) for function in (self.loss, *dict(self.metrics).values())]
            shares = keras.ops.expand_dims(shares, axis=2)
            # what does not count may be infinite
            counted = keras.ops.where(shares > 0, shares * keras.ops.stack(each, axis=1), 0.0)  # noqa: PD013  no data frame
            return keras.ops.sum(counted, axis=1)

        zeros = keras.ops.zeros((2, 1 + len(self.metrics)))
        _, averages = backend.scan(lambda _, batch: ((), average(batch)), (), evaluation, zeros)
        values = keras.ops.reshape(keras.ops.sum(averages, axis=0), (-1,))
        return {name: values[index] for index, name in enumerate(self.measured)}


def evaluation_batches(train: int, test: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Divide all examples into batches of one size, so that a program holds the network for inference only once.

    Args:
        train: number of training examples.
        test: number of test examples, which follow them.

    Returns:
        Indices of shape [batches, size], and what each example counts in the averages over training and over test
        examples, [batches, 2, size]; the examples that fill the last batch count nothing.
    """
    examples = train + test
    batches = -(-examples // EVALUATION_BATCH)
    size = -(-examples // batches)
    shares = np.zeros((2, batches * size), np.float32)
    shares[0, :train] = 1 / train
    shares[1, train:examples] = 1 / test
    indices = np.arange(batches * size, dtype=np.int32) % examples
    return indices.reshape(batches, size), shares.reshape(2, batches, size).swapaxes(0, 1)


def _per_example(function: Any, targets: Any, outputs: Any) -> Any:
    """Call a loss or a metric without averaging over examples."""
    values = function.call(targets, outputs) if isinstance(function, keras.losses.Loss) else function(targets, outputs)
    values = keras.ops.cast(values, "float32")
    return keras.ops.mean(keras.ops.reshape(values, (values.shape[0], -1)), axis=1)


@dataclass(frozen=True)
class _Keyed:
    """A value that equals others of the same key."""

    key: Any
    value: Any = field(compare=False)


@lru_cache(maxsize=64)
def _program(
    model: ModelFunction,
    of_model: _Keyed,
    loss: _Keyed,
    optimizer: _Keyed,
    every: int,
    metrics: tuple[tuple[str, Metric], ...],
) -> _Program:
    """Compile a training run, once for all seeds, learning rates and searches."""
    return _Program(partial(build_model, model, of_model.value), loss.value, optimizer.value, every, metrics)


def _configured(configured: Any) -> _Keyed:
    """Identify a Keras object by its configuration, whatever its name."""
    return _Keyed((type(configured), _hashable(configured.get_config() | {"name": None})), configured)


def _hashable(value: Any) -> Any:
    """Replace nested mappings and lists by tuples."""
    if isinstance(value, Mapping):
        return tuple((name, _hashable(item)) for name, item in value.items())
    return tuple(_hashable(item) for item in value) if isinstance(value, list | tuple) else value


def _check_examples(data: Examples, batch_size: int) -> None:
    for inputs, targets in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        if len(inputs) == 0:
            raise TrainingError("the data have no examples")
        if len(inputs) != len(targets):
            raise TrainingError(f"the data have {len(inputs)} inputs and {len(targets)} targets")
    for name, train, test in (("inputs", data.x_train, data.x_test), ("targets", data.y_train, data.y_test)):
        if train.shape[1:] != test.shape[1:]:
            raise TrainingError(
                f"the data have training {name} of shape {train.shape[1:]} and test {name} of shape {test.shape[1:]}"
            )
    if not 1 <= batch_size <= len(data.x_train):
        raise TrainingError(f"a batch of {batch_size} does not fit {len(data.x_train)} training examples")
