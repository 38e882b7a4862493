"""What a results folder or a network may do to those who use the suite: nothing."""

import ast
import hashlib
import json
import os
import pickle
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

import repro
from repro import report
from repro.criteria.verdict import Verdict
from repro.results.records import ClaimResult, Evaluation, Run
from repro.results.store import Store

PACKAGE = Path(repro.__file__).parent
REFUSE = """
import os, socket

def refused(address):
    host = address[0] if isinstance(address, tuple) else "a socket file"
    if host in ("127.0.0.1", "::1", "localhost", "a socket file", None):
        return False
    with open(os.environ["ATTEMPTS"], "a") as log:
        log.write(f"{host}\\n")
    return True

def guarded(original):
    def connect(self, address):
        if self.family != socket.AF_UNIX and refused(address):
            raise ConnectionRefusedError("the test has no network")
        return original(self, address)
    return connect

def resolve(host, *arguments, original=socket.getaddrinfo, **named):
    if refused((host,)) and host != socket.gethostname():
        raise socket.gaierror("the test has no network")
    return original(host, *arguments, **named)

socket.socket.connect = guarded(socket.socket.connect)
socket.socket.connect_ex = guarded(socket.socket.connect_ex)
socket.getaddrinfo = resolve
"""


class Bomb:
    """Leaves a file where it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.fixture
def offline(tmp_path):
    """Return a function that runs the command without a network, its worker processes too."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(REFUSE)
    path = os.pathsep.join(filter(None, [str(tmp_path / "guard"), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "ATTEMPTS": str(tmp_path / "attempts")}

    def command(*arguments):
        return subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return command


def test_nothing_needs_a_network_unless_data_are_asked_for(offline, tmp_path):
    for arguments in [
        ("run", "perceptron.or_neuron", "digits_claim.py", "--profile", "smoke", "--workers", "1"),
        ("check", "perceptron.or_neuron", "--profile", "smoke"),
        ("list",),
        ("report",),
        ("compare", "published"),
        ("export", "latest", "run.zip"),
        ("import", "run.zip", "--results", "theirs"),
    ]:
        (tmp_path / "digits_claim.py").write_text(DIGITS_CLAIM)
        ended = offline("-m", "repro", *arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not (tmp_path / "attempts").exists()


def test_the_guard_sees_attempts(offline, tmp_path):
    code = "import requests; requests.get('https://example.com')"
    assert "no network" in offline("-c", code).stderr
    assert (tmp_path / "attempts").read_text() == "example.com\n"


DIGITS_CLAIM = """
import pandas as pd
from repro import AtMost, Source, claim
from repro.engine import load_data

@claim("Digits have ten classes.", source=Source("Notes", "1"), kind="theorem",
       criterion=AtMost("classes", bound=10), control={"more": 1})
def classes(seeds, *, more=0):
    return pd.DataFrame({"seed": seeds, "classes": load_data("digits").classes + more})
"""


@pytest.fixture
def bombed(tmp_path):
    """A results folder with pickles wherever it has data."""
    trace = tmp_path / "trace"
    bomb = pickle.dumps(Bomb(trace))
    store = Store.open(tmp_path / "results")
    key = hashlib.sha256(bomb).hexdigest()
    (store.folder / "observations" / f"{key}.parquet").write_bytes(bomb)
    table = pd.DataFrame({"seed": [0, 1], "updates": [1.0, 2.0]})
    table.attrs["tuning"] = [{"bomb": bomb.decode("latin-1")}]
    whole = store.write_observations(table)
    store.begin(Run("one", "2026-01-01T12:00:00+00:00", "smoke", "jax", {"python": "3.13"}))
    verdict = Verdict("refuted", 0.5, 0.25, 1.0, 3, "ratio")
    for name, observations in (("perceptron.xor", key), ("my.unknown", whole)):
        evaluation = Evaluation("claim", "It holds.", {}, (0, 1), "refuted", verdict, observations)
        store.record("one", ClaimResult(name, evaluation, ()))
    report.build(store)
    for file in (store.folder / "site" / "evidence").iterdir():
        file.write_bytes(bomb)
    return store, bomb, trace


def test_the_bomb_works(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "trace")))
    assert (tmp_path / "trace").exists()


def test_nothing_in_a_results_folder_is_unpickled(bombed):
    store, _, trace = bombed
    index = report.build(store)
    assert "are no table" in (index.parent / "claims" / "perceptron.xor.html").read_text()
    assert not trace.exists()


@pytest.mark.parametrize("column", ["parameters", "verdict", "seeds", "message", "statement"])
def test_nothing_in_the_database_is_unpickled(bombed, column, tmp_path):
    store, bomb, trace = bombed
    with closing(sqlite3.connect(store.folder / "results.sqlite")) as connection:
        connection.execute(f"UPDATE evaluations SET {column} = ?", (bomb,))
        connection.commit()
    with pytest.raises(repro.ReproError, match=r"damaged") as refused:
        report.build(store)
    assert str(tmp_path) in str(refused.value)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "a/b", "..", "", "latest", "a\nb"])
