"""Whether a verdict means something: the rules of the design one by one, on evaluations made by hand."""

from dataclasses import replace

import pytest

from repro.criteria import Cell, Contrast, Verdict
from repro.results.records import ClaimResult, Evaluation
from repro.results.soundness import assess

EXCEEDS = Contrast("", effect=0.5, low=0.3, high=0.7, n=16, smallest=0.1)
DOES_NOT = Contrast("", effect=0.15, low=0.05, high=0.25, n=16, smallest=0.1)


def cell(outcome, expected=None, decides=True, **conditions):
    return Cell(conditions, outcome, 0.5, 0.3, 0.7, 16, expected=expected, decides=decides)


def evaluation(status, kind="tendency", role="claim", cells=(), deciding="", **details):
    verdict = None
    if status not in ("error", "skipped"):
        verdict = Verdict(status, 0.5, 0.3, 0.7, 16, "gain", p=1e-5, kind=kind, cells=tuple(cells), deciding=deciding)
    return Evaluation(role, f"statement of the {role}", {}, (0, 1), status, verdict, **details)


def counterparts(**statuses):
    return [
        status if isinstance(status, Evaluation) else evaluation(status, role=role.replace("_", " "))
        for role, status in statuses.items()
    ]


def sound(own, **others):
    return assess(own, counterparts(**others)).sound


KINDS = ("formula", "theorem", "law", "tendency", "advice", "finding")


class TestReproduced:
    @pytest.mark.parametrize("status", ["conditional", "absent", "refuted"])
    def test_its_control_is_decided_and_not_reproduced(self, status):
        assert sound(evaluation("reproduced"), control=status) is True

    @pytest.mark.parametrize("status", ["inconclusive", "error", "skipped"])
    def test_an_undecided_control_leaves_it_open(self, status):
        assert sound(evaluation("reproduced"), control=status) is None

    def test_a_control_that_is_reproduced_contradicts_it(self):
        found = assess(evaluation("reproduced"), counterparts(control="reproduced"))
        assert (found.sound, found.contradictions) == (False, ("its control is reproduced",))
        assert found.text == "unsound: its control is reproduced"

    def test_it_exceeds_its_control_by_what_matters(self):
        exceeded = evaluation("absent", role="control", contrast=EXCEEDS)
        assert sound(evaluation("reproduced"), control=exceeded) is True
        near = evaluation("absent", role="control", contrast=DOES_NOT)
        found = assess(evaluation("reproduced"), [near])
        assert found.sound is None
        assert "less than what matters" in found.text

    @pytest.mark.parametrize(("status", "expected"), [("refuted", True), ("reproduced", False), ("inconclusive", None)])
    def test_its_rival_is_refuted(self, status, expected):
        assert sound(evaluation("reproduced", "formula"), rival=status) is expected

    def test_without_a_control_or_a_rival_it_is_open(self):
        found = assess(evaluation("reproduced"), [])
        assert (found.sound, found.contradictions) == (None, ())
        assert "it has no control" in found.text

    @pytest.mark.parametrize("role", ["correction", "positive_control"])
    def test_what_must_hold_is_no_support_for_it(self, role):
        assert sound(evaluation("reproduced"), **{role: "reproduced"}) is None


class TestRefuted:
    @pytest.mark.parametrize("kind", ["formula", "theorem", "law"])
    def test_the_correction_of_a_false_formula_is_reproduced(self, kind):
        assert sound(evaluation("refuted", kind), correction="reproduced") is True
        assert sound(evaluation("refuted", kind), positive_control="reproduced") is None
        assert sound(evaluation("refuted", kind)) is None

    @pytest.mark.parametrize(
        ("status", "expected"),
        [("inconclusive", None), ("error", None), ("refuted", False), ("absent", False), ("conditional", False)],
    )
    def test_a_correction_must_hold(self, status, expected):
        assert sound(evaluation("refuted", "formula"), correction=status) is expected

    @pytest.mark.parametrize("kind", ["tendency", "advice", "finding"])
    def test_an_effect_is_found_where_the_opposite_of_a_tendency_was_seen(self, kind):
        assert sound(evaluation("refuted", kind), positive_control="reproduced") is True
        assert sound(evaluation("refuted", kind), correction="reproduced") is None

    def test_results_that_do_not_know_the_kind_have_a_correction(self):
        assert sound(evaluation("refuted", None), correction="reproduced") is True


