"""Bad input of every kind: one line that names what is wrong, exit status 2, and no file is changed.

The command runs in this process, where thousands of examples take minutes; what would execute experiments is cut off.
"""

import contextlib
import hashlib
import io
import json
import os
import pickle
import shutil
import sqlite3
import sys
import warnings
import zipfile
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import hypothesis
import pandas as pd
import pyarrow as pa
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from repro.cli import app
from repro.criteria.verdict import Cell, Part, Verdict
from repro.performance.history import History
from repro.performance.measurement import Measurement
from repro.results import bundle
from repro.results.records import ClaimResult, Evaluation, Request, Run
from repro.results.store import Store

RUN = Run(
    "20260101T120000-abcd",
    "2026-01-01T12:00:00+00:00",
    "smoke",
    "jax",
    {"python": "3.13.1", "cpu": "Z80", "cores": 2, "device": "CPU", "commit": None, "packages": {"numpy": "2.3"}},
    Request(("perceptron.xor", "my.unknown", "perceptron.novikoff"), 3, {"perceptron.novikoff": {"points": 50}}),
)
CELLS = tuple(
    Cell({"depth": depth, "net": "γ"}, outcome, 0.5, 0.25, 1.0, 3, part="a", expected=expected, phrase="it is half")
    for depth, outcome, expected in ((2, "holds", True), (20, "fails", None))
)
VERDICT = Verdict(
    "refuted",
    0.5,
    0.25,
    1.0,
    3,
    "ratio",
    0.001,
    0.99,
    (Part("a", "refuted", 0.5, 0.25, 1.0, 3, threshold=1.0, threshold_range=(0.25, float("inf"))),),
    "a",
    kind="theorem",
    scale="exact",
    sentence="False as stated: it is half.",
    threshold=1.0,
    threshold_range=(0.25, float("inf")),
    cells=CELLS,
    boundary="below depth 10",
)
OBSERVATIONS = pd.DataFrame({"seed": [0, 1, 2], "updates": [3.0, 4.0, 5.0], "net": ["plain", "γ", "x"]})
OBSERVATIONS.attrs["tuning"] = [{"rate": 0.1, "loss": 2.0}]


def parquet_of(columns, attributes=None):
    """Write a Parquet file with any attributes."""
    table = pa.table(columns)
    pandas = {"index_columns": [], "columns": [], "attributes": attributes}
    file = io.BytesIO()
    parquet.write_table(
        table.replace_schema_metadata({"pandas": json.dumps(pandas), "PANDAS_ATTRS": json.dumps(attributes)}), file
    )
    return file.getvalue()


TABLES = [
    *(b"", b"PAR1", b"junk" * 10, pickle.dumps(OBSERVATIONS)),
    *(
        parquet_of({"seed": [0]}, attributes)
        for attributes in (None, 5, [], {"tuning": 5}, {"tuning": [1]}, {"tuning": {}})
    ),
    *(
        parquet_of({"seed": [0]}, {"tuning": [value]})
        for value in ({}, {"a": [1]}, {"a": {"b": 1}}, {"\ud800": "\ud800"})
    ),
    parquet_of({"seed": [b"\xff"], "x": [None]}),
    parquet_of({"seed": [{"a": 1}], "x": [[1, 2]]}),
    parquet_of({}),
]
CLAIM_FILE = """
import pandas as pd
from repro import AtMost, Boundary, PositiveControl, Rival, Source, claim

@claim("Mine.", source=Source("Notes", "2.3"), kind="theorem", criterion=AtMost("x", bound=1), control={"x": 2})
def bounded(seeds, *, x=1, rate=0.1, loud=False, name="a", sizes=(1, 2), free=None):
    return pd.DataFrame({"seed": seeds, "x": x})
"""


class Reached(BaseException):
    """The command would execute experiments now: its input was good."""


@dataclass(frozen=True)
class Ended:
    """How a command ended; the status is None where it would have executed experiments."""

    status: int | None
    output: str
    errors: str