def test_ids_of_runs_lead_nowhere(bombed, name):
    store, _, _ = bombed
    with closing(sqlite3.connect(store.folder / "results.sqlite")) as connection:
        connection.execute("UPDATE runs SET id = ?", (name,))
        connection.commit()
    with pytest.raises(repro.ReproError, match="damaged"):
        store.runs()


def test_ids_of_claims_lead_nowhere(bombed):
    store, _, _ = bombed
    with closing(sqlite3.connect(store.folder / "results.sqlite")) as connection:
        connection.execute("UPDATE results SET claim = '../../' || claim")
        connection.commit()
    before = {path.name for path in store.folder.parent.iterdir()}
    pages = report.build(store).parent / "claims"
    assert len(list(pages.iterdir())) == 2
    assert {path.name for path in store.folder.parent.iterdir()} == before


# What would execute data; the one exception is the user's own file, which is asked for by its name.
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml"}
FORBIDDEN_METHODS = {"read_pickle", "to_pickle", "allow_pickle"}
ALLOWED = {("catalogue/user_files.py", "exec"), ("catalogue/user_files.py", "compile")}


def executing(tree):
    """Name what in a module executes data."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                yield name
            case ast.Import(names=names):
                yield from {each.name.split(".")[0] for each in names} & FORBIDDEN_MODULES
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in FORBIDDEN_MODULES:
                yield module
            case ast.Attribute(attr=name) | ast.keyword(arg=name) if name in FORBIDDEN_METHODS:
                yield name
            case ast.keyword(arg="shell", value=ast.Constant(value=True)):
                yield "shell"


def test_no_module_executes_data():
    found = {
        (str(file.relative_to(PACKAGE)), name)
        for file in PACKAGE.rglob("*.py")
        for name in executing(ast.parse(file.read_text(encoding="utf-8")))
    }
    assert found == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        *("eval('1')", "exec('1')", "import pickle", "from pickle import loads", "import yaml.loader"),
        *("pandas.read_pickle(x)", "numpy.load(x, allow_pickle=True)", "run(x, shell=True)"),
    ],
)
def test_what_executes_data_is_found(source):
    assert list(executing(ast.parse(source)))


FORMS = {
    "list": lambda _: [],
    "other digest": lambda record: record | {"digest": []},
    "formats that lead elsewhere": lambda record: record | {"formats": ["/../../../../outside"]},
    "formats that are none": lambda record: record | {"formats": 5},
    "excerpt that is no table": lambda record: record | {"excerpt": 5},
    "columns that are none": lambda record: record | {"excerpt": {"columns": 5, "rows": [[5]], "count": "x"}},
}


@pytest.mark.parametrize("form", FORMS)
def test_evidence_of_other_forms_is_made_anew(bombed, form):
    store, _, _ = bombed
    folder = report.build(store).parent / "evidence"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    for name, content in before.items():
        (folder / name).write_text(json.dumps(FORMS[form](json.loads(content))))
    beside = sorted(path.name for path in store.folder.parent.iterdir())
    report.build(store)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert sorted(path.name for path in store.folder.parent.iterdir()) == beside


def test_deeply_nested_evidence_is_made_anew(bombed):
    store, _, _ = bombed
    folder = report.build(store).parent / "evidence"
    for file in folder.iterdir():
        file.write_text("[" * 100_000)
    report.build(store)
    assert all("digest" in json.loads(file.read_text()) for file in folder.iterdir())
