"""Marks on verdicts that an expert would not sign: one planted fault for each, and its good twin without the mark."""

import numpy as np
import pandas as pd
import pytest

from repro.catalogue import FRESH, Correction, PositiveControl, Source, claim, registry
from repro.criteria import AllOf, AtMost, Boundary, Equivalent, Greater, Peak, Ratio
from repro.results.records import Evaluation
from repro.results.store import Store
from repro.runner import execution, marking, planning

SOURCE = Source("My notes", "1")
SEEDS = 16


def nets(seeds, *, gain=0.05, plain=0.5, noise=0.002, depths=(2,), floor=False):
    """Accuracy of a deep and a plain net, of every seed another."""
    rows = []
    for depth in depths:
        for seed in seeds:
            drawn = np.random.default_rng([seed, depth]).normal(0, noise, 2) if noise else np.zeros(2)
            rows.append({"seed": seed, "depth": depth, "net": "plain", "accuracy": plain + drawn[0]})
            better = 0.0 if floor else gain / depth * 2
            rows.append({"seed": seed, "depth": depth, "net": "deep", "accuracy": plain + better + drawn[1]})
    return pd.DataFrame(rows)


better = Greater("accuracy", of="deep", than="plain", by="net", each=("depth",))
GOOD = {"source": SOURCE, "kind": "tendency", "left_open": ("depth",), "criterion": better, "control": {"gain": 0.0}}


def declared(**details):
    return claim("Deep nets do better.", **GOOD | details)(nets)


def of_observations(of, observations):
    return marking.of_observations(of, observations, of.judge(observations))


def of_counterparts(of, observations, **tables):
    """Marks that tables of counterparts give, by role; a text instead of a table is a status without a verdict."""
    evaluations = []
    for name, table in tables.items():
        role = name.replace("_", " ")
        if isinstance(table, str):
            evaluations.append(Evaluation(role, "statement", {}, (), table))
            continue
        verdict = of.variant(role, of.defaults).judge(table)
        evaluations.append(Evaluation(role, "statement", {}, (), verdict.status, verdict))
    return marking.of_counterparts(of, of.judge(observations), evaluations)


good = declared()
measured = nets(range(SEEDS))
without_gain = nets(range(SEEDS), gain=0.0)


def test_a_good_claim_has_no_marks():
    assert of_observations(good, measured) == []
    assert of_counterparts(good, measured, control=without_gain) == []


def test_what_the_declaration_lacks_is_marked():
    bare = declared(kind=None, control=None, left_open=())
    assert len(of_observations(bare, measured)) == 3


class TestCells:
    def judged(self, number, **options):
        many = declared(**options)
        return [
            mark
            for mark in of_observations(many, nets(range(SEEDS), depths=tuple(range(1, number + 1))))
            if "cells" in mark
        ]

    def test_more_than_eight_decide(self):
        assert self.judged(9) == ["9 cells decide, where two should be named beforehand (Boundary(..., named=...))"]
        assert self.judged(8) == []

    def test_named_cells_decide_alone(self):
        named = Boundary("in shallow nets", holds="depth <= 5", named=[{"depth": 3}, {"depth": 9}])
        assert self.judged(12, boundary=named) == []


class TestPlanted:
    def marks(self, observations, of=good):
        return [mark for mark in of_observations(of, observations) if "planted" in mark]

    def test_an_arm_of_one_number_was_not_measured(self):
        planted = measured.assign(accuracy=measured["accuracy"].where(measured["net"] == "deep", 0.42))
        assert self.marks(planted) == ["accuracy of plain is 0.42 for every seed: planted, not measured"]
        assert self.marks(measured) == []

    @pytest.mark.parametrize("limit", [0.0, 1.0, np.inf, 1 - float(np.float32(1 - 2**-22))])
    def test_a_limit_of_the_quantity_may_be_measured(self, limit):
        """No error, all right, never reached; no error as shares in single precision have it."""
        at_limit = measured.assign(accuracy=measured["accuracy"].where(measured["net"] == "deep", limit))
        assert self.marks(at_limit) == []

    def test_of_a_ratio(self):
        sixfold = declared(criterion=Ratio("accuracy", of="deep", than="plain", by="net", expected=6), left_open=())
        planted = measured.assign(accuracy=measured["accuracy"].where(measured["net"] == "plain", 3.0))
        assert self.marks(planted, sixfold) == ["accuracy of deep is 3 for every seed: planted, not measured"]

    def test_in_one_cell_or_part(self):
        several = nets(range(SEEDS), depths=(2, 4))
        planted = several.assign(
            accuracy=several["accuracy"].where((several["net"] == "deep") | (several["depth"] == 2), 0.42)
        )
        assert self.marks(planted) == ["accuracy of plain is 0.42 for every seed: planted, not measured"]
        joined = declared(criterion=AllOf(first=better, second=AtMost("accuracy", bound=1.0)))
        assert self.marks(planted, joined)

    def test_few_seeds_may_agree(self):
        few = nets(range(7))
        assert self.marks(few.assign(accuracy=few["accuracy"].where(few["net"] == "deep", 0.42))) == []

    def test_what_is_not_random_is_the_same_each_time(self):
        deterministic = nets([0]).drop(columns="seed")
        assert self.marks(deterministic) == []


