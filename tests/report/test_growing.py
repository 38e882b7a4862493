"""The report of a run that goes on."""

import time
from types import SimpleNamespace

import pytest
from test_report import CLAIMS, ORDER, begin, evaluate, record

from repro.report import growing
from repro.results.store import Store
from repro.runner import Begun, Recorded


def test_the_report_is_there_before_the_run_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(growing, "FIRST", 0.0)
    store = Store.open(tmp_path / "results")
    run = begin(store)
    record(store, run, ORDER, evaluate(store, ORDER))
    with growing.GrowingReport() as listener:
        listener(Begun(SimpleNamespace(), run, 2, store.folder, resumed=False))
        assert not (store.folder / "site").exists()
        listener(Recorded(store.results(run.id)[0]))
    page = (store.folder / "site" / "index.html").read_text(encoding="utf-8")
    assert ORDER.id in page
    assert set(CLAIMS) - {ORDER.id} != set()


def test_a_report_that_cost_much_is_not_soon_written_again(tmp_path, monkeypatch):
    monkeypatch.setattr(growing, "FIRST", 0.0)
    listener, submitted = growing.GrowingReport(), []

    class Process:
        def submit(self, *work):
            submitted.append(work)
            return SimpleNamespace(add_done_callback=lambda _: None, done=lambda: True)

    listener._process = Process()
    listener(Begun(SimpleNamespace(), SimpleNamespace(id="run"), 2, tmp_path, resumed=False))
    listener(Recorded(None))
    listener(Recorded(None))
    assert len(submitted) == 1
    for seconds, pause in ((0.001, growing.INTERVAL), (1000.0, 1000.0 / growing.SHARE / growing.environment.cores())):
        before = time.monotonic()
        listener._written(SimpleNamespace(cancelled=lambda: False, exception=lambda: None, result=lambda s=seconds: s))
        assert listener._due - before == pytest.approx(pause, abs=5)
