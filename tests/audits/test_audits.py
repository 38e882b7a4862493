"""The commands ``repro audit``, with stand-in claims."""

import json
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pandas as pd
import pytest
import stand_in
from command_line import assert_wrong_usage, command

from repro.audits import determinism
from repro.audits.determinism import Determinism
from repro.audits.hunting import Found
from repro.cli.app import main
from repro.common.errors import ReproError
from repro.report.pages import kept_robustness
from repro.runner.jobs import JobResult

FOUND = [
    Found("layers.Dropout: never drops", "dropout.mixture, claim inconclusive instead of refuted"),
    Found("layers.LSTMCell: state is stale", "", ("recurrent.remembers", "recurrent.forgets")),
]
DECISIONS = pd.DataFrame(
    {
        "kind": ["tendency"],
        "cells": [2],
        "dependence": ["independent"],
        "n": [24],
        "truth": ["1 of 2 between holding and failing, others holds"],
        "reproduced": [0.005],
        "conditional": [0.0025],
        "absent": [0.0],
        "refuted": [0.0],
        "true": ["inconclusive"],
        "false": [0.0075],
        "seeds": [23.5],
    }
)
CALIBRATION = pd.DataFrame(
    [
        ("Greater", "normal", 16, "boundary", 0.004, 0.005, 0.992),
        ("Greater", "skewed", 16, "holds by 1 sd", 0.61, 0.0, 0.9925),
    ],
    columns=["criterion", "noise", "n", "truth", "holds", "fails", "coverage"],
)