class TestEdges:
    def marks(self, tuning):
        observations = measured.copy()
        observations.attrs["tuning"] = tuning
        return [mark for mark in of_observations(good, observations) if "edge" in mark]

    def test_the_best_rate_lies_at_the_edge_of_its_grid(self):
        trials = [
            {"net": "deep", "learning_rate": 0.1, "best": False, "at_edge": False},
            {"net": "deep", "learning_rate": 1.0, "best": True, "at_edge": True},
        ]
        assert self.marks(trials) == ["the best value of 1 searches lies at the edge of the grid"]
        assert self.marks([trials[0]]) == []

    def test_every_search_counts(self):
        trials = [{"net": net, "learning_rate": 1.0, "best": True, "at_edge": True} for net in ("deep", "plain")]
        assert self.marks(trials) == ["the best value of 2 searches lies at the edge of the grid"]

    def test_without_tuning_and_in_records_that_do_not_say(self):
        assert self.marks([]) == []
        assert self.marks([{"learning_rate": 1.0, "best": True}]) == []


class TestControl:
    def marks(self, control, of=good):
        return of_counterparts(of, measured, control=control)

    def test_an_undecided_one_is_no_fault(self):
        """It leaves open whether the claim is sound, where nothing else shows it."""
        assert self.marks(nets(range(SEEDS), gain=0.0, noise=0.2)) == []

    def test_an_arm_against_itself(self):
        """Its difference is zero for every seed: this control could not have come out otherwise."""
        plain = without_gain[without_gain["net"] == "plain"]
        itself = pd.concat([plain, plain.assign(net="deep")])
        mark = "its control is the same for every seed: an arm against itself, or nothing random"
        assert self.marks(itself) == [mark]
        assert self.marks(without_gain) == []

    def test_constant(self):
        mark = "its control is the same for every seed: an arm against itself, or nothing random"
        assert self.marks(nets(range(SEEDS), gain=-0.3, noise=0.0)) == [mark]

    def test_places_on_a_grid_may_be_the_same(self):
        peaked = declared(
            criterion=Peak("size", "error", at=4.0, within=1.5, prominence=1.2, because="it is so"), left_open=()
        )
        heights = {1: 9.0, 2: 3.0, 4: 2.0, 8: 1.0}
        rows = [
            {"seed": seed, "size": size, "error": heights[size] + seed / 100}
            for seed in range(SEEDS)
            for size in heights
        ]
        falling = pd.DataFrame(rows)
        assert peaked.judge(falling).cells[0].effect == 1 / 4
        assert of_counterparts(peaked, falling, control=falling) == []

    def test_constant_in_one_cell_of_several_alone(self):
        noisy, constant = nets(range(SEEDS), gain=0.0), nets(range(SEEDS), gain=0.0, noise=0.0, depths=(4,))
        assert self.marks(pd.concat([noisy, constant])) == []

    def test_of_what_has_no_sampling_error_it_may_be_constant(self):
        bounded = declared(criterion=AtMost("accuracy", bound=0.9), left_open=(), control={"plain": 2.0})
        assert self.marks(nets(range(SEEDS), plain=2.0, noise=0.0), bounded) == []

    def test_without_randomness_it_may_be_constant(self):
        exact = declared(criterion=Equivalent("accuracy", 0.5, smallest_difference=0.01), left_open=())
        single = pd.DataFrame({"accuracy": [0.5]})
        assert of_counterparts(exact, single, control=single.assign(accuracy=0.9)) == []

    @pytest.mark.parametrize("status", ["error", "skipped"])
    def test_without_a_verdict(self, status):
        assert self.marks(status) == []

    def test_missing(self):
        assert of_counterparts(good, measured) == []


