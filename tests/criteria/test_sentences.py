"""Verdicts in words for readers: a heading by the kind of the statement, then what was seen, in units they know."""

import re

import numpy as np
import pandas as pd
import pytest

from repro.criteria import (
    AllOf,
    AtLeast,
    AtMost,
    Boundary,
    ChangesAs,
    Equivalent,
    ExponentialDecay,
    Falls,
    Greater,
    Identity,
    Monotone,
    Peak,
    Preserved,
    Proportion,
    Ratio,
    ScalingLaw,
    Threshold,
    heading,
)
from repro.criteria.sentences import amount, compared, factor, number

SOURCE = "the test says so"
SEEDS = 12


def two_arms(of, than=1.0, metric="loss", seeds=SEEDS, **columns):
    arms = [
        pd.DataFrame({"seed": range(seeds), "net": net, metric: value}) for net, value in (("deep", of), ("flat", than))
    ]
    return pd.concat(arms, ignore_index=True).assign(**columns)


def per_seed(**columns):
    return pd.DataFrame({"seed": range(SEEDS), **columns})


def along(values, x="layer", y="variance"):
    return pd.DataFrame(
        [{"seed": seed, x: place, y: value} for seed in range(SEEDS) for place, value in values.items()]
    )


ARMS = {"of": "deep", "than": "flat", "by": "net"}


class TestHeadings:
    @pytest.mark.parametrize(
        ("status", "kind", "words"),
        [
            ("reproduced", "formula", "holds here"),
            ("reproduced", "theorem", "no violation found"),
            ("reproduced", "law", "holds here"),
            ("reproduced", "tendency", "holds here"),
            ("reproduced", "advice", "holds here"),
            ("reproduced", "finding", "holds here"),
            ("reproduced", "possibility", "it can"),
            ("refuted", "formula", "false as stated"),
            ("refuted", "theorem", "false as stated"),
            ("refuted", "law", "false as stated"),
            ("refuted", "tendency", "opposite seen"),
            ("refuted", "advice", "opposite seen"),
            ("refuted", "finding", "opposite seen"),
            ("reproduced", None, "holds here"),  # results that do not know the kind
            ("refuted", None, "opposite seen"),
        ],
    )
    def test_by_kind(self, status, kind, words):
        assert heading(status, kind) == words

    @pytest.mark.parametrize(
        "kind", ["formula", "theorem", "law", "tendency", "advice", "possibility", "finding", None]
    )
    @pytest.mark.parametrize(
        ("status", "words"),
        [("conditional", "holds in part"), ("absent", "not seen at this scale"), ("inconclusive", "open")],
    )
    def test_of_every_kind(self, status, words, kind):
        assert heading(status, kind) == words


class TestUnits:
    @pytest.mark.parametrize(
        ("threshold", "difference", "words"),
        [
            (0.01, 0.2, "20 points"),
            (0.01, 0.01, "1 point"),
            (0.01, 0.0123, "1.23 points"),
            (0.01, 0.0, "0 points"),
            (0.1, 0.2, "0.2"),
        ],
    )
    def test_accuracies_and_errors_are_told_in_points(self, threshold, difference, words):
        assert amount(Threshold(threshold, "difference"), difference) == words

    @pytest.mark.parametrize(
        ("ratio", "words"),
        [
            (1.05, "5 % more"),
            (0.95, "5 % less"),
            (1.0, "0 % more"),
            (2.0, "2 times"),
            (30.0, "30 times"),
            (0.5, "a factor of 2 less"),
            (1e-3, "a factor of 1000 less"),
            (np.inf, "∞ times"),
            (0.0, "0 times"),
        ],
    )
    def test_ratios_near_one_are_told_in_per_cent(self, ratio, words):
        assert factor(ratio) == words

    @pytest.mark.parametrize(
        ("ratio", "words"),
        [
            (1.0, "the same as"),
            (1.0001, "the same as"),
            (1.05, "5 % more than"),
            (0.1, "a factor of 10 less than"),
            (6.0, "6 times"),
            (np.inf, "∞ times"),
        ],
    )
    def test_ratios_begin_a_comparison(self, ratio, words):
        assert compared(ratio) == words

    @pytest.mark.parametrize(
        ("value", "words"), [(0.123456, "0.123"), (-2.0, "−2"), (2e-16, "2e−16"), (1234.5, "1230")]
    )
    def test_numbers_have_three_digits(self, value, words):
        assert number(value) == words


