import math
from dataclasses import replace

import numpy as np
import pytest
from loaded_runs import JAX, TENSORFLOW, loaded, result, sample

from repro.cli.documents import comparison_json
from repro.cli.tables import comparison_tables
from repro.cli.terminal import console
from repro.report.comparison_text import conclusion, remarks
from repro.results.comparison.differences import Difference, LoadedRun, compare_runs
from repro.results.comparison.samples import Samples
from repro.uncertainty.two_samples import rank_sum


def change(base, head):
    """How a comparison shows two results of a claim; None where it shows nothing."""
    changes = compare_runs(loaded(TENSORFLOW, base), loaded(JAX, head)).verdicts
    return (changes[0].base, changes[0].head, changes[0].worse) if changes else None


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        (result(), result(), None),
        (result(), result("refuted"), ("reproduced", "refuted, undecided", True)),
        (result(), result("inconclusive"), ("reproduced", "inconclusive", True)),
        (result("inconclusive"), result(), ("inconclusive", "reproduced", False)),
        (result(), result(control="reproduced"), ("reproduced", "reproduced, unsound", True)),
        (result(), result(control="inconclusive"), ("reproduced", "reproduced, undecided", True)),
        (result(control="reproduced"), result(), ("reproduced, unsound", "reproduced", False)),
        (result(), result("error"), ("reproduced", "error", True)),
        (result(), result(control="error"), ("reproduced", "reproduced, undecided, control in error", True)),
        (result("error"), result(), ("error", "reproduced", False)),
        (result("error"), result("error"), None),
        (result("skipped"), result("error"), ("skipped", "error", True)),
        (result(), result("skipped", control="skipped"), ("reproduced", "skipped", False)),
        (result("skipped", control="skipped"), result(), ("skipped", "reproduced", False)),
        (
            result("inconclusive"),
            result("inconclusive", control="reproduced"),
            ("inconclusive", "inconclusive, unsound", True),
        ),
    ],
)
def test_verdicts_that_changed_and_what_counts_as_worse(base, head, expected):
    assert change(base, head) == expected


def test_an_effect_that_moved_is_shown_and_is_not_worse_by_itself():
    random = np.random.default_rng(0)
    numbers = random.normal(size=24), random.normal(size=20) + 3
    compared = compare_runs(
        loaded(TENSORFLOW, result(), result(name="a.c"), b=sample(numbers[0]), c=sample(numbers[0])),
        loaded(JAX, result(), result(name="a.c"), b=sample(numbers[1]), c=sample(numbers[0])),
    )
    moved, still = compared.effects
    p = rank_sum(*numbers)
    assert (moved.id, moved.p, moved.p_adjusted) == ("a.b", p, 2 * p)  # Holm: twice the smaller of two
    assert (moved.base, moved.head) == (np.median(numbers[0]), np.median(numbers[1]))
    assert (still.p, still.p_adjusted) == (1.0, 1.0)
    assert compared.moved == (moved,)
    assert not compared.worse


def test_the_number_of_parts_is_corrected_for():
    numbers = [sample(np.arange(8.0)), sample(np.arange(8.0) + 100)]
    sides = [
        LoadedRun(run, (result(),), lambda _, one=one, count=count: Samples({("", "ratio"): one}, count))
        for run, one, count in zip((TENSORFLOW, JAX), numbers, (1, 5), strict=True)
    ]
    (test,) = compare_runs(*sides).effects
    assert test.p == pytest.approx(5 * 2 / math.comb(16, 8))


def test_the_part_that_decides_the_base_run_is_compared():
    parts = {("width 8", "ratio"): sample([1.0] * 8), ("width 16", "ratio"): sample([2.0] * 8)}
    sides = []
    for run, deciding in ((TENSORFLOW, "width 16"), (JAX, "width 8")):
        verdict = replace(result().evaluation.verdict, deciding=deciding)
        one = replace(result(), evaluation=replace(result().evaluation, verdict=verdict))
        sides.append(LoadedRun(run, (one,), lambda _: Samples(parts, 2)))
    (test,) = compare_runs(*sides).effects
    assert (test.measure, test.base, test.head) == ("ratio (width 16)", 2.0, 2.0)


def test_the_same_observations_need_not_be_read():
    def read(_):
        raise AssertionError

    one = result(observations="0" * 64)
    (test,) = compare_runs(LoadedRun(TENSORFLOW, (one,), read), LoadedRun(JAX, (one,), read)).effects
    assert (test.p, test.by) == (1.0, "seeds")


def test_intervals_stand_in_for_numbers_that_are_not_known():
    near, far = (
        compare_runs(loaded(TENSORFLOW, result()), loaded(JAX, result(effect=effect))) for effect in (1.05, 1.5)
    )
    assert [test.by for test in (*near.effects, *far.effects)] == ["intervals", "intervals"]
    assert not near.moved
    assert far.moved
    assert "1 of them by their intervals alone" in remarks(far)[0]


def test_effects_without_sampling_error_are_not_tested_by_intervals():
    assert compare_runs(loaded(TENSORFLOW, result(p=None)), loaded(JAX, result(p=None, effect=9.0))).effects == ()


