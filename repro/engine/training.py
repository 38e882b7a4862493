"""The training engine: many replicas of Keras models in few XLA programs, each a whole run with the data on the device.

A replica is one run: a seed with one value of every grid. Its initial weights, the order of its batches, its noise and,
where they are drawn, its examples follow from the seed alone. Models, losses and optimisers are Keras' own; a replica
takes the trajectory that ``fit`` would take on the same batches.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from etils import epy

from repro.common import TrainingError
from repro.engine import backend, layer_statistics
from repro.engine.examples import Array, Examples, check_examples, draw_examples, pool_examples
from repro.engine.identity import Keyed, keyed
from repro.engine.initial_values import build_seeded
from repro.engine.programs import HELD, Metric, Program, is_number, replicas_at_once
from repro.engine.replicas import ModelFunction, check_fit, check_replicas, combinations, network_of, resolve

with epy.lazy_imports():
    import keras


@dataclass(frozen=True)
class Record:
    """Measurements during a run, in inference mode.

    The loss is always measured, over all training and all test examples; it includes no regularisation.

    Attributes:
        every: Number of steps between measurements; None for one at the end. Must divide the steps of the run.
        metrics: Functions of targets and outputs that give one number per example, by name, such as
            ``keras.metrics.sparse_categorical_accuracy``.
        probed: Number of training examples on which the layers are observed, see ``repro.engine.layer_statistics``; 0
            for none.
    """

    every: int | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    probed: int = 0

    def __post_init__(self) -> None:
        if "loss" in self.metrics:
            raise TrainingError("a metric cannot be named 'loss', which is measured anyway; rename it")

    @property
    def columns(self) -> list[str]:
        """Names of the columns that are measured."""
        return [f"{split}_{name}" for split in ("train", "test") for name in ("loss", *self.metrics)]


@dataclass(frozen=True, eq=False)
class Training:
    """Results of a training.

    Attributes:
        records: Table with one row per replica and measurement: ``seed``, the grids' columns, ``step``, ``train_loss``,
            ``test_loss`` and for each metric ``train_<name>`` and ``test_<name>``. Losses of a run that diverged are
            infinite.
        layers: Table with one row per replica, measurement and layer if the record probes: ``layer`` (1 is the first),
            its ``name``, and the statistics of ``repro.engine.layer_statistics``.
        replicas: Table with one row per replica: ``seed`` and the grids' columns.
        programs: Table with one row per compiled program: the values that are static in it, its number of ``replicas``,
            and ``sequential``, the reason why they ran one after the other, empty if they were vectorised.
        weights: Weights of each replica after the last step, in the order of ``model.weights``.
        builders: Functions, one for each replica, that build the model as it was before training.
    """

    records: pd.DataFrame
    layers: pd.DataFrame
    replicas: pd.DataFrame
    programs: pd.DataFrame
    weights: tuple[list[Array], ...]
    builders: tuple[Callable[[], Any], ...]

    def model(self, replica: int) -> Any:
        """Build an ordinary Keras model with the trained weights of a replica."""
        model = self.builders[replica]()
        model.set_weights(self.weights[replica])
        return model

    def of(self, **values: Any) -> Training:
        """Return the replicas with the given values of grids as a training of their own."""
        chosen = _matching(self.replicas, values)
        return Training(
            self.records[_matching(self.records, values)].reset_index(drop=True),
            self.layers[_matching(self.layers, values)].reset_index(drop=True) if len(self.layers) else self.layers,
            self.replicas[chosen].reset_index(drop=True),
            self.programs,
            tuple(itertools.compress(self.weights, chosen)),
            tuple(itertools.compress(self.builders, chosen)),
        )

    @property
    def final(self) -> pd.DataFrame:
        """Records of the last step, one row per replica."""
        step = self.records["step"]
        final: pd.DataFrame = self.records[step == step.max()].reset_index(drop=True)
        return final


def train(
    model: ModelFunction,
    data: Examples | Callable[[int], Examples],
    *,
    loss: Any,
    optimizer: Any,
    steps: int,
    batch_size: int,
    seeds: Sequence[int],
    record: Record | None = None,
    settings: Sequence[Mapping[str, Any]] = ({},),
    **grids: Any,
) -> Training:
    """Train one replica for every seed and every combination of grid values.

    Replicas that differ in seed, learning rate, momentum, Adam's first moment or decoupled weight decay share a
    program; every other grid value has a program of its own.

    Args:
        model: Function that builds a Keras model; takes the grids that the optimiser does not have as keywords.
        data: Examples to train and to test on: the same for all replicas, or a function that draws those of a seed,
            always in the same shapes, for instance ``lambda seed: images.subset(300, seed)``.
        loss: Keras loss, its name, or a function of targets and outputs.
        optimizer: Keras optimiser, or its name; every replica has its own state.
        steps: Number of optimiser steps.
        batch_size: Number of examples per step, drawn without replacement in each epoch; an incomplete last batch is
            dropped.
        seeds: Seeds of the replicas.
        record: Record of what is measured; by default the losses at the end.
        settings: Combinations of values besides those of the grids, such as a search proposes.
        **grids: Values, or lists of values, for parameters of the optimiser (``learning_rate``, ``momentum``) and of
            ``model``.

    Raises:
        TrainingError: no seeds, no examples, fewer than one batch, examples of other shapes for another seed, a model
            whose inputs do not fit the data, a loss that does not fit the outputs, a grid that nothing takes, or
            measurements that do not divide the steps.

    Example:
        >>> from repro.engine import load_data, mlp
        >>> digits = load_data("digits").flat()
        >>> trained = train(
        ...     mlp,
        ...     digits,
        ...     loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        ...     optimizer="sgd",
        ...     steps=20,
        ...     batch_size=32,
        ...     seeds=[0, 1],
        ...     learning_rate=[0.1, 1.0],
        ...     widths=(16,),
        ...     inputs=64,
        ...     outputs=10,
        ... )
        >>> trained.records[["seed", "learning_rate", "step"]].values.tolist()
        [[0.0, 0.1, 20.0], [1.0, 0.1, 20.0], [0.0, 1.0, 20.0], [1.0, 1.0, 20.0]]
    """
    backend.configure()
    record = record or Record()
    every = steps if record.every is None else record.every
    if not 1 <= every <= steps or steps % every:
        raise TrainingError(f"measurements every {every} steps do not divide a run of {steps} steps")
    named = {**grids, **dict.fromkeys(itertools.chain(*settings))}
    check_replicas(seeds, named, {"step", *record.columns, *LAYER_COLUMNS, "replicas", "sequential"})
    loss, optimizer = resolve(keras.losses.get, loss), resolve(keras.optimizers.get, optimizer)
    drawn = draw_examples(data, seeds)
    examples = next(iter(drawn.values()))
    check_examples(examples, batch_size)
    pool = pool_examples(drawn)
    batches = partial(batch_indices, pool.train, batch_size, steps)
    grid = [{**values, **others} for values in combinations(grids) for others in settings]
    replicas = pd.DataFrame([{"seed": seed, **values} for values in grid for seed in seeds])
    averages = np.empty((len(replicas), steps // every, len(record.columns)))
    weights: dict[int, list[Array]] = {}
    builders: dict[int, Callable[[], Any]] = {}
    layers, programs = [], []
    for group in _groups(grid, optimizer):
        network = network_of(keyed(model), keyed(group.of_model))
        program = _program(
            Keyed(network.architecture, network.model),
            keyed(loss),
            keyed(resolve(type(optimizer).from_config, group.of_optimizer)),
            every,
            tuple(map(keyed, record.metrics.values())),
            record.probed,
        )
        check_fit(network.model, loss, examples)
        places = [place * len(seeds) + index for place in group.places for index in range(len(seeds))]
        part = replicas.iloc[places]
        held = {name: np.repeat(values, len(seeds)) for name, values in group.held.items()}
        at_once = replicas_at_once(program, batch_size, len(places), pool.own_values)
        averaged, observed, trained = program.run(network.model, pool, batches, part["seed"].tolist(), held, at_once)
        averages[places] = averaged.reshape(len(places), -1, len(record.columns))
        weights |= {place: [values[index] for values in trained] for index, place in enumerate(places)}
        builders |= {place: partial(build_seeded, network.build, int(part["seed"][place])) for place in places}
        observed_layers = layer_statistics.observed(network.model) if record.probed else []
        layers.append(_layer_rows(part, observed, layer_statistics.names(observed_layers), every))
        static = {name: value for name, value in grid[group.places[0]].items() if name not in held}
        programs.append({**static, "replicas": len(places), "sequential": program.sequential(at_once)})
    return Training(
        _rows(replicas, averages, record.columns, every),
        pd.concat(layers).sort_index(kind="stable").reset_index(drop=True),
        replicas,
        pd.DataFrame(programs),
        tuple(weights[place] for place in range(len(replicas))),
        tuple(builders[place] for place in range(len(replicas))),
    )


LAYER_COLUMNS = ("layer", "name", *layer_statistics.STATISTICS)


@dataclass(frozen=True)
class _Group:
    """Grid values that share a program.

    Attributes:
        places: Places of the values in the grid.
        of_model: Parameters with which the model is built.
        of_optimizer: Configuration of the optimiser, in which a held hyperparameter has one value that stands for all.
        held: Values of the optimiser's variables for each place.
    """

    places: list[int]
    of_model: dict[str, Any]
    of_optimizer: dict[str, Any]
    held: dict[str, list[float]]


def _groups(grid: Sequence[dict[str, Any]], optimizer: Any) -> list[_Group]:
    """Group the values of a grid by what is static in a program."""
    defaults = optimizer.get_config()
    groups: dict[Any, _Group] = {}
    for place, values in enumerate(grid):
        of_model = {name: value for name, value in values.items() if name not in defaults}
        of_optimizer = {name: values.get(name, default) for name, default in defaults.items()}
        held = {name: of_optimizer[name] for name in HELD if _can_be_held(name, of_optimizer.get(name))}
        # An optimiser refuses wrong values when it is made, and the program knows only one of those it holds.
        resolve(type(optimizer).from_config, of_optimizer)
        of_optimizer |= dict.fromkeys(held, 0.5)
        key = keyed((of_model, of_optimizer))
        group = groups.setdefault(key, _Group([], of_model, of_optimizer, {name: [] for name in held}))
        group.places.append(place)
        for name, value in held.items():
            group.held[name].append(value)
    return list(groups.values())


def _can_be_held(name: str, value: Any) -> bool:
    """Tell whether a hyperparameter can be a variable; momentum or decay of zero leaves its term out of the program."""
    return is_number(value) and (value > 0 or name == "learning_rate")


def _matching(table: pd.DataFrame, values: Mapping[str, Any]) -> pd.Series:
    """Find the rows with the given values, which may be tuples."""
    matching = pd.Series(True, index=table.index)
    for name, value in values.items():
        matching &= table[name].map(lambda cell, value=value: cell == value).astype(bool)
    return matching


def _rows(replicas: pd.DataFrame, averages: Array, columns: Sequence[str], every: int) -> pd.DataFrame:
    measurements = averages.shape[1]
    rows = replicas.loc[replicas.index.repeat(measurements)].reset_index(drop=True)
    rows["step"] = np.tile(every * np.arange(1, measurements + 1), len(replicas))
    rows = pd.concat([rows, pd.DataFrame(averages.reshape(-1, len(columns)), columns=list(columns))], axis=1)
    losses = ["train_loss", "test_loss"]
    rows[losses] = rows[losses].fillna(np.inf)
    return rows


def _layer_rows(
    replicas: pd.DataFrame, observed: Mapping[str, Array], names: Sequence[str], every: int
) -> pd.DataFrame:
    """Make rows of the statistics of layers, [replicas, measurements, layers] each, indexed as the replicas are."""
    if not observed:
        return pd.DataFrame(columns=[*replicas.columns, "step", *LAYER_COLUMNS])
    _, measurements, layers = next(iter(observed.values())).shape
    rows = replicas.loc[replicas.index.repeat(measurements * layers)]
    return rows.assign(
        step=np.tile(np.repeat(every * np.arange(1, measurements + 1), layers), len(replicas)),
        layer=np.tile(np.arange(1, layers + 1), len(replicas) * measurements),
        name=np.tile(names, len(replicas) * measurements),
        **{name: values.ravel() for name, values in observed.items()},
    )


def batch_indices(examples: int, batch_size: int, steps: int, seed: int) -> npt.NDArray[np.int32]:
    """Draw which examples make up each batch of a replica.

    Args:
        examples: Number of training examples.
        batch_size: Number of examples per step, at most all of them.
        steps: Number of batches.
        seed: Seed of the replica.

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


@lru_cache(maxsize=64)
def _program(
    model: Keyed, loss: Keyed, optimizer: Keyed, every: int, metrics: tuple[Keyed, ...], probed: int
) -> Program:
    """Prepare a training run, once for all that is computed alike."""
    return Program(model.value, loss.value, optimizer.value, every, [metric.value for metric in metrics], probed)
