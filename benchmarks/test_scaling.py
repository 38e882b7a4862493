"""How near the arithmetic comes to the machine's peak, and how the cost grows with the number of replicas."""

from __future__ import annotations

from functools import partial

from benchmarks import baselines, workloads
from benchmarks.conftest import Effort, Machine, Report
from benchmarks.figures import growth_exponent, step_flop
from benchmarks.measuring import Side, Workers, take_turns

KERNELS = [(64, 64), (64, 64), (64, 10)]
PRODUCTS = 2


def test_fraction_of_peak(
    report: Report, engines: Workers, framework: Workers, machine: Machine, effort: Effort
) -> None:
    """The engine's processes have one core each; the matrix products have all. Rates are in FLOP/s."""
    steps, replicas = effort.replica_steps, list(range(machine.replicas))
    flop = step_flop(KERNELS, workloads.MLP.batch_size) * steps * len(replicas) * machine.programs
    ours = Side(
        f"engine, {machine.programs} processes of {machine.replicas} replicas",
        partial(engines, workloads.train, "mlp", steps, replicas),
        flop,
    )
    multiply, size = (
        (baselines.multiply_on_accelerator, baselines.PRODUCT_SIZE_ON_ACCELERATOR)
        if machine.accelerator
        else (baselines.multiply, baselines.PRODUCT_SIZE)
    )
    products = Side(f"matrix products of size {size}", partial(framework, multiply, PRODUCTS), PRODUCTS * 2 * size**3)
    for side in (ours, products):
        side.call()
    rates, peaks = take_turns(report.benchmark, [ours, products], effort.rounds)
    peak = max(peaks)
    report.figure(
        "fraction_of_peak",
        [rate / peak for rate in rates],
        ours=ours.label,
        theirs=products.label,
        our_rate=max(rates),
        their_rate=peak,
    )


def test_cost_growth(report: Report, engine: Workers, machine: Machine, effort: Effort) -> None:
    """Whole runs, which draw initial weights and batches as well, of ever more replicas in one process."""
    sizes = [*effort.sizes, machine.replicas] if machine.accelerator else list(effort.sizes)
    sides = [
        Side(f"{size} replicas", partial(engine, workloads.train, "mlp", effort.growth_steps, list(range(size))))
        for size in sizes
    ]
    for side in sides:
        side.call()
    rates = take_turns(report.benchmark, sides, effort.rounds)
    seconds = [[1 / rate for rate in of_size] for of_size in zip(*rates, strict=True)]
    report.figure(
        "cost_growth",
        [growth_exponent(sizes, of_round) for of_round in seconds],
        seconds={
            size: sorted(column)[len(column) // 2]
            for size, column in zip(sizes, zip(*seconds, strict=True), strict=True)
        },
    )