class TestPositiveControl:
    """A cell where nothing was seen says little, unless something could have been seen there."""

    known = declared(positive_control=PositiveControl("A gain of a tenth is seen.", gain=0.1))

    def test_failing_without(self):
        assert of_counterparts(good, without_gain) == [
            "no positive control shows that an effect could have been seen at depth 2"
        ]

    def test_failing_with(self):
        seen = nets(range(SEEDS), gain=0.1)
        assert of_counterparts(self.known, without_gain, positive_control=seen) == []

    def test_that_is_not_seen_itself(self):
        assert of_counterparts(self.known, without_gain, positive_control=without_gain) == [
            "no positive control shows that an effect could have been seen at depth 2"
        ]
        assert of_counterparts(self.known, without_gain, positive_control="error")

    def test_at_the_conditions_of_the_cell(self):
        """Seen at depth 2 and not at depth 4, where accuracies are at their floor."""
        several = nets(range(SEEDS), gain=0.0, depths=(2, 4))
        seen = pd.concat([nets(range(SEEDS), gain=0.1), nets(range(SEEDS), floor=True, depths=(4,))])
        assert of_counterparts(self.known, several, positive_control=seen) == [
            "no positive control shows that an effect could have been seen at depth 4"
        ]
        everywhere = nets(range(SEEDS), gain=0.2, depths=(2, 4))
        assert of_counterparts(self.known, several, positive_control=everywhere) == []

    def test_conditions_that_it_does_not_have_are_no_matter(self):
        several = nets(range(SEEDS), gain=0.0, depths=(2, 4))
        whole = declared(
            positive_control=PositiveControl(
                "A gain is seen.", criterion=Greater("accuracy", of="deep", than="plain", by="net"), gain=0.1
            )
        )
        assert of_counterparts(whole, several, positive_control=nets(range(SEEDS), gain=0.1)) == []

    def test_all_places_are_counted(self):
        several = nets(range(SEEDS), gain=0.0, depths=(2, 4, 8))
        assert of_counterparts(good, several) == [
            "no positive control shows that an effect could have been seen at depth 2 and 2 more"
        ]

    def test_of_a_statement_without_conditions(self):
        whole = declared(criterion=Greater("accuracy", of="deep", than="plain", by="net"), left_open=())
        assert of_counterparts(whole, without_gain) == [
            "no positive control shows that an effect could have been seen at all"
        ]

    def test_where_the_opposite_was_seen_something_was(self):
        assert of_counterparts(good, nets(range(SEEDS), gain=-0.1)) == []

    @pytest.mark.parametrize("kind", ["formula", "theorem"])
    def test_a_counterexample_needs_none(self, kind):
        assert of_counterparts(declared(kind=kind), without_gain) == []

    def test_statements_of_sameness_fail_by_an_effect(self):
        same = declared(criterion=Equivalent("accuracy", 0.9, smallest_difference=0.01), left_open=())
        assert same.judge(measured).status == "absent"
        assert of_counterparts(same, measured) == []

    def test_of_the_parts_that_are_orderings(self):
        joined = declared(criterion=AllOf(better=better, near=Equivalent("accuracy", 0.9, smallest_difference=0.01)))
        assert of_counterparts(joined, without_gain) == [
            "no positive control shows that an effect could have been seen at better: depth 2"
        ]

    def test_in_the_part_of_the_cell(self):
        """Seen in one part and not in the other, whose own cell then lacks it."""
        joined = declared(
            criterion=AllOf(
                better=better, worse=Greater("accuracy", of="plain", than="deep", by="net", each=("depth",))
            ),
            positive_control=PositiveControl("A gain of a tenth is seen.", gain=0.1),
        )
        seen = nets(range(SEEDS), gain=0.1)
        assert of_counterparts(joined, without_gain, positive_control=seen) == [
            "no positive control shows that an effect could have been seen at worse: depth 2"
        ]

    def test_of_a_possibility_that_is_seen_somewhere(self):
        several = pd.concat([measured, nets(range(SEEDS), floor=True, depths=(4,))])
        possible = declared(kind="possibility")
        assert possible.judge(several).status == "reproduced"
        assert of_counterparts(possible, several) == []

    def test_beside_the_cells_that_decide(self):
        shallow = Boundary("in shallow nets", holds="depth <= 2", named=[{"depth": 2}])
        tendency = declared(boundary=shallow)
        several = pd.concat([measured, nets(range(SEEDS), floor=True, depths=(4,))])
        assert tendency.judge(several).status == "reproduced"
        assert of_counterparts(tendency, several) == [
            "no positive control shows that an effect could have been seen at depth 4"
        ]


