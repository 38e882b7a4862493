"""The pure parts of the benchmarks: arithmetic and the table."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # the benchmarks are not installed

from benchmarks import figures, table


def result(name, value, *, backend="jax", device="CPU", our_rate=2.0, their_rate=1.0, quick=False):
    details = {"low": value, "high": value, "ours": "engine", "theirs": "fit"}
    environment = {"cpu": "a CPU", "cores": 2, "device": device, "backend": backend, "backend_version": "1.0"}
    extra = {
        name: value,
        "details": {name: {**details, "our_rate": our_rate, "their_rate": their_rate}},
        "environment": environment,
        "quick": quick,
    }
    return {"benchmarks": [{"extra_info": extra}]}


def cells(markdown, name):
    (line,) = [line for line in markdown.splitlines() if f"`{name}`" in line]
    return dict(zip(table.COLUMNS, (cell.strip() for cell in line.strip("|").split("|")), strict=True))


def test_operations_of_a_step_are_those_of_its_products():
    # forward: 3*5 and 5*2; kernels' gradients: the same; gradient of the second layer's inputs: 5*2; 2 * 7 each
    assert figures.step_flop([(3, 5), (5, 2)], batch_size=7) == 2 * 7 * (15 + 10 + 15 + 10 + 10)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_exponent_of_a_power_law_is_found(exponent):
    sizes = [16, 64, 256, 1024]
    assert figures.growth_exponent(sizes, [3 * size**exponent for size in sizes]) == pytest.approx(exponent)


def test_fixed_cost_lowers_the_exponent():
    sizes = [16, 64, 256, 1024]
    assert figures.growth_exponent(sizes, [100 + size for size in sizes]) < 1


@pytest.mark.parametrize(
    ("name", "value", "holds"),
    [
        ("speedup_over_fit", 20, True),
        ("speedup_over_fit", 19, False),
        ("cost_growth", 1.0, True),
        ("cost_growth", 1.1, False),
    ],
)
def test_bounds_have_a_direction(name, value, holds):
    assert figures.FIGURES[name].holds(value) is holds
    (measurement,) = table.measurements(result(name, value))
    assert cells(table.markdown([measurement]), name)["reached"] == ("yes" if holds else "no")


def test_table_has_one_section_for_each_machine():
    found = [
        *table.measurements(result("speedup_over_fit_jax", 3.5)),
        *table.measurements(result("speedup_over_fit_jax", 9.0, device="a GPU")),
    ]
    markdown = table.markdown(found)
    on_cpu, on_gpu = markdown.split("### ")[1:]
    assert on_cpu.startswith("a CPU, 2 cores")
    assert cells(on_cpu, "speedup_over_fit_jax")["measured"] == "3.5"
    assert on_gpu.startswith("a GPU")
    assert cells(on_gpu, "speedup_over_fit_jax")["measured"] == "9"


def test_every_backend_is_compared_with_the_best_fit_of_its_machine():
    name = "conv_speedup_over_fit"
    found = [
        *table.measurements(result(name, 3.0, backend="tensorflow", our_rate=90.0, their_rate=30.0)),
        *table.measurements(result(name, 2.0, backend="jax", our_rate=100.0, their_rate=50.0)),
        *table.measurements(result(name, 7.0, backend="jax", device="a GPU", our_rate=700.0, their_rate=100.0)),
    ]
    on_tensorflow, on_jax, on_gpu = table.against_best(found, name)
    assert on_tensorflow.value == pytest.approx(90 / 50)
    assert on_tensorflow.details["low"] is None
    assert on_jax.value == 2.0
    assert on_gpu.value == 7.0


def test_quick_runs_are_refused():
    with pytest.raises(ValueError, match="--quick"):
        list(table.measurements(result("cost_growth", 1.0, quick=True)))


def test_only_what_is_between_the_marks_is_replaced():
    document = f"before\n{table.START}\nold\n{table.END}\nafter"
    filled = table.fill(document, "new")
    assert filled.startswith("before\n")
    assert filled.endswith("\nafter")
    assert "old" not in filled
    assert "\nnew\n" in filled
    assert table.fill(filled, "new") == filled