# Criterion, table, kind, and the sentence that a reader gets.
SENTENCES = [
    (
        Greater("accuracy", **ARMS),
        two_arms(0.8, 0.5, "accuracy"),
        "tendency",
        "Holds here: accuracy of deep is 30 points above that of flat; 1 point counts.",
    ),
    (
        Greater("accuracy", **ARMS),
        two_arms(0.502, 0.5, "accuracy"),
        "tendency",
        "Not seen at this scale: accuracy of deep is 0.2 points above that of flat; 1 point counts.",
    ),
    (
        Greater("test_error", **ARMS),
        two_arms(0.1, 0.25, "test_error"),
        "advice",
        "Opposite seen: test error of deep is 15 points below that of flat; 1 point counts.",
    ),
    (
        Greater("loss", **ARMS),
        two_arms(3.0),
        "possibility",
        "It can: loss of deep is 3 times that of flat; 5 % more counts.",
    ),
    (
        Greater("loss", **ARMS),
        two_arms(1.02),
        "finding",
        "Not seen at this scale: loss of deep is 2 % more than that of flat; 5 % more counts.",
    ),
    (
        Greater("loss", **ARMS),
        two_arms(0.1),
        "law",
        "False as stated: loss of deep is a factor of 10 less than that of flat; 5 % more counts.",
    ),
    (
        Ratio("steps", **ARMS, expected=6),
        two_arms(5.0, metric="steps"),
        "finding",
        "Holds here: steps of deep is 5 times that of flat; stated is 6 times.",
    ),
    (
        Ratio("steps", **ARMS, expected=2, within=1.05),
        two_arms(1.5, metric="steps"),
        "formula",
        "False as stated: steps of deep is 50 % more than that of flat; stated is 2 times within 5 %.",
    ),
    (
        Equivalent("accuracy", 0.9, smallest_difference=0.01),
        per_seed(accuracy=0.905),
        "finding",
        "Holds here: accuracy is off 0.9 by 0.5 points; 1 point is allowed.",
    ),
    (
        Equivalent("mean", "expected", smallest_difference=0.1, source=SOURCE),
        per_seed(mean=2.5, expected=2.0),
        "formula",
        "False as stated: mean is off expected by 0.5; 0.1 is allowed.",
    ),
    (
        Identity("left", "right"),
        per_seed(left=1.0, right=1.0),
        "formula",
        "Holds here: left and right are equal.",
    ),
    (
        Identity("left", "right"),
        per_seed(left=1 + 2**-52, right=1.0),
        "formula",
        "Holds here: left and right are equal to 2.22e−16.",
    ),
    (
        Identity("left", "right"),
        per_seed(left=2.0, right=1.0),
        "formula",
        "False as stated: left and right differ by 1 of their size at most, by 1 at least.",
    ),
    (
        Identity("left", "right", digits=2),
        per_seed(left=0.123, right=0.12),
        "formula",
        "Holds here: left is off the printed right by up to 0.003.",
    ),
    (
        AtMost("updates", bound=100.0),
        per_seed(updates=57.0),
        "theorem",
        "No violation found: updates: no violation in 12 seeds; the closest reached 57 % of the bound.",
    ),
    (
        AtMost("updates", bound=100.0),
        per_seed(updates=[50.0] * 11 + [150.0]),
        "theorem",
        "False as stated: updates: violated in 1 of 12 seeds, by up to 1.5 times the bound.",
    ),
    (
        AtLeast("cosine", bound=-0.5),
        per_seed(cosine=0.5),
        "theorem",
        "No violation found: cosine: no violation in 12 seeds.",  # of a bound below zero there is no share
    ),
    (
        Proportion("trained", at_least=0.5, because=SOURCE),
        per_seed(trained=[True] * 12),
        "tendency",
        "Holds here: trained in 12 of 12 seeds; asked are at least 50 %.",
    ),
    (
        Preserved("variance", along="layer"),
        along({0: 1.0, 1: 0.85}),
        "formula",
        "False as stated: variance is 15 % less than its first value; 5 % more or less is allowed.",
    ),
    (
        Preserved("variance", along="layer"),
        along({0: 1.0, 1: 1.0}),
        "tendency",
        "Holds here: variance is the same as its first value; 5 % more or less is allowed.",
    ),
    (
        Falls("variance", along="layer"),
        along({0: 1.0, 1: 0.01}),
        "tendency",
        "Holds here: variance is a factor of 100 less than its first value; 5 % counts.",
    ),
    (
        ChangesAs("exponential", "layer", "variance"),
        along({layer: (1 + 0.01 * np.sin(layer)) / layer for layer in range(1, 20)}),
        "finding",
        "Not seen at this scale: a power fits variance better, its squared residuals",
    ),
    (
        Monotone("layer", "variance", smallest_difference=0.1, source=SOURCE),
        along({1: 1.0, 2: 0.5, 3: 2.0}),
        "law",
        "False as stated: largest reversal of variance is 0.5; 0.1 is allowed.",
    ),
    (
        Peak("layer", "variance", at=2, within=1.5, prominence=2, because=SOURCE),
        along({1: 1.0, 2: 5.0, 4: 1.0}),
        "tendency",
        "Holds here: the maximum of variance",
    ),
    (
        ScalingLaw("layer", "variance", expected=-1.0, rivals=(-0.5, -2.0)),
        along({1: 1.0, 2: 0.5, 4: 0.25}),
        "law",
        "Holds here: exponent of variance in layer is −1; asked is from",
    ),
    (
        ExponentialDecay("layer", "variance", at_least=0.1, because=SOURCE),
        along({0: 1.0, 1: np.exp(-0.5), 2: np.exp(-1.0)}),
        "law",
        "Holds here: decay rate of variance per layer is 0.5; asked is at least 0.1.",
    ),
]