def test_claims_with_other_parameters_are_not_compared():
    other = result("refuted", parameters={"points": 50, "depth": 2})
    compared = compare_runs(loaded(TENSORFLOW, result(), result(name="a.c")), loaded(JAX, other, result(name="a.d")))
    (mismatch,) = compared.mismatches
    assert (mismatch.id, mismatch.parameters) == ("a.b", (Difference("points", 5, 50), Difference("depth", None, 2)))
    assert (compared.compared, compared.verdicts, compared.effects, compared.costs) == (0, (), (), ())
    assert (compared.only_base, compared.only_head) == (("a.c",), ("a.d",))
    assert not compared.worse
    said = " ".join(remarks(compared))
    assert "not compared, other parameters: a.b (points 5 and 50, depth – and 2)" in said
    assert "only in base: 1 claim" in said


def test_sequences_and_infinities_among_parameters_are_equal_wherever_they_were_stored():
    base = result(parameters={"sizes": (1, (2, 3)), "limit": math.inf})
    head = result(parameters={"sizes": [1, [2, 3]], "limit": "inf"})
    assert compare_runs(loaded(TENSORFLOW, base), loaded(JAX, head)).compared == 1


def test_environments_are_side_by_side():
    compared = compare_runs(loaded(TENSORFLOW, result()), loaded(JAX, result()))
    assert compared.environment == (
        Difference("backend", "tensorflow", "jax"),
        Difference("backend_version", "2.21.0", "0.10.2"),
        Difference("memory", 8 * 2**30, 16 * 2**30),
        Difference("numpy", "2.3", "2.4"),
    )


def test_costs_are_ratios_of_head_to_base():
    base = loaded(TENSORFLOW, result(seconds=2.0, memory=2**30), result(name="a.c", seconds=0.0))
    head = loaded(JAX, result(seconds=5.0, memory=2**29), result(name="a.c", seconds=4.0))
    compared = compare_runs(base, head)
    assert [(cost.seconds_ratio, cost.memory_ratio) for cost in compared.costs] == [(2.5, 0.5), (None, None)]
    assert compared.seconds == (2.0, 5.0)
    assert not compared.worse


def test_json_has_the_documented_form():
    numbers = np.arange(24.0)
    base = loaded(TENSORFLOW, result(seconds=1.0), b=sample(numbers))
    head = loaded(JAX, result("refuted", seconds=2.0), b=sample(numbers + 100))
    compared = compare_runs(base, head)
    p = 2 / math.comb(48, 24)
    assert comparison_json(compared) == {
        "base": "base",
        "head": "head",
        "verdicts": [{"id": "a.b", "base": "reproduced", "head": "refuted, undecided"}],
        "effects": [{"id": "a.b", "base": 11.5, "head": 111.5, "p": pytest.approx(p), "p_adjusted": pytest.approx(p)}],
        "costs": [{"id": "a.b", "seconds_ratio": 2.0, "memory_ratio": None}],
        "environment": [
            {"name": "backend", "base": "tensorflow", "head": "jax"},
            {"name": "backend_version", "base": "2.21.0", "head": "0.10.2"},
            {"name": "memory", "base": 8 * 2**30, "head": 16 * 2**30},
            {"name": "numpy", "base": "2.3", "head": "2.4"},
        ],
        "worse": True,
    }
    assert conclusion(compared) == "verdicts: 1 changed, 1 for the worse; effects: 1 moved"


def test_tables_fit_a_terminal_of_80_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    name = "architectures.batch_normalisation_with_a_long_name"
    numbers = np.arange(24.0)
    known = Samples({("", "ratio"): sample(numbers)}, 1), Samples({("", "ratio"): sample(numbers * 1e9 + 100)}, 1)
    base = LoadedRun(TENSORFLOW, (result(name=name, seconds=100.0),), lambda _: known[0])
    head = LoadedRun(
        replace(JAX, environment=JAX.environment | {"cpu": "x" * 100, "\x1b[31m": "\x1b[2J"}),
        (result("refuted", control="error", name=name, seconds=1000.0),),
        lambda _: known[1],
    )
    console().print(*comparison_tables(compare_runs(base, head)), *remarks(compare_runs(base, head)), sep="\n")
    shown = capsys.readouterr().out
    assert all(len(line) <= 80 for line in shown.splitlines())
    for word in ("Verdicts that changed", "Effects that moved", "Costs that changed most", "Environment", "tensorflow"):
        assert word in shown
    assert "\x1b" not in shown


def test_runs_of_equal_experiments_seldom_differ_in_any_claim():
    random = np.random.default_rng(0)
    claims = 20
    alarms = 0
    for _ in range(100):  # 2000 comparisons of claims
        sides = []
        for run in (TENSORFLOW, JAX):
            results = [result(name=f"a.x{number}") for number in range(claims)]
            drawn = {f"x{number}": sample(random.normal(size=13)) for number in range(claims)}
            sides.append(loaded(run, *results, **drawn))
        alarms += bool(compare_runs(*sides).moved)
    # At most 1 % of the hundred pairs of runs may raise an alarm; more than five do once in five hundred times.
    assert alarms <= 5
