"""Training a convolutional network: eight seeds on all cores, beside ``fit``."""

from __future__ import annotations

from functools import partial
from itertools import product

from benchmarks import baselines, workloads
from benchmarks.conftest import Effort, Machine, Report
from benchmarks.measuring import Side, Workers, fastest

SEEDS = 8
EPOCH = workloads.RESNET.epoch


def test_residual_network(
    report: Report, engines: Workers, framework: Workers, machine: Machine, effort: Effort
) -> None:
    """The engine divides the seeds among the cores; ``fit`` has one process with all cores, or one on each."""
    steps = effort.conv_epochs * EPOCH
    seeds = list(range(SEEDS // machine.programs))
    ours = Side(
        f"engine, {machine.programs} processes",
        partial(engines, workloads.train, effort.conv_network, steps, seeds),
        machine.programs * len(seeds) * steps,
    )
    ours.call()
    with Workers(machine.programs) as one_a_core:
        theirs = fastest(
            [
                Side(
                    f"fit, {count} processes, convolution={convolution}, jit_compile={jit}, steps_per_execution={each}",
                    partial(
                        workers, baselines.fit, effort.conv_network, convolution, each, jit, effort.conv_fit_epochs
                    ),
                    count * effort.conv_fit_epochs * EPOCH,
                )
                for (count, workers), (convolution, each, jit) in product(
                    {1: framework, machine.programs: one_a_core}.items(), effort.conv_options[machine.backend]
                )
            ],
            repetitions=1,
        )
        report.ratios(ours, {"conv_speedup_over_fit": theirs}, effort.conv_rounds)
