"""The plugin of pytest, in sessions of its own with stand-in claims, of two of which verdicts are published."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import repro
from repro.catalogue import design

pytest_plugins = "pytester"

ROOT = Path(repro.__file__).parent.parent  # that processes in other folders shall import from
PLUGIN = [] if metadata.entry_points(group="pytest11", name="repro") else ["-p", "repro.pytest_plugin"]
IN_PLACE_OF_THE_REGISTERED = """
import pathlib
import repro.claims
from repro.results import reference
repro.claims.__path__ = [{claims!r}]
reference.published.__defaults__ = (pathlib.Path({published!r}),)
"""
PUBLISHED = {"novikoff": "reproduced", "signed_distance": "refuted"}
CLAIMS = """
import os
import pandas as pd
from repro import AtMost, Correction, DataUnavailableError, Source, claim

def declare(**counterpart):
    source = Source("My lecture notes", "2.3 Bounds")
    return claim(
        "It is at most one.", source=source, kind="theorem", criterion=AtMost("value", bound=1), **counterpart
    )

@declare(correction=Correction("It is.", value=1))
def novikoff(seeds, *, value=2):
    return pd.DataFrame(dict(seed=seeds, value=value))

@declare(correction=Correction("It is.", value=1))
def signed_distance(seeds, *, value=2):
    return pd.DataFrame(dict(seed=seeds, value=value))

@declare(control=dict(value=1))
def unsound(seeds, *, value=0):
    return pd.DataFrame(dict(seed=seeds, value=value))

@declare(control=dict(value=1))
def failing(seeds, *, value=0):
    raise ValueError("it failed <here>")

@declare(control=dict(value=1))
def without_data(seeds, *, value=0):
    raise DataUnavailableError("there is no data")

@declare(control=dict(value=1))
def dying(seeds, *, value=0):
    os._exit(3)

@declare()
def marked(seeds, *, value=0):
    return pd.DataFrame(dict(seed=seeds, value=value))

@declare(control=dict(value=2))
def reproduced(seeds, *, value=0):
    return pd.DataFrame(dict(seed=seeds, value=value))