class TestAbsent:
    @pytest.mark.parametrize("kind", ["tendency", "advice", "possibility", "finding"])
    @pytest.mark.parametrize(
        ("status", "expected"), [("reproduced", True), ("absent", False), ("refuted", False), ("inconclusive", None)]
    )
    def test_a_known_effect_is_found_in_the_same_experiment(self, kind, status, expected):
        assert sound(evaluation("absent", kind), positive_control=status) is expected

    def test_without_a_positive_control_it_is_open(self):
        found = assess(evaluation("absent"), counterparts(control="absent"))
        assert found.sound is None
        assert "it has no positive control" in found.text


class TestConditional:
    def judged(self, *cells):
        return sound(evaluation("conditional", cells=cells))

    def test_the_boundary_that_was_fixed_beforehand_fits(self):
        assert self.judged(cell("holds", True, depth=2), cell("fails", False, depth=8)) is True

    def test_what_is_open_fits(self):
        assert (
            self.judged(cell("holds", True, depth=2), cell("fails", False, depth=8), cell("open", True, depth=4))
            is True
        )

    def test_an_opposite_cell_fails(self):
        assert self.judged(cell("holds", True, depth=2), cell("opposite", False, depth=8)) is True

    @pytest.mark.parametrize(
        "cells",
        [
            (cell("holds", False, depth=2), cell("fails", False, depth=8)),
            (cell("holds", True, depth=2), cell("fails", True, depth=8)),
            (cell("holds", False, depth=2), cell("fails", True, depth=8)),
        ],
    )
    def test_a_boundary_that_does_not_fit_was_found_afterwards(self, cells):
        found = assess(evaluation("conditional", cells=cells), [])
        assert (found.sound, found.contradictions) == (None, ())
        assert "the boundary was found afterwards" in found.text

    def test_every_decided_cell_counts_those_of_the_map_too(self):
        cells = (
            cell("holds", True, depth=2),
            cell("fails", False, depth=8),
            cell("holds", False, decides=False, depth=9),
        )
        assert self.judged(*cells) is None

    def test_without_a_boundary_it_is_open(self):
        found = assess(evaluation("conditional", cells=[cell("holds", depth=2), cell("fails", depth=8)]), [])
        assert found.sound is None
        assert "no boundary was fixed beforehand" in found.text

    @pytest.mark.parametrize("kind", KINDS)
    def test_of_every_kind(self, kind):
        cells = cell("holds", True, depth=2), cell("fails", False, depth=8)
        assert sound(evaluation("conditional", kind, cells=cells)) is True


class TestPossibility:
    own = evaluation(
        "reproduced",
        "possibility",
        cells=[cell("holds", depth=2), cell("fails", depth=8)],
        deciding="depth 2",
    )

    def repeated(self, *cells, status="reproduced"):
        return evaluation(status, "possibility", role="repetition", cells=cells)

    def test_its_best_cell_is_seen_again(self):
        again = self.repeated(cell("holds", depth=2), cell("fails", depth=8))
        found = assess(self.own, [again])
        assert found.sound is True
        assert found.text == "sound: depth 2 holds on fresh seeds too"

    def test_another_cell_does_not_stand_for_it(self):
        again = self.repeated(cell("open", depth=2), cell("holds", depth=8))
        found = assess(self.own, [again])
        assert found.sound is None
        assert "depth 2 is open on fresh seeds" in found.text

    @pytest.mark.parametrize("status", ["absent", "refuted"])
    def test_a_repetition_that_does_not_see_it_contradicts_it(self, status):
        found = assess(self.own, [self.repeated(cell("fails", depth=2), status=status)])
        assert (found.sound, found.contradictions) == (False, (f"its repetition on fresh seeds is {status}",))

    def test_without_a_repetition_it_is_open(self):
        found = assess(self.own, counterparts(control="absent"))
        assert found.sound is None
        assert "its best cell was not repeated on fresh seeds" in found.text

    @pytest.mark.parametrize("status", ["error", "skipped"])
    def test_a_repetition_without_a_verdict_is_none(self, status):
        assert sound(self.own, repetition=status) is None

    def test_of_one_cell(self):
        own = evaluation("reproduced", "possibility", cells=[cell("holds")])
        assert assess(own, [self.repeated(cell("holds"))]).text == "sound: it holds on fresh seeds too"
        assert sound(own, repetition=self.repeated(cell("open"), status="inconclusive")) is None

    def test_its_control_must_not_be_reproduced_either(self):
        again = self.repeated(cell("holds", depth=2), cell("fails", depth=8))
        assert sound(self.own, repetition=again, control="reproduced") is False


