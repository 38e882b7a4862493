"""JUnit XML of a run, read back by another parser than the one that writes it."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.dom import minidom

import pytest
import stand_in

from repro.common.errors import ReproError
from repro.criteria.verdict import Verdict
from repro.report import junit
from repro.results.records import ClaimResult, Evaluation, Run
from repro.runner.execution import CompletedRun

TESTS = Path(__file__).parents[1]
RUN = Run("20260101T120000-abcd", "2026-01-01T12:00:00+00:00", "smoke", "jax", {})
HOSTILE = "<b>&\"']]> \x00\x1b[31m\ud800￾ Ω 𝔘"
VERDICTS = {
    "reproduced": Verdict("reproduced", effect=0.0, low=0.0, high=math.inf, n=13, measure="share <of> seeds"),
    "refuted": Verdict("refuted", effect=1.0, low=0.5, high=1.0, n=13, measure=HOSTILE),
}


def evaluation(kind, status, message="", **details):
    return Evaluation(
        kind, "It holds.", {"points": 5}, tuple(range(13)), status, VERDICTS.get(status), message=message, **details
    )


def result(name, status, control="refuted", published=None, **details):
    counterparts = (evaluation("control", control, seconds=0.25),)
    return ClaimResult(f"stand_in.{name}", evaluation("claim", status, seconds=1.5, **details), counterparts, published)


RESULTS = (
    result("bounded", "reproduced"),
    result("addition", "refuted", "refuted", "refuted"),
    result("first_reader", "refuted", "refuted", "reproduced"),
    result("unsound", "reproduced", "reproduced"),
    result("failing", "error", "error", message=HOSTILE, traceback=f"Traceback\n{HOSTILE}"),
    result("without_data", "skipped", "skipped", message="no data"),
)


def written(folder, results=RESULTS, claims=None):
    file = folder / "junit.xml"
    claims = claims or {claim.id: claim for claim in vars(stand_in).values() if hasattr(claim, "criterion")}
    junit.write_junit(file, CompletedRun(RUN, tuple(results)), claims)
    return minidom.parse(str(file)).documentElement.getElementsByTagName("testsuite")[0]


def cases(suite):
    return {case.getAttribute("name"): case for case in suite.getElementsByTagName("testcase")}


def child(case):
    (element,) = (node for node in case.childNodes if node.nodeType == node.ELEMENT_NODE)
    return element.tagName, element.getAttribute("message"), "".join(node.data for node in element.childNodes)


def test_there_is_a_case_for_each_claim_and_a_count_of_each_fate(tmp_path):
    suite = written(tmp_path)
    counted = {name: suite.getAttribute(name) for name in ("tests", "failures", "errors", "skipped", "time")}
    assert counted == {"tests": "6", "failures": "2", "errors": "1", "skipped": "1", "time": "10.500"}
    assert suite.getAttribute("timestamp") == "2026-01-01T12:00:00"
    assert list(cases(suite)) == [name.id.partition(".")[2] for name in RESULTS]
    bounded = cases(suite)["bounded"]
    assert (bounded.getAttribute("classname"), bounded.getAttribute("time")) == ("stand_in", "1.750")


def test_cases_fail_as_the_exit_status_says(tmp_path):
    told = {name: child(case)[:2] for name, case in cases(written(tmp_path)).items()}
    assert told["bounded"] == told["addition"] == ("system-out", "")
    assert told["first_reader"] == ("failure", "refuted, but published as reproduced")
    assert told["unsound"] == ("failure", "unsound, its control is reproduced")
    assert told["failing"][0] == "error"
    assert told["without_data"] == ("skipped", "no data")


def test_a_failure_explains_itself(tmp_path):
    message, text = child(cases(written(tmp_path))["first_reader"])[1:]
    assert message == "refuted, but published as reproduced"
    assert text.splitlines()[0] == stand_in.first_reader.statement
    assert "Rossi, Artificial Neural Networks and Deep Learning, academic year 2024-2025, 3.5.1 Sizes" in text
    assert "refuted: <b>&\"']]> " in text
    assert "repeat: repro check stand_in.first_reader --profile smoke --backend jax" in text


def test_no_text_makes_illegal_xml(tmp_path):
    claims = {"stand_in.failing": replace(stand_in.failing, statement=HOSTILE)}
    kind, message, text = child(cases(written(tmp_path, [RESULTS[4]], claims))["failing"])
    legal = "<b>&\"']]> #x00#x1B[31m#xD800#xFFFE Ω 𝔘"
    assert kind == "error"
    assert f"claim ended in error, {legal}" in message
    assert text.startswith(legal)
    assert text.endswith(legal)


def test_no_results_are_a_suite_without_cases(tmp_path):
    assert written(tmp_path, []).getAttribute("tests") == "0"


def test_a_file_is_replaced_whole_where_a_link_leads(tmp_path):
    (tmp_path / "real.xml").write_text("before" * 10_000)
    (tmp_path / "junit.xml").symlink_to("real.xml")
    written(tmp_path)
    assert (tmp_path / "junit.xml").is_symlink()
    assert (tmp_path / "real.xml").read_text().startswith("<?xml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junit.xml", "real.xml"]


def test_a_file_that_can_be_written_is_left_alone_before_the_run(tmp_path):
    (tmp_path / "junit.xml").write_text("earlier")
    junit.check_writable(tmp_path / "junit.xml")
    assert (tmp_path / "junit.xml").read_text() == "earlier"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is a folder"),
        ("missing/x.xml", "No such file"),
        ("file/x.xml", "Not a directory"),
        ("pipe", "a device"),
    ],
)
def test_files_that_cannot_be_written_are_found_out_before_the_run(name, reason, tmp_path):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ReproError, match=f"cannot write .*: .*{reason}.*; name .*--junit") as error:
        junit.check_writable(tmp_path / name)
    assert "\n" not in str(error.value)


def repro(*arguments, folder):
    environment = {**os.environ, "CLAIMS": str(TESTS / "stand_ins"), "COLUMNS": "80"}
    command = [sys.executable, TESTS / "repro_with_stand_ins.py", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_run_writes_it(tmp_path):
    claims = ["stand_in.addition", "stand_in.failing", "stand_in.without_data"]
    completed = repro("run", *claims, "--profile", "smoke", "--workers", "0", "--junit", "out.xml", folder=tmp_path)
    assert completed.returncode == 1, completed.stderr
    told = {name: child(case)[0] for name, case in cases(minidom.parse(str(tmp_path / "out.xml"))).items()}
    assert told == {"addition": "system-out", "failing": "error", "without_data": "skipped"}


def test_run_does_nothing_if_it_could_not_be_written(tmp_path):
    completed = repro("run", "--junit", "missing/out.xml", folder=tmp_path)
    assert (completed.returncode, completed.stdout) == (2, "")
    assert completed.stderr.startswith("repro: cannot write missing/out.xml: No such file or directory; name")
    assert not list(tmp_path.iterdir())
