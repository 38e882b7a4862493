import hashlib
import math
import os
import pickle
import sqlite3
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from repro.common import write_atomically
from repro.common.errors import ObservationsError, StoreError
from repro.criteria import Cell, Contrast, Part, Verdict
from repro.results import past, schema
from repro.results.records import ClaimResult, Evaluation, Run
from repro.results.store import Store

OBSERVATIONS = pd.DataFrame(
    {
        "seed": [0, 1, 2],
        "updates": [3.0, math.inf, 0.1 + 0.2],
        "scale": np.array([1, 2, 3], dtype=np.float32),
        "net": ["plain", "residual", "γ"],
        "separable": [True, False, True],
    }
)
VERDICT = Verdict(
    status="refuted",
    effect=0.1 + 0.2,
    low=-math.inf,
    high=math.inf,
    n=3,
    measure="median of updates / bound",
    p=5e-324,
    confidence=0.99,
    parts=(Part("scale 1", "refuted", math.nan, -0.0, math.inf, 3), Part("scale 2", "reproduced", 1.0, 0.5, 2.0, 3)),
    deciding="scale 1",
    kind="law",
    scale="toy",
    threshold=0.01,
    threshold_range=(0.0, math.inf),
    cells=(Cell({"scale": 1, "net": "γ", "on": True}, "fails", math.nan, -0.0, math.inf, 3, expected=False),),
)


def run(name="20260101-120000", **changes):
    environment = {"python": "3.13.1", "memory": 8 * 2**30, "commit": None, "packages": {"numpy": "2.3"}}
    return replace(Run(name, "2026-01-01T12:00:00+00:00", "standard", "jax", environment), **changes)


def evaluation(role="claim", **changes):
    return replace(Evaluation(role, "It holds.", {"points": 50}, (0, 1, 2), "refuted", VERDICT), **changes)


def result(name="perceptron.novikoff", *counterparts, **changes):
    return ClaimResult(name, evaluation(**changes), counterparts)


@pytest.fixture
def store(tmp_path):
    store = Store.open(tmp_path / "results")
    store.begin(run())
    return store