class TestWithoutAVerdict:
    @pytest.mark.parametrize("status", ["error", "skipped"])
    def test_it_is_open(self, status):
        found = assess(evaluation(status, message="no data"), counterparts(control="absent"))
        assert (found.sound, found.text) == (None, f"open: the claim ended as {status}, no data")

    @pytest.mark.parametrize(
        "others", [{"control": "absent"}, {"correction": "reproduced"}, {"positive_control": "reproduced"}, {}]
    )
    def test_inconclusive_is_open_whatever_the_others_are(self, others):
        found = assess(evaluation("inconclusive"), counterparts(**others))
        assert found.sound is None
        assert "more seeds" in found.text

    def test_a_contradiction_is_one_all_the_same(self):
        assert sound(evaluation("inconclusive"), control="reproduced") is False
        assert sound(evaluation("absent"), rival="reproduced", positive_control="reproduced") is False


class TestMarks:
    marked = ("its kind is not declared", "a smallest effect names no source")

    def test_a_marked_claim_is_unsound(self):
        found = assess(evaluation("reproduced", marks=self.marked), counterparts(control="absent"))
        assert (found.sound, found.contradictions) == (False, ())
        assert found.text == "unsound: its kind is not declared; a smallest effect names no source"

    @pytest.mark.parametrize("status", ["reproduced", "conditional", "absent", "refuted", "inconclusive"])
    def test_marks_alter_no_status_and_are_no_complaint(self, status):
        result = ClaimResult("family.name", evaluation(status, marks=self.marked), ())
        assert (result.status, result.sound) == (status, False)
        assert not result.failed

    def test_contradictions_come_first(self):
        found = assess(evaluation("reproduced", marks=self.marked), counterparts(control="reproduced"))
        assert found.text == "unsound: its control is reproduced"

    def test_what_ended_in_error_is_not_marked_unsound(self):
        assert assess(evaluation("error", message="x", marks=self.marked), []).sound is None


@pytest.mark.parametrize("role", ["control", "rival"])
@pytest.mark.parametrize("status", ["reproduced", "conditional", "absent", "refuted", "inconclusive"])
def test_what_must_fail_contradicts_every_verdict_if_it_does_not(role, status):
    assert assess(evaluation(status), counterparts(**{role: "reproduced"})).contradictions == (
        f"its {role} is reproduced",
    )


@pytest.mark.parametrize("status", ["conditional", "absent", "refuted"])
def test_a_correction_that_does_not_hold_contradicts(status):
    found = assess(evaluation("inconclusive"), counterparts(correction=status))
    assert found.contradictions == (f"its correction is {status}",)


@pytest.mark.parametrize("status", ["conditional", "absent", "refuted"])
@pytest.mark.parametrize("own", ["reproduced", "inconclusive", "absent", "refuted"])
def test_a_positive_control_is_needed_where_nothing_was_seen(own, status):
    found = assess(evaluation(own), counterparts(positive_control=status))
    needed = own in ("absent", "refuted")
    assert found.contradictions == ((f"its positive control is {status}",) if needed else ())


@pytest.mark.parametrize(("outcome", "sound"), [("fails", True), ("opposite", True), ("open", None), ("holds", None)])
def test_a_control_that_fails_in_one_cell_does_not_reproduce_the_statement(outcome, sound):
    (control,) = counterparts(control="inconclusive")
    cells = (cell("open", depth=2), cell(outcome, depth=8))
    control = replace(control, verdict=replace(evaluation("inconclusive").verdict, cells=cells))
    assert assess(evaluation("reproduced"), [control]).sound is sound


def test_all_contradictions_are_told():
    found = assess(evaluation("reproduced"), counterparts(control="reproduced", correction="absent"))
    assert found.text == "unsound: its control is reproduced; its correction is absent"
