"""Export and import of runs; hostile files."""

import hashlib
import io
import json
import math
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from repro.common.errors import BundleError, StoreError
from repro.criteria import Cell, Contrast, Part, Verdict
from repro.results import bundle, past, serialization
from repro.results.bundle import Bundle, add, bundle_of, export_run, read_bundle, to_bytes
from repro.results.records import ClaimResult, Evaluation, Run
from repro.results.store import Store

OBSERVATIONS = pd.DataFrame(
    {"seed": [0, 1], "updates": [3.0, math.inf], "net": ["plain", "γ"], "flag": [True, False], "sizes": [[1, 2], [3]]}
)
OBSERVATIONS.attrs["tuning"] = [{"rate": 0.1, "loss": math.inf}]
VERDICT = Verdict(
    status="refuted",
    effect=0.1 + 0.2,
    low=-math.inf,
    high=math.nan,
    n=3,
    measure="ratio",
    p=5e-324,
    parts=(Part("order", "refuted", math.nan, -0.0, math.inf, 3, "ratio", 0.01, (0.0, math.inf), "It fails."),),
    deciding="order: scale 1, net γ",
    kind="law",
    scale="toy",
    sentence="False as stated.",
    threshold=0.01,
    threshold_range=(0.0, math.inf),
    cells=(
        Cell({"scale": 1, "net": "γ"}, "fails", math.nan, -0.0, math.inf, 3, part="order", expected=False),
        Cell({"scale": 1.0, "on": True}, "open", 0.0, -1.0, 1.0, 3, part="order", phrase="nothing", decides=False),
    ),
    boundary="where it is large",
)
CONTRAST = Contrast("order: scale 1, net γ", 0.5, -math.inf, math.inf, 3, 0.01)
RUN = Run(
    "20260101T120000-abcd",
    "2026-01-01T12:00:00+00:00",
    "standard",
    "jax",
    {"python": "3.13.1", "commit": None, "packages": {"numpy": "2.3"}},
)


def evaluation(role="claim", **changes):
    parameters = {"points": 50, "shape": (8, (1, 2.5)), "limit": math.inf}
    return replace(Evaluation(role, "It holds.", parameters, (0, 1), "refuted", VERDICT, seconds=1.5), **changes)


@pytest.fixture
def store(tmp_path):
    """Two runs, the first of which has two claims."""
    store = Store.open(tmp_path / "results")
    store.begin(RUN)
    key, other = store.write_observations(OBSERVATIONS), store.write_observations(OBSERVATIONS.assign(seed=2))
    failed = evaluation("control", status="error", verdict=None, message="it broke", traceback="Traceback\n  ...")
    store.record(RUN.id, ClaimResult("a.b", evaluation(observations=key, memory=2**40), (failed,), "reproduced"))
    marked = evaluation(observations=other, marks=("its kind is not declared", "γ"))
    counterparts = (evaluation("correction", observations=key), evaluation("control", contrast=CONTRAST))
    store.record(RUN.id, ClaimResult("a.c", marked, counterparts))
    store.begin(replace(RUN, id="later", started="2026-01-02T12:00:00+00:00"))
    return store


@pytest.fixture
def file(store, tmp_path):
    export_run(store, RUN.id, tmp_path / "run.zip")
    return tmp_path / "run.zip"


def state(folder):
    """Everything that a results folder holds, as far as its users can tell."""
    store = Store.open(folder)
    runs = [repr((run, store.results(run.id))) for run in store.runs()]
    return runs, sorted(path.name for path in (folder / "observations").iterdir())