def one_line(error):
    message = str(error.value)
    assert "\n" not in message
    assert "Traceback" not in message
    return message


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestObservations:
    def test_come_back_equal(self, store):
        pd.testing.assert_frame_equal(store.read_observations(store.write_observations(OBSERVATIONS)), OBSERVATIONS)

    def test_keep_the_tuning_table(self, store):
        table = OBSERVATIONS.copy()
        table.attrs["tuning"] = [
            {"arm": "plain", "rate": np.float32(0.5), "loss": math.inf},
            {"arm": "bn", "rate": 1.0},
        ]
        read = store.read_observations(store.write_observations(table))
        assert read.attrs == {"tuning": [{"arm": "plain", "rate": 0.5, "loss": math.inf}, {"arm": "bn", "rate": 1.0}]}
        assert isinstance(table.attrs["tuning"][0]["rate"], np.float32)

    def test_equal_tables_are_stored_once(self, store):
        keys = {store.write_observations(OBSERVATIONS), store.write_observations(OBSERVATIONS.copy())}
        assert [path.stem for path in (store.folder / "observations").iterdir()] == list(keys)

    def test_other_values_or_attributes_are_another_table(self, store):
        tuned = OBSERVATIONS.copy()
        tuned.attrs["tuning"] = []
        tables = [OBSERVATIONS, OBSERVATIONS.assign(updates=1.0), OBSERVATIONS.rename(columns={"net": "arm"}), tuned]
        assert len({store.write_observations(table) for table in tables}) == 4

    def test_key_is_the_checksum_of_a_parquet_file(self, store):
        key = store.write_observations(OBSERVATIONS)
        written = (store.folder / "observations" / f"{key}.parquet").read_bytes()
        assert hashlib.sha256(written).hexdigest() == key
        assert written[:4] == written[-4:] == b"PAR1"

    def test_writing_again_mends_a_corrupt_file(self, store):
        key = store.write_observations(OBSERVATIONS)
        (store.folder / "observations" / f"{key}.parquet").write_bytes(b"PAR1")
        store.write_observations(OBSERVATIONS)
        assert len(store.read_observations(key)) == 3

    @pytest.mark.parametrize(
        "table",
        [
            pd.DataFrame({"seed": [0, 1], "mixed": [1, "a"]}),
            pd.DataFrame({"seed": [0], "object": [object()]}),
            pd.DataFrame([[0, 1]], columns=["seed", "seed"]),
            pd.DataFrame({"seed": [2**70]}),
        ],
        ids=["mixed types", "any object", "column twice", "integer too large"],
    )
    def test_that_parquet_cannot_hold_are_refused(self, store, table):
        with pytest.raises(ObservationsError) as error:
            store.write_observations(table)
        assert "cannot be stored" in one_line(error)
        assert list((store.folder / "observations").iterdir()) == []

    def test_attributes_that_json_cannot_hold_are_refused(self, store):
        table = OBSERVATIONS.copy()
        table.attrs["model"] = object()
        with pytest.raises(ObservationsError, match="object is no plain value"):
            store.write_observations(table)

    @pytest.mark.parametrize(
        "damage", [lambda content: content[:-9], lambda content: content.replace(b"plain", b"pla1n"), lambda _: b""]
    )
    def test_damage_is_found(self, store, damage):
        key = store.write_observations(OBSERVATIONS)
        file = store.folder / "observations" / f"{key}.parquet"
        file.write_bytes(damage(file.read_bytes()))
        damaged = file.read_bytes()
        with pytest.raises(StoreError, match="corrupt") as error:
            store.read_observations(key)
        assert str(file) in one_line(error)
        assert file.read_bytes() == damaged

    def test_missing_file_is_named(self, store):
        with pytest.raises(StoreError, match=f"{'0' * 64}.parquet: No such file"):
            store.read_observations("0" * 64)

    @pytest.mark.parametrize("key", ["../../secret", "/etc/passwd", "", "A" * 64, "0" * 64 + "\n", "0" * 63])
    def test_key_cannot_lead_out_of_the_folder(self, store, key):
        with pytest.raises(StoreError, match="is no key") as error:
            store.read_observations(key)
        one_line(error)


