"""Training the digits MLP: one replica beside ``fit``, many replicas beside plain JAX."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pytest

from benchmarks import baselines, workloads
from benchmarks.conftest import Effort, Machine, Report
from benchmarks.measuring import Side, Workers, fastest

EPOCH = workloads.MLP.epoch


def test_one_replica(report: Report, engine: Workers, framework: Workers, machine: Machine, effort: Effort) -> None:
    ours = Side("engine", partial(engine, workloads.train, "mlp", effort.steps, [0]), effort.steps)
    options = list(product(effort.steps_per_execution, effort.jit_compile[machine.backend]))
    on_arrays = fastest(
        [
            Side(
                f"fit on arrays, steps_per_execution={steps}, jit_compile={jit}",
                partial(framework, baselines.fit, "mlp", "own", steps, jit, effort.epochs),
                effort.epochs * EPOCH,
            )
            for steps, jit in options
        ]
    )
    theirs = {"speedup_over_fit_jax" if machine.backend == "jax" else "speedup_over_fit": on_arrays}
    if machine.backend == "tensorflow":
        theirs["speedup_over_fit_pipeline"] = fastest(
            [
                Side(
                    f"fit on a pipeline, steps_per_execution={steps}, jit_compile={jit}",
                    partial(framework, baselines.fit_pipeline, "mlp", steps, jit, 4 * effort.epochs),
                    4 * effort.epochs * EPOCH,
                )
                for steps, jit in options
                if steps > 1
            ]
        )
    ours.call()
    report.ratios(ours, theirs, effort.rounds)


def test_replicas_on_all_cores(
    report: Report, engines: Workers, framework: Workers, machine: Machine, effort: Effort
) -> None:
    """The engine divides 64 replicas among the cores; ``fit`` trains one by one, in a process or in one a core."""
    seeds = list(range(64 // machine.programs))
    ours = Side(
        f"engine, {machine.programs} processes",
        partial(engines, workloads.train, "mlp", effort.replica_steps, seeds),
        machine.programs * len(seeds) * effort.replica_steps,
    )
    ways = {"arrays": partial(baselines.fit, "mlp", "own")}
    if machine.backend == "tensorflow":
        ways["a pipeline"] = partial(baselines.fit_pipeline, "mlp")
    with Workers(machine.programs) as one_a_core:
        theirs = fastest(
            [
                Side(
                    f"fit on {name}, {count} processes, steps_per_execution={steps}, jit_compile={jit}",
                    partial(workers, fit, steps, jit, effort.epochs),
                    count * effort.epochs * EPOCH,
                )
                for (name, fit), (count, workers), steps, jit in product(
                    ways.items(),
                    {1: framework, machine.programs: one_a_core}.items(),
                    [steps for steps in effort.steps_per_execution if steps > 1],
                    effort.jit_compile[machine.backend],
                )
            ]
        )
        ours.call()
        report.ratios(ours, {"replicas_over_fit": theirs}, effort.rounds)


@pytest.mark.parametrize("name", ["ratio_to_jax", "ratio_to_jax_4096"])
def test_many_replicas(name: str, report: Report, engine: Workers, machine: Machine, effort: Effort) -> None:
    """Both sides in one process: one thread on CPU, the same precision, the same batches."""
    if machine.backend != "jax":
        pytest.skip("plain JAX needs JAX")
    if name == "ratio_to_jax_4096" and not machine.accelerator:
        pytest.skip("so many replicas are for accelerators")
    seeds = list(range(64 if name == "ratio_to_jax" else machine.replicas))
    units = len(seeds) * effort.replica_steps
    ours = Side("engine", partial(engine, workloads.train, "mlp", effort.replica_steps, seeds), units)
    theirs = fastest(
        [
            Side(
                f"jit(vmap(scan)), {at_once} replicas at once",
                partial(engine, baselines.plain_jax, effort.replica_steps, seeds, at_once),
                units,
            )
            for at_once in (len(seeds), len(seeds) // 2, len(seeds) // 4)
        ]
    )
    # The arithmetic is the same: roundings of a chaotic training differ in the last digits of a short one.
    ours_short, theirs_short = (
        engine(*arguments)[0]
        for arguments in (
            (workloads.train, "mlp", 2 * EPOCH, seeds[:8]),
            (baselines.plain_jax, 2 * EPOCH, seeds[:8], 8),
        )
    )
    np.testing.assert_allclose(ours_short, theirs_short, rtol=1e-3)
    ours.call()
    report.ratios(ours, {name: theirs}, effort.rounds)
