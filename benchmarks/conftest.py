"""Options of the benchmarks, and what they share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import workloads
from benchmarks.figures import FIGURES, summary
from benchmarks.measuring import Side, Workers, take_turns
from repro.engine import compilation_cache


@dataclass(frozen=True)
class Effort:
    """How much work the benchmarks do.

    Attributes:
        rounds: turns of the sides of a comparison.
        steps_per_execution: values that are tried for ``fit``.
        jit_compile: values that are tried for ``fit``, by backend; JAX without compilation is no way to train.
        steps: of the engine's runs of one replica; a whole number of epochs.
        epochs: of the runs of ``fit``.
        replica_steps: of runs of many replicas.
        growth_steps: of the runs whose cost is compared for different numbers of replicas.
        sizes: numbers of replicas on CPU whose cost is compared.
        claims: number of claims whose results are recorded and read.
        pages: number of claims that a report shows.
        conv_network: name of a workload.
        conv_rounds: turns of convolutional networks.
        conv_epochs: of their runs with the engine.
        conv_fit_epochs: of their runs with ``fit``.
        conv_options: what is tried for them with ``fit``, by backend: whose convolutions, ``steps_per_execution`` and
            ``jit_compile``. XLA's own convolutions are slow inside a loop, which JAX makes of several steps.
        costed: number of claims whose costs are counted, by profile.
        suite_rounds: turns of what the suite does around experiments.
        trials: of Keras Tuner's search; the time of 64 follows in proportion.
        search_rounds: turns of the searches.
    """

    rounds: int = 5
    steps_per_execution: tuple[int, ...] = (1, 4, 11, 44)
    jit_compile: Mapping[str, tuple[bool, ...]] = field(
        default_factory=lambda: {"tensorflow": (False, True), "jax": (True,)}
    )
    steps: int = 500 * 44
    epochs: int = 20
    replica_steps: int = 50 * 44
    growth_steps: int = 10 * 44
    sizes: tuple[int, ...] = (16, 64, 256, 1024)
    claims: int = 60
    pages: int = 60
    conv_network: str = "resnet"
    conv_rounds: int = 5
    conv_epochs: int = 10
    conv_fit_epochs: int = 4
    conv_options: Mapping[str, tuple[tuple[str, int, bool], ...]] = field(
        default_factory=lambda: {
            "tensorflow": (("own", 11, False), ("own", 11, True), ("patches", 11, True)),
            "jax": (("own", 1, True), ("patches", 11, True)),
        }
    )
    costed: Mapping[str, int] = field(default_factory=lambda: {"smoke": 8, "standard": 8})
    suite_rounds: int = 7
    trials: int = 64
    search_rounds: int = 2


QUICK = Effort(
    rounds=2,
    steps_per_execution=(44,),
    jit_compile={"tensorflow": (False,), "jax": (True,)},
    steps=20 * 44,
    epochs=2,
    replica_steps=44,
    growth_steps=4,
    sizes=(16, 64),
    claims=4,
    pages=2,
    conv_network="small resnet",
    conv_rounds=1,
    conv_epochs=1,
    conv_fit_epochs=1,
    conv_options={"tensorflow": (("own", 11, False),), "jax": (("own", 1, True),)},
    costed={"smoke": 1, "standard": 0},
    suite_rounds=2,
    trials=2,
    search_rounds=1,
)


@dataclass(frozen=True)
class Machine:
    """What the benchmarks run on.

    Attributes:
        description: environment of a worker process.
    """

    description: dict[str, Any]

    @property
    def backend(self) -> str:
        """Name of the backend."""
        return str(self.description["backend"])

    @property
    def accelerator(self) -> bool:
        """Whether programs run on an accelerator."""
        return bool(self.description["device"] != "CPU")

    @property
    def programs(self) -> int:
        """Number of the engine's processes: one a core, or one on an accelerator."""
        return 1 if self.accelerator else int(self.description["cores"])

    @property
    def replicas(self) -> int:
        """Number of replicas that runs of many have."""
        return 4096 if self.accelerator else 64


class Report:
    """Runs comparisons and writes their figures into the results of pytest-benchmark."""

    def __init__(self, benchmark: BenchmarkFixture, machine: Machine, quick: bool) -> None:
        """Describe the machine in the results."""
        self.benchmark = benchmark
        benchmark.extra_info.update(environment=machine.description, quick=quick)

    def ratios(self, ours: Side, theirs: dict[str, Side], rounds: int) -> None:
        """Compare what is ours with others in turns: the rates of all, and each figure as the ratio of two.

        Args:
            ours: what is measured.
            theirs: name of the figure to what it is compared with.
            rounds: number of turns.
        """
        rates, *others = take_turns(self.benchmark, [ours, *theirs.values()], rounds)
        for (name, side), measured in zip(theirs.items(), others, strict=True):
            ratios = [our / their for our, their in zip(rates, measured, strict=True)]
            self.figure(
                name,
                ratios,
                ours=ours.label,
                theirs=side.label,
                our_rate=summary(rates)["median"],
                their_rate=summary(measured)["median"],
            )

    def figure(self, name: str, values: Sequence[float], **details: Any) -> None:
        """Record the median of a figure's values, their range, the values themselves, and details."""
        found = {**summary(values), "better": FIGURES[name].better, "values": list(values)}
        self.benchmark.extra_info[name] = found["median"]
        self.benchmark.extra_info.setdefault("details", {})[name] = {**found, "rounds": len(values), **details}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the benchmarks do less."""
    parser.addoption("--quick", action="store_true", help="do little work, to see that the benchmarks run")
    parser.addoption("--trials", type=int, help="trials of Keras Tuner's search, whose time is scaled to 64")


def pytest_configure() -> None:
    """Let processes share a GPU, and let every compilation count that is said to count."""
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    os.environ["TF_XLA_FLAGS"] = f"{compilation_cache.TENSORFLOW_FLAG}="
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


@pytest.fixture(scope="session")
def effort(request: pytest.FixtureRequest) -> Effort:
    """How much work to do."""
    chosen = QUICK if request.config.getoption("--quick") else Effort()
    trials = request.config.getoption("--trials")
    return chosen if trials is None else replace(chosen, trials=trials)


@pytest.fixture(scope="session")
def machine() -> Machine:
    """What the benchmarks run on, as a worker process sees it."""
    with Workers() as worker:
        (description,) = worker(workloads.describe)
    return Machine(description)


@pytest.fixture
def report(benchmark: BenchmarkFixture, machine: Machine, request: pytest.FixtureRequest) -> Report:
    """Where the figures of a benchmark go."""
    return Report(benchmark, machine, request.config.getoption("--quick"))


@pytest.fixture
def engine() -> Iterator[Workers]:
    """One process for one program of the engine."""
    with Workers() as worker:
        yield worker


@pytest.fixture
def engines(machine: Machine) -> Iterator[Workers]:
    """A process on each core for the engine, or one on an accelerator."""
    with Workers(machine.programs) as workers:
        yield workers


@pytest.fixture
def framework() -> Iterator[Workers]:
    """One process with the framework's own threads."""
    with Workers() as worker:
        yield worker
