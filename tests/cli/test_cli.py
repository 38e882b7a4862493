"""The command line, through real subprocesses, with stand-in claims."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
import stand_in
from command_line import REPRO, TESTS, assert_wrong_usage, command, environment

from repro.catalogue import design

ENVIRONMENT = {"python", "keras", "backend_version", "device", "cpu", "cores", "memory", "commit"}
RESULT = {
    *(
        "id",
        "status",
        "sound",
        "soundness",
        "marks",
        "effect",
        "low",
        "high",
        "confidence",
        "p",
        "kind",
        "scale",
        "sentence",
        "threshold",
        "threshold_range",
        "n",
        "parts",
        "cells",
        "counterparts",
        "published",
    ),
    *("parameters", "seconds", "memory", "message"),
}


def session(process):
    """Session of a process, None if it has ended."""
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getsid(process.pid)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run of sound claims."""
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def good_run(folder):
    return command("run", "good", "--profile", "smoke", folder=folder)


@pytest.fixture(scope="module")
def bad_run(tmp_path_factory):
    """A run of claims that fail, lack data or are unsound, as JSON."""
    claims = ["stand_in.failing", "stand_in.without_data", "stand_in.unsound", "stand_in.addition"]
    return command("run", *claims, "--profile", "smoke", "--json", folder=tmp_path_factory.mktemp("bad"))


def test_run_ends_with_a_table_and_the_path_of_the_report(good_run, folder):
    assert good_run.returncode == 0, good_run.stderr
    lines = good_run.stdout.splitlines()
    assert [line.split()[0] for line in lines[:5]] == [
        "claim",
        "stand_in.bounded",
        "stand_in.addition",
        "stand_in.first_reader",
        "stand_in.second_reader",
    ]
    assert lines[1].split()[1:3] == ["reproduced", "0"]
    assert "4 claims: 3 reproduced, 1 refuted; 4 sound" in good_run.stdout
    assert lines[-1] == f"report: {folder / 'repro-results' / 'site' / 'index.html'}"
    assert (folder / "repro-results" / "site" / "index.html").exists()
    assert all(len(line) <= 80 for line in lines[:-1])


def test_run_says_on_stderr_what_it_will_do_and_what_is_done(good_run):
    said = " ".join(good_run.stderr.split())
    assert said.startswith("4 claims, 8 evaluations with counterparts, 6 experiments at the smoke profile")
    assert "expected time unknown" in said
    assert "4/4 stand_in." in said
    assert "TensorFlow" not in good_run.stderr
    assert "distributed" not in good_run.stderr


def test_run_writes_one_json_object(bad_run):
    document = json.loads(bad_run.stdout)
    assert set(document) == {"run", "profile", "backend", "environment", "results"}
    assert set(document["environment"]) == ENVIRONMENT
    assert document["profile"] == "smoke"
    for result in document["results"]:
        assert set(result) == RESULT
        for counterpart in result["counterparts"]:
            assert set(counterpart) == {"role", "statement", "status", "effect", "low", "high", "n"}


def test_json_tells_every_fate(bad_run):
    results = {result["id"]: result for result in json.loads(bad_run.stdout)["results"]}
    failing, without_data = results["stand_in.failing"], results["stand_in.without_data"]
    assert (failing["status"], failing["sound"], failing["effect"], failing["n"]) == ("error", None, None, 0)
    assert failing["message"] == "ZeroDivisionError: division by zero"
    assert without_data["status"] == "skipped"
    assert "download it" in without_data["message"]
    assert results["stand_in.unsound"]["sound"] is False
    addition = results["stand_in.addition"]
    assert (addition["status"], addition["sound"], addition["p"], addition["parameters"]) == (
        "refuted",
        True,
        None,
        {"right": 7.0},
    )
    assert addition["counterparts"][0]["statement"] == "Three plus three is six."
    assert addition["counterparts"][0]["role"] == "correction"
    assert (addition["kind"], addition["scale"], addition["marks"]) == ("formula", "exact", [])
    assert addition["sentence"].startswith("False as stated: ")
    assert [cell["outcome"] for cell in addition["cells"]] == ["fails"]
    assert (failing["kind"], failing["cells"], failing["parts"]) == (None, [], [])


def test_errors_and_unsound_claims_set_the_exit_status(bad_run):
    assert bad_run.returncode == 1