def run(monkeypatch, capsys, *arguments):
    """Run the command in this process."""
    monkeypatch.setattr(sys, "argv", ["repro", "audit", *arguments])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_stability_prints_a_table_and_one_object(tmp_path):
    arguments = ("audit", "stability", "stand_in.bounded", "--repeats", "3", "--workers", "0")
    shown = command(*arguments, folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "stand_in.bounded 3 reproduced unpublished 3" in " ".join(shown.stdout.split())
    assert "3/3 stand_in.bounded reproduced" in shown.stderr
    document = json.loads(command(*arguments, "--json", folder=tmp_path).stdout)
    assert document == {
        "stability": [{"id": "stand_in.bounded", "repeats": 3, "agree": None, "statuses": {"reproduced": 3}}]
    }


def test_stability_runs_in_worker_processes(tmp_path):
    arguments = ("audit", "stability", "stand_in.bounded", "--repeats", "2", "--workers", "1", "--json")
    (row,) = json.loads(command(*arguments, folder=tmp_path).stdout)["stability"]
    assert row["statuses"] == {"reproduced": 2}


def test_robustness_prints_a_table_and_one_object_and_keeps_it(tmp_path):
    arguments = ("audit", "robustness", "stand_in.first_reader", "stand_in.addition", "--workers", "0")
    shown = command(*arguments, "--results", "kept", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())
    said = " ".join(shown.stdout.split())
    assert "stand_in.first_reader size 2 6 1" in said
    # Sizes over five are too large; the factor is one or two.
    sentence = "outcome held in 6 of 12 rows; size moves it most: 0, 0, 1 at half, one and two times"
    assert said.endswith(f"stand_in.first_reader: {sentence}")
    assert "skipped: stand_in.addition takes no seeds" in shown.stderr
    assert "not audited: stand_in.addition; name one of them alone for the reason" in shown.stderr
    kept = kept_robustness(tmp_path / "kept", "stand_in.first_reader")
    assert kept.sentence == sentence
    ((row),) = json.loads(command(*arguments, "--json", folder=tmp_path).stdout)["robustness"]
    assert (row["id"], row["ran"], row["held"], row["sentence"]) == ("stand_in.first_reader", 12, 6, sentence)
    effects = {setting["name"]: setting["effect"] for setting in row["settings"]}
    assert effects == pytest.approx({"size": 1, "factor": 0})
    assert len(row["rows"]) == 12
    assert (tmp_path / "repro-results" / "robustness" / "stand_in.first_reader.json").is_file()


def test_robustness_says_where_it_cannot_be_kept(tmp_path):
    (tmp_path / "kept").write_text("a file")
    arguments = ("audit", "robustness", "stand_in.first_reader", "--workers", "0", "--results", "kept")
    shown = command(*arguments, folder=tmp_path)
    assert shown.returncode == 2
    assert shown.stderr.splitlines()[-1].startswith("repro: cannot write kept/robustness: ")


def test_faults_that_escaped_come_first_with_the_claims_that_did_not_notice(monkeypatch, capsys):
    monkeypatch.setattr("repro.audits.audit_faults", lambda *_, **__: FOUND)
    shown = run(monkeypatch, capsys, "faults").splitlines()
    assert all(len(line) <= 80 for line in shown)
    said = " ".join(" ".join(shown).split())
    assert said.index("layers.LSTMCell") < said.index("escaped; used by recurrent.remembers, recurrent.forgets")
    assert said.index("escaped") < said.index("layers.Dropout: never drops")
    assert said.endswith("1 of 2 faults caught (50%)")


def test_faults_as_one_object(monkeypatch, capsys):
    monkeypatch.setattr("repro.audits.audit_faults", lambda *_, **__: FOUND)
    assert json.loads(run(monkeypatch, capsys, "faults", "--json")) == {
        "faults": [
            {
                "name": "layers.Dropout: never drops",
                "by": "dropout.mixture, claim inconclusive instead of refuted",
                "used_by": [],
                "caught": True,
            },
            {
                "name": "layers.LSTMCell: state is stale",
                "by": "",
                "used_by": ["recurrent.remembers", "recurrent.forgets"],
                "caught": False,
            },
        ]
    }


def test_calibration(monkeypatch, capsys):
    monkeypatch.setattr("repro.audits.calibrate", lambda simulations: CALIBRATION.head(simulations))
    shown = run(monkeypatch, capsys, "calibration", "--simulations", "2").splitlines()
    assert all(len(line) <= 80 for line in shown)
    assert "Greater normal boundary 16 0.40 % 0.50 % 99.20 %" in " ".join(" ".join(shown).split())
    assert shown[-1] == "largest share of false outcomes at a boundary: 0.50%"
    document = json.loads(run(monkeypatch, capsys, "calibration", "--json", "--simulations", "1"))
    assert document == {
        "calibration": [
            {
                "criterion": "Greater",
                "noise": "normal",
                "n": 16,
                "truth": "boundary",
                "holds": 0.004,
                "fails": 0.005,
                "coverage": 0.992,
            }
        ]
    }


def test_decisions(monkeypatch, capsys):
    monkeypatch.setattr("repro.audits.simulate_decisions", lambda simulations: DECISIONS.head(simulations))
    shown = run(monkeypatch, capsys, "decisions", "--simulations", "2").splitlines()
    assert all(len(line) <= 80 for line in shown)
    said = " ".join(" ".join(shown).split())
    assert "tendency 1 of 2 between holding and failing" in said
    assert "0.75 % 99.25 %" in said
    assert shown[-1] == "largest share of false verdicts: 0.75%"
    (row,) = json.loads(run(monkeypatch, capsys, "decisions", "--json", "--simulations", "1"))["decisions"]
    assert (row["kind"], row["cells"], row["false"]) == ("tendency", 2, 0.0075)


def test_determinism_of_quick_claims():
    claims = [stand_in.bounded, stand_in.addition, stand_in.without_data]
    bounded, addition, without_data = determinism.audit_determinism(claims)
    assert (len(bounded.key), bounded.differing) == (len(addition.key), addition.differing) == (64, ())
    assert (without_data.key, without_data.differing) == ("", ())
    assert without_data.message.endswith("download it")


@pytest.mark.parametrize(
    ("made", "differing"),
    [
        ([1.0, 1.0], ()),
        ([1.0, 2.0], ("two workers, backwards",)),
        ([0.3, 0.1 + 0.2], ("two workers, backwards",)),
        ([1.0, None], ("two workers, backwards",)),
    ],
    ids=["nothing", "a value", "the last bit", "an error"],
)
def test_determinism_notices_what_differs(made, differing, monkeypatch):
    values = iter(made)

    def perform(jobs, _):
        value = next(values)
        for job in jobs:
            yield job, JobResult(None if value is None else pd.DataFrame({"value": [value]}), message="failed")

    monkeypatch.setattr(determinism, "start_workers", lambda *_: nullcontext(SimpleNamespace(perform=perform)))
    (row,) = determinism.audit_determinism([stand_in.bounded])
    assert row.differing == differing


def test_determinism_compares_with_another_machine(monkeypatch, tmp_path, capsys):
    found = [Determinism("a.same", "1" * 64, ()), Determinism("a.other", "2" * 64, ("elsewhere",))]
    monkeypatch.setattr("repro.audits.audit_determinism", lambda *_, **__: found)
    monkeypatch.setattr(sys, "argv", ["repro", "audit", "determinism", "perceptron.xor"])
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr().out
    assert ended.value.code == 1
    assert shown.index("a.other") < shown.index("a.same")
    assert "1 of 2 claims have the same observations every time" in shown
    monkeypatch.undo()
    against = tmp_path / "other.json"
    against.write_text(json.dumps({"determinism": [{"id": "stand_in.addition", "key": "3" * 64}]}))
    made = JobResult(pd.DataFrame({"value": [1.0]}))
    workers = SimpleNamespace(perform=lambda jobs, _: ((job, made) for job in jobs))
    monkeypatch.setattr(determinism, "start_workers", lambda *_: nullcontext(workers))
    (row,) = determinism.audit_determinism([stand_in.addition], against=against)
    assert row.differing == ("elsewhere",)
    against.write_text("[]")
    with pytest.raises(ReproError, match="is not what `repro audit determinism --json` prints"):
        determinism.audit_determinism([stand_in.addition], against=against)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("determinism", "stand_in.timed"), "these claims measure time"),
        (("stability", "stand_in.addition"), "none of these claims takes seeds"),
        (("stability", "stand_in.bounded", "--repeats", "0"), "--repeats"),
        (("stability", "stand_in.bouned"), "did you mean stand_in.bounded"),
        (("robustness", "stand_in.addition"), "stand_in.addition takes no seeds"),
        (("robustness", "stand_in.spread"), "stand_in.spread has no setting to vary"),
        (("faults", "stand_in.bounded"), "none of these claims has a published verdict at smoke"),
        (("calibration", "--simulations", "0"), "--simulations"),
        ((), "no command|Missing command"),
    ],
)
def test_wrong_usage_is_one_line(arguments, message, tmp_path):
    assert_wrong_usage(command("audit", *arguments, folder=tmp_path), message, tmp_path)