class TestResults:
    def test_come_back_as_recorded(self, store):
        key = store.write_observations(OBSERVATIONS)
        control = evaluation("control", status="error", verdict=None, message="it broke", traceback="Traceback\n  ...")
        contrast = Contrast("scale 1", math.inf, -math.inf, math.nan, 3, 0.01)
        correction = evaluation("correction", statement="It holds twice.", seeds=(), seconds=0.25, contrast=contrast)
        recorded = ClaimResult(
            "perceptron.novikoff",
            evaluation(
                observations=key,
                seconds=1.5,
                memory=2**40,
                parameters={"points": 50, "shape": (8, (1, 2.5))},
                marks=("its kind is not declared", "γ"),
            ),
            (control, correction),
            published="reproduced",
        )
        store.record(run().id, recorded)
        assert repr(store.results(run().id)) == repr([recorded])  # NaN is unequal to itself, but written the same

    @pytest.mark.parametrize("p", [None, math.nan, 0.0, 1 / 3])
    def test_no_level_and_an_undefined_level_differ(self, store, p):
        store.record(run().id, result(verdict=replace(VERDICT, p=p)))
        assert repr(store.results(run().id)[0].evaluation.verdict.p) == repr(p)

    def test_numpy_scalars_become_plain(self, store):
        verdict = replace(VERDICT, effect=np.float32(0.5), n=np.int64(3))
        store.record(run().id, result(verdict=verdict, parameters={"flag": np.bool_(True), "width": np.int32(8)}))
        read = store.results(run().id)[0].evaluation
        assert (read.verdict.effect, read.verdict.n, read.parameters) == (0.5, 3, {"flag": True, "width": 8})
        assert type(read.verdict.n) is int

    def test_sequences_among_parameters_become_tuples(self, store):
        store.record(run().id, result(parameters={"rates": [0.1, [1, 2]], "by_arm": {"plain": [1]}, "name": None}))
        assert store.results(run().id)[0].evaluation.parameters == {
            "rates": (0.1, (1, 2)),
            "by_arm": {"plain": (1,)},
            "name": None,
        }

    def test_text_that_is_no_unicode_is_kept_readable(self, store):
        store.record(run().id, result(parameters={"name": "\udcff"}, message="no file \udcff", traceback="Ω\udcff"))
        read = store.results(run().id)[0].evaluation
        assert (read.parameters, read.message, read.traceback) == ({"name": "\udcff"}, r"no file \udcff", r"Ω\udcff")

    def test_come_in_the_order_recorded(self, store):
        names = ["b.z", "a.y", "c.x"]
        for name in names:
            store.record(run().id, result(name))
        assert [item.id for item in store.results(run().id)] == names

    def test_belong_to_their_run(self, store):
        store.begin(run("later"))
        store.record(run().id, result("a.a"))
        store.record("later", result("b.b"))
        assert [item.id for item in store.results("later")] == ["b.b"]
        assert store.results("unknown") == []

    def test_observations_must_be_on_disk_first(self, store):
        with pytest.raises(StoreError, match=r"perceptron\.novikoff: its control has no observations on disk"):
            store.record(run().id, result("perceptron.novikoff", evaluation("control", observations="0" * 64)))
        assert store.results(run().id) == []

    def test_a_claim_is_recorded_once_in_a_run(self, store):
        store.record(run().id, result(seconds=1.0))
        with pytest.raises(StoreError, match=r"already has a result of perceptron\.novikoff"):
            store.record(run().id, result(seconds=2.0))
        assert [item.seconds for item in store.results(run().id)] == [1.0]

    def test_are_recorded_whole_or_not_at_all(self, store):
        twice = result("perceptron.novikoff", evaluation("control"), evaluation("control"))
        with pytest.raises(StoreError, match="UNIQUE") as error:
            store.record(run().id, twice)
        one_line(error)
        assert store.results(run().id) == []
        store.record(run().id, result("perceptron.novikoff", evaluation("control")))

    def test_parameter_that_cannot_be_stored_is_named(self, store):
        with pytest.raises(StoreError, match="parameter model=<object"):
            store.record(run().id, result(parameters={"points": 5, "model": object()}))

    def test_seconds_are_the_latest_measured(self, store):
        store.record(run().id, result("a.a", evaluation("control", seconds=2.0), seconds=1.0))
        store.record(run().id, result("b.b", evaluation("correction", seconds=0.0), seconds=4.0))
        store.begin(run("later"))
        store.record("later", result("a.a", evaluation("control", seconds=0.0), seconds=3.0))
        store.begin(run("smoke", profile="smoke"))
        store.record("smoke", result("a.a", seconds=0.1))
        store.begin(run("tensorflow", backend="tensorflow"))
        store.record("tensorflow", result("a.a", seconds=0.2))
        assert past.seconds(store, "standard", "jax") == {
            ("a.a", "claim"): 3.0,
            ("a.a", "control"): 2.0,
            ("b.b", "claim"): 4.0,
        }
        assert past.seconds(store, "smoke", "jax") == {("a.a", "claim"): 0.1}
        assert past.seconds(store, "full", "jax") == {}

    def test_seconds_of_an_earlier_run_that_is_imported_do_not_replace_later_ones(self, store):
        store.record(run().id, result("a.a", seconds=1.0))
        earlier = run("earlier", started="2025-01-01T12:00:00+00:00")
        store.import_run(earlier, [result("a.a", seconds=2.0), result("b.b", seconds=3.0)], {})
        assert past.seconds(store, "standard", "jax") == {("a.a", "claim"): 1.0, ("b.b", "claim"): 3.0}