"""


def published_claims():
    """Yield what is published of two of the stand-ins."""
    declared = {"__name__": "perceptron"}
    exec(CLAIMS, declared)
    for name, status in PUBLISHED.items():
        numbers = {"effect": 0.0, "low": 0.0, "high": 0.0, "n": 13, "seconds": 0.0, "counterparts": {}}
        yield f"perceptron.{name}", {"status": status, "design": design(declared[name]), **numbers}


def python_path(folder):
    """Return the path of processes in which the stand-ins are the only registered claims."""
    claims, site, published = (folder / name for name in ("claims", "site", "published"))
    for made in (claims, site, published):
        made.mkdir()
    (claims / "perceptron.py").write_text(CLAIMS)
    (published / "smoke.json").write_text(json.dumps({"environment": {}, "claims": dict(published_claims())}))
    in_place = IN_PLACE_OF_THE_REGISTERED.format(claims=str(claims), published=str(published))
    (site / "sitecustomize.py").write_text(in_place)
    return os.pathsep.join([str(ROOT), str(site)])


@pytest.fixture
def claims(pytester, monkeypatch):
    """A session with the stand-ins."""
    monkeypatch.setenv("PYTHONPATH", python_path(pytester.path))
    return pytester


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What pytest prints of a session with all stand-ins and a test."""
    folder = tmp_path_factory.mktemp("session")
    (folder / "test_own.py").write_text("def test_own():\n    import sys\n    assert 'keras' not in sys.modules\n")
    completed = subprocess.run(
        [sys.executable, "-m", "pytest", *PLUGIN, "--repro", "perceptron", "-rA"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": python_path(folder), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == pytest.ExitCode.TESTS_FAILED, completed.stderr
    return pytest.LineMatcher(completed.stdout.splitlines())


def run(pytester, *arguments):
    return pytester.runpytest_subprocess(*PLUGIN, *arguments)


def test_claims_fail_if_they_contradict_what_is_published_are_unsound_or_in_error(report):
    report.fnmatch_lines(["collected 9 items"])
    report.fnmatch_lines_random(
        [
            "PASSED test_own.py::test_own",
            "PASSED repro::perceptron.signed_distance",
            "PASSED repro::perceptron.reproduced",
            "PASSED repro::perceptron.marked",
            "SKIPPED*there is no data",
            "FAILED repro::perceptron.novikoff - refuted, but published as reproduced",
            "FAILED repro::perceptron.unsound - unsound, its control is reproduced",
            "FAILED repro::perceptron.failing - claim ended in error, ValueError*",
            "FAILED repro::perceptron.dying - perceptron.dying: its process died*",
        ]
    )
    report.fnmatch_lines(["*4 failed, 4 passed, 1 skipped*in *"])


def test_a_failure_is_explained_without_a_traceback_of_the_package(report):
    report.fnmatch_lines(
        [
            "*_ claim perceptron.novikoff _*",
            "refuted, but published as reproduced",
            "It is at most one.",
            "My lecture notes, 2.3 Bounds",
            "refuted: share of seeds that violate the bound 1 *, n = 13",
            "repeat: repro check perceptron.novikoff --profile smoke --backend *",
            "*_ claim perceptron.failing _*",
            "claim ended in error, ValueError: it failed <here>",
            "ValueError: it failed <here>",
            "*_ claim perceptron.dying _*",
            "perceptron.dying: its process died, perhaps for lack of memory",
        ]
    )
    report.no_fnmatch_line("*in runtest*")


def test_claims_are_spread_over_processes(claims):
    result = run(claims, "--repro", "perceptron.signed_distance", "--repro", "perceptron.novikoff", "-n", "2")
    result.assert_outcomes(failed=1, passed=1)


def test_files_of_the_users_own_have_claims_too(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (pytester.path / "mine.py").write_text(CLAIMS)
    result = run(pytester, "--repro", "mine.py::reproduced", "--repro-profile", "standard", "--junitxml", "out.xml")
    result.assert_outcomes(passed=1)
    written = (pytester.path / "out.xml").read_text()
    assert '<property name="verdict" value="reproduced"' in written


def test_claims_can_be_chosen_by_marker_and_deselected(claims):
    claims.makepyfile("def test_own(): pass")
    claims.makeini("[pytest]\naddopts = --strict-markers")
    result = run(
        claims, "--repro", "perceptron", "-m", "repro", "--collect-only", "-q", "--deselect", "repro::perceptron.d"
    )
    assert [line for line in result.outlines if "::" in line] == [
        f"repro::perceptron.{name}"
        for name in ("novikoff", "signed_distance", "unsound", "failing", "without_data", "marked", "reproduced")
    ]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("perceptron.novikov", "did you mean perceptron.novikoff"), ("missing.py", "there is no file missing.py")],
)
def test_unknown_claims_are_one_line(pattern, message, claims):
    result = run(claims, "--repro", pattern)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert len([line for line in result.errlines if line]) == 1
    assert message in result.stderr.str()


def test_nothing_is_run_or_loaded_without_the_option(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(
        "import sys\n"
        "def test_own():\n"
        "    assert 'repro.pytest_plugin' in sys.modules\n"
        "    assert not {'pandas', 'keras', 'repro.claim', 'repro.pytest_claims'} & set(sys.modules)\n"
    )
    run(pytester).assert_outcomes(passed=1)


def test_importing_the_plugin_is_cheap():
    code = (
        "import sys, pytest; before = set(sys.modules); import repro.pytest_plugin; print(*set(sys.modules) - before)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in done.stdout.split()} <= {"repro", "lazy_loader"} | set(
        sys.stdlib_module_names
    )
