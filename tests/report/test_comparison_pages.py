"""Pages that compare two runs."""

from dataclasses import replace

import pytest
from loaded_runs import JAX, TENSORFLOW, loaded, result, sample
from test_report import Page

from repro import report
from repro.common.errors import StoreError
from repro.report import comparisons
from repro.results.comparison.differences import compare_runs
from repro.results.store import Store

HOSTILE = "<script>alert('x')</script>\"'&"


@pytest.fixture
def compared():
    hostile = replace(JAX, environment=JAX.environment | {HOSTILE: HOSTILE})
    return compare_runs(
        loaded(TENSORFLOW, result(seconds=2.0), result(name="a.c"), b=sample([0.0] * 24)),
        loaded(
            hostile,
            result("refuted", seconds=4.0),
            result(name="a.c", parameters={HOSTILE: HOSTILE}),
            b=sample([1.0] * 24),
        ),
    )


def test_a_page_shows_everything_that_differs(tmp_path, compared):
    page = Page(comparisons.write_comparison(tmp_path, compared))
    assert page.path == tmp_path / "site" / "compare-base-head.html"
    for text in (
        "smoke profile on tensorflow",
        "smoke profile on jax",
        "a.b reproduced refuted, undecided worse",
        "a.b ratio 0 1",
        "backend_version 2.21.0 0.10.2",
        "memory 8.0 GiB 16.0 GiB",
        "2.0 s 4.0 s × 2",
        "not compared, other parameters: a.c",
    ):
        assert text in page.text, text
    assert all(page.allows(script) for script in page.scripts)
    assert HOSTILE in page.text


def test_links_lead_to_files(tmp_path, compared):
    comparisons.write_comparison(tmp_path, compared)
    for page in (tmp_path / "site").glob("*.html"):
        for link in Page(page).links - {"#content"}:
            assert (page.parent / link).is_file(), f"{page.name} links {link}"


def test_a_new_report_keeps_the_comparisons(tmp_path, compared):
    store = Store.open(tmp_path)
    store.begin(TENSORFLOW)
    index = report.build(store, claims={})
    assert "comparisons.html" not in Page(index).links
    page = comparisons.write_comparison(tmp_path, compared)
    assert "index.html" in Page(page).links
    before = page.read_bytes()
    report.build(store, claims={})
    assert page.read_bytes() == before
    assert "comparisons.html" in Page(index).links
    assert "index.html" in Page(index.parent / "comparisons.html").links
    assert "compare-base-head.html" in Page(index.parent / "comparisons.html").links


def test_equal_runs_have_a_page_too(tmp_path):
    one = loaded(TENSORFLOW, result())
    assert (
        "Both ran on the same versions and hardware"
        in Page(comparisons.write_comparison(tmp_path, compare_runs(one, one))).text
    )


def test_folder_that_cannot_be_written(tmp_path, compared):
    (tmp_path / "site").touch()
    with pytest.raises(StoreError, match=r"cannot write .*compare-base-head\.html"):
        comparisons.write_comparison(tmp_path, compared)