class TestRuns:
    def test_come_back_oldest_first(self, store):
        store.begin(run("later", profile="full"))
        assert store.runs() == [run(), run("later", profile="full")]
        assert store.run() == store.run("latest") == run("later", profile="full")
        assert store.run(run().id) == run()

    def test_unknown_run_suggests_the_nearest(self, store):
        with pytest.raises(StoreError, match="did you mean 20260101-120000"):
            store.run("20260101-120001")
        with pytest.raises(StoreError, match="did you mean 20260101-120000 or latest"):
            store.run("?")
        with pytest.raises(StoreError, match="no run 'nothing'"):
            store.record("nothing", result())

    def test_no_runs(self, tmp_path):
        with pytest.raises(StoreError, match="has no runs; `repro run` makes one"):
            Store.open(tmp_path).run()

    def test_begin_once(self, store):
        with pytest.raises(StoreError, match="already has a run"):
            store.begin(run(backend="tensorflow"))
        assert store.runs() == [run()]


class TestFolder:
    def test_opens_again(self, store):
        store.record(run().id, result())
        for opened in (Store.open(store.folder), Store.existing(store.folder), pickle.loads(pickle.dumps(store))):
            assert opened == store
            assert [item.id for item in opened.results(run().id)] == ["perceptron.novikoff"]

    def test_is_absolute_so_that_workers_find_it(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert Store.open(Path("results")).folder == tmp_path / "results"

    @pytest.mark.parametrize("name", ["with space", "50%20", "a#b?mode=memory", "Ω"])
    def test_may_have_any_name(self, tmp_path, name):
        Store.open(tmp_path / name).begin(run())
        assert Store.existing(tmp_path / name).runs() == [run()]
        assert [path.name for path in tmp_path.iterdir()] == [name]

    def test_database_says_what_it_is(self, store):
        with closing(sqlite3.connect(store.folder / "results.sqlite")) as connection:
            pragmas = [
                connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "journal_mode")
            ]
        assert pragmas == [0x5250524F, "wal"]

    def test_existing_creates_nothing(self, tmp_path):
        with pytest.raises(StoreError, match="has no results; `repro run` makes some"):
            Store.existing(tmp_path / "missing")
        assert list(tmp_path.iterdir()) == []

    def test_a_database_that_vanished_is_not_made_anew(self, store):
        (store.folder / "results.sqlite").unlink()
        with pytest.raises(StoreError, match="unable to open database file"):
            store.runs()

    def test_file_in_its_place(self, tmp_path):
        (tmp_path / "file").write_text("mine")
        with pytest.raises(StoreError, match="file is not a folder"):
            Store.open(tmp_path / "file")
        with pytest.raises(StoreError, match="Not a directory; choose another folder"):
            Store.open(tmp_path / "file" / "results")
        assert (tmp_path / "file").read_text() == "mine"

    @pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc is where even root cannot write")
    def test_where_nobody_can_write(self):
        with pytest.raises(StoreError, match="cannot use /proc/results") as error:
            Store.open(Path("/proc/results"))
        one_line(error)

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root can write everywhere")
    @pytest.mark.parametrize("protected", [".", "observations"])
    def test_unwritable(self, store, protected):
        path = store.folder / protected
        path.chmod(0o500)
        with pytest.raises(StoreError, match=r"not writable|cannot use"):
            Store.open(store.folder)
        path.chmod(0o700)

    def test_full_disk_leaves_nothing_behind(self, store, monkeypatch):
        def fail(_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("repro.common.files.os.fsync", fail)
        with pytest.raises(StoreError, match="No space left on device"):
            store.write_observations(OBSERVATIONS)
        assert list((store.folder / "observations").iterdir()) == []

    def test_locked_by_another_process(self, store, monkeypatch):
        store.record(run().id, result())
        monkeypatch.setattr("repro.results.store.BUSY_TIMEOUT", 0.1)
        with closing(sqlite3.connect(store.folder / "results.sqlite", isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            for attempt in (lambda: store.record(run().id, result("a.a")), lambda: Store.open(store.folder)):
                with pytest.raises(StoreError, match=r"results.sqlite is locked .* for more than 0.1 s") as error:
                    attempt()
                one_line(error)
        assert [item.id for item in store.results(run().id)] == ["perceptron.novikoff"]
        store.record(run().id, result("a.a"))


class TestForeignDatabases:
    def refuse(self, folder, match):
        before = content(folder)
        for opening in (Store.open, Store.existing):
            with pytest.raises(StoreError, match=match) as error:
                opening(folder)
            assert "results.sqlite" in one_line(error)
        assert content(folder) == before
        assert not (folder / "observations").exists()

    @pytest.mark.parametrize("text", ["hello", "name,value\n" * 1000])
    def test_not_a_database(self, tmp_path, text):
        (tmp_path / "results.sqlite").write_text(text)
        self.refuse(tmp_path, "not a readable results database")

    @pytest.mark.parametrize(
        "script",
        [
            "CREATE TABLE runs (id)",
            "PRAGMA application_id = 7",
            "PRAGMA user_version = 1",
            "PRAGMA journal_mode = WAL; CREATE TABLE a (b)",
        ],
    )
    def test_of_another_program(self, tmp_path, script):
        with closing(sqlite3.connect(tmp_path / "results.sqlite")) as connection:
            connection.executescript(script)
        self.refuse(tmp_path, "not a results database of repro")

    def test_from_a_newer_version(self, tmp_path):
        with closing(sqlite3.connect(tmp_path / "results.sqlite")) as connection:
            connection.executescript(f"PRAGMA application_id = {0x5250524F}; PRAGMA user_version = 1000")
        self.refuse(tmp_path, "newer version of repro .schema 1000.*upgrade keras-repro")

    def test_damaged(self, store):
        for number in range(200):
            store.record(run().id, result(f"a.{number}"))
        Store.open(store.folder)
        file = store.folder / "results.sqlite"
        file.write_bytes(file.read_bytes()[:8192])
        with pytest.raises(StoreError, match=r"malformed|not a readable") as error:
            store.results(run().id)
        one_line(error)


FIRST_SCHEMA = """
    CREATE TABLE runs (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, started TEXT NOT NULL,
        profile TEXT NOT NULL, backend TEXT NOT NULL, environment TEXT NOT NULL);
    CREATE TABLE results (number INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES runs (id), claim TEXT NOT NULL,
        published TEXT, UNIQUE (run, claim));
    CREATE TABLE evaluations (number INTEGER PRIMARY KEY, result INTEGER NOT NULL REFERENCES results (number),
        kind TEXT NOT NULL, statement TEXT NOT NULL, parameters TEXT NOT NULL, seeds TEXT NOT NULL,
        status TEXT NOT NULL, verdict TEXT, observations TEXT, seconds REAL NOT NULL,
        memory INTEGER NOT NULL, message TEXT NOT NULL, traceback TEXT NOT NULL, UNIQUE (result, kind));
    INSERT INTO runs VALUES (1, 'first', '2026-01-01T12:00:00+00:00', 'smoke', 'jax', '{"python": "3.11.0"}');
    INSERT INTO results VALUES (1, 'first', 'dropout.mixture', 'reproduced');
    INSERT INTO evaluations VALUES (1, 1, 'claim', 'It holds.', '{"rates": [0.5]}', '[0, 1]', 'reproduced',
        '{"status": "reproduced", "effect": 1.5, "low": -Infinity, "high": NaN, "n": 2, "measure": "error", "p": null,
          "confidence": 0.99, "parts": [], "deciding": ""}', NULL, 1.5, 1024, '', '');
    INSERT INTO evaluations VALUES (2, 1, 'control', 'It holds.', '{}', '[]', 'skipped', NULL, NULL, 0, 0,
        'no data', '');
    PRAGMA application_id = 1380995663;
    PRAGMA user_version = 1;
"""


class TestOlderDatabases:
    def test_first_schema_opens(self, tmp_path):
        with closing(sqlite3.connect(tmp_path / "results.sqlite")) as connection:
            connection.executescript(FIRST_SCHEMA)
        store = Store.existing(tmp_path)
        assert store.run() == Run("first", "2026-01-01T12:00:00+00:00", "smoke", "jax", {"python": "3.11.0"})
        verdict = Verdict("reproduced", 1.5, -math.inf, math.nan, 2, "error")
        own = Evaluation("claim", "It holds.", {"rates": (0.5,)}, (0, 1), "reproduced", verdict, None, 1.5, 1024)
        control = Evaluation("control", "It holds.", {}, (), "skipped", message="no data")
        assert repr(store.results("first")) == repr([ClaimResult("dropout.mixture", own, (control,), "reproduced")])

    def test_what_experiments_took_is_known_from_the_first_schema(self, tmp_path):
        with closing(sqlite3.connect(tmp_path / "results.sqlite")) as connection:
            connection.executescript(FIRST_SCHEMA)
            connection.executescript("""
                INSERT INTO runs VALUES (2, 'second', '2026-01-02T12:00:00+00:00', 'smoke', 'jax', '{}');
                INSERT INTO results VALUES (2, 'second', 'dropout.mixture', 'reproduced');
                INSERT INTO evaluations SELECT 3, 2, kind, statement, parameters, seeds, status, verdict, observations,
                    2.5, memory, message, traceback FROM evaluations WHERE number = 1;
                INSERT INTO evaluations SELECT 4, 2, kind, statement, parameters, seeds, status, verdict, observations,
                    0, memory, message, traceback FROM evaluations WHERE number = 2;
            """)
        assert past.seconds(Store.existing(tmp_path), "smoke", "jax") == {("dropout.mixture", "claim"): 2.5}

    def test_what_experiments_take_is_remembered_in_an_older_database_too(self, tmp_path):
        with closing(sqlite3.connect(tmp_path / "results.sqlite")) as connection:
            connection.executescript(FIRST_SCHEMA)
        store = Store.existing(tmp_path)
        store.begin(run("later", profile="smoke"))
        store.record("later", result("dropout.mixture", evaluation("positive control", seconds=0.5), seconds=4.0))
        assert past.seconds(store, "smoke", "jax") == {
            ("dropout.mixture", "claim"): 4.0,
            ("dropout.mixture", "positive control"): 0.5,
        }

    def test_missing_migrations_are_applied_once(self, store, monkeypatch):
        store.record(run().id, result())
        later = ("ALTER TABLE runs ADD COLUMN note TEXT", "UPDATE runs SET note = 'old'")
        monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, later))
        for _ in range(2):
            assert Store.existing(store.folder).runs() == [run()]
        assert [item.id for item in store.results(run().id)] == ["perceptron.novikoff"]
        with closing(sqlite3.connect(store.folder / "results.sqlite")) as connection:
            assert connection.execute("SELECT note FROM runs").fetchall() == [("old",)]
            assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)

    def test_failing_migration_changes_nothing(self, store, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("DROP TABLE runs", "no SQL")))
            with pytest.raises(StoreError, match="syntax error"):
                Store.open(store.folder)
        assert Store.open(store.folder).runs() == [run()]


