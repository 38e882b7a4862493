"""docs/verdicts.md shows the table by which verdicts are decided."""

from pathlib import Path
from typing import get_args

from repro.criteria import TABLE, Kind, Reading, statuses

FILE = Path(__file__).parents[2] / "docs" / "verdicts.md"


def test_the_table_is_that_of_the_code():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in FILE.read_text(encoding="utf-8").splitlines()
        if line.startswith("|") and "---" not in line
    ]
    (_, *patterns), *kinds = rows
    shown = {kind: dict(zip(patterns, cells, strict=True)) for kind, *cells in kinds}
    assert shown == {kind: dict(row) for kind, row in TABLE.items()}
    assert set(shown) == set(get_args(Kind))


def test_a_finding_at_its_own_scale_differs_in_the_opposite_alone():
    ours, theirs = statuses(Reading("finding", "same")), statuses(Reading("finding", "toy"))
    assert {pattern for pattern in ours if ours[pattern] != theirs[pattern]} == {"all opposite"}