@pytest.mark.parametrize(("criterion", "table", "kind", "sentence"), SENTENCES)
def test_of_every_criterion(criterion, table, kind, sentence):
    assert criterion(table, kind=kind).sentence.startswith(sentence)


class TestSeveralCells:
    criterion = Greater("accuracy", **ARMS, each=("depth",))

    def judged(self, *gains, kind="tendency", **options):
        tables = [two_arms(0.5 + np.asarray(gain), 0.5, "accuracy", depth=n) for n, gain in enumerate(gains, start=1)]
        return self.criterion(pd.concat(tables), kind=kind, **options)

    def test_where_it_holds_everywhere_the_least_clear_is_told(self):
        verdict = self.judged(0.2, np.array([-0.2] + [0.1] * 11))
        assert verdict.sentence == (
            "Holds here: holds in all 2 conditions. "
            "Least clearly at depth 2, accuracy of deep is 10 points above that of flat; 1 point counts."
        )

    def test_where_it_fails_the_most_clear_is_told(self):
        assert self.judged(0.0, 0.001).sentence.startswith(
            "Not seen at this scale: fails in all 2 conditions. Most clearly at depth"
        )

    def test_a_condition_is_told_on_both_sides(self):
        boundary = Boundary("where nets are shallow", holds="depth < 2")
        assert self.judged(0.2, 0.0, boundary=boundary).sentence == (
            "Holds in part: holds in 1 of 2 conditions, fails in 1. "
            "At depth 1, accuracy of deep is 20 points above that of flat; 1 point counts; "
            "at depth 2, accuracy of deep is 0 points above that of flat; 1 point counts. "
            "It was expected to hold where nets are shallow."
        )

    def test_without_a_boundary_nothing_was_expected(self):
        assert "expected" not in self.judged(0.2, 0.0).sentence

    def test_a_possibility_is_told_where_it_was_seen_most_clearly(self):
        verdict = self.judged(0.0, 0.2, 0.0, kind="possibility")
        assert verdict.sentence == (
            "It can: holds in 1 of 3 conditions, fails in 2 (depth 1; depth 3). "
            "Most clearly at depth 2, accuracy of deep is 20 points above that of flat; 1 point counts."
        )

    def test_what_is_open_is_told_with_its_interval(self):
        verdict = self.judged(np.array([0.25, -0.25] * 6), 0.2)
        assert verdict.sentence.startswith(
            "Open: holds in 1 of 2 conditions (depth 2), is open in 1. At depth 1, accuracy of"
        )
        assert verdict.sentence.endswith("; the interval from −0.25 to 0.25 leaves it open.")

    def test_opposite_cells_are_named_where_nothing_is_seen(self):
        verdict = self.judged(0.0, -0.2, 0.0)
        assert verdict.sentence.startswith(
            "Not seen at this scale: fails in 2 of 3 conditions, is the opposite in 1 (depth 2)."
        )

    def test_many_cells_are_counted_and_not_named(self):
        verdict = self.judged(*[0.2] * 5, *[0.0] * 2)
        assert verdict.sentence.startswith("Holds in part: holds in 5 of 7 conditions, fails in 2.")

    def test_every_outcome_is_counted(self):
        verdict = self.judged(0.2, 0.0, -0.2, np.array([0.25, -0.25] * 6))
        assert verdict.sentence.startswith(
            "Holds in part: holds in 1 of 4 conditions, fails in 1, is the opposite in 1, is open in 1."
        )

    def test_parts_are_told_with_their_names(self):
        verdict = AllOf(accuracy=self.criterion, other=self.criterion)(two_arms(0.7, 0.5, "accuracy", depth=1))
        assert "at accuracy: depth 1, accuracy of deep is 20 points above" in verdict.sentence
        assert verdict.parts[0].sentence == (
            "Holds here: accuracy of deep is 20 points above that of flat; 1 point counts."
        )


