"""What follows from the outcomes of cells, by the kind of the statement: the table of the design, row by row."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.criteria import Reading, decide, decide_jointly
from repro.criteria.decision import decide_under_assumption
from repro.uncertainty import Levels

LEVEL = 0.01

HOLDS = Levels(holds=1e-6, fails=1.0)
FAILS = Levels(holds=1.0, fails=1e-6)
OPPOSITE = Levels(holds=1.0, fails=1e-6, opposite=1e-6)
OPEN = Levels(holds=0.4, fails=1.0)
CELLS = {"holds": HOLDS, "fails": FAILS, "opposite": OPPOSITE, "open": OPEN}

PATTERNS = {
    "all hold": ("holds", "holds", "holds"),
    "hold, rest open": ("holds", "open", "open"),
    "some hold, some fail": ("holds", "fails", "open"),
    "all fail": ("fails", "opposite", "fails"),
    "all opposite": ("opposite", "opposite", "opposite"),
    "fail, rest open": ("fails", "open", "open"),
    "all open": ("open", "open", "open"),
}
# The rows of the design, in the order of the patterns above.
R, C, A, F, I = "reproduced", "conditional", "absent", "refuted", "inconclusive"  # noqa: E741  as in the table
ROWS = {
    "formula": (R, I, F, F, F, F, I),
    "theorem": (R, I, F, F, F, F, I),
    "law": (R, I, C, F, F, I, I),
    "tendency": (R, I, C, A, F, I, I),
    "advice": (R, I, C, A, F, I, I),
    "possibility": (R, R, R, A, A, I, I),
    "finding": (R, I, C, A, A, I, I),
    "finding, same": (R, I, C, A, F, I, I),
}
EXPECTED = {
    (row, pattern): status for row, told in ROWS.items() for pattern, status in zip(PATTERNS, told, strict=True)
}


def reading(row):
    kind, _, scale = row.partition(", ")
    return Reading(kind, scale or "toy")


def pattern_of(outcomes):
    """Name the pattern of outcomes, from the words of the design alone."""
    seen = set(outcomes)
    if seen == {"holds"}:
        return "all hold"
    if seen == {"opposite"}:
        return "all opposite"
    if seen <= {"fails", "opposite"}:
        return "all fail"
    if seen == {"open"}:
        return "all open"
    if "holds" not in seen:
        return "fail, rest open"
    return "some hold, some fail" if seen & {"fails", "opposite"} else "hold, rest open"


@pytest.mark.parametrize(("row", "pattern"), EXPECTED)
def test_the_table(row, pattern):
    cells = [CELLS[outcome] for outcome in PATTERNS[pattern]]
    decision = decide(cells, reading(row), LEVEL)
    assert (decision.status, decision.pattern) == (EXPECTED[row, pattern], pattern)
    assert decision.outcomes == PATTERNS[pattern]


@pytest.mark.parametrize("scale", ["exact", "reduced", "toy"])
def test_a_finding_elsewhere_than_at_its_own_scale_contradicts_nobody(scale):
    assert decide([OPPOSITE], Reading("finding", scale), LEVEL).status == "absent"


@pytest.mark.parametrize("row", ROWS)
def test_every_combination_of_outcomes_gives_one_status(row):
    """Of one to four cells, whatever their order: 340 combinations for each row."""
    for number in range(1, 5):
        for outcomes in product(CELLS, repeat=number):
            decision = decide([CELLS[outcome] for outcome in outcomes], reading(row), LEVEL)
            pattern = pattern_of(outcomes)
            assert (decision.status, decision.pattern) == (EXPECTED[row, pattern], pattern), outcomes
            assert decision.outcomes == outcomes


@pytest.mark.parametrize("row", ROWS)
def test_the_order_of_cells_does_not_matter(row):
    for outcomes in product(CELLS, repeat=3):
        statuses = {
            decide([CELLS[outcomes[place]] for place in order], reading(row), LEVEL).status
            for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0))
        }
        assert len(statuses) == 1


@pytest.mark.parametrize(
    ("outcome", "row", "status"),
    [(outcome, row, EXPECTED[row, pattern_of([outcome])]) for outcome in CELLS for row in ROWS],
)
def test_a_statement_of_one_cell_is_the_same_table(outcome, row, status):
    assert decide([CELLS[outcome]], reading(row), LEVEL).status == status


class TestLevels:
    """What holds in every cell has the full level in each (Berger 1982); what one cell of many tells shares it."""

    @pytest.mark.parametrize("number", [1, 2, 4, 8])
    @pytest.mark.parametrize(
        ("levels_at", "status"),
        [
            (lambda level: Levels(level, 1.0), "reproduced"),
            (lambda level: Levels(1.0, level), "absent"),
            (lambda level: Levels(1.0, level, level), "refuted"),
        ],
    )
    def test_all_cells_have_the_full_level_each(self, number, levels_at, status):
        assert decide([levels_at(0.0099)] * number, Reading("tendency"), LEVEL).status == status
        assert decide([levels_at(0.0099)] * number, Reading("tendency"), LEVEL).levels == (LEVEL,) * number
        assert decide([levels_at(0.0101)] * number, Reading("tendency"), LEVEL).status != status

    @pytest.mark.parametrize("number", [2, 4, 8])
    def test_some_hold_and_some_fail_at_a_shared_level(self, number):
        def seen(level):
            others = [OPEN] * (number - 2)
            return decide([Levels(level, 1.0), Levels(1.0, level), *others], Reading("tendency"), LEVEL)

        assert seen(0.99 * LEVEL / number).status == "conditional"
        assert seen(0.99 * LEVEL / number).levels == pytest.approx([LEVEL / number] * number)
        assert seen(1.01 * LEVEL / number).status == "inconclusive"

    @pytest.mark.parametrize("number", [2, 4, 8])
    def test_a_possibility_is_seen_at_a_shared_level(self, number):
        def seen(level):
            return decide([Levels(level, 1.0), *[FAILS] * (number - 1)], Reading("possibility"), LEVEL).status

        assert seen(0.99 * LEVEL / number) == "reproduced"
        assert seen(1.01 * LEVEL / number) == "inconclusive"

    @pytest.mark.parametrize("number", [2, 4, 8])
    def test_a_counterexample_is_seen_at_a_shared_level(self, number):
        def seen(level):
            return decide([Levels(1.0, level), *[HOLDS] * (number - 1)], Reading("formula"), LEVEL).status

        assert seen(0.99 * LEVEL / number) == "refuted"
        assert seen(1.01 * LEVEL / number) == "inconclusive"

    def test_a_cell_that_holds_at_the_full_level_alone_is_open_where_others_are(self):
        decision = decide([Levels(0.008, 1.0), OPEN], Reading("tendency"), LEVEL)
        assert decision.outcomes == ("open", "open")
        assert set(decision.levels) == {LEVEL / 2}

    def test_one_cell_short_of_all_is_not_all(self):
        assert decide([HOLDS] * 7 + [Levels(0.02, 1.0)], Reading("theorem"), LEVEL).status == "inconclusive"
        assert decide([OPPOSITE] * 7 + [FAILS], Reading("tendency"), LEVEL).status == "absent"


SIZES = st.sampled_from([0.0, 1e-9, 0.0005, 0.0011, 0.0024, 0.0026, 0.0049, 0.0051, 0.0099, 0.0101, 0.03, 0.2])


@st.composite
def measured(draw):
    """Draw levels of a cell: on one side of a threshold at most, and the opposite no earlier than failing."""
    size = draw(SIZES)
    if draw(st.booleans()):
        return Levels(size, 1.0)
    return Levels(1.0, size, max(size, draw(SIZES)) if draw(st.booleans()) else 1.0)


readings = st.sampled_from([reading(row) for row in ROWS])
some_cells = st.lists(measured(), min_size=1, max_size=5)


def check_flip(decide_at):
    """Check that the status stays what it is between its level and ``flip``, and is another beyond."""
    decision = decide_at(LEVEL)
    if decision.status == "inconclusive":
        assert decision.flip > LEVEL
        levels = (LEVEL, (LEVEL + decision.flip) / 2, decision.flip * (1 - 1e-6))
        beyond = decision.flip * (1 + 1e-6)
    else:
        assert decision.flip <= LEVEL
        levels = (decision.flip * (1 + 1e-6), (LEVEL + decision.flip) / 2, LEVEL)
        beyond = decision.flip * (1 - 1e-6)
    assert {decide_at(level).status for level in levels if level > 0} <= {decision.status}
    if 0 < decision.flip < 1:
        assert decide_at(beyond).status != decision.status


class TestFlip:
    @given(some_cells, readings)
    def test_the_status_changes_there_and_not_before(self, cells, reading):
        check_flip(lambda level: decide(cells, reading, level))

    @given(st.lists(some_cells, min_size=1, max_size=3), readings)
    def test_of_parts(self, parts, reading):
        check_flip(lambda level: decide_jointly(parts, reading, level))

    @given(
        st.lists(st.tuples(measured(), st.booleans()), min_size=1, max_size=5).filter(
            lambda cells: any(assumed for _, assumed in cells)
        )
    )
    def test_under_an_assumption(self, cells):
        levels, assumed = zip(*cells, strict=True)
        check_flip(lambda level: decide_under_assumption(levels, assumed, level))

    @given(some_cells, readings)
    def test_outcomes_are_those_that_the_pattern_is_made_of(self, cells, reading):
        decision = decide(cells, reading, LEVEL)
        assert pattern_of(decision.outcomes) == decision.pattern
        pairs = zip(cells, decision.levels, strict=True)
        assert decision.outcomes == tuple(cell.outcome(of_cell) for cell, of_cell in pairs)

    def test_by_hand(self):
        assert decide([Levels(0.001, 1.0), Levels(0.004, 1.0)], Reading("law"), LEVEL).flip == 0.004
        assert decide([Levels(0.001, 1.0), Levels(1.0, 0.002)], Reading("law"), LEVEL).flip == 0.004
        assert decide([Levels(0.001, 1.0), Levels(0.03, 1.0)], Reading("law"), LEVEL).flip == 0.03
        assert decide([Levels(0.001, 1.0), Levels(0.03, 1.0)], Reading("possibility"), LEVEL).flip == 0.002
        assert decide([Levels(1.0, 0.001, 0.02)], Reading("tendency"), LEVEL).flip == 0.001


class TestParts:
    """Cells of all parts count alike; only the parts of a possibility have to be seen each, in whatever cell."""

    @pytest.mark.parametrize("row", [row for row in ROWS if row != "possibility"])
    def test_cells_of_all_parts_are_one_table(self, row):
        for outcomes in product(CELLS, repeat=3):
            first, *rest = (CELLS[outcome] for outcome in outcomes)
            assert decide_jointly([[first], rest], reading(row), LEVEL).status == EXPECTED[row, pattern_of(outcomes)]

    @pytest.mark.parametrize(
        ("parts", "status"),
        [
            ((["holds"], ["holds"]), "reproduced"),
            ((["holds", "fails"], ["opposite", "holds"]), "reproduced"),  # in whatever cell
            ((["holds", "open"], ["open", "holds"]), "reproduced"),
            ((["holds"], ["fails"]), "absent"),  # one part is not seen, so the whole is not
            ((["holds", "holds"], ["fails", "opposite"]), "absent"),
            ((["open"], ["fails"]), "absent"),
            ((["fails"], ["fails"]), "absent"),
            ((["opposite"], ["opposite"]), "absent"),
            ((["holds"], ["open"]), "inconclusive"),
            ((["holds"], ["fails", "open"]), "inconclusive"),
            ((["open"], ["open"]), "inconclusive"),
        ],
    )
    def test_a_possibility_is_seen_in_every_part(self, parts, status):
        cells = [[CELLS[outcome] for outcome in part] for part in parts]
        decision = decide_jointly(cells, Reading("possibility"), LEVEL)
        assert decision.status == status
        assert decision.outcomes == tuple(outcome for part in parts for outcome in part)

    def test_a_possibility_in_one_part_is_the_table(self):
        for outcomes in product(CELLS, repeat=3):
            cells = [CELLS[outcome] for outcome in outcomes]
            assert decide_jointly([cells], Reading("possibility"), LEVEL) == decide(
                cells, Reading("possibility"), LEVEL
            )

    def test_each_part_of_a_possibility_has_the_full_level_shared_by_its_own_cells_alone(self):
        def seen(level):
            return decide_jointly([[Levels(level, 1.0), FAILS]] * 3, Reading("possibility"), LEVEL).status

        assert seen(0.0049) == "reproduced"
        assert seen(0.0051) == "inconclusive"


class TestAssumption:
    """A formula that holds under a standard assumption which the passage does not print."""

    @pytest.mark.parametrize(
        ("within", "outside", "status"),
        [
            (["holds"], ["fails"], "conditional"),
            (["holds"], ["opposite", "open"], "conditional"),
            (["holds"], ["holds"], "reproduced"),
            (["holds", "fails"], ["fails"], "refuted"),  # a counterexample within the assumption
            (["fails"], ["holds"], "refuted"),
            (["fails", "open"], ["open"], "refuted"),
            (["open"], ["fails"], "inconclusive"),
            (["open"], ["holds"], "inconclusive"),
            (["holds", "open"], ["fails"], "conditional"),
            (["holds"], ["open"], "inconclusive"),
        ],
    )
    def test_status(self, within, outside, status):
        cells = [CELLS[outcome] for outcome in within + outside]
        assumed = [True] * len(within) + [False] * len(outside)
        decision = decide_under_assumption(cells, assumed, LEVEL)
        assert decision.status == status
        assert decision.outcomes == (*within, *outside)

    def test_a_counterexample_within_shares_the_level_with_the_cells_within_alone(self):
        def seen(level):
            cells = [Levels(1.0, level), HOLDS, *[FAILS] * 6]
            return decide_under_assumption(cells, [True, True, *[False] * 6], LEVEL).status

        assert seen(0.0049) == "refuted"
        assert seen(0.0051) == "conditional"