def test_check_explains_a_claim(tmp_path):
    arguments = ("check", "stand_in.bounded", "--profile", "smoke", "--seeds", "8", "--set", "sizes=8,20,56")
    completed = command(*arguments, folder=tmp_path)
    assert completed.returncode == 0, completed.stderr
    said = " ".join(completed.stdout.split())
    for expected in (
        r"A uniform number times $s$ is at most $s$.",
        "Deep Learning Cheat Sheet, January 2026, 1.1 Bounds",
        "Kolmogorov 1933",
        "Numbers are drawn and compared with their bound.",
        "reproduced: share of seeds that violate the bound 0",
        "No violation found: ",
        "theorem at scale exact; smoke profile on",
        "8 seeds; points=5, shift=0.0, data=digits, sizes=8,20,56",
        "Control with the mechanism removed with shift=2.0 refuted",
        "Soundness sound: its control is refuted",
    ):
        assert expected in said
    figure = re.search(r"^figure: (.+)$", completed.stdout, re.MULTILINE)[1]
    assert Path(figure).stat().st_size > 0
    repeat = re.search(r"^repeat: repro (.+)$", completed.stdout, re.MULTILINE)[1]
    again = command(*repeat.split(), "--json", folder=tmp_path)
    (result,) = json.loads(again.stdout)["results"]
    assert (result["status"], result["n"]) == ("reproduced", 8)
    assert result["parameters"]["sizes"] == [8, 20, 56]


def test_claims_that_lack_something_are_marked_and_fail_nothing(tmp_path):
    (tmp_path / "my_claims.py").write_text(
        "import pandas as pd\n"
        "from repro import AtMost, Source, claim\n"
        "@claim('Mine.', source=Source('My lecture notes', '2.3'), criterion=AtMost('x', bound=1))\n"
        "def bounded(seeds, *, x=1):\n"
        "    return pd.DataFrame({'seed': seeds, 'x': x})\n"
    )
    listed = json.loads(command("list", "my_claims.py", "--json", folder=tmp_path).stdout)[0]
    assert (listed["kind"], listed["counterparts"]) == (None, [])
    assert "its kind is not declared (kind=), so it is judged as a tendency" in listed["lacking"]
    completed = command("run", "my_claims.py", "--profile", "smoke", "--json", folder=tmp_path)
    assert completed.returncode == 0, completed.stderr
    (result,) = json.loads(completed.stdout)["results"]
    assert (result["status"], result["kind"], result["sound"]) == ("reproduced", "tendency", False)
    assert result["marks"] == listed["lacking"]


def test_data_reaches_the_experiment(tmp_path):
    arguments = ("stand_in.without_data", "--data", "mnist", "--profile", "smoke", "--seeds", "1", "--json")
    completed = command("run", *arguments, folder=tmp_path)
    (result,) = json.loads(completed.stdout)["results"]
    assert result["message"] == "the data set mnist is missing for 1 seeds of 1; download it"
    assert completed.returncode == 0


def test_list_filters_and_tells_everything_as_json(tmp_path):
    completed = command("list", "stand_in.a*", "--json", folder=tmp_path)
    assert json.loads(completed.stdout) == [
        {
            "id": "stand_in.addition",
            "statement": "Three plus three is seven.",
            "kind": "formula",
            "scope": "",
            "scale": "exact",
            "boundary": None,
            "sources": [{"document": "lectures", "section": "3.5 Sums", "parts": []}],
            "literature": "",
            "tags": ["good"],
            "requires": [],
            "criterion": stand_in.addition.criterion.describe(),
            "counterparts": ["correction"],
            "correction": "Three plus three is six.",
            "design": design(stand_in.addition),
            "lacking": [],
        }
    ]
    assert "stand_in.bounded" in command("list", folder=tmp_path).stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import repro", ("pandas", "numpy", "repro.claim", "keras")),
        (
            "from repro.cli.app import app; app(['list'], standalone_mode=False)",
            ("keras.src", "scipy.stats", "seaborn.utils", "matplotlib.figure", "sklearn.base", "distributed.client"),
        ),
    ],
)
def test_what_is_instant_loads_nothing_heavy(statement, absent, tmp_path):
    code = f"import sys; {statement}; print([name for name in {absent} if name in sys.modules])"
    completed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert completed.stdout.splitlines()[-1] == "[]"


