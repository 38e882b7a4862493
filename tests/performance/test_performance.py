"""The history of the benchmarks: measurements, steps, comparisons, the page."""

import json
import math
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from repro.common.errors import BenchmarkError
from repro.performance import comparison, measurement, steps, trends
from repro.performance.history import History
from repro.performance.measurement import Measurement
from repro.report.performance import write_performance
from repro.results.store import Store

sys.path.append(str(Path(__file__).parents[2]))  # the benchmarks are not installed

from benchmarks import detection

ENVIRONMENT = {
    "python": "3.11.7",
    "keras": "3.14.0",
    "backend_version": "0.10",
    "device": "CPU",
    "cpu": "a CPU",
    "cores": 2,
    "packages": {"numpy": "2.4"},
}
COMMITS = [f"{number:02x}" * 20 for number in range(256)]


def measured(run=0, rounds=(2.0, 1.0, 3.0), **changes):
    when = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=run)
    made = Measurement(
        "speedup", "higher", tuple(rounds), when.isoformat(), COMMITS[run % 256], False, "jax", ENVIRONMENT
    )
    return replace(made, **changes)


def noisy(level, deviation, count, seed=0):
    return level * np.exp(deviation * np.random.default_rng(seed).standard_normal(count))


def document(quick=False, values=(1.0, 2.0, 4.0), dirty=False):
    details = {"median": 2.0, "low": 1.0, "high": 4.0, "rounds": 3, "better": "higher", "values": list(values)}
    environment = {**ENVIRONMENT, "backend": "jax", "commit": COMMITS[3]}
    extra = {"environment": environment, "quick": quick, "details": {"speedup": details}, "speedup": 2.0}
    return {
        "datetime": "2026-01-05T10:00:00+00:00",
        "commit_info": {"id": COMMITS[3], "dirty": dirty},
        "benchmarks": [{"name": "test_speed", "extra_info": extra}],
    }


def write(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def history(tmp_path):
    return History(Store.open(tmp_path / "results"))


class TestMeasurements:
    def test_are_read_from_results_of_pytest_benchmark(self, tmp_path):
        (found,) = measurement.read_figures(write(tmp_path / "results.json", document(dirty=True)))
        assert (found.value, found.rounds, found.better) == (2.0, (1.0, 2.0, 4.0), "higher")
        assert found.series == ("speedup", "jax", "a CPU, 2 cores")
        assert found.version == "0303030+"
        assert found.measured == "2026-01-05T10:00:00+00:00"

    def test_of_an_accelerator_are_a_series_of_their_own(self):
        on_gpu = measured(environment=ENVIRONMENT | {"device": "a GPU"})
        assert on_gpu.series.machine == "a GPU (a CPU, 2 cores)"
        assert on_gpu.series != measured().series

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (document(quick=True), "quick run"),
            (document(values=(1.0, 0.0)), "not a positive number"),
            (document(values=(1.0, math.nan)), "not a positive number"),
            (document(values=()), "not a positive number"),
            ({"benchmarks": [{"extra_info": {}}]}, "not from these benchmarks"),
            ([], "not from these benchmarks"),
        ],
    )
    def test_that_mean_nothing_are_refused(self, tmp_path, content, message):
        with pytest.raises(BenchmarkError, match=message):
            measurement.read_figures(write(tmp_path / "results.json", content))

    def test_cannot_be_read_from_another_file(self, tmp_path):
        with pytest.raises(BenchmarkError, match="cannot read"):
            measurement.read_figures(tmp_path)


class TestHistory:
    def test_gives_back_what_was_recorded(self, history):
        made = [measured(0), measured(1, commit=None), measured(2, modified=True, figure="growth", better="lower")]
        history.record(made)
        assert History(Store.existing(history.store.folder)).measurements() == made

    def test_keeps_series_apart_and_in_order(self, history):
        history.record([measured(3), measured(1), measured(2, backend="tensorflow"), measured(0, figure="growth")])
        assert {series[:2]: [one.commit for one in found] for series, found in history.series().items()} == {
            ("growth", "jax"): [COMMITS[0]],
            ("speedup", "jax"): [COMMITS[1], COMMITS[3]],
            ("speedup", "tensorflow"): [COMMITS[2]],
        }