def record_many(folder, first):
    store = Store.open(folder)
    for number in range(first, first + 10):
        key = store.write_observations(OBSERVATIONS)
        store.record(run().id, result(f"claim.{number}", observations=key))


class TestSeveralProcesses:
    def test_record_in_one_folder(self, store):
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            for future in [pool.submit(record_many, store.folder, first) for first in (0, 10)]:
                future.result()
        assert sorted(item.id for item in store.results(run().id)) == sorted(f"claim.{number}" for number in range(20))

    def test_create_one_folder_together(self, tmp_path):
        with ThreadPoolExecutor(8) as pool:
            for attempt in range(10):
                assert len(set(pool.map(Store.open, [tmp_path / str(attempt)] * 8))) == 1


class TestWriteAtomically:
    def test_replaces_whole(self, tmp_path):
        for content in (b"old and long", b"new"):
            write_atomically(tmp_path / "file", content)
        assert content_of(tmp_path) == {"file": b"new"}

    def test_keeps_the_old_file_on_failure(self, tmp_path, monkeypatch):
        write_atomically(tmp_path / "file", b"old")

        def fail(*_):
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("repro.common.files.Path.replace", fail)
        with pytest.raises(OSError, match="Input/output"):
            write_atomically(tmp_path / "file", b"new")
        assert content_of(tmp_path) == {"file": b"old"}

    @pytest.mark.skipif(os.name != "posix", reason="permissions")
    def test_file_is_as_readable_as_any_other(self, tmp_path):
        (tmp_path / "plain").touch()
        write_atomically(tmp_path / "file", b"")
        assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


def content_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}