@pytest.mark.usefixtures("good_run")
def test_report_is_written_again(folder):
    index = folder / "repro-results" / "site" / "index.html"
    index.unlink()
    completed = command("report", folder=folder)
    assert (completed.returncode, completed.stdout.strip()) == (0, str(index))
    assert index.exists()
    unknown = command("report", "yesterday", folder=folder)
    assert (unknown.returncode, len(unknown.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing command"),
        (("fly",), "No such command 'fly'"),
        (("run", "--fly"), "No such option"),
        (("run", "stand_in.bouned"), r"no claim, module or tag 'stand_in.bouned'; did you mean stand_in.bounded"),
        (("run", "["), r"no claim, module or tag '\['"),
        (("run", "--source", "bible 3"), "no claim comes from 'bible 3'"),
        (("run", "good", "--seeds", "0"), "seeds must be at least 1, not 0"),
        (("run", "good", "--seeds", "-4"), "seeds must be at least 1, not -4"),
        (("run", "good", "--seeds", "many"), "'--seeds': .*valid integer"),
        (("run", "good", "--profile", "huge"), "'huge' is not one of"),
        (("run", "good", "--backend", "theano"), "no backend 'theano'"),
        (("run", "good", "--workers", "-1"), "--workers"),
        (("run", "stand_in.addition", "--data", "mnist"), "none of the chosen claims takes a data set"),
        (("check",), "Missing argument 'claim'"),
        (("run", "missing.py"), "there is no file missing.py"),
        (("list", "/"), "/ is a folder; name a Python file in it"),
        (("check", "stand_in.py"), "there is no file stand_in.py"),
        (("audit", "stability", "missing.py::bounded"), "there is no file missing.py"),
        (("check", "stand_in.bouned"), "did you mean stand_in.bounded"),
        (("check", "stand_in.bounded", "--set", "points"), "--set takes name=value, not 'points'"),
        (("check", "stand_in.bounded", "--set", "point=3"), "no parameter 'point'; its parameters are points, shift"),
        (("check", "stand_in.bounded", "--set", "points=3.5"), "points takes a whole number, not '3.5'"),
        (("check", "stand_in.bounded", "--set", "sizes=1,x"), "sizes takes int values separated by commas, not '1,x'"),
        (("report",), "has no results"),
        (("run", "--resume"), "has no results"),
        (("run", "--resume", "--seeds", "3"), "--resume takes --seeds from the run; leave it out"),
        (("run", "good", "--scheduler", "tcp://127.0.0.1:1", "--workers", "2"), "workers are those of the cluster"),
    ],
)
def test_wrong_usage_is_one_line_and_leaves_nothing(arguments, message, tmp_path):
    assert_wrong_usage(command(*arguments, folder=tmp_path), message, tmp_path)