class TestInARun:
    """Gates mark: they alter no status, and stop nobody."""

    @pytest.fixture
    def results_of(self, tmp_path, monkeypatch):
        monkeypatch.setattr(registry, "registered", dict)  # the catalogue's claims have no part in this

        def run(*claims):
            store = Store.open(tmp_path / "results")
            completed = execution.execute(planning.make_plan(claims, "smoke"), store.folder, 0)
            assert store.results(completed.run.id) == list(completed.results)
            return completed.results

        return run

    def test_a_claim_without_kind_and_counterpart_runs_and_says_what_it_lacks(self, results_of):
        bare = claim("Deep nets do better.", source=SOURCE, criterion=better)(nets)
        (result,) = results_of(bare)
        assert (result.status, result.sound) == ("reproduced", False)
        assert result.evaluation.verdict.kind == "tendency"
        assert [mark.split(" ")[0:3] for mark in result.evaluation.marks] == [
            ["its", "kind", "is"],
            ["no", "counterpart", "shows"],
            ["its", "conditions", "depth"],
        ]
        assert all(mark in result.soundness for mark in result.evaluation.marks)
        assert not result.failed

    def test_the_good_twin_is_sound(self, results_of):
        (result,) = results_of(declared())
        assert (result.status, result.sound, result.evaluation.marks) == ("reproduced", True, ())
        control = result.counterpart("control")
        assert (control.status, control.marks) == ("absent", ())
        assert control.contrast.exceeds

    def test_marks_alter_no_status(self, results_of):
        (marked,) = results_of(declared(kind=None, left_open=()))
        (unmarked,) = results_of(declared())
        assert marked.status == unmarked.status
        assert [item.status for item in marked.counterparts] == [item.status for item in unmarked.counterparts]

    @pytest.mark.parametrize("depths", [(2,), (2, 3)])
    def test_a_possibility_is_repeated_on_fresh_seeds(self, results_of, depths):
        @claim("Deep nets can do better.", **GOOD | {"kind": "possibility"})
        def some_depths(seeds, *, depths=depths, gain=0.05):
            """Gains shrink with depth."""
            return nets(seeds, depths=depths, gain=gain)

        (result,) = results_of(some_depths)
        repetition = result.counterpart("repetition")
        assert (result.status, repetition.status, result.sound) == ("reproduced", "reproduced", True)
        assert not set(repetition.seeds) & set(result.evaluation.seeds)
        assert "on fresh seeds too" in result.soundness

    def test_a_possibility_whose_winning_cell_is_not_seen_again_is_not_sound(self, results_of):
        seen = []

        def lucky(seeds, *, gain=0.05):
            """The second time, nothing is seen."""
            half = min(seeds) // FRESH
            seen.append(half)
            first = half == seen[0]
            return nets(seeds, gain=gain if first else 0.0)

        (result,) = results_of(claim("Deep nets can do better.", **GOOD | {"kind": "possibility"})(lucky))
        assert result.status == "reproduced"
        assert result.counterpart("repetition").status == "absent"
        assert result.sound is False

    def test_a_correction_of_some_of_its_own_cells_is_marked(self, results_of):
        @claim("Deep nets do better.", **GOOD | {"correction": Correction("Nets of two layers do.", depths=(2,))})
        def of_two_depths(seeds, *, depths=(2, 64), gain=0.05):
            """Gains shrink with depth."""
            return nets(seeds, depths=depths, gain=gain)

        (result,) = results_of(of_two_depths)
        assert (result.status, result.counterpart("correction").status) == ("conditional", "reproduced")
        assert "its correction runs a part of the claim's own depths" in result.evaluation.marks

    def test_counterparts_are_not_marked_themselves(self, results_of):
        (result,) = results_of(declared(kind=None))
        assert result.evaluation.marks
        assert all(not item.marks for item in result.counterparts)

    def test_rates_at_the_edge_are_marked_once_whatever_the_looks(self, results_of):
        @claim("Deep nets do better.", **GOOD)
        def tuned(seeds, *, gain=0.05):
            """The rate was tuned."""
            observations = nets(seeds, gain=gain)
            observations.attrs["tuning"] = [{"learning_rate": 1.0, "best": True, "at_edge": True}]
            return observations

        (result,) = results_of(tuned)
        assert result.evaluation.marks == ("the best value of 1 searches lies at the edge of the grid",)
        assert result.status == "reproduced"