def invoke(*arguments, folder):
    """Run the command in a folder, with streams that are as strict as those of a terminal."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    errors = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    with contextlib.ExitStack() as stack:
        for place in (
            "repro.runner.cluster.start_workers",
            "repro.runner.cluster.connect",
            "repro.audits.determinism.start_workers",
            "repro.audits.robustness.start_workers",
            "repro.audits.stability.start_workers",
            "repro.audits.audit_faults",
            "repro.audits.calibrate",
            "repro.audits.simulate_decisions",
            "repro.performance.run_benchmarks",
        ):
            stack.enter_context(mock.patch(place, side_effect=Reached))
        stack.enter_context(mock.patch.dict(os.environ, {"COLUMNS": "80"}))
        stack.enter_context(mock.patch.object(sys, "argv", ["repro", *map(str, arguments)]))
        stack.enter_context(contextlib.chdir(folder))
        stack.enter_context(contextlib.redirect_stdout(output))
        stack.enter_context(contextlib.redirect_stderr(errors))
        stack.enter_context(warnings.catch_warnings(action="ignore"))  # of the compiler, about the user's own code
        try:
            app.main()
        except SystemExit as end:
            status = end.code
        except Reached:
            status = None
    texts = []
    for stream in (output, errors):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return Ended(status, *texts)


def content(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def fails_well(*arguments, folder):
    """Run the command; whatever the input was, nothing else may happen than what the manual says."""
    before = content(folder)
    ended = invoke(*arguments, folder=folder)
    if ended.status == 2:
        assert ended.output == ""
        assert ended.errors.startswith("repro: ")
        assert ended.errors.endswith("\n")
        assert ended.errors[:-1].isprintable()
        assert content(folder) == before
    else:
        assert ended.status in (None, 0, 1)
    return ended


def stays_inside(*arguments, folder):
    """Run the command on a results folder of anyone; nothing else is touched.

    A database that is opened may get rid of its own traces, so only what is beside the results must stay.
    """

    def outside():
        places = ("repro-results", "theirs", "new.zip")
        return {path: data for path, data in content(folder).items() if path.relative_to(folder).parts[0] not in places}

    before = outside()
    ended = invoke(*arguments, folder=folder)
    assert ended.status in (None, 0, 1, 2)
    if ended.status == 2:
        assert ended.output == ""
        assert ended.errors.startswith("repro: ")
        assert ended.errors[:-1].isprintable()
    assert outside() == before
    return ended


def record(folder):
    """Make a results folder with a run that lacks a claim."""
    store = Store.open(folder)
    key = store.write_observations(OBSERVATIONS)
    store.begin(RUN)
    own = Evaluation("claim", "It holds.", {"points": 50, "sizes": (1, 2)}, (0, 1, 2), "refuted", VERDICT, key, 1.5, 9)
    control = replace(own, role="control", verdict=None, status="error", observations=None, message="it broke")
    store.record(RUN.id, ClaimResult("perceptron.xor", replace(own, observations=None), (control,), "refuted"))
    store.record(RUN.id, ClaimResult("my.unknown", own, ()))
    measured = Measurement("steps", "higher", (1.0, 2.0), RUN.started, "0123456" * 5, False, "jax", RUN.environment)
    History(store).record([measured])
    return store


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A folder with one of everything that a command may be given."""
    folder = tmp_path_factory.mktemp("original") / "work"
    folder.mkdir()
    bundle.export_run(record(folder / "repro-results"), "latest", folder / "run.zip")
    (folder / "my_claims.py").write_text(CLAIM_FILE)
    (folder / "empty").mkdir()
    (folder / "text").write_text("mine")
    (folder / "text.py").write_text("no python")
    (folder / "folder.py").mkdir()
    (folder / "zeros.py").symlink_to("/dev/zero")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere")
    (folder / os.fsdecode(b"\xff")).mkdir()
    return folder


@pytest.fixture(scope="module")
def fresh(original, tmp_path_factory):
    """Put the folder into its first state, always at the same place."""
    folder = tmp_path_factory.mktemp("fresh") / "work"

    def copy():
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(original, folder, symlinks=True))

    return copy