def test_unusable_results_folders_are_one_line_and_left_alone(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    with sqlite3.connect(foreign / "results.sqlite") as connection:
        connection.execute("CREATE TABLE mine (value)")
    connection.close()
    before = (foreign / "results.sqlite").read_bytes()
    for results in (file, foreign):
        completed = command("run", "good", "--profile", "smoke", "--results", results, folder=tmp_path)
        assert_wrong_usage(completed, str(results), tmp_path)
    assert file.read_text() == "mine"
    assert (foreign / "results.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    ("end", "wanted"),
    [
        pytest.param(os.killpg, signal.SIGINT, id="as a terminal does"),
        pytest.param(os.kill, signal.SIGTERM, id="as a time limit does"),
    ],
)
def test_an_interruption_keeps_what_is_done_and_ends_the_workers(tmp_path, end, wanted):
    arguments = ["run", "stand_in.addition", "stand_in.waiting", "--profile", "smoke", "--seeds", "1"]
    process = subprocess.Popen(
        [sys.executable, REPRO, *arguments],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # shells let what runs behind ignore it
    )
    for line in process.stderr:
        if "1/2 stand_in.addition" in line:
            break
    time.sleep(1)  # not while the line is being printed: Rich would print it again
    end(process.pid, wanted)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    assert errors == "interrupted: `repro report` shows what is done, `repro run --resume` goes on\n"
    workers = [worker for worker in psutil.process_iter() if session(worker) == process.pid]
    assert not psutil.wait_procs(workers, timeout=20)[1]
    shown = command("report", folder=tmp_path)
    assert shown.returncode == 0
    assert "stand_in.addition" in Path(shown.stdout.strip()).read_text()


def test_the_example_of_the_readme_is_sound(tmp_path):
    readme = (TESTS.parent / "README.md").read_text()
    example = re.search(r"<!-- the tests run this example -->\n```python\n(.+?)```", readme, re.DOTALL)[1]
    (tmp_path / "my_claims.py").write_text(example)
    completed = command("check", "my_claims.py", "--json", folder=tmp_path)
    (result,) = json.loads(completed.stdout)["results"]
    assert result["id"] == "my_claims.shift_invariance"
    assert (result["status"], result["sound"], result["n"]) == ("reproduced", True, 24)


def test_claims_of_the_users_own_are_shown_beside_the_registered_ones(tmp_path):
    (tmp_path / "my_claims.py").write_text(
        "import pandas as pd\n"
        "from repro import AtMost, Source, claim\n"
        "@claim('Mine.', source=Source('My lecture notes', '2.3'), kind='theorem', criterion=AtMost('x', bound=1),\n"
        "       control={'x': 2})\n"
        "def bounded(seeds, *, x=1):\n"
        "    print('measuring')\n"
        "    return pd.DataFrame({'seed': seeds, 'x': x})\n"
    )
    completed = command("run", "my_claims.py", "stand_in.addition", "--profile", "smoke", folder=tmp_path)
    assert completed.returncode == 0, completed.stderr
    assert "2 claims: 1 reproduced, 1 refuted; 2 sound" in completed.stdout
    site = tmp_path / "repro-results" / "site"
    overview = (site / "index.html").read_text()
    assert "my_claims.bounded" in overview
    assert "stand_in.addition" in overview
    assert "My lecture notes 2.3" in overview
    page = (site / "claims" / "my_claims.bounded.html").read_text()
    assert f"repro check {tmp_path / 'my_claims.py'}::bounded --profile smoke" in page
    assert "measuring" in page  # its source code
    again = command("report", folder=tmp_path)
    assert again.returncode == 0
    assert "not registered any more" in (site / "index.html").read_text()


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """A folder with two runs of the same claims, the later one with fewer seeds."""
    folder = tmp_path_factory.mktemp("compare")
    for seeds in ("9", "3"):
        command("run", "stand_in.bounded", "stand_in.addition", "--profile", "smoke", "--seeds", seeds, folder=folder)
    with sqlite3.connect(folder / "repro-results" / "results.sqlite") as connection:
        return folder, [row[0] for row in connection.execute("SELECT id FROM runs ORDER BY number")]


def test_compare_exits_with_1_where_head_is_worse(two_runs):
    folder, (base, head) = two_runs
    completed = command("compare", base, folder=folder)
    assert completed.returncode == 1, completed.stderr
    lines = completed.stdout.splitlines()
    assert lines[0] == "Verdicts that changed"
    assert lines[2].split() == ["stand_in.bounded", "reproduced", "inconclusive", "worse"]
    page = folder / "repro-results" / "site" / f"compare-{base}-{head}.html"
    assert lines[-1] == f"page: {page}"
    assert "stand_in.bounded" in page.read_text(encoding="utf-8")
    assert all(len(line) <= 80 for line in lines[:-1])
    assert "2 claims compared" in completed.stdout


def test_compare_exits_with_0_where_head_is_better_or_the_same(two_runs):
    folder, (base, head) = two_runs
    better = command("compare", head, base, folder=folder)
    assert better.returncode == 0, better.stderr
    assert "verdicts: 1 changed, 0 for the worse; effects: none moved" in better.stdout
    same = command("compare", "latest", "--json", folder=folder)
    assert same.returncode == 0, same.stderr
    document = json.loads(same.stdout)
    assert document == {
        "base": head,
        "head": head,
        "verdicts": [],
        "effects": [],
        "environment": [],
        "worse": False,
    } | {"costs": document["costs"]}
    assert {cost["id"] for cost in document["costs"]} == {"stand_in.bounded", "stand_in.addition"}
    for cost in document["costs"]:
        assert set(cost) == {"id", "seconds_ratio", "memory_ratio"}
        assert cost["memory_ratio"] == 1.0


def test_compare_with_what_is_published_says_what_it_lacks(two_runs):
    folder, _ = two_runs
    completed = command("compare", "published", folder=folder)
    assert completed.returncode == 0, completed.stderr
    assert "0 claims compared" in completed.stdout
    assert "only in head: 2 claims" in completed.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", "published", "published"), "the same on both sides"),
        (("compare",), "Missing argument 'BASE'"),
        (("compare", "latest"), "has no results"),
        (("export", "latest", "run.zip"), "has no results"),
        (("import", "run.zip"), "cannot read run.zip: No such file"),
    ],
)
def test_wrong_usage_of_commands_for_runs(tmp_path, arguments, message):
    assert_wrong_usage(command(*arguments, folder=tmp_path), message, tmp_path)


def test_a_run_travels_in_a_file(two_runs, tmp_path):
    folder, (base, _) = two_runs
    exported = command("export", base, tmp_path / "run.zip", folder=folder)
    assert (exported.returncode, exported.stdout) == (0, f"run {base} is in {tmp_path / 'run.zip'}\n")
    for said in ("is imported", "is here already, with the same content"):
        imported = command("import", "run.zip", folder=tmp_path)
        assert (imported.returncode, imported.stdout) == (0, f"run {base} {said}\n"), imported.stderr
    assert command("report", base, folder=tmp_path).returncode == 0
    assert command("compare", tmp_path / "run.zip", folder=folder).returncode == 1
    (tmp_path / "bad.zip").write_bytes((tmp_path / "run.zip").read_bytes()[:-30])
    refused = command("import", "bad.zip", folder=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert re.fullmatch(r"repro: bad.zip is refused: [^\n]+\n", refused.stderr)
