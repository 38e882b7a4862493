"""The report of a run that goes on."""

import time
from types import SimpleNamespace

from test_report import CLAIMS, ORDER, begin, evaluate, record

from repro.report import growing
from repro.results.store import Store
from repro.runner import Begun, Recorded


def test_the_report_is_there_before_the_run_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(growing, "FIRST", 0.0)
    store = Store.open(tmp_path / "results")
    run = begin(store)
    record(store, run, ORDER, evaluate(store, ORDER))
    page = store.folder / "site" / "index.html"
    with growing.GrowingReport() as listener:
        listener(Begun(SimpleNamespace(), run, 2, store.folder, resumed=False))
        assert not page.exists()
        listener(Recorded(store.results(run.id)[0]))
        deadline = time.monotonic() + 100
        while not page.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        written = page.read_text(encoding="utf-8")
    assert ORDER.id in written
    assert all(name not in written for name in set(CLAIMS) - {ORDER.id})


def test_a_run_that_is_soon_done_has_no_report_on_the_way(tmp_path):
    store = Store.open(tmp_path / "results")
    run = begin(store)
    with growing.GrowingReport() as listener:
        listener(Begun(SimpleNamespace(), run, 2, store.folder, resumed=False))
        listener(Recorded(None))
    assert not (store.folder / "site").exists()


def test_a_report_that_cost_much_is_not_soon_written_again(monkeypatch):
    monkeypatch.setattr(growing.environment, "cores", lambda: 4)
    assert growing.pause_after(0.5) == growing.INTERVAL
    assert growing.pause_after(8.0) == 100.0
