"""What the engine does in the benchmarks; called in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import Any

from etils import epy

from repro.engine import backend, data, networks, training, tuning
from repro.runner import environment

with epy.lazy_imports():
    import keras
    import keras_tuner

TRAIN_EXAMPLES = 1408  # a multiple of both batch sizes: an epoch of `fit` has no smaller last batch
LEARNING_RATE = 0.1
LEARNING_RATES = (1e-3, 1.0)  # limits of the searches


def mlp() -> Any:
    """Build the MLP 64-64-64-10."""
    return networks.mlp(inputs=64, outputs=10)


def residual_network() -> Any:
    """Build ResNet-20 of width 16."""
    return networks.residual_network(shape=(8, 8, 1), classes=10)


def small_residual_network() -> Any:
    """Build a residual network that compiles in seconds, for quick runs."""
    return networks.residual_network(shape=(8, 8, 1), classes=10, depth=8, width=4)


@dataclass(frozen=True)
class Workload:
    """A network and how it is trained.

    Attributes:
        build: builds the network.
        flat: whether it takes images as vectors.
        batch_size: examples per step.
        momentum: of gradient descent.
    """

    build: Callable[[], Any]
    flat: bool
    batch_size: int
    momentum: float

    @property
    def epoch(self) -> int:
        """Steps of an epoch."""
        return TRAIN_EXAMPLES // self.batch_size

    @cached_property
    def examples(self) -> data.ImageData:
        """The digits, as the network takes them."""
        digits = data.load_data().subset(TRAIN_EXAMPLES, seed=0)
        return digits.flat() if self.flat else digits

    def optimizer(self, learning_rate: float = LEARNING_RATE) -> Any:
        """Make the optimiser."""
        return keras.optimizers.SGD(learning_rate, momentum=self.momentum)


MLP = Workload(mlp, flat=True, batch_size=32, momentum=0.0)
RESNET = Workload(residual_network, flat=False, batch_size=64, momentum=0.9)
SMALL_RESNET = replace(RESNET, build=small_residual_network)
WORKLOADS = {"mlp": MLP, "resnet": RESNET, "small resnet": SMALL_RESNET}


@cache
def loss() -> Any:
    """Make the cross entropy of logits."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def describe() -> dict[str, Any]:
    """Describe the machine and the versions of what runs."""
    return {**environment.describe(), "backend": backend.name()}


def train(workload: str, steps: int, seeds: Sequence[int]) -> list[float]:
    """Train replicas with the engine, one thread a program, and return their final training losses."""
    backend.configure()
    of = WORKLOADS[workload]
    trained = training.train(
        of.build,
        of.examples,
        loss=loss(),
        optimizer=of.optimizer(),
        steps=steps,
        batch_size=of.batch_size,
        seeds=list(seeds),
    )
    return trained.final["train_loss"].tolist()


def search(trials: int, epochs: int) -> float:
    """Search the learning rate of the MLP with the engine and return the best."""
    backend.configure()
    arm = partial(training.train, MLP.build, MLP.examples, loss=loss(), optimizer=MLP.optimizer(), batch_size=32)
    found = tuning.tune(
        partial(arm, steps=epochs * MLP.epoch), {"learning_rate": LEARNING_RATES}, trials, oracle="random", seeds=(0,)
    )
    return float(found.best["learning_rate"])


def prepare() -> None:
    """Load the libraries and the digits, so that neither counts in a search."""
    keras_tuner.HyperParameters()
    data.load_data()
