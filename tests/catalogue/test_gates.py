"""What the declaration of a claim lacks: one bad claim for each gate, and its good twin without the mark."""

from itertools import product

import pandas as pd
import pytest

from repro.catalogue import Correction, PositiveControl, Rival, Source, claim, lacking
from repro.criteria import AllOf, AtMost, Boundary, Equivalent, Greater, Identity, Preserved

SOURCE = Source("My notes", "1")


def experiment(seeds, *, depths=(2, 4, 8), shift=0.0, steps=100):
    """Values are written down."""
    return pd.DataFrame(
        [{"seed": seed, "depth": depth, "value": shift, "steps": steps} for seed in seeds for depth in depths]
    )


def declared(statement="Depth helps.", **details):
    """A claim that lacks nothing, but for what the details change."""
    good = {
        "source": SOURCE,
        "kind": "tendency",
        "criterion": AtMost("value", bound=1.0, each=("depth",)),
        "left_open": ("depth",),
        "control": {"shift": 2.0},
    }
    return claim(statement, **good | details)(experiment)


def marks(*args, **details):
    return lacking(declared(*args, **details))


def test_a_good_claim_lacks_nothing():
    assert marks() == []


class TestKind:
    def test_missing(self):
        assert marks(kind=None) == ["its kind is not declared (kind=), so it is judged as a tendency"]

    @pytest.mark.parametrize("kind", ["formula", "theorem", "law", "tendency", "advice", "possibility", "finding"])
    def test_declared(self, kind):
        assert marks(kind=kind) == []


class TestCounterpart:
    def test_missing(self):
        assert marks(control=None) == [
            "no counterpart shows that its verdict could have come out otherwise (control=, rival=, correction=)"
        ]

    @pytest.mark.parametrize(
        "details",
        [
            {"control": {"shift": 2.0}},
            {"rival": Rival("It is at most a half.", shift=0.7)},
            {"correction": Correction("It is at most three.", criterion=AtMost("value", bound=3.0))},
            {"positive_control": PositiveControl("Two is more.", criterion=AtMost("value", bound=3.0))},
            {"boundary": Boundary("in shallow networks", holds="depth < 10")},
        ],
    )
    def test_any_will_do(self, details):
        assert marks(**{"control": None} | details) == []


class TestHedges:
    @pytest.mark.parametrize(
        ("hedge", "kind"),
        [("can", "law"), *product(["may", "might", "could"], ["theorem", "law", "finding"])],
    )
    def test_what_is_hedged_is_a_possibility(self, hedge, kind):
        statement = f"Depth {hedge} help."
        assert marks(statement, kind=kind) == [
            f"the statement says {hedge!r}, but it is judged as a {kind}, not as a possibility"
        ]
        assert marks(statement, kind="possibility") == []

    @pytest.mark.parametrize("kind", ["tendency", "advice", "possibility"])
    def test_tendencies_may_be_hedged(self, kind):
        assert marks("Depth may help.", kind=kind) == []

    @pytest.mark.parametrize("kind", ["theorem", "finding"])
    def test_can_is_no_hedge_of_a_theorem(self, kind):
        assert marks("Depth can be written as a sum.", kind=kind) == []

    def test_what_is_hedged_beside_a_formula_is_not_the_formula(self):
        assert marks("Error is bias plus variance, which may be high.", kind="formula") == []

    @pytest.mark.parametrize(
        "statement", ["Depth cannot hurt.", "The candidate wins.", "Mayhem follows depth.", "Canonical forms help."]
    )
    def test_other_words_are_no_hedges(self, statement):
        assert marks(statement) == []

    def test_without_a_kind_the_kind_is_what_is_missing(self):
        assert marks("Depth may help.", kind=None) == [
            "its kind is not declared (kind=), so it is judged as a tendency"
        ]