def leaves(command, path=()):
    """List the commands with their words, whichever there are."""
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        return {path: command}
    return {key: leaf for name, inner in subcommands.items() for key, leaf in leaves(inner, (*path, name)).items()}


COMMANDS = leaves(typer.main.get_command(app.app))
ARGUMENT_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | st.binary(max_size=8).map(
    lambda raw: os.fsdecode(raw.replace(b"\0", b""))
)
LONG = st.sampled_from(["a" * 256, "x" * 5000, "a/" * 3000, "a" * 300 + ".py", "9" * 5000, "é" * 200])
PATHS = st.sampled_from(
    [
        *("", ".", "..", "/", "//", "~", "~nobody-of-this-name", "~nobody-of-this-name/a.py", "a/b/c", "-", "--", "*"),
        *("/dev/null", "/dev/full", "/dev/zero", "/proc/self/mem", "/proc/1/x", "/nowhere/x", "text/below"),
        *("repro-results", "run.zip", "my_claims.py", "my_claims.py::bounded", "my_claims.py::*", "my_claims.py::"),
        *("empty", "text", "text.py", "folder.py", "zeros.py", "zeros.py::a", "loop", "loop.py", "dangling", "\udcff"),
        *("::", "a::b", "repro-results/results.sqlite", "repro-results/observations", "\x1b[31m", "\r", "a\nb"),
    ]
)
NAMES = st.sampled_from(
    [
        *("perceptron.xor", "perceptron.novikoff", "perceptron", "headline", "latest", "published", RUN.id, "smoke"),
        *("full", "jax", "tensorflow", "digits", "mnist", "x=1", "x=", "=", "loud=maybe", "sizes=1,2", "free={[]:1}"),
        *(
            "free=" + "(" * 9999,
            "free=" + "-" * 50_000 + "1",
            "x=" + "9" * 5000,
            "rate=nan",
            "name=\udcff",
            "lectures 3",
        ),
        *("cheatsheet", "tcp://127.0.0.1:1", "tcp://[::1", "\u2028", "[bold]", "[/]", "[["),
    ]
)
NUMBERS = st.one_of(
    st.integers().map(str),
    st.sampled_from(
        ["0", "1", "-1", "1e9", "0x10", "１", "nan", "inf", str(10**9), str(10**12), str(2**63), str(10**40)]
    ),
)
WORDS = st.one_of(PATHS, NAMES, NUMBERS, LONG, ARGUMENT_TEXT)


@st.composite
def command_lines(draw):
    """Draw a command with arguments and options of its own, and values of which few fit."""
    words, command = draw(st.sampled_from(sorted(COMMANDS.items(), key=lambda item: item[0])))
    arguments = list(words)
    for parameter in command.params:
        if draw(st.booleans()):
            if parameter.param_type_name == "argument":
                arguments.append(draw(WORDS))
            else:
                arguments.append(draw(st.sampled_from(parameter.opts)))
                if not parameter.is_flag:
                    arguments.append(draw(WORDS))
    return arguments + draw(st.lists(WORDS, max_size=2))


def examples(count):
    """Take few examples in a test run, and twenty times as many in a thorough one."""
    thorough = hypothesis.settings.get_current_profile_name() == "thorough"
    return hypothesis.settings(
        max_examples=count * (20 if thorough else 1),
        suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
    )


class TestCommandLine:
    @examples(200)
    @hypothesis.example(arguments=["report", "\udc80"])
    @hypothesis.example(arguments=["compact", "--older-than", "1000000000"])
    @given(arguments=command_lines())
    def test_arguments_of_a_command(self, arguments, fresh):
        fails_well(*arguments, folder=fresh())

    @examples(50)
    @given(arguments=st.lists(WORDS, max_size=4))
    def test_any_words(self, arguments, fresh):
        fails_well(*arguments, folder=fresh())

    @examples(100)
    @given(
        name=st.sampled_from(["x", "rate", "loud", "name", "sizes", "free"]),
        text=st.one_of(ARGUMENT_TEXT, NUMBERS, LONG, st.text("()[]{},'\"0159-+*:j. ", max_size=12)),
    )
    def test_values_of_parameters(self, name, text, fresh):
        fails_well("check", "my_claims.py", "--set", f"{name}={text}", folder=fresh())


