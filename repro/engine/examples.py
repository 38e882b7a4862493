"""The examples that replicas train and are tested on: the same for all, or drawn by each seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from repro.common import TrainingError

Array = npt.NDArray[Any]
Places = npt.NDArray[np.int32]

FEW_SEEDS = 8  # as many as replicas run at once on CPU where they are few: tuning and evaluation share a program then


class Examples(Protocol):
    """Training and test examples; the first axis of all arrays counts examples."""

    @property
    def x_train(self) -> Array:
        """Inputs to train on."""

    @property
    def y_train(self) -> Array:
        """Targets to train on."""

    @property
    def x_test(self) -> Array:
        """Inputs to test on."""

    @property
    def y_test(self) -> Array:
        """Targets to test on."""


OfExamples = TypeVar("OfExamples", bound=Examples)


def examples_of(data: OfExamples | Callable[[int], OfExamples], seed: int) -> OfExamples:
    """Return the examples of a seed: those that a function draws for it, or those of all seeds."""
    return data(seed) if callable(data) else data


def draw_examples(
    data: OfExamples | Callable[[int], OfExamples],
    seeds: Sequence[int],
    arrays: Sequence[str] = ("x_train", "y_train", "x_test", "y_test"),
) -> dict[int, OfExamples]:
    """Draw the examples of every seed.

    Args:
        data: Examples of all seeds, or a function from a seed to its examples.
        seeds: Seeds, at least one.
        arrays: Names of the arrays that are used.

    Raises:
        TrainingError: arrays of two seeds differ in shape.
    """
    drawn = {seed: examples_of(data, seed) for seed in seeds}
    (first, model), *others = drawn.items()
    for (seed, examples), name in itertools.product(others, arrays):
        shape, expected = np.shape(getattr(examples, name)), np.shape(getattr(model, name))
        if shape != expected:
            raise TrainingError(
                f"the data of seed {seed} have {name} of shape {shape}, those of seed {first} of shape {expected}; "
                "draw as many examples of one shape for every seed"
            )
    return drawn


def check_examples(data: Examples, batch_size: int) -> None:
    """Check that examples can be trained and tested on.

    Raises:
        TrainingError: there are none or fewer than one batch, or shapes do not fit each other.
    """
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


@dataclass(frozen=True, eq=False)
class Pool:
    """The examples of all seeds, each array once.

    Attributes:
        x: Inputs, [pooled, ...].
        y: Targets, [pooled, ...].
        train: Number of training examples of a seed.
        test: Number of its test examples.
        spare: Number of examples beyond them that programs keep room for.
        of_x: Places of the examples of each seed among the inputs, the test examples after the training examples,
            [train + test]; empty if all seeds have the same examples, which then lie in this order.
        of_y: The same for the targets.
    """

    x: Array
    y: Array
    train: int
    test: int
    spare: int
    of_x: Mapping[int, Places]
    of_y: Mapping[int, Places]

    def of(self, seeds: Sequence[int] | Array, at_once: int) -> tuple[Array, Array, tuple[Places, ...]]:
        """Choose the examples of some seeds, in shapes that depend on how many seeds there may be, not on how many.

        Where many replicas run at once, they may have far fewer seeds; up to ``FEW_SEEDS`` there is room for all.

        Args:
            seeds: Seeds.
            at_once: Largest number of seeds.

        Returns:
            Inputs and targets, filled up with zeros, and the places of inputs and of targets for each seed, [seeds,
            examples] each; no places if all seeds have the same examples.
        """
        if not self.of_x:
            rows = len(self.x) + self.spare
            return _filled(self.x, rows), _filled(self.y, rows), ()
        room = min(at_once, max(FEW_SEEDS, 2 ** math.ceil(math.log2(len(self.of_x)))))
        x, places_x = _chosen(self.x, self.of_x, seeds, room, self.spare)
        y, places_y = _chosen(self.y, self.of_y, seeds, room, self.spare)
        return x, y, (places_x, places_y)

    @property
    def own_values(self) -> int:
        """Count the numbers of one input if replicas have inputs of their own; 0 if all have the same."""
        return int(np.prod(self.x.shape[1:])) if self.of_x else 0


def pool_examples(drawn: Mapping[int, Examples]) -> Pool:
    """Pool the examples of all seeds; what is one array for several seeds, such as a common test set, is kept once.

    Args:
        drawn: Examples by seed, of the same shapes.
    """
    examples = next(iter(drawn.values()))
    x, of_x = _join({seed: (of_seed.x_train, of_seed.x_test) for seed, of_seed in drawn.items()})
    y, of_y = _join({seed: (of_seed.y_train, of_seed.y_test) for seed, of_seed in drawn.items()})
    train, test, spare = len(examples.x_train), len(examples.x_test), getattr(examples, "left_out", 0)
    in_order = np.arange(train + test)
    if all(np.array_equal(places, in_order) for places in (*of_x.values(), *of_y.values())):
        of_x, of_y = {}, {}
    return Pool(x, y, train, test, spare, of_x, of_y)


def _chosen(
    values: Array, places: Mapping[int, Places], seeds: Sequence[int] | Array, room: int, spare: int
) -> tuple[Array, Places]:
    """Choose the rows of some seeds among pooled values, and find their places among the chosen ones."""
    rows = np.unique(np.concatenate([places[seed] for seed in seeds]))
    found = np.stack([np.pad(np.searchsorted(rows, places[seed]), (0, spare)) for seed in seeds])
    # What seeds have in common they have once, and what each has alone as often as there may be seeds.
    uses = np.bincount(np.concatenate([np.unique(of_seed) for of_seed in places.values()]), minlength=len(values))
    common = int((uses == len(places)).sum())
    own = max(len(np.unique(of_seed)) for of_seed in places.values()) - common
    return _filled(values[rows], max(common + own * room + spare, len(rows))), found.astype(np.int32)


def _filled(values: Array, rows: int) -> Array:
    """Fill up with rows of zeros."""
    return np.concatenate([values, np.zeros((rows - len(values), *values.shape[1:]), values.dtype)])


def _join(arrays: Mapping[int, tuple[Array, Array]]) -> tuple[Array, dict[int, Places]]:
    """Join the training and test arrays of all seeds; return the places of each seed's rows as well."""
    kept: dict[Any, Array] = {}
    starts: dict[Any, int] = {}
    keys = {seed: [(split, *_memory(array)) for split, array in enumerate(of_seed)] for seed, of_seed in arrays.items()}
    for key, array in zip(itertools.chain(*keys.values()), itertools.chain(*arrays.values()), strict=True):
        if key not in kept:
            starts[key] = sum(map(len, kept.values()))
            kept[key] = array
    places = {
        seed: np.concatenate([starts[key] + np.arange(len(kept[key]), dtype=np.int32) for key in of_seed])
        for seed, of_seed in keys.items()
    }
    return np.concatenate(list(kept.values())), places


def _memory(array: Array) -> tuple[Any, ...]:
    """Identify the memory of an array, which views of one shape share."""
    described = np.asarray(array).__array_interface__
    return described["data"][0], described["shape"], described["strides"], described["typestr"]