class TestConditions:
    def test_not_left_open(self):
        assert marks(left_open=()) == [
            "its conditions depth are not among those that the passage leaves open (left_open=)"
        ]

    def test_all_that_are_not_are_named(self):
        criterion = AtMost("value", bound=1.0, each=("width", "depth", "noise"))
        assert marks(criterion=criterion, left_open=("noise",)) == [
            "its conditions depth, width are not among those that the passage leaves open (left_open=)"
        ]

    def test_in_any_part(self):
        criterion = AllOf(
            first=AtMost("value", bound=1.0), second=AllOf(inner=AtMost("value", bound=1.0, each=("depth",)))
        )
        assert marks(criterion=criterion) == []
        assert "its conditions depth" in marks(criterion=criterion, left_open=())[0]

    def test_the_training_horizon_is_always_left_open(self):
        assert marks(criterion=AtMost("value", bound=1.0, each=("steps", "depth"))) == []

    def test_positions_at_which_a_change_is_judged_are_conditions(self):
        criterion = Preserved("value", along="layer", at=(1, 9))
        assert "its conditions layer" in marks(criterion=criterion, left_open=())[0]
        assert marks(criterion=criterion, left_open=("layer",)) == []
        assert marks(criterion=Preserved("value", along="layer"), left_open=()) == []

    def test_what_has_one_value_in_all_cells_that_decide_is_for_the_map_alone(self):
        criterion = AtMost("value", bound=1.0, each=("depth", "width"))
        named = [{"depth": 2, "width": 16}, {"depth": 8, "width": 16}]
        assert marks(criterion=criterion, boundary=Boundary("there", holds="depth < 4", named=named)) == []
        named = [{"depth": 2, "width": 16}, {"depth": 8, "width": 32}]
        assert (
            "its conditions width"
            in marks(criterion=criterion, boundary=Boundary("there", holds="depth < 4", named=named))[0]
        )

    def test_what_a_named_cell_leaves_out_decides_at_all_its_values(self):
        criterion = AtMost("value", bound=1.0, each=("depth", "width"))
        named = [{"depth": 2, "width": 16}, {"depth": 8}]
        assert "its conditions width" in " ".join(
            marks(criterion=criterion, boundary=Boundary("there", holds="depth < 4", named=named))
        )

    def test_without_conditions_nothing_needs_to_be_left_open(self):
        assert marks(criterion=AtMost("value", bound=1.0), left_open=()) == []


class TestSmallestEffects:
    MARK = "a smallest effect is not in the project's table and names no source (source=)"

    @pytest.mark.parametrize(
        ("bad", "good"),
        [
            (
                Equivalent("value", 1.0, smallest_difference=0.1, because="I like it"),
                Equivalent("value", 1.0, smallest_difference=0.1, source="Novikoff 1962"),
            ),
            (
                Greater("accuracy", "a", "b", by="net", smallest_difference=0.02, because="I like it"),
                Greater("accuracy", "a", "b", by="net"),
            ),
            (
                Preserved("value", along="layer", smallest_ratio=1.2, because="I like it"),
                Preserved("value", along="layer", smallest_ratio=1.05),
            ),
            (
                AllOf(
                    fine=AtMost("value", bound=1.0), bad=Equivalent("value", 1.0, smallest_difference=0.1, because="x")
                ),
                AllOf(fine=AtMost("value", bound=1.0), good=Equivalent("value", 1.0, smallest_difference=0.01)),
            ),
        ],
    )
    def test_come_from_the_table_or_from_a_source(self, bad, good):
        assert marks(criterion=bad) == [self.MARK]
        assert marks(criterion=good) == []

    def test_what_has_none_needs_none(self):
        assert marks(criterion=Identity("value", "value")) == []


class TestCorrections:
    def test_a_part_of_the_claims_own_cells_is_no_correction(self):
        correction = Correction("Two and four layers help.", depths=(2, 4))
        assert marks(correction=correction) == ["its correction runs a part of the claim's own depths"]

    @pytest.mark.parametrize(
        "correction",
        [
            Correction("Deeper nets help.", depths=(16, 32)),  # conditions that the claim did not run
            Correction("These and deeper nets help.", depths=(2, 4, 8, 16)),
            Correction("Two layers help.", depths=(2, 16)),
            Correction("Two layers help otherwise.", depths=(2,), shift=0.5),
            Correction("Two layers have three.", criterion=AtMost("value", bound=3.0), depths=(2,)),
            Correction("It is at most three.", criterion=AtMost("value", bound=3.0)),
            Correction("It helps otherwise.", shift=0.5),
        ],
    )
    def test_what_comes_from_elsewhere(self, correction):
        assert marks(correction=correction) == []

    def test_the_order_of_cells_makes_no_correction(self):
        assert "its correction runs a part" in marks(correction=Correction("Some help.", depths=(4, 2)))[0]


def test_every_lack_is_told():
    bad = claim(
        "Depth may help.",
        source=SOURCE,
        kind="finding",
        criterion=Equivalent("value", 1.0, smallest_difference=0.3, because="I like it", each=("depth",)),
        correction=Correction("Two layers help.", depths=(2,)),
    )(experiment)
    assert len(lacking(bad)) == 4


def test_a_claim_that_lacks_everything_can_be_used():
    bare = claim("Depth helps.", source=SOURCE, criterion=AtMost("value", bound=1.0))(experiment)
    assert len(lacking(bare)) == 2
    assert bare.judge(bare(range(8))).status == "reproduced"
    assert bare.judge(bare(range(8))).kind == "tendency"
    assert [variant.role for variant in bare.variants("standard")] == ["claim"]