class TestSteps:
    @pytest.mark.parametrize("count", [2, 3, 7, 20, 60])
    def test_splits_are_tested_as_scipy_does(self, count):
        values = np.random.default_rng(count).standard_normal(count)
        expected = [
            scipy.stats.mannwhitneyu(values[:split], values[split:], method="exact").pvalue for split in range(1, count)
        ]
        assert steps.split_levels(values) == pytest.approx(expected, rel=1e-9)

    def test_ties_never_make_a_split_more_significant_than_any_order_of_the_tied_values(self):
        values = np.array([1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0])
        orders = [
            steps.split_levels(values + 1e-6 * np.random.default_rng(seed).standard_normal(8)) for seed in range(200)
        ]
        assert (steps.split_levels(values) >= np.min(orders, axis=0)).all()
        assert steps.split_levels(np.ones(8)) == pytest.approx(np.ones(7))

    def test_intervals_are_those_of_the_mann_whitney_test(self):
        generator = np.random.default_rng(4)
        before, after = generator.standard_normal(9), generator.standard_normal(12) + 1
        found = steps.change(before, after)
        differences = np.subtract.outer(after, before)
        assert math.log(found.ratio) == pytest.approx(np.median(differences))

        def level(shift):
            return scipy.stats.mannwhitneyu(after - shift, before, method="exact").pvalue

        for limit, outwards in ((math.log(found.low), -1e-9), (math.log(found.high), 1e-9)):
            assert level(limit + outwards) <= 0.01 < level(limit - outwards)

    def test_samples_that_are_too_small_have_no_limits(self):
        found = steps.change(np.log([1.0, 2.0]), np.log([4.0, 5.0]))
        assert (found.low, found.high) == (0.0, math.inf)

    def test_known_steps_are_found_with_place_and_size(self):
        values = [*noisy(30, 0.04, 30, 1), *noisy(22.5, 0.04, 30, 2), *noisy(30, 0.04, 30, 3)]
        first, second = steps.steps(values)
        assert (first.start, second.start) == (30, 60)
        assert first.change.low < 0.75 < first.change.high < 0.85
        assert 1.2 < second.change.low < 4 / 3 < second.change.high
        assert first.start < first.noticed <= 36

    def test_one_wild_run_is_no_step(self):
        values = noisy(1.0, 0.03, 60)
        values[40] = 0.1
        values[41] = 0.12
        assert steps.steps(values) == []

    def test_a_change_below_the_floor_is_no_step(self):
        values = np.r_[noisy(1.0, 0.003, 30, 1), noisy(0.97, 0.003, 30, 2)]
        assert steps.steps(values) == []
        assert [step.start for step in steps.steps(values * np.repeat([1.0, 0.95], 30))] == [30]

    @pytest.mark.parametrize("values", [[], [1.0], [1.0, 0.5], [1.0] * 100])
    def test_nothing_is_found_where_there_is_nothing_to_find(self, values):
        assert steps.steps(values) == []

    def test_later_measurements_leave_earlier_steps_in_place(self):
        values = [*noisy(1.0, 0.05, 25, 1), *noisy(0.8, 0.05, 40, 2), *noisy(1.2, 0.05, 15, 3)]
        found = steps.steps(values)
        assert len(found) == 2
        for end in range(len(values)):
            earlier = [(step.start, step.noticed) for step in steps.steps(values[:end])]
            assert earlier == [(step.start, step.noticed) for step in found if step.noticed < end]


