from dataclasses import asdict

import numpy as np

from repro.criteria import Cell
from repro.criteria.verdict import Part, Verdict
from repro.results.serialization import read

PARTS = (Part("width 8", "refuted", 2.0, 1.5, np.inf, 12), Part("<b>", "reproduced", 0.0, -1.0, 1.0, 12))


def verdict(**changes):
    values = {"status": "refuted", "effect": 2.0, "low": 1.5, "high": np.inf, "n": 12, "measure": "loss <of> a net"}
    return Verdict(**values | {"p": 0.004, "parts": PARTS, "deciding": "width 8"} | changes)


def test_text_has_effect_deciding_part_and_parts():
    lines = str(verdict()).splitlines()
    assert lines[0] == "refuted: loss <of> a net 2 [1.5, ∞], n = 12 (width 8)"
    assert [line.split()[0] for line in lines[1:]] == ["width", "<b>"]
    assert len(str(verdict(parts=(), deciding="")).splitlines()) == 1


def test_text_has_the_sentence_and_every_cell():
    cells = (
        Cell({"width": 8}, "fails", 2.0, 1.5, np.inf, 12, part="order"),
        Cell({"width": 16}, "holds", 3.0, 2.5, 4.0, 12, part="order"),
    )
    lines = str(verdict(sentence="It holds in part.", cells=cells, deciding="order: width 8")).splitlines()
    assert lines == [
        "refuted: loss <of> a net 2 [1.5, ∞], n = 12 (order: width 8)",
        "  It holds in part.",
        "  order: width 8   fails  2 [1.5, ∞]",
        "  order: width 16  holds  3 [2.5, 4]",
    ]


def test_is_plain_data():
    assert read(Verdict, asdict(verdict())) == verdict()
    assert verdict() != verdict(n=13)
