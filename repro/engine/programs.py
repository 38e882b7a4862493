"""Whole training runs of many replicas as XLA programs, with the data on the device."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from etils import epy

from repro.engine import backend, layer_statistics
from repro.engine.examples import Array, Pool
from repro.engine.initial_values import initial_values, repeat
from repro.engine.replicas import OverReplicas

with epy.lazy_imports():
    import keras

Metric = Callable[[Any, Any], Any]

EVALUATION_BATCH = 2048

CACHE_BYTES = 4 * 2**20
FEW_ON_CPU, MOST_ON_CPU = 8, 64
ACCELERATOR_BYTES = 8 * 2**30
MOST_ON_ACCELERATOR = 4096

HELD = ("learning_rate", "momentum", "beta_1", "weight_decay")  # 1 - beta_2 loses four digits in single precision


class Program:
    """A training run of one architecture, loss and optimiser, compiled for as many replicas as the device suits.

    Attributes:
        model: Model of whose layers the program consists; its own weights are never read.
        loss: Loss, a function of targets and outputs.
        layers: Layers that are observed.
    """

    def __init__(
        self,
        model: Any,
        loss: Any,
        optimizer: Any,
        every: int,
        metrics: Sequence[Metric],
        probed: int,
    ) -> None:
        """Prepare a program; it is compiled when it first runs.

        Args:
            model: Keras model.
            loss: Keras loss, or a function of targets and outputs.
            optimizer: Keras optimiser; hyperparameters among ``HELD`` are positive numbers if they are to be given
                for each replica.
            every: Number of steps between measurements.
            metrics: Functions of targets and outputs that give one number per example.
            probed: Number of training examples for the statistics of the layers; 0 for none.

        Raises:
            TrainingError: the optimiser cannot be made functional.
        """
        self.model = model
        self.loss = loss
        self.optimizer = backend.make_functional(optimizer)
        self.optimizer.build(self.model.trainable_variables)
        self.held = hold(self.optimizer)
        self.every = every
        self.metrics = tuple(metrics)
        self.probed = probed
        self.layers = layer_statistics.observed(self.model) if probed else []
        self._over_replicas = OverReplicas(self._run)

    def run(
        self,
        model: Any,
        pool: Pool,
        batches: Callable[[int], npt.NDArray[np.int32]],
        seeds: Sequence[int],
        hyperparameters: Mapping[str, Array],
        at_once: int,
    ) -> tuple[Array, dict[str, Array], list[Array]]:
        """Train replicas, measuring them on the way.

        Args:
            model: Model of the same architecture, whose initialisers draw the initial weights.
            pool: Examples of all seeds.
            batches: Function that draws, for a seed, the indices among its examples of those of each step,
                [steps, batch size].
            seeds: Seeds of the examples, the initial weights and the noise, one for each replica.
            hyperparameters: Values, for each replica, of the hyperparameters that the optimiser holds.
            at_once: Number of replicas in one program; fewer where the backend cannot vectorise a layer.

        Returns:
            Averages, [replicas, measurements, training and test, loss and metrics]; statistics of the layers,
            [replicas, measurements, layers] each; and the trained weights, [replicas, ...] each.
        """
        evaluation = evaluation_batches(pool.train, pool.test, pool.spare)

        def arguments(replicas: Array) -> tuple[Any, ...]:
            drawn, places = np.unique(np.asarray(seeds)[replicas], return_inverse=True)
            held = {name: np.asarray(values, np.float32)[replicas] for name, values in hyperparameters.items()}
            indices = np.stack([batches(seed) for seed in drawn])
            x, y, own = pool.of(drawn, len(replicas))
            # one index finds inputs and targets of examples that all replicas share
            found = [np.take_along_axis(of_seeds[:, None], indices, axis=2) for of_seeds in own] or [indices]
            return (
                self._initial_state(model, drawn, places, held),
                [of_seeds[places] for of_seeds in found],
                [of_seeds[places] for of_seeds in own],
                x,
                y,
                evaluation,
            )

        averages, layers, weights = self._over_replicas(arguments, len(seeds), at_once)
        return averages, layers, weights

    def sequential(self, at_once: int) -> str:
        """Return the reason why replicas run one after the other; empty if they run at once."""
        return self._over_replicas.reason or ("their arrays together would not fit the cache" if at_once == 1 else "")

    def _initial_state(
        self, model: Any, seeds: Array, places: Array, held: Mapping[str, Array]
    ) -> tuple[list[Array], ...]:
        """Make the state of replicas, which differ in hyperparameters or in their places among the seeds."""
        drawn = [values[places] for values in initial_values(model, seeds)]
        values = dict(zip(map(id, self.model.variables), drawn, strict=True))
        values |= {id(variable): repeat(variable, len(places)) for variable in self.optimizer.variables}
        values |= {id(self.held[name]): value for name, value in held.items()}
        return tuple(
            [values[id(variable)] for variable in variables]
            for variables in (
                self.model.trainable_variables,
                self.model.non_trainable_variables,
                self.optimizer.variables,
            )
        )

    def _run(self, state: Any, batches: Any, places: Any, x: Any, y: Any, evaluation: Any) -> Any:
        """Train replicas and measure them on the way.

        Args:
            state: State of the replicas.
            batches: Places of the examples of each step among inputs and among targets, [replicas, steps, batch size]
                each; one tensor for both if all replicas have the same examples.
            places: Places of all examples of a replica, likewise, [replicas, examples] each; none if all have the same.
            x: Inputs, [pooled, ...].
            y: Targets, [pooled, ...].
            evaluation: Batches of ``evaluation_batches``.
        """

        def step(state: Any, found: Any) -> tuple[Any, Any]:
            return backend.over_replicas(
                lambda state, *found: self._step(
                    state, keras.ops.take(x, found[0], axis=0), keras.ops.take(y, found[-1], axis=0)
                ),
                state,
                *found,
            ), ()

        def advance(state: Any, chunk: Any) -> tuple[Any, Any]:
            state, _ = backend.scan(step, state, chunk)
            return state, self._measure(state, places, x, y, evaluation)

        replicas, steps, size = batches[0].shape
        chunked = (steps // self.every, self.every, replicas, size)
        chunks = [keras.ops.reshape(keras.ops.swapaxes(indices, 0, 1), chunked) for indices in batches]
        averages = keras.ops.zeros((replicas, 2, 1 + len(self.metrics)))
        unknown = keras.ops.zeros((replicas, len(self.layers)), dtype="float64")
        layers = dict.fromkeys(layer_statistics.STATISTICS, unknown) if self.probed else {}
        state, measured = backend.scan(advance, state, chunks, (averages, layers))
        averages, layers = keras.tree.map_structure(lambda values: keras.ops.swapaxes(values, 0, 1), measured)
        return averages, layers, self._weights(state)

    def _weights(self, state: Any) -> list[Any]:
        """List what the state holds in the order of ``model.weights``."""
        trainable, non_trainable, _ = state
        variables = [*self.model.trainable_variables, *self.model.non_trainable_variables]
        values = dict(zip(map(id, variables), [*trainable, *non_trainable], strict=True))
        return [values[id(variable)] for variable in self.model.weights]

    def _step(self, state: Any, inputs: Any, targets: Any) -> Any:
        trainable, non_trainable, optimizer = state
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

    def _measure(self, state: Any, places: Any, x: Any, y: Any, evaluation: Any) -> tuple[Any, dict[str, Any]]:
        """Average loss and metrics over the training and over the test examples, and observe the layers."""
        trainable, non_trainable, _ = state

        replicas = (trainable or non_trainable)[0].shape[0]

        def predict(trainable: Any, non_trainable: Any, inputs: Any) -> Any:
            return self.model.stateless_call(trainable, non_trainable, inputs, training=False)[0]

        def add(sums: Any, batch: Any) -> tuple[Any, Any]:
            indices, shares = batch
            found = [keras.ops.take(own, indices, axis=1) for own in places] or [indices]
            inputs, targets = keras.ops.take(x, found[0], axis=0), keras.ops.take(y, found[-1], axis=0)
            if places:
                outputs = backend.over_replicas(predict, trainable, non_trainable, inputs)
                targets = _one_batch(targets)
            else:
                outputs = backend.over_replicas(
                    lambda trainable, non_trainable: predict(trainable, non_trainable, inputs), trainable, non_trainable
                )
                targets = keras.ops.tile(targets, (replicas, *[1] * (len(targets.shape) - 1)))
            # TensorFlow cannot vectorise every metric, but metrics treat the examples of all replicas as one batch.
            outputs = keras.tree.map_structure(_one_batch, outputs)
            each = [_per_example(function, targets, outputs) for function in (self.loss, *self.metrics)]
            each = keras.ops.reshape(keras.ops.stack(each, axis=1), (replicas, 1, indices.shape[0], -1))
            shares = keras.ops.expand_dims(shares, axis=2)
            # what does not count may be infinite
            return sums + keras.ops.sum(keras.ops.where(shares > 0, shares * each, 0.0), axis=2), ()

        averages, _ = backend.scan(add, keras.ops.zeros((replicas, 2, 1 + len(self.metrics))), evaluation)
        return averages, self._observe(trainable, non_trainable, places, x, y) if self.probed else {}

    def _observe(self, trainable: Any, non_trainable: Any, places: Any, x: Any, y: Any) -> Any:
        statistics = partial(layer_statistics.statistics, self.model, self.loss)
        if places:
            inputs, targets = (
                keras.ops.take(values, own[:, : self.probed], axis=0)
                for values, own in zip((x, y), places, strict=True)
            )
            return backend.over_replicas(statistics, trainable, non_trainable, inputs, targets)
        x, y = x[: self.probed], y[: self.probed]
        return backend.over_replicas(
            lambda trainable, non_trainable: statistics(trainable, non_trainable, x, y), trainable, non_trainable
        )


def hold(optimizer: Any) -> dict[str, Any]:
    """Make variables of an optimiser's hyperparameters, so that every replica has its own values.

    Args:
        optimizer: Built optimiser, which is changed in place. Its positive hyperparameters among ``HELD`` become
            variables.

    Returns:
        The variables by their names.
    """
    held = {}
    for name in HELD:
        if name == "learning_rate":
            if is_number(optimizer.get_config()["learning_rate"]):
                held[name] = optimizer._learning_rate
        elif is_number(getattr(optimizer, name, None)) and getattr(optimizer, name) > 0:
            held[name] = _positive_variable()(getattr(optimizer, name))
            setattr(optimizer, name, held[name])
    return held


@cache
def _positive_variable() -> Any:
    class PositiveVariable(keras.Variable):  # type: ignore[misc]
        """A positive hyperparameter; optimisers ask whether it is zero before a program knows its value."""

        def __init__(self, value: float) -> None:
            super().__init__(value, dtype=keras.config.floatx(), trainable=False)

        def __ne__(self, other: object) -> bool:
            return True

        def __gt__(self, other: object) -> bool:
            return True

        __hash__ = keras.Variable.__hash__

    return PositiveVariable


def replicas_at_once(program: Program, batch_size: int, replicas: int, own_values: int = 0) -> int:
    """Choose how many replicas a program runs at once.

    On CPU, as many as keep weights, gradients, optimiser state and activations of a step in the cache: replicas of
    small networks share the cost of starting each operation, those of larger ones would only push each other out. Eight
    save most of that cost, so fewer than ``MOST_ON_CPU`` replicas run at most eight at once, in a program that is
    compiled once; only more of them are worth a larger program of their own, and those are divided evenly, as the last
    program is filled up. On accelerators, as many as their memory holds.

    Args:
        program: Program that is to run.
        batch_size: Number of examples per step.
        replicas: Number of replicas.
        own_values: Numbers per example of inputs that each replica has of its own; 0 if all have the same.
    """
    outputs = layer_statistics.values_per_example(program.model)
    if outputs is None:
        return 1
    sizes: list[int] = [
        math.prod(variable.shape) for variable in (*program.model.variables, *program.model.trainable_variables)
    ]
    sizes += [math.prod(variable.shape) for variable in program.optimizer.variables]
    if backend.device() != "CPU":
        activations = (2 * batch_size + EVALUATION_BATCH) * outputs + EVALUATION_BATCH * own_values
        fitting = ACCELERATOR_BYTES // (4 * (sum(sizes) + activations))
        return _evenly(replicas, max(1, min(fitting, MOST_ON_ACCELERATOR)))
    fitting = CACHE_BYTES // (4 * (sum(sizes) + 2 * batch_size * outputs))
    if replicas < MOST_ON_CPU:
        return max(1, min(fitting, FEW_ON_CPU))
    return _evenly(replicas, max(1, min(fitting, MOST_ON_CPU)))


def _evenly(replicas: int, largest: int) -> int:
    """Divide replicas into as few chunks as possible, of which the last one needs little filling up.

    A single chunk has a power of two, so that a search and the evaluation after it often share a program.
    """
    chunks = math.ceil(replicas / largest)
    return min(largest, 2 ** math.ceil(math.log2(replicas))) if chunks == 1 else math.ceil(replicas / chunks)


def is_number(value: Any) -> bool:
    """Tell whether a value is a number, not a schedule or None for what an optimiser does not have."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def evaluation_batches(train: int, test: int, spare: int = 0) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Divide all examples into batches of one size, so that a program holds the network for inference only once.

    Args:
        train: Number of training examples.
        test: Number of test examples, which follow them.
        spare: Number of examples after these, which do not count.

    Returns:
        Indices of shape [batches, size], and what each example counts in the averages over training and over test
        examples, [batches, 2, size]; the examples that fill the last batch do not count.
    """
    examples = train + test + spare
    batches = math.ceil(examples / EVALUATION_BATCH)
    size = math.ceil(examples / batches)
    shares = np.zeros((2, batches * size), np.float32)
    shares[0, :train] = 1 / train
    shares[1, train : train + test] = 1 / test
    indices = np.arange(batches * size, dtype=np.int32) % examples
    return indices.reshape(batches, size), shares.reshape(2, batches, size).swapaxes(0, 1)


def _one_batch(values: Any) -> Any:
    """Join the examples of all replicas, [replicas, examples, ...], to one batch."""
    return keras.ops.reshape(values, (-1, *values.shape[2:]))


def _per_example(function: Any, targets: Any, outputs: Any) -> Any:
    """Call a loss or a metric without averaging over examples."""
    values = function.call(targets, outputs) if isinstance(function, keras.losses.Loss) else function(targets, outputs)
    values = keras.ops.cast(values, "float32")
    return keras.ops.mean(keras.ops.reshape(values, (values.shape[0], -1)), axis=1)