class TestSimulation:
    def test_finds_what_the_search_finds(self):
        series = 0.05 * np.random.default_rng(3).standard_normal((40, 50))
        series[:30, 25:] -= 0.15
        found = detection.first_steps(series)
        for logarithms, start, noticed in zip(series, found.start, found.noticed, strict=True):
            single = steps.steps(np.exp(logarithms))
            assert (start, noticed) == ((single[0].start, single[0].noticed) if single else (-1, -1))

    @pytest.mark.parametrize("noise", ["normal", "heavy-tailed", "rounded"])
    def test_false_alarms_are_rare(self, noise):
        # Of 1000 series with a probability of 1 %, 18 or more show a step once in 80 tables.
        assert detection.false_alarms(noise, 1.0, [80], simulations=1000)[80] < 0.018

    def test_losses_are_found(self):
        assert detection.power("skewed", 0.04, 20, 0.25, simulations=200)["within 10"] > 0.95
        assert detection.power("normal", 0.04, 40, 0.10, simulations=200)["within 20"] > 0.9

    def test_intervals_cover_the_size_of_steps(self):
        # A 99 % interval that misses 15 or more of 500 would be a rare accident (p < 0.001).
        assert detection.power("normal", 0.04, 20, 0.25, simulations=500)["cover"] > 1 - 15 / 500

    def test_comparisons_with_the_same_speed_are_hardly_ever_worse(self):
        assert detection.compared(0.08, 0.0, 0.05, 5, simulations=2000) <= 8 / 2000
        assert detection.compared(0.08, 0.0, 0.50, 5, simulations=200) > 0.95


class TestTrends:
    def test_a_regression_depends_on_which_value_is_better(self):
        values = [*noisy(30, 0.03, 20, 1), *noisy(40, 0.03, 20, 2)]
        for better, regressed in (("higher", False), ("lower", True)):
            made = [measured(run, [value], better=better) for run, value in enumerate(values)]
            assert trends.trend(made[0].series, made).regressed is regressed

    def test_a_step_names_commits_and_versions_on_both_sides(self):
        values = [*noisy(40, 0.03, 20, 1), *noisy(30, 0.03, 20, 2)]
        made = [measured(run, [value]) for run, value in enumerate(values)]
        newer = ENVIRONMENT | {"keras": "3.15.0", "backend_version": "0.11"}
        made[20:] = [replace(one, environment=newer) for one in made[20:]]
        (turn,) = trends.trend(made[0].series, made).turns
        assert (turn.last.commit, turn.first.commit) == (COMMITS[19], COMMITS[20])
        assert turn.versions == ["keras 3.14.0 → 3.15.0", "jax 0.10 → 0.11"]