class TestPlainWords:
    @pytest.mark.parametrize(("criterion", "table", "kind"), [case[:3] for case in SENTENCES])
    def test_nobody_reads_of_tolerances(self, criterion, table, kind):
        for of_kind in (kind, "tendency", "possibility", "formula"):
            verdict = criterion(table, kind=of_kind)
            for text in (verdict.sentence, *(cell.phrase for cell in verdict.cells)):
                assert "tolerance" not in text
                assert not re.search(r"\d{5,}|e\+", text)  # 9e+12 of anything

    @pytest.mark.parametrize("error", [1e-14, 1e-10, 1e-3, 1.0, 1e12])
    def test_not_even_of_a_formula_that_is_far_off(self, error):
        sentence = Identity("left", "right")(per_seed(left=1.0 + error, right=1.0), kind="formula").sentence
        assert "tolerance" not in sentence
        assert number(error) in sentence or error < 1e-12

    def test_rounding_is_no_amount(self):
        """Gains of 0.05 and −0.05 have a median of zero, up to rounding."""
        table = two_arms(0.5 + np.array([0.05, -0.05] * 6), 0.5, "accuracy")
        assert "accuracy of deep is 0 points above that of flat" in Greater("accuracy", **ARMS)(table).sentence

    def test_what_is_not_worse_allows_no_negative_amount(self):
        criterion = Greater("accuracy", **ARMS, smallest_difference=-0.01)
        sentence = criterion(two_arms(0.5, 0.5, "accuracy")).sentence
        assert sentence.startswith("Holds here: accuracy of deep is 0 points above that of flat; ")
        assert "−1 point" not in sentence