def members(file):
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive(file, content):
    """Write an archive with these members."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in content.items():
            new.writestr(name, data)
    return file


def document(file):
    return json.loads(members(file)["run.json"])


def changed(file, change):
    """Rewrite the archive with another document."""
    plain = document(file)
    change(plain)
    return archive(file, members(file) | {"run.json": json.dumps(plain)})


def refused(file, match, folder):
    with pytest.raises(BundleError, match=match) as error:
        add(Store.open(folder), read_bundle(file))
    assert "\n" not in str(error.value)
    assert str(file) in str(error.value)
    assert state(folder) == ([], [])


class TestRoundTrip:
    def test_a_run_comes_back_as_it_was(self, store, file, tmp_path):
        other = Store.open(tmp_path / "other")
        assert add(other, read_bundle(file))
        assert other.runs() == [RUN]
        assert repr(other.results(RUN.id)) == repr(store.results(RUN.id))
        for result in other.results(RUN.id):
            key = result.evaluation.observations
            pd.testing.assert_frame_equal(other.read_observations(key), store.read_observations(key))
            assert other.read_observations(key).attrs == store.read_observations(key).attrs

    def test_the_same_run_makes_the_same_bytes(self, store, file, tmp_path):
        other = Store.open(tmp_path / "other")
        add(other, read_bundle(file))
        export_run(other, "latest", tmp_path / "again.zip")
        assert (tmp_path / "again.zip").read_bytes() == file.read_bytes()
        export_run(store, RUN.id, file)  # over itself

    def test_only_what_the_run_needs_is_exported(self, store, file):
        store.write_observations(OBSERVATIONS.assign(seed=3))
        keys = {result.evaluation.observations for result in store.results(RUN.id)}
        assert set(members(file)) == {"run.json"} | {f"observations/{key}.parquet" for key in keys}
        assert bundle_of(store, "later").observations == {}

    def test_a_second_import_changes_nothing(self, store, file):
        before = state(store.folder)
        assert not add(store, read_bundle(file))
        assert state(store.folder) == before

    def test_another_run_of_the_same_id_is_refused(self, store, file):
        before = state(store.folder)
        changed(file, lambda plain: plain["results"][0]["evaluations"][0].update(seconds=9.0))
        with pytest.raises(BundleError, match="has another run 20260101T120000-abcd; use --results"):
            add(store, read_bundle(file))
        assert state(store.folder) == before

    def test_an_older_run_does_not_become_the_latest(self, store, file, tmp_path):
        other = Store.open(tmp_path / "other")
        other.begin(replace(RUN, id="mine", started="2026-01-03T12:00:00+00:00"))
        add(other, read_bundle(file))
        assert other.run("latest").id == "mine"
        assert store.run("latest").id == "later"

    def test_a_bundle_can_be_read_without_importing_it(self, file):
        found = read_bundle(file)
        table = found.read_observations(found.results[0].evaluation.observations)
        assert list(table["updates"]) == [3.0, math.inf]

    def test_existing_files_are_left_alone(self, store, tmp_path):
        (tmp_path / "mine.zip").write_bytes(b"mine")
        with pytest.raises(BundleError, match=r"mine\.zip exists and has other content"):
            export_run(store, RUN.id, tmp_path / "mine.zip")
        assert (tmp_path / "mine.zip").read_bytes() == b"mine"

    def test_a_run_without_its_observations_is_not_exported(self, store, tmp_path):
        next((store.folder / "observations").iterdir()).write_bytes(b"PAR1")
        with pytest.raises(StoreError, match="corrupt"):
            export_run(store, RUN.id, tmp_path / "run.zip")
        assert not (tmp_path / "run.zip").exists()

    def test_folder_that_cannot_be_written(self, store, tmp_path):
        with pytest.raises(BundleError, match="cannot write"):
            export_run(store, RUN.id, tmp_path / "missing" / "run.zip")


class TestArchives:
    @pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + b"\0" * 18])
    def test_that_are_none(self, tmp_path, content):
        (tmp_path / "run.zip").write_bytes(content)
        refused(tmp_path / "run.zip", "is refused", tmp_path / "results")

    def test_missing_file(self, tmp_path):
        with pytest.raises(BundleError, match=r"cannot read .*run.zip: No such file"):
            read_bundle(tmp_path / "run.zip")

    @pytest.mark.parametrize(
        "name",
        [
            "../../evil.parquet",
            "/etc/passwd",
            "observations/../run.json",
            "observations\\" + "0" * 64 + ".parquet",
            "observations/" + "A" * 64 + ".parquet",
            "observations/",
            "C:evil",
            "run.json\0.parquet",
            "readme.txt",
        ],
    )
    def test_unknown_members(self, file, tmp_path, name):
        content = members(file)
        with zipfile.ZipFile(file, "w") as new:
            for known, data in content.items():
                new.writestr(known, data)
            info = zipfile.ZipInfo("placeholder")
            info.filename = name
            new.writestr(info, b"")
        refused(file, "does not belong in a bundle", tmp_path / "other")

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_members_that_appear_twice(self, file, tmp_path):
        with zipfile.ZipFile(file, "a") as new:
            new.writestr("run.json", "{}")
        refused(file, "several members of one name", tmp_path / "other")

    def test_links(self, file, tmp_path):
        content = members(file)
        link = zipfile.ZipInfo("run.json")
        link.external_attr = 0o120777 << 16
        with zipfile.ZipFile(file, "w") as new:
            new.writestr(link, "/etc/passwd")
            for name in set(content) - {"run.json"}:
                new.writestr(name, content[name])
        refused(file, "is no regular file", tmp_path / "other")

    def test_unusual_compression(self, file, tmp_path):
        content = members(file)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as new:
            for name, data in content.items():
                new.writestr(name, data)
        refused(file, "compressed in an unusual way", tmp_path / "other")

    def test_too_much(self, file, tmp_path, monkeypatch):
        for limit, match in (
            ("MOST_MEMBERS", "has 3 members, more than 2"),
            ("LARGEST_DOCUMENT", "has more than 2 bytes"),
            ("LARGEST_ARCHIVE", "unpacks to more than 2 bytes"),
            ("LARGEST_TABLE", "unpacks to more than 2 bytes"),
            ("MOST_CELLS", "more than 2 cells"),
        ):
            with monkeypatch.context() as patched:
                patched.setattr(bundle, limit, 2)
                refused(file, match, tmp_path / "other")

    def test_that_unpack_to_more_than_they_declare(self, file, tmp_path):
        archive(file, members(file) | {"run.json": b" " * 10_000_000})
        content = bytearray(file.read_bytes())
        declared = struct.pack("<I", 10_000_000)
        assert content.count(declared) == 2  # in the member's header and in the directory
        file.write_bytes(content.replace(declared, struct.pack("<I", 100)))
        refused(file, "is no readable archive|is no JSON", tmp_path / "other")

    def test_observations_must_be_those_that_results_name(self, file, tmp_path):
        content = members(file)
        first = sorted(content)[0]
        archive(file, {name: data for name, data in content.items() if name != first})
        refused(file, "are missing", tmp_path / "other")
        archive(file, content | {f"observations/{hashlib.sha256(b'x').hexdigest()}.parquet": b"x"})
        refused(file, "that no result names", tmp_path / "other")
        archive(file, content | {first: content[first][:-1] + b"?"})
        refused(file, "are corrupt", tmp_path / "other")


class TestTables:
    def refuse(self, file, content, match, folder):
        """Replace the observations by others, under their right key."""
        key = hashlib.sha256(content).hexdigest()
        plain = document(file)
        for result in plain["results"]:
            for item in result["evaluations"]:
                item["observations"] = key
        archive(file, {"run.json": json.dumps(plain), f"observations/{key}.parquet": content})
        refused(file, match, folder)

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 50 + b"PAR1", b"x" * 100])
    def test_that_are_no_parquet(self, file, tmp_path, content):
        self.refuse(file, content, "are no plain table", tmp_path / "other")

    @pytest.mark.parametrize(
        "column",
        [
            pa.array([b"\x80\x04pickle"]),
            pa.array([{"a": 1}]),
            pa.array([[{"a": 1}]]),
            pa.array([[b"x"]]),
            pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16))),
        ],
        ids=["bytes", "structure", "list of structures", "list of bytes", "extension"],
    )
    def test_with_odd_columns(self, file, tmp_path, column):
        content = io.BytesIO()
        parquet.write_table(pa.table({"seed": column}), content)
        self.refuse(file, content.getvalue(), "are no plain table: column 'seed' is", tmp_path / "other")

    @pytest.mark.parametrize("metadata", [b"{", b"[]", b'{"columns": 1}', b'{"index_columns": ["missing"]}'])
    def test_with_malformed_metadata(self, file, tmp_path, metadata):
        content = io.BytesIO()
        table = pa.table({"seed": [1]}).replace_schema_metadata({b"pandas": metadata, b"PANDAS_ATTRS": b"{"})
        parquet.write_table(table, content)
        self.refuse(file, content.getvalue(), "are no plain table", tmp_path / "other")

    @settings(max_examples=100)
    @given(data=st.data())
    def test_damaged_ones_are_refused_or_read(self, data, tmp_path_factory):
        folder = tmp_path_factory.mktemp("fuzz")
        store = Store.open(folder)
        content = bytearray(
            (folder / "observations" / f"{store.write_observations(OBSERVATIONS)}.parquet").read_bytes()
        )
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        key = hashlib.sha256(content).hexdigest()
        result = ClaimResult("a.b", evaluation(observations=key), ())
        file = folder / "run.zip"
        file.write_bytes(to_bytes(Bundle(RUN, (result,), {key: bytes(content)})))
        try:
            assert isinstance(read_bundle(file).read_observations(key), pd.DataFrame)
        except BundleError as error:
            assert "are no plain table" in str(error)  # noqa: PT017  damage may hit bytes that mean nothing


def own(plain):
    return plain["results"][0]["evaluations"][0]


def cell(plain):
    return own(plain)["verdict"]["cells"][0]


HOSTILE = {
    "another format": (lambda plain: plain.update(format="zip"), "format"),
    "a newer version": (lambda plain: plain.update(version=3), "from a newer version of repro"),
    "an older version": (lambda plain: plain.update(version=0), "version"),
    "a truth value as version": (lambda plain: plain.update(version=True), "version"),
    "unknown field": (lambda plain: plain.update(extra=1), "extra"),
    "missing field": (lambda plain: plain["run"].pop("backend"), "backend: Field required"),
    "id that leads elsewhere": (lambda plain: plain["run"].update(id="../x"), r"run\.id"),
    "reserved id": (lambda plain: plain["run"].update(id="latest"), r"run\.id"),
    "id on two lines": (lambda plain: plain["run"].update(id="a\n"), r"run\.id"),
    "no time": (lambda plain: plain["run"].update(started="soon"), "started"),
    "local time": (lambda plain: plain["run"].update(started="2026-01-01T12:00:00+02:00"), "started"),
    "unknown profile": (lambda plain: plain["run"].update(profile="huge"), "profile"),
    "environment that is a list": (lambda plain: plain["run"].update(environment=[]), "environment"),
    "claim twice": (lambda plain: plain["results"].append(plain["results"][0]), "several results"),
    "control characters": (lambda plain: plain["results"][0].update(id="\x1b[2J"), "cannot be shown"),
    "no evaluation": (lambda plain: plain["results"][0].update(evaluations=[]), "evaluations"),
    "evaluation twice": (lambda plain: plain["results"][0]["evaluations"].append(own(plain)), "each role once"),
    "unknown role": (lambda plain: own(plain).update(role="friend"), "role"),
    "marks that are a text": (lambda plain: own(plain).update(marks="unsound"), "marks"),
    "contrast without a cell": (lambda plain: own(plain).update(contrast={"effect": 1.0}), "contrast"),
    "no own evaluation": (lambda plain: plain["results"][0]["evaluations"].pop(0), "comes first"),
    "undefined time": (lambda plain: own(plain).update(seconds=math.nan), "seconds"),
    "negative memory": (lambda plain: own(plain).update(memory=-1), "memory"),
    "more memory than the database holds": (lambda plain: own(plain).update(memory=2**63), "memory"),
    "fractional seed": (lambda plain: own(plain).update(seeds=[0.5]), "seeds"),
    "seed that is a truth value": (lambda plain: own(plain).update(seeds=[True]), "seeds"),
    "key that leads elsewhere": (lambda plain: own(plain).update(observations="../../x"), "observations"),
    "error with a verdict": (lambda plain: own(plain).update(status="error"), "status is not that of its verdict"),
    "no verdict": (lambda plain: own(plain).update(verdict=None), "have no verdict"),
    "effect that is text": (lambda plain: own(plain)["verdict"].update(effect="0"), "effect"),
    "verdict with unknown status": (lambda plain: own(plain)["verdict"].update(status="true"), "status"),
    "unknown kind of sentence": (lambda plain: own(plain)["verdict"].update(kind="fact"), "kind"),
    "cell with unknown outcome": (lambda plain: cell(plain).update(outcome="perhaps"), "outcome"),
    "condition that is a list": (lambda plain: cell(plain)["conditions"].update(scale=[1]), "conditions"),
    "certainty": (lambda plain: own(plain)["verdict"].update(confidence=1.0), "confidence"),
    "lone surrogate": (lambda plain: own(plain).update(message="\udcff"), "message"),
}


OF_FIRST_VERDICTS = ("status", "effect", "low", "high", "n", "measure", "p", "confidence", "parts", "deciding")
OF_FIRST_PARTS = ("name", "status", "effect", "low", "high", "n")


def in_first_version(plain):
    """Rewrite a document as the first version of the format has it."""
    plain["version"] = 1
    for evaluation in (evaluation for result in plain["results"] for evaluation in result["evaluations"]):
        evaluation["kind"] = evaluation.pop("role")
        del evaluation["marks"], evaluation["contrast"]
        if evaluation["verdict"] is not None:
            verdict = {name: evaluation["verdict"][name] for name in OF_FIRST_VERDICTS}
            verdict["parts"] = [{name: part[name] for name in OF_FIRST_PARTS} for part in verdict["parts"]]
            evaluation["verdict"] = verdict


def without_news(evaluation):
    """Leave out of an evaluation what the first version of the format did not have."""
    verdict = evaluation.verdict
    if verdict is not None:
        parts = tuple(Part(*(getattr(part, name) for name in OF_FIRST_PARTS)) for part in verdict.parts)
        verdict = Verdict(**{name: getattr(verdict, name) for name in OF_FIRST_VERDICTS} | {"parts": parts})
    return replace(evaluation, verdict=verdict, marks=(), contrast=None)


class TestDocuments:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile(self, file, tmp_path, name):
        change, match = HOSTILE[name]
        refused(changed(file, change), match, tmp_path / "other")

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"[]", b"null", b"1", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000, b'"\\ud800"'],
        ids=["empty", "cut", "list", "null", "number", "no text", "lists", "objects", "digits", "surrogate"],
    )
    def test_malformed(self, file, tmp_path, content):
        refused(archive(file, members(file) | {"run.json": content}), "is refused: run.json", tmp_path / "other")

    def test_the_first_version_is_read(self, store, file, tmp_path):
        changed(file, in_first_version)
        other = Store.open(tmp_path / "other")
        assert add(other, read_bundle(file))
        results = store.results(RUN.id)
        expected = [
            replace(
                result,
                evaluation=without_news(result.evaluation),
                counterparts=tuple(map(without_news, result.counterparts)),
            )
            for result in results
        ]
        assert repr(other.results(RUN.id)) == repr(expected)

    @pytest.mark.parametrize(
        "change",
        [
            lambda plain: own(plain).pop("kind"),
            lambda plain: plain["results"].append(1),
            lambda plain: plain.update(results=[{"evaluations": ["x"]}]),
            lambda plain: plain.update(results=None),
        ],
    )
    def test_a_first_version_without_kinds_is_refused(self, file, tmp_path, change):
        changed(file, in_first_version)
        refused(changed(file, change), "an evaluation has no kind", tmp_path / "other")

    def test_deeply_nested_parameters(self, file, tmp_path):
        nested = "[" * 900 + "]" * 900
        text = members(file)["run.json"].decode().replace('"points": 50', f'"points": {nested}')
        archive(file, members(file) | {"run.json": text})
        folder = tmp_path / "other"
        try:
            add(Store.open(folder), read_bundle(file))
        except BundleError:
            assert state(folder) == ([], [])

    @settings(max_examples=100)
    @given(data=st.data())
    def test_any_other_value_anywhere_is_refused_or_kept(self, data, tmp_path_factory):
        plain = json.loads(
            serialization.run_to_bytes(
                RUN, [ClaimResult("a.b", evaluation(marks=("x",)), (evaluation("control", contrast=CONTRAST),))]
            )
        )
        place = plain
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = data.draw(st.sampled_from(keys))
            deeper = isinstance(place[key], dict | list) and len(place[key]) > 0
            if not deeper or data.draw(st.booleans()):
                break
            place = place[key]
        numbers = st.integers() | st.floats() | st.sampled_from([2**63, -(2**63), 10**400])
        leaves = st.none() | st.booleans() | numbers | st.text(st.characters(codec=None), max_size=5)
        place[key] = data.draw(st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
        content = json.dumps(plain)
        try:
            run, results = serialization.run_of_bytes(content.encode())
        except ValueError as error:
            assert "\n" not in str(error)  # noqa: PT017  some values are as good as those that were there
            return
        store = Store.open(tmp_path_factory.mktemp("fuzz"))
        assert add(store, Bundle(run, results, {}))
        assert repr(store.results(run.id)) == repr(list(results))
        assert serialization.run_to_bytes(store.run(run.id), store.results(run.id)) == serialization.run_to_bytes(
            run, results
        )


@settings(max_examples=100)
@given(data=st.data())
def test_damaged_files_are_refused_or_mean_the_same(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    store = Store.open(folder)
    key = store.write_observations(OBSERVATIONS)
    whole = Bundle(RUN, (ClaimResult("a.b", evaluation(observations=key), ()),), {key: store.observations_content(key)})
    content = bytearray(to_bytes(whole))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = folder / "run.zip"
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    try:
        assert repr(read_bundle(file)) == repr(whole)
    except BundleError as error:
        assert "\n" not in str(error)  # noqa: PT017  damage may hit bytes that mean nothing


class TestStore:
    def test_imports_whole_or_not_at_all(self, tmp_path):
        store = Store.open(tmp_path)
        key = hashlib.sha256(b"x").hexdigest()
        missing = ClaimResult("a.b", evaluation(observations="0" * 64), ())
        with pytest.raises(StoreError, match="has no observations on disk"):
            store.import_run(RUN, [missing], {key: b"x"})
        with pytest.raises(StoreError, match="are corrupt"):
            store.import_run(RUN, [], {key: b"y"})
        twice = [ClaimResult("a.b", evaluation(), ()), ClaimResult("a.b", evaluation(), ())]
        with pytest.raises(StoreError, match="already has a result"):
            store.import_run(RUN, twice, {})
        assert store.runs() == []

    def test_refuses_a_run_that_is_there(self, store):
        with pytest.raises(StoreError, match="already has a run"):
            store.import_run(RUN, [], {})

    def test_expected_times_are_those_of_the_latest_run_whenever_it_was_imported(self, store):
        new = replace(RUN, id="new", started="2026-02-01T00:00:00+00:00")
        old = replace(RUN, id="old", started="2025-01-01T00:00:00+00:00")
        for run, seconds in ((new, 2.0), (old, 7.0)):
            store.import_run(run, [ClaimResult("a.b", evaluation(seconds=seconds), ())], {})
        assert past.seconds(store, "standard", "jax")["a.b", "claim"] == 2.0


def test_numpy_scalars_in_results_are_exported(tmp_path):
    store = Store.open(tmp_path)
    store.begin(RUN)
    own = evaluation(verdict=replace(VERDICT, effect=np.float32(0.5), n=np.int64(3)), parameters={"width": np.int32(8)})
    store.record(RUN.id, ClaimResult("a.b", own, ()))
    export_run(store, "latest", tmp_path / "run.zip")
    assert read_bundle(tmp_path / "run.zip").results[0].evaluation.parameters == {"width": 8}