class TestComparison:
    def test_interval_and_level_are_those_of_welch(self):
        now, before = noisy(0.8, 0.05, 6, 1), noisy(1.0, 0.1, 8, 2)
        (found,) = comparison.compare_figures([measured(rounds=now)], [measured(rounds=before)])
        test = scipy.stats.ttest_ind(np.log(now), np.log(before), equal_var=False)
        low, high = np.exp(test.confidence_interval(0.99))
        assert (found.change.low, found.change.high) == pytest.approx((low, high))
        assert found.change.ratio == pytest.approx(scipy.stats.gmean(now) / scipy.stats.gmean(before))
        expected = scipy.stats.ttest_ind(np.log(now * 1.05), np.log(before), equal_var=False, alternative="less").pvalue
        assert comparison.loss_level(np.log(now), np.log(before), "higher") == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("factor", "better", "worse"),
        [
            (0.6, "higher", True),
            (0.6, "lower", False),
            (1.6, "lower", True),
            (1.6, "higher", False),
            (0.97, "higher", 0),
        ],
    )
    def test_worse_is_a_loss_beyond_the_floor(self, factor, better, worse):
        now, before = noisy(factor, 0.02, 5, 1), noisy(1.0, 0.02, 5, 2)
        (found,) = comparison.compare_figures(
            [measured(rounds=now, better=better)], [measured(rounds=before, better=better)]
        )
        assert found.worse is bool(worse)

    def test_many_comparisons_share_the_error(self):
        now, before = noisy(0.78, 0.05, 5, 1), noisy(1.0, 0.05, 5, 2)
        (alone,) = comparison.compare_figures([measured(rounds=now)], [measured(rounds=before)])
        assert alone.worse
        others = [measured(rounds=before, figure=f"figure {number}") for number in range(20)]
        first, *rest = comparison.compare_figures([measured(rounds=now), *others], [measured(rounds=before), *others])
        assert not first.worse
        assert not any(other.worse for other in rest)

    def test_one_round_decides_nothing(self):
        (found,) = comparison.compare_figures([measured(rounds=[0.1])], [measured(rounds=[1.0, 1.1])])
        assert not found.worse
        assert (found.change.low, found.change.high) == (0.0, math.inf)

    def test_what_only_one_side_has_is_left_out(self):
        now = [measured(), measured(figure="new")]
        assert [one.series.figure for one in comparison.compare_figures(now, [measured(), measured(figure="old")])] == [
            "speedup"
        ]
        with pytest.raises(BenchmarkError, match="nothing to compare"):
            comparison.compare_figures(now, [measured(backend="tensorflow")])


class TestReference:
    def test_is_a_commit_by_its_beginning(self, history, tmp_path):
        history.record([measured(1), measured(2), measured(1, modified=True)])
        (found,) = comparison.load_reference("0101", history, tmp_path)
        assert (found.commit, found.modified) == (COMMITS[1], False)

    def test_is_a_file(self, tmp_path):
        file = write(tmp_path / "results.json", document())
        assert [one.value for one in comparison.load_reference(str(file), None, tmp_path)] == [2.0]

    def test_must_be_measured_and_unique(self, history, tmp_path):
        history.record([measured(1), measured(2, commit="01ff" * 10)])
        with pytest.raises(BenchmarkError, match="beginning of 2 commits"):
            comparison.load_reference("01", history, tmp_path)
        with pytest.raises(BenchmarkError, match=r"those have: 01ff01f, 0101010.*run `repro bench` there first"):
            comparison.load_reference("main", history, tmp_path)
        with pytest.raises(BenchmarkError, match="those have: none"):
            comparison.load_reference("main", None, tmp_path)


class TestPage:
    def test_shows_every_series_with_its_steps(self, history):
        values = [*noisy(40, 0.03, 20, 1), *noisy(30, 0.03, 20, 2)]
        history.record([measured(run, value * noisy(1, 0.05, 5, run)) for run, value in enumerate(values)])
        history.record([measured(3, figure="growth", better="lower", environment=ENVIRONMENT | {"cpu": "<b>"})])
        page = write_performance(history.store.folder / "site", history)
        assert page == history.store.folder / "site" / "performance.html"
        text = page.read_text(encoding="utf-8")
        for expected in ("speedup", "growth", "worse", COMMITS[20][:7], "2026-01-21", "&lt;b&gt;, 2 cores"):
            assert expected in text
        assert "index.html" not in text  # there is none to lead to
        figures = sorted(path.name for path in (page.parent / "figures").iterdir())
        assert figures == ["performance-growth-jax-b-2-cores.svg", "performance-speedup-jax-a-cpu-2-cores.svg"]
        assert all(f'src="figures/{name}"' in text for name in figures)
        assert (page.parent / "style.css").is_file()

    def test_leaves_other_pages_and_leads_to_the_report(self, history):
        site = history.store.folder / "site"
        site.mkdir()
        (site / "index.html").write_text("the report")
        text = write_performance(site, history).read_text(encoding="utf-8")
        assert 'href="index.html"' in text
        assert "Nothing has been measured" in text
        assert (site / "index.html").read_text() == "the report"