def set_cell(database, table, column, row, value):
    """Write any value anywhere, as another program can."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        with contextlib.suppress(sqlite3.IntegrityError):
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE number = ?", (value, row))
        connection.commit()


def damage(draw, content):
    """Change some bytes of a file, or cut it off."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 5))):
        if changed:
            changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
    return bytes(changed[: draw(st.integers(0, len(changed)))] if draw(st.booleans()) else changed)


COLUMNS = {
    "runs": ("id", "started", "profile", "backend", "environment", "request"),
    "results": ("run", "claim", "published"),
    "evaluations": (
        *("result", "role", "statement", "parameters", "seeds", "status", "verdict", "observations", "seconds"),
        *("memory", "message", "traceback", "marks", "contrast"),
    ),
    "measurements": ("figure", "better", "rounds", "measured", "revision", "modified", "backend", "environment"),
}
HOSTILE = st.sampled_from(
    [
        *(
            "../../x",
            "/etc/passwd",
            "a/b",
            "..",
            "",
            "<script>alert(1)</script>",
            "\x1b]0;x\x07",
            "latest",
            "a\0b",
            "\u2028",
        ),
        *(
            "x" * 10_000,
            "[" * 100_000,
            '"\\ud800"',
            "NaN",
            "Infinity",
            "9" * 5000,
            "1e999",
            "{}",
            "[]",
            "null",
            '{"a": 1}',
        ),
        *("reproduced", "claim", "control", "skipped", "error", "2026-01-01T00:00:00+00:00", "smoke", "perceptron.xor"),
        *(
            '{"packages": 3}',
            '{"packages": {"a": []}}',
            '[{"a": "\\ud800"}]',
            '{"\\ud800": "\\ud800"}',
            '["a", "a"]',
            "[1e400]",
        ),
        *('{"claims": ["perceptron.xor"], "seeds": 99999999999999999999, "overrides": {}}', "[true]", "[0.5]", "[-1]"),
        *('{"claims": ["perceptron.xor"], "seeds": null, "overrides": {"perceptron.xor": {"y": 1}}}', "0" * 64),
    ]
)
VALUES = st.one_of(
    HOSTILE,
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.binary(max_size=8),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ).map(json.dumps),
)
READERS = st.sampled_from(
    [
        ("report",),
        ("report", RUN.id),
        ("compare", "latest", "latest"),
        ("compare", "published"),
        ("compare", "run.zip"),
        ("compare", "repro-results"),
        ("export", "latest", "new.zip"),
        ("import", "run.zip"),
        ("run", "--resume"),
        ("run", "--resume", RUN.id),
        ("run", "perceptron.xor", "--profile", "smoke"),
        ("check", "perceptron.xor", "--profile", "smoke"),
        ("bench", "--compare", "0123456"),
        ("bench",),
    ]
)


