"""What the command line shows."""

import io
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from repro.cli import tables, terminal
from repro.criteria.verdict import Verdict
from repro.results.records import ClaimResult, Evaluation, Request, Run
from repro.runner import Begun, Job, Plan, Started


def result(name, status, control, effect=-0.0012345, published=None):
    def evaluation(role, status):
        verdict = Verdict(status, effect, -12345.678, math.inf, 48, "difference")
        return Evaluation(role, "statement", {}, (0,), status, verdict, seconds=61.0)

    return ClaimResult(name, evaluation("claim", status), (evaluation("control", control),), published)


def shown(thing):
    output = io.StringIO()
    Console(file=output, width=80, markup=False).print(thing)
    return output.getvalue()


def test_the_table_fits_80_columns_and_says_all():
    name = "generalization.a_claim_with_quite_a_long_name"
    table = shown(tables.run_table([result(name, "inconclusive", "inconclusive")]))
    lines = table.splitlines()
    assert max(map(len, lines)) <= 80
    assert name in "".join(line[:30].strip() for line in lines[1:])
    words = " ".join(table.split())
    for expected in ("inconclusive", "undecided", "−0.001234", "∞]", "48", "2 min"):
        assert expected in words


def test_every_status_has_a_style_of_its_own():
    statuses = ("reproduced", "conditional", "absent", "refuted", "inconclusive", "error", "skipped")
    assert tuple(tables.STYLES) == statuses
    assert len(set(tables.STYLES.values())) == len(statuses)


def test_remarks_say_what_calls_for_attention():
    marked = result("a.marked", "conditional", "absent")
    results = [
        result("a.sound", "reproduced", "refuted"),
        result("a.sound_too", "reproduced", "absent"),
        replace(marked, evaluation=replace(marked.evaluation, marks=("its kind is not declared",))),
        result("a.unsound", "reproduced", "reproduced"),
        result("a.contradicting", "refuted", "refuted", published="reproduced"),
    ]
    assert [line.plain for line in terminal.remarks(results)] == [
        "5 claims: 3 reproduced, 1 conditional, 1 refuted; 2 sound",
        "a.unsound: unsound, its control is reproduced",
        "a.contradicting: refuted, but published as reproduced",
    ]


@pytest.mark.parametrize(
    ("names", "room", "text"),
    [
        ([], 40, ""),
        (["perceptron.novikoff", "dropout.mixture"], 40, "perceptron.novikoff, dropout.mixture"),
        (["perceptron.novikoff", "dropout.mixture"], 30, "novikoff, mixture"),
        (
            ["architectures.gap_beats_gmp_on_noise", "architectures.plain_degrades"],
            36,
            "gap_beats_gmp_on_noise and 1 more",
        ),
        (["architectures.gap_beats_gmp_on_noise"], 10, "gap_beats…"),
    ],
)
def test_names_of_claims_are_shortened_to_the_room_there_is(names, room, text):
    assert terminal.fitting(names, room) == text
    assert len(text) <= room


def test_the_progress_fits_80_columns_whatever_runs():
    names = ["architectures.gap_beats_gmp_on_noise", "architectures.deep_narrow_beats_shallow_wide", "a.b"]
    jobs = [Job(len, {}, ()) for _ in names]
    claims = [SimpleNamespace(id=name) for name in names]
    tasks = [SimpleNamespace(claim=claim, job=job) for claim, job in zip(claims, jobs, strict=True)]
    plan = Plan("smoke", claims, tasks, {}, {}, Request(()), dict.fromkeys(jobs, 3000.0))
    output = io.StringIO()
    progress = terminal.RunProgress(Console(file=output, width=80, force_terminal=True, color_system=None))
    progress(Begun(plan, Run("r", "2026-01-01T00:00:00+00:00", "smoke", "jax", {}), 3, Path("results"), resumed=False))
    for job in jobs:
        progress(Started(job))
    output.seek(0)
    output.truncate()
    with progress:
        pass
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue())
    lines = [line.rstrip() for line in re.split("[\r\n]", plain) if "left" in line]
    assert lines
    assert max(map(len, lines)) <= 80
    assert re.search(r"0/3 +50 min left +gap_beats_gmp_on_noise and 2 more$", lines[-1])
