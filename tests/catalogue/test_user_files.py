"""Claims in files of the user's own: how they are named and loaded, and what is said of files that cannot be used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from claim_source import claim_source

import repro
from repro.catalogue import registry, user_files
from repro.common.errors import ClaimError, ReproError
from repro.runner import execution, planning
from repro.runner.cluster import start_workers
from repro.runner.jobs import Job

ROOT = Path(repro.__file__).parent.parent  # that processes in other folders shall import from


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that is the current one, and a path for imports that is as before afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.fixture
def bounds(folder):
    """A file with two claims."""
    file = folder / "bounds.py"
    file.write_text(claim_source("first") + claim_source("second", "So is this."))
    return file


def ids(*patterns, **options):
    return [claim.id for claim in registry.find(*patterns, **options)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("my_claims.py", True),
        ("claims/more", True),
        ("more::first", True),
        ("perceptron.novikoff", False),
        ("*", False),
    ],
)
def test_files_are_told_from_ids(text, names):
    assert user_files.names_file(text) is names


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bounds.py", ["bounds.first", "bounds.second"]),
        ("./bounds.py", ["bounds.first", "bounds.second"]),
        ("bounds.py::second", ["bounds.second"]),
        ("bounds.py::f*", ["bounds.first"]),
    ],
)
@pytest.mark.usefixtures("bounds")
def test_a_file_names_its_claims(text, found):
    assert ids(text) == found


@pytest.mark.usefixtures("bounds")
def test_files_ids_and_sources_mix():
    assert ids("bounds.py", "perceptron.xor") == ["perceptron.xor", "bounds.first", "bounds.second"]
    assert ids("bounds.py", "perceptron.xor", source="My lecture notes 2.3") == ["bounds.first", "bounds.second"]
    assert "bounds.first" not in ids()


def test_one_file_is_one_module_however_it_is_named(bounds, folder):
    (folder / "link.py").symlink_to(bounds)
    (folder / "sub").mkdir()
    found = registry.find("bounds.py", str(bounds), "sub/../bounds.py", "link.py", "bounds.py::second")
    assert [claim.id for claim in found] == ["bounds.first", "bounds.second"]
    assert registry.get("bounds.py::first") is found[0]


def test_an_edited_file_is_loaded_anew(bounds):
    before = registry.get("bounds.py::first")
    bounds.write_text(claim_source("first", "It was edited."))
    assert registry.get("bounds.py::first").statement == "It was edited."
    assert before.statement == "It is at most one."


def test_names_of_files_need_not_be_identifiers(folder):
    (folder / "week 2.part-b.py").write_text(claim_source("first"))
    assert ids("week 2.part-b.py") == ["week_2_part_b.first"]


def test_the_file_of_a_registered_claim_gives_that_claim():
    claim = registry.get("perceptron.novikoff")
    module = sys.modules[claim.function.__module__]
    assert registry.get(f"{module.__file__}::novikoff") is claim
    assert user_files.address(claim) == "perceptron.novikoff"


def test_one_claim_is_had_by_its_file_if_it_has_no_other(bounds):
    with pytest.raises(ReproError, match=r"bounds\.py has 2 claims; name one of them, such as bounds\.py::first"):
        registry.get("bounds.py")
    bounds.write_text(claim_source("first"))
    claim = registry.get("bounds.py")
    assert user_files.address(claim) == f"{bounds}::first"


def test_modules_beside_a_file_can_be_imported(folder):
    (folder / "beside_it.py").write_text("STATEMENT = 'From beside.'")
    (folder / "own.py").write_text("from beside_it import STATEMENT\n" + claim_source("first"))
    assert ids("own.py") == ["own.first"]


def test_what_a_file_prints_does_not_mix_with_the_output(folder, capsys):
    (folder / "loud.py").write_text("print('loading')\n" + claim_source("first"))
    registry.find("loud.py")
    assert capsys.readouterr() == ("", "loading\n")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.py", None, r"there is no file missing\.py"),
        ("sub", "", r"no claim, module or tag 'sub', and sub is not a Python file"),
        ("./sub", "", r"sub is not a Python file; claims are defined in files that end in \.py"),
        (".", None, "no claim, module or tag '.'"),
        ("./", None, "is a folder; name a Python file in it"),
        ("none.py", "import repro", r"none\.py defines no claim; decorate a function"),
        ("imported.py", "from repro.claims.perceptron.convergence import novikoff", r"imported\.py defines no claim"),
        ("syntax.py", "x = 1\ndef f(:\n", r"syntax\.py, line 2: SyntaxError: invalid syntax"),
        ("null.py", "\0", r"null\.py: SyntaxError"),
        ("name.py", "\n\nundefined", r"name\.py, line 3: NameError: name 'undefined' is not defined"),
        ("exit.py", "import sys\nsys.exit('no')", r"exit\.py, line 2: SystemExit: no"),
        ("lines.py", "raise ValueError('one\\ntwo')", r"lines\.py, line 1: ValueError: one two"),
        (
            "control.py",
            claim_source("first").replace("control=dict(value=2),", "control=dict(valeu=2),"),
            r"line 5: control\.first, control=: no parameter 'valeu'; .* did you mean value\?",
        ),
        ("keyword.py", claim_source("first").replace("source=", "sauce="), r"keyword\.py, line 5: TypeError"),
        (
            "twice.py",
            claim_source("first") + "again = first.__class__(**{f: getattr(first, f) for f in "
            "('statement', 'sources', 'criterion', 'function', 'control')})",
            r"two claims have the id twice\.first",
        ),
        (
            "perceptron.py",
            claim_source("novikoff"),
            r"id perceptron\.novikoff, in repro\.claims\.perceptron.* and in .*/perceptron\.py",
        ),
    ],
)
def test_files_that_cannot_be_used_are_one_line(name, content, message, folder):
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(ReproError, match=message) as error:
        registry.find(name)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("bounds")
def test_unknown_claims_of_a_file_are_told_with_the_known_ones():
    with pytest.raises(ReproError, match=r"bounds\.py has no claim 'third'; its claims are first, second"):
        registry.find("bounds.py::third")


def test_a_file_that_fails_can_be_mended_and_loaded(folder):
    file = folder / "mended.py"
    file.write_text("undefined")
    with pytest.raises(ClaimError):
        registry.find("mended.py")
    file.write_text(claim_source("first"))
    assert ids("mended.py") == ["mended.first"]


def test_workers_load_the_file_as_it_was_when_the_run_began(bounds, folder):
    (folder / "beside.py").write_text("VALUE = 1")
    bounds.write_text(claim_source("first").replace("value=value", "value=value * __import__('beside').VALUE"))
    (claim,) = registry.find("bounds.py")
    plan = planning.make_plan([claim], "smoke")
    bounds.write_text("this is being edited")
    completed = execution.execute(plan, folder / "results", 1)
    assert [(result.id, result.status, result.sound) for result in completed.results] == [
        ("bounds.first", "reproduced", True)
    ]


def test_a_file_that_workers_cannot_load_is_one_line(folder):
    file = user_files.ClaimFile(folder / "mine.py", b"undefined")
    job = Job(claim_source, {}, (), file=file)
    with start_workers(1, folder / "log") as pool, pytest.raises(ClaimError, match=r"mine\.py, line 1: NameError"):
        list(pool.perform([job], lambda _: None))


def install(folder, name, value):
    """Do what installing a package with an entry point does."""
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[repro.claims]\nmine = {value}\n")


def test_installed_packages_bring_claims(folder):
    install(folder, "lecture", "lecture_claims")
    (folder / "lecture_claims.py").write_text(claim_source("first"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}
    command = [sys.executable, "-m", "repro", "run", "lecture_claims", "--profile", "smoke", "--workers", "1"]
    completed = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr
    assert "1 claim: 1 reproduced" in completed.stdout
    overview = (folder / "repro-results" / "site" / "index.html").read_text()
    assert "My lecture notes 2.3 Bounds" in overview
    assert "repro run lecture_claims.first --profile smoke" in overview


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("nowhere", "entry point mine = nowhere of broken cannot be loaded, ModuleNotFoundError.*uninstall"),
        ("os:sep", "entry point mine = os:sep of broken names no module"),
    ],
)
def test_entry_points_that_cannot_be_used_are_one_line(value, message, folder, monkeypatch):
    install(folder, "broken", value)
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(ClaimError, match=message):
        registry.registered.__wrapped__()