class TestResultsFolders:
    @examples(100)
    @given(arguments=READERS, data=st.data())
    def test_any_value_in_a_row(self, arguments, data, fresh):
        folder = fresh()
        for _ in range(data.draw(st.integers(1, 3))):
            table = data.draw(st.sampled_from(sorted(COLUMNS)))
            column = data.draw(st.sampled_from(COLUMNS[table]))
            database = folder / "repro-results" / "results.sqlite"
            set_cell(database, table, column, data.draw(st.integers(1, 3)), data.draw(VALUES))
        stays_inside(*arguments, folder=folder)

    @examples(60)
    @given(arguments=READERS, data=st.data())
    def test_damaged_databases(self, arguments, data, fresh):
        folder = fresh()
        database = folder / "repro-results" / "results.sqlite"
        database.write_bytes(damage(data.draw, database.read_bytes()))
        stays_inside(*arguments, folder=folder)

    @examples(40)
    @given(arguments=READERS, data=st.data())
    def test_any_table_of_observations_under_its_key(self, arguments, data, fresh):
        folder = fresh()
        results = folder / "repro-results"
        (table,) = (results / "observations").iterdir()
        content = data.draw(st.sampled_from(TABLES)) if data.draw(st.booleans()) else table.read_bytes()
        content = damage(data.draw, content) if data.draw(st.booleans()) else content
        key = hashlib.sha256(content).hexdigest()
        (results / "observations" / f"{key}.parquet").write_bytes(content)
        set_cell(results / "results.sqlite", "evaluations", "observations", 1, key)
        set_cell(results / "results.sqlite", "evaluations", "observations", 3, key)
        stays_inside(*arguments, folder=folder)

    @pytest.mark.parametrize(
        "script",
        [
            "DROP TABLE evaluations",
            "DROP TABLE runs",
            "DELETE FROM evaluations",
            "DELETE FROM runs",
            "ALTER TABLE runs DROP COLUMN request",
            "ALTER TABLE evaluations RENAME COLUMN status TO state",
            "CREATE TRIGGER no BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, 'no'); END",
            "DROP TABLE measurements; CREATE VIEW measurements AS SELECT 1",
            "PRAGMA user_version = 0",
            "PRAGMA user_version = -1",
            "PRAGMA user_version = 2",
            "PRAGMA application_id = 1",
        ],
    )
    def test_databases_of_another_form(self, script, fresh):
        for arguments in [
            ("report",),
            ("run", "perceptron.xor"),
            ("import", "run.zip"),
            ("export", "latest", "new.zip"),
        ]:
            folder = fresh()
            with closing(sqlite3.connect(folder / "repro-results" / "results.sqlite")) as connection:
                connection.execute("PRAGMA foreign_keys = OFF")
                connection.executescript(script)
            stays_inside(*arguments, folder=folder)

    @pytest.mark.parametrize("name", ["site", "figures", "observations", "robustness", "workers.log", "results.sqlite"])
    def test_other_things_in_the_place_of_files_and_folders(self, name, fresh):
        for arguments in [("report",), ("compare", "latest", "latest"), ("export", "latest", "new.zip")]:
            for kind in ("file", "folder", "loop"):
                folder = fresh()
                place = folder / "repro-results" / name
                if place.is_dir():
                    shutil.rmtree(place)
                place.unlink(missing_ok=True)
                {"file": Path.touch, "folder": Path.mkdir, "loop": lambda path: path.symlink_to(path.name)}[kind](place)
                stays_inside(*arguments, folder=folder)


class TestExportedFiles:
    @examples(60)
    @given(data=st.data(), arguments=st.sampled_from([("import", "run.zip"), ("compare", "run.zip", "published")]))
    def test_damaged(self, data, arguments, fresh):
        folder = fresh()
        file = folder / "run.zip"
        file.write_bytes(damage(data.draw, file.read_bytes()))
        stays_inside(*arguments, "--results", "theirs", folder=folder)

    @examples(60)
    @given(data=st.data())
    def test_with_other_values(self, data, fresh):
        folder = fresh()
        with zipfile.ZipFile(folder / "run.zip") as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        plain = json.loads(members["run.json"])
        place = plain
        while True:
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not (isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans())):
                break
            place = place[key]
        text = data.draw(VALUES.filter(lambda value: not isinstance(value, bytes)))
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            text = json.loads(text) if data.draw(st.booleans()) else text
        place[key] = text
        with zipfile.ZipFile(folder / "run.zip", "w") as archive:
            for name, content in (members | {"run.json": json.dumps(plain)}).items():
                archive.writestr(name, content)
        if stays_inside("import", "run.zip", "--results", "theirs", folder=folder).status == 0:
            for arguments in [("report",), ("compare", "latest", "latest"), ("export", "latest", "new.zip")]:
                assert stays_inside(*arguments, "--results", "theirs", folder=folder).status == 0


