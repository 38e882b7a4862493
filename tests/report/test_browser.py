"""The report in a real browser, without a network."""

import csv
import re
import shutil

import pytest
from test_report import BOUND, CLAIMS, HOSTILE, ORDER, begin, evaluate, record

from repro import report
from repro.catalogue.declaration import Claim, Correction
from repro.catalogue.sources import Source
from repro.criteria import AtMost
from repro.report.pages import file_name
from repro.results.store import Store

sync_api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_core_python.sync_playwright")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
PAGES = ("*.html", "modules/*.html", "documents/*.html", "claims/*.html")


def hostile_experiment(seeds, *, points=HOSTILE):  # noqa: ARG001
    import pandas as pd

    return pd.DataFrame({"seed": list(seeds), HOSTILE: 1.0})


HOSTILE_CLAIM = Claim(
    statement=f"{HOSTILE} $\\text{{{HOSTILE}}}$ `{HOSTILE}`",
    sources=(Source(HOSTILE, HOSTILE),),
    criterion=AtMost(HOSTILE, bound=0.5),
    function=hostile_experiment,
    literature=HOSTILE,
    correction=Correction(HOSTILE, points="other"),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    store = Store.open(tmp_path_factory.mktemp("browser") / "results")
    run = begin(store, device=HOSTILE)
    record(store, run, BOUND, evaluate(store, BOUND), evaluate(store, BOUND, "control"))
    tuning = [{"arm": "a", "learning_rate": 0.125, "loss": 0.3}]
    record(store, run, ORDER, evaluate(store, ORDER, shift=0.01, tuning=tuning), evaluate(store, ORDER, "correction"))
    record(store, run, HOSTILE_CLAIM, evaluate(store, HOSTILE_CLAIM))
    return report.build(store, claims=CLAIMS | {HOSTILE_CLAIM.id: HOSTILE_CLAIM}).parent


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def page(browser):
    with browser.new_context(offline=True) as context:
        opened = context.new_page()
        opened.complaints = []
        opened.on("console", lambda message: opened.complaints.append(message.text))
        opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.on("dialog", lambda dialog: (opened.complaints.append(dialog.message), dialog.dismiss()))
        opened.on("requestfailed", lambda request: opened.complaints.append(request.url))
        yield opened


def every_page(site):
    return sorted(path for pattern in PAGES for path in site.glob(pattern))


def shown(page):
    return [row.inner_text() for row in page.locator("table.claims code.id").all() if row.is_visible()]


def test_every_page_opens_from_disk_without_a_complaint(site, page):
    for path in every_page(site):
        page.goto(path.as_uri())
        broken = page.evaluate("[...document.images].filter((image) => !image.naturalWidth).map((image) => image.src)")
        assert broken == []
    assert page.complaints == []


def test_hostile_text_runs_nothing(site, page):
    page.goto((site / "claims" / f"{file_name(HOSTILE_CLAIM.id)}.html").as_uri())
    assert "<script>alert('x')</script>" in page.inner_text("h1")
    assert page.complaints == []


def test_scripts_that_are_not_the_report_s_are_refused(site, page):
    page.goto((site / "index.html").as_uri())
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in complaint for complaint in page.complaints)


@pytest.mark.parametrize(
    ("choose", "expected"),
    [
        (lambda page: page.get_by_label("Search").fill("PERCEPTRON updates"), {BOUND.id}),
        (lambda page: page.get_by_label("Verdict").select_option("reproduced"), {BOUND.id}),
        (lambda page: page.locator("select[name=module]").select_option(BOUND.id.split(".")[0]), {BOUND.id, ORDER.id}),
        (lambda page: page.get_by_label("Soundness").select_option("unsound"), set()),
        (lambda page: page.get_by_label("Source").select_option(label=HOSTILE), {HOSTILE_CLAIM.id}),
    ],
)
def test_claims_are_filtered(site, page, choose, expected):
    page.goto((site / "index.html").as_uri())
    assert set(shown(page)) == {BOUND.id, ORDER.id, HOSTILE_CLAIM.id}
    choose(page)
    assert set(shown(page)) == expected
    assert page.inner_text("output") == f"{len(expected)} of 3 claims"
    page.reload()
    assert set(shown(page)) == expected
    page.get_by_role("button", name="Reset").click()
    assert len(shown(page)) == 3
    assert page.complaints == []


def test_claims_are_sorted_by_any_column_and_back(site, page):
    page.goto((site / "index.html").as_uri())
    original = shown(page)
    for name in ("claim", "verdict", "effect", "n", "source", "soundness"):
        button = page.get_by_role("button", name=name, exact=True)
        for direction in ("ascending", "descending"):
            button.click()
            assert page.locator("th[aria-sort=" + direction + "]").inner_text().startswith(name)
            if name == "effect":
                effects = [0.0, 0.01, 1.0]
                found = [float(text) for text in page.locator(".claims td:nth-child(3) b").all_inner_texts()]
                assert found == pytest.approx(effects if direction == "ascending" else effects[::-1], abs=1e-6)
        button.click()
        assert shown(page) == original
    assert page.complaints == []


def test_tables_are_saved_as_they_are_shown(site, page):
    page.goto((site / "index.html").as_uri())
    page.get_by_label("Verdict").select_option("reproduced")
    with page.expect_download() as download:
        page.locator("table.claims + button.csv").click()
    header, *rows = csv.reader(download.value.path().read_text(encoding="utf-8").splitlines())
    assert [name.split()[0] for name in header] == ["claim", "verdict", "effect", "n", "source", "soundness"]
    assert [(row[0].split()[-1], row[3]) for row in rows] == [(BOUND.id, "24")]


def test_keys_alone_reach_a_claim(site, page):
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.get_by_label("Search").focus()
    page.keyboard.type("perceptron")
    page.locator("table.claims a:visible").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r".*/claims/.*"))
    assert "perceptron" in page.inner_text("h1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(site, browser, scheme):
    with browser.new_context(offline=True, color_scheme=scheme, bypass_csp=True) as context:
        page = context.new_page()
        for path in every_page(site):
            page.goto(path.as_uri())
            found = axe.Axe().run(page)["violations"]
            summary = [(one["id"], node["html"][:200]) for one in found for node in one["nodes"]]
            assert summary == [], path.name


def test_nothing_is_cut_off_on_a_phone(site, browser):
    with browser.new_context(offline=True, viewport={"width": 360, "height": 740}) as context:
        page = context.new_page()
        for path in every_page(site):
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path.name