CLAIM_PIECES = [
    *(
        "import pandas as pd\n",
        "from repro import *\n",
        "from repro import claim, AtMost, Source\n",
        "import missing\n",
    ),
    *(
        "raise BaseException('x')\n",
        "raise SystemExit(3)\n",
        "raise KeyError()\n",
        "exit()\n",
        "1 / 0\n",
        "@claim(\n",
        ")\n",
    ),
    *(
        '"x", source=Source("a", "1"), criterion=AtMost("x", bound=1), control={"x": 2}',
        ", tags=5",
        ", tags='a'",
        "'\\ud800'",
    ),
    *(
        ", statement=5",
        ", seeds='a'",
        ", kind='lemma'",
        ", boundary=5",
        ", smoke=5",
        ", smoke={'y': 1}",
        ", control=7",
        ", full=[]",
        ", reads=5",
        ", figure=5",
    ),
    *(
        "def f(seeds, *, x=1): return 1\n",
        "def f(x): pass\n",
        "def f(*, x): pass\n",
        "class f: pass\n",
        "f = lambda: 0\n",
    ),
    *(
        "    ",
        "\t",
        "\0",
        "\x0c",
        "\ufeff",
        "é",
        "(" * 300,
        "# coding: nonsense\n",
        "# coding: utf-7\n",
        '"""',
        "\\",
        "\r",
    ),
    *(
        "class E(Exception):\n    def __str__(self): raise E\nraise E\n",
        "import sys; sys.modules.clear\n",
        "del __name__\n",
    ),
]


class TestClaimFiles:
    @examples(100)
    @given(
        source=st.lists(st.sampled_from(CLAIM_PIECES), max_size=8).map(lambda pieces: "".join(pieces).encode())
        | st.binary(max_size=30)
        | st.text(max_size=30).map(lambda text: text.encode("utf-16")),
        arguments=st.sampled_from([("list",), ("check",), ("run",)]),
    )
    def test_any_source(self, source, arguments, fresh):
        folder = fresh()
        (folder / "other.py").write_bytes(source)
        fails_well(*arguments, "other.py", folder=folder)

    @pytest.mark.parametrize("parts", ["5", "(5,)", "'a'"])
    def test_parts_of_a_source_that_are_no_texts(self, parts, fresh):
        folder = fresh()
        (folder / "my_claims.py").write_text(CLAIM_FILE.replace('"2.3")', f'"2.3", {parts})'))
        assert fails_well("list", "my_claims.py", folder=folder).status == 2

    @pytest.mark.parametrize(
        "detail",
        [
            *("tags=5", "tags='good'", "tags=(5,)", "requires=7", "requires=('cray',)", "literature=5", "smoke=5"),
            *(
                "kind=5",
                "kind='lemma'",
                "kind=[]",
                "full=[]",
                "full={'y': 1}",
                "correction=5",
                "reads=5",
                "seeds='a'",
                "seeds=-1",
                "reported=5",
                "figure=5",
            ),
            *("decided_by=5", "nonsense=1", "literature='\\ud800'", "smoke={5: 1}", "reported=(5,)", "root=5"),
            *("scope=5", "scale='huge'", "scale=[]", "left_open=5", "left_open=(5,)", "left_open='x'", "boundary=5"),
            *("boundary=Boundary('here', holds='(')", "boundary=Boundary('here', holds='nothing < 5')"),
            *("boundary=Boundary('here', holds=5)", "boundary=Boundary('here', holds='x', named=5)"),
            *(
                "rival=5",
                "rival=Rival('It is.')",
                "rival=Rival(5, x=3)",
                "positive_control=PositiveControl('It is.', y=1)",
            ),
            *("positive_control=Rival('It is.', x=3)", "transcription='yes'"),
        ],
    )
    def test_wrong_details_of_a_claim(self, detail, fresh):
        folder = fresh()
        source = CLAIM_FILE.replace("control={", f"{detail}, control={{").replace('kind="theorem", ', "")
        (folder / "my_claims.py").write_text(source)
        for arguments in [("list",), ("list", "--json"), ("check",), ("run",)]:
            fails_well(arguments[0], "my_claims.py", *arguments[1:], folder=folder)
