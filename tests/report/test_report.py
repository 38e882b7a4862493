import base64
import hashlib
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from repro import report
from repro.catalogue import Correction, Reported, first_seed, registry
from repro.catalogue.declaration import Claim
from repro.catalogue.sources import Source, cheatsheet
from repro.common import StoreError, format_duration, format_size
from repro.criteria import AtMost, Contrast, Greater
from repro.criteria.verdict import Part
from repro.report import evidence, summary
from repro.report.pages import file_name
from repro.report.text import cell, formula, paragraphs, prose, python, tokens
from repro.results.records import ClaimResult, Evaluation, Run
from repro.results.store import Store

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&"
ENVIRONMENT = {"python": "3.11", "keras": "3.11", "backend_version": "2.19", "device": "CPU", "memory": 2**34}


class Page(HTMLParser):
    """Tags, attributes, links and visible text of a page."""

    def __init__(self, path):
        super().__init__()
        self.path, self.tags, self.attributes, self.links, self.pieces = path, set(), set(), set(), []
        self.content = path.read_text(encoding="utf-8")
        self.scripts = re.findall("<script>(.*?)</script>", self.content, re.DOTALL)
        self.feed(self.content)
        self.text = " ".join("".join(self.pieces).split())

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.pieces.append("" if tag == "span" else " ")
        self.links |= {value for name, value in attributes if name in ("href", "src")}

    def handle_data(self, data):
        self.pieces.append(data)

    def allows(self, script):
        """Whether the page's security policy lets a script run."""
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        return f"script-src 'sha256-{digest}';" in self.content


def updates(seeds, *, points=50, separable=True):
    """Counts updates of a perceptron, of which there are at most $R^2/\\gamma^2$."""
    return pd.DataFrame({"seed": list(seeds), "updates": [points * 0.1] * len(seeds), "bound": 10.0 * separable})


def arms(seeds, *, shift=0.5):
    """Draws two arms that differ by ``shift``."""
    noise = np.random.default_rng(0).normal(scale=0.01, size=len(seeds))
    tables = [
        pd.DataFrame({"seed": list(seeds), "arm": arm, "loss": noise + by}) for arm, by in (("a", 0), ("b", shift))
    ]
    return pd.concat(tables, ignore_index=True)


BOUND = Claim(
    statement=r"A perceptron makes at most $R^2/\gamma^2$ updates.",
    sources=(cheatsheet("1.1 Convergence"),),
    criterion=AtMost("updates", bound="bound"),
    function=updates,
    literature="Novikoff 1962",
    kind="theorem",
    control={"separable": False},
    reported=(Reported("7", measure="updates", setting="ten points", place="Novikoff 1962, example 2"),),
)
ORDER = Claim(
    statement="Arm b loses more than arm a.",
    sources=(cheatsheet("2 Arms"),),
    criterion=Greater("loss", of="b", than="a", by="arm", smallest_difference=0.1, source="a tenth can be seen"),
    function=arms,
    kind="law",
    correction=Correction("Arm b loses less than arm a, by $0.5$.", shift=0.7),
)
CLAIMS = {claim.id: claim for claim in (BOUND, ORDER)}


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "results")


def begin(store, **environment):
    run = Run("2026-01-20-a", "2026-01-20T10:15:30Z", "standard", "tensorflow", ENVIRONMENT | environment)
    store.begin(run)
    return run


def evaluate(store, claim, role="claim", tuning=None, marks=(), **parameters):
    variant = next(variant for variant in claim.variants("standard") if variant.role == role)
    seeds = tuple(range(first_seed(claim), first_seed(claim) + 24))
    chosen = variant.parameters | parameters
    observations = claim.function(list(seeds), **chosen)
    if tuning:
        observations.attrs["tuning"] = tuning
    verdict = variant.judge(observations)
    key = store.write_observations(observations)
    return Evaluation(
        role, variant.statement, chosen, seeds, verdict.status, verdict, key, seconds=1.5, memory=2**28, marks=marks
    )


def record(store, run, claim, *evaluations, published=None):
    own, *counterparts = evaluations
    store.record(run.id, ClaimResult(claim.id, own, tuple(counterparts), published))


def pages(index):
    return [Page(path) for path in index.parent.rglob("*.html")]


def page_of(index, claim):
    return Page(index.parent / "claims" / f"{file_name(claim)}.html")


@pytest.fixture
def index(store):
    run = begin(store)
    tuning = [{"arm": "a", "learning_rate": 0.125, "loss": 0.3}]
    record(store, run, BOUND, evaluate(store, BOUND), evaluate(store, BOUND, "control"))
    record(
        store,
        run,
        ORDER,
        evaluate(store, ORDER, shift=0.01, tuning=tuning),
        evaluate(store, ORDER, "correction"),
        published="refuted",
    )
    return report.build(store, claims=CLAIMS)


def test_report_lies_in_the_results_folder(store, index):
    assert index == store.folder / "site" / "index.html"


def test_overview_shows_every_claim_with_its_evidence(index):
    page = Page(index)
    assert "2 sound" not in page.text
    for expected in (BOUND.id, "✓ reproduced", ORDER.id, "✗ refuted", "cheatsheet 1.1 Convergence", "control refuted"):
        assert expected in page.text
    assert "math" in page.tags
    assert "repro run --profile standard --backend tensorflow" in page.text
    assert "16.0 GiB" in page.text


def test_links_lead_to_files_of_the_report(index):
    for page in pages(index):
        for link in page.links - {"#content"}:
            assert (page.path.parent / unquote(link)).is_file(), f"{page.path.name} links {link}"


def test_pages_need_no_network(index):
    for page in pages(index):
        assert not any("://" in link for link in page.links)


def test_claim_page_tells_the_whole_story(index):
    page = page_of(index, BOUND.id)
    for expected in (
        "Deep Learning Cheat Sheet, January 2026",
        "Novikoff 1962",
        "Counts updates of a perceptron",
        "updates is at most bound on every row",
        "points = 50",
        "ten points",
        "Novikoff 1962, example 2",
        f"24 ({first_seed(BOUND)} to {first_seed(BOUND) + 23})",
        "Kind of statement theorem",
        "exact: mathematics, checked as it stands",
        "no violation found",
        "standard profile, n = 24",
        "separable = False",
        "def updates(seeds",
        f"repro check {BOUND.id} --profile standard --backend tensorflow",
        "12 of 24 rows",
        "256 MiB",
        "1.5 s",
    ):
        assert expected in page.text
    assert {f"../figures/{BOUND.id}-{role}.svg" for role in ("claim", "control")} <= page.links


def test_correction_shows_its_statement_and_figure(index):
    page = page_of(index, ORDER.id)
    assert "Arm b loses less than arm a" in page.text
    assert f"../figures/{ORDER.id}-correction.svg" in page.links


def test_command_names_parameters_that_are_not_the_profile_s(index):
    assert "--set shift=0.01" in page_of(index, ORDER.id).text


def test_tuning_is_shown(index):
    assert "0.125" in page_of(index, ORDER.id).text


def test_observations_are_written_whole(index):
    table = pd.read_csv(index.parent / "observations" / f"{ORDER.id}-claim.csv")
    written = arms(range(first_seed(ORDER), first_seed(ORDER) + 24), shift=0.01)
    pd.testing.assert_frame_equal(table, written)
    pd.testing.assert_frame_equal(pd.read_parquet(index.parent / "observations" / f"{ORDER.id}-claim.parquet"), written)
    assert "the first 10000 as CSV" not in page_of(index, ORDER.id).text


def test_of_many_observations_the_first_are_written_as_text(store, monkeypatch):
    monkeypatch.setattr(evidence, "ROWS_AS_CSV", 5)
    record(store, begin(store), ORDER, evaluate(store, ORDER))
    folder = report.build(store, claims=CLAIMS).parent / "observations"
    assert len(pd.read_csv(folder / f"{ORDER.id}-claim.csv")) == 5
    assert len(pd.read_parquet(folder / f"{ORDER.id}-claim.parquet")) == 48


def test_figures_are_drawn_in_other_formats_where_these_are_asked_for(store):
    record(store, begin(store), ORDER, evaluate(store, ORDER), evaluate(store, ORDER, "correction"))

    def drawn(**options):
        figures = report.build(store, claims=CLAIMS, **options).parent / "figures"
        return {file.name.removeprefix(f"{ORDER.id}-") for file in figures.iterdir()} - {"summary.svg"}

    assert drawn() == {"claim.svg", "correction.svg"}
    assert drawn(formats=("svg", "pdf", "png")) == {"claim.svg", "claim.pdf", "claim.png", "correction.svg"}
    assert drawn(formats=("svg", "pdf")) == {"claim.svg", "claim.pdf", "claim.png", "correction.svg"}


def test_mistakes_of_the_documents_are_listed_with_what_holds_instead(index):
    page = Page(index.parent / "mistakes.html")
    for expected in (
        "Deep Learning Cheat Sheet, January 2026",
        "2 Arms",
        "Arm b loses more than arm a.",
        "Draws two arms that differ by",
        "Arm b loses less than arm a",
        "✓ reproduced",
    ):
        assert expected in page.text
    assert BOUND.id not in page.text
    assert "mistakes.html" in Page(index).links


@pytest.mark.usefixtures("index")
def test_a_mistake_of_a_claim_that_is_gone_is_still_listed(store):
    text = Page(report.build(store, claims={BOUND.id: BOUND}).parent / "mistakes.html").text
    assert ORDER.id in text
    assert "Arm b loses less than arm a" in text


def test_a_summary_holds_every_verdict_and_every_mistake(store, index, tmp_path):
    assert index.exists()
    run = store.run()
    overview, table = summary.write_summary(tmp_path / "reports" / "cpu", run, store.results(run.id), CLAIMS)
    text = overview.read_text()
    assert "2 claims: 1 reproduced, 1 refuted; 2 of the verdicts are sound." in text
    cells = next(line for line in text.splitlines() if BOUND.id in line).split(" | ")
    assert cells[1:3] == ["reproduced", "exact"]
    assert cells[3].startswith("No violation found: ")
    assert cells[4:] == ["24", "cheatsheet 1.1 Convergence |"]
    assert "Arm b loses less than arm a, by $0.5$. Holds here: " in text
    verdicts = pd.read_csv(table)
    assert list(verdicts["role"]) == ["claim", "control", "claim", "correction"]
    assert list(verdicts["kind"]) == ["theorem", "theorem", "law", "law"]
    assert list(verdicts["status"]) == ["reproduced", "refuted", "refuted", "reproduced"]
    assert verdicts["effect"].notna().all()


def test_an_inconclusive_claim_says_what_would_decide_it(store):
    run = begin(store)
    claim = replace(ORDER, decided_by="a shift of at least 0.2")
    record(store, run, claim, evaluate(store, claim, shift=0.1))
    index = report.build(store, claims={claim.id: claim})
    assert "a shift of at least 0.2" in Page(index).text
    assert "What would decide it: a shift of at least 0.2" in page_of(index, claim.id).text


def test_unsound_claims_come_first_and_undecided_ones_last(store):
    run = begin(store)
    record(store, run, ORDER, evaluate(store, ORDER))
    record(store, run, BOUND, evaluate(store, BOUND), evaluate(store, BOUND, "control", separable=True))
    text = Page(report.build(store, claims=CLAIMS)).text
    assert text.index("Unsound") < text.index(BOUND.id) < text.index("Undecided") < text.index(ORDER.id)


@pytest.mark.parametrize(
    ("p", "expected"),
    [(0.009, "2 would be undecided"), (0.001, "All of them stand"), (None, "Which documented claims")],
)
def test_the_number_of_verdicts_is_reckoned_with(store, p, expected):
    run = begin(store)
    for claim in (BOUND, ORDER):  # 0.009 is under 1 % and above the half of it, which two verdicts share
        evaluation = evaluate(store, claim)
        record(store, run, claim, replace(evaluation, verdict=replace(evaluation.verdict, p=p)))
    text = Page(report.build(store, claims=CLAIMS)).text
    assert expected in text
    assert ("2 verdicts rest on samples of seeds" in text) is (p is not None)
    assert ("at most 0.02 of them" in text) is (p is not None)
    assert text.count("not after Holm’s correction") == (3 if p == 0.009 else 0)  # in the sentence and at each verdict


def test_contradicted_publication_is_said(store):
    run = begin(store)
    record(store, run, BOUND, evaluate(store, BOUND), evaluate(store, BOUND, "control"), published="refuted")
    index = report.build(store, claims=CLAIMS)
    assert "published: refuted" in Page(index).text
    assert "Published for this profile: refuted" in page_of(index, BOUND.id).text


def test_errors_and_skipped_claims_say_why(store):
    run = begin(store)
    error = Evaluation(
        "claim", BOUND.statement, {}, (0,), "error", message="ValueError: bad shape", traceback="Traceback:\n  line 3"
    )
    skipped = Evaluation("claim", ORDER.statement, {}, (0,), "skipped", message="data set mnist is missing")
    store.record(run.id, ClaimResult(BOUND.id, error, ()))
    store.record(run.id, ClaimResult(ORDER.id, skipped, ()))
    index = report.build(store, claims=CLAIMS)
    assert "ValueError: bad shape Traceback Traceback: line 3" in page_of(index, BOUND.id).text
    assert "data set mnist is missing" in page_of(index, ORDER.id).text


def test_claims_that_are_not_registered_keep_a_page(store):
    run = begin(store)
    record(store, run, BOUND, evaluate(store, BOUND))
    index = report.build(store, claims={})
    page = page_of(index, BOUND.id)
    assert "not registered any more" in page.text
    assert "12 of 24 rows" in page.text


@pytest.mark.parametrize("failing", ["figure", "observations"])
def test_what_fails_does_not_lose_the_page(store, failing):
    def broken(*_):
        raise RuntimeError("no\nink")

    run = begin(store)
    evaluation = evaluate(store, BOUND)
    record(store, run, BOUND, evaluation)
    claim = BOUND
    if failing == "figure":
        claim = replace(BOUND, figure=broken)
    else:
        next(store.folder.rglob("*.parquet")).write_bytes(b"PAR1 nonsense")
    text = page_of(report.build(store, claims={BOUND.id: claim}), BOUND.id).text
    assert "✓ reproduced" in text
    assert ("no figure could be drawn: RuntimeError: no ink" if failing == "figure" else "corrupt") in text


def test_claim_draws_its_own_figure(store):
    from matplotlib.figure import Figure

    def own(observations, verdict):
        drawing = Figure()
        drawing.text(0.5, 0.5, f"own figure of {len(observations)} rows, {verdict.status}")
        return drawing

    run = begin(store)
    record(store, run, BOUND, evaluate(store, BOUND))
    claim = replace(BOUND, figure=own)
    index = report.build(store, claims={BOUND.id: claim})
    drawn = (index.parent / "figures" / f"{BOUND.id}-claim.svg").read_text(encoding="utf-8")
    assert "own figure of 24 rows, reproduced" in drawn


def test_claim_that_reads_a_shared_experiment_shows_what_was_judged(store):
    def halved(observations, *, share=0.5):
        """Halves the updates."""
        return observations.assign(updates=observations["updates"] * share)

    claim = replace(BOUND, function=halved, reads=updates)
    run = begin(store)
    observations = updates(range(24))
    verdict = claim.criterion(claim.read(observations, claim.defaults))
    key = store.write_observations(observations)
    own = Evaluation("claim", claim.statement, claim.defaults, tuple(range(24)), verdict.status, verdict, key)
    record(store, run, claim, own)
    index = report.build(store, claims={claim.id: claim})
    written = pd.read_csv(index.parent / "observations" / f"{file_name(claim.id)}-claim.csv")
    assert (written["updates"] == 2.5).all()
    text = page_of(index, claim.id).text
    assert "def updates(seeds" in text
    assert "def halved(observations" in text


def hostile_claim():
    def experiment(seeds, *, points=HOSTILE):  # noqa: ARG001
        return pd.DataFrame({"seed": list(seeds), HOSTILE: 1.0, "note": HOSTILE})

    experiment.__doc__ = f"{HOSTILE} $\\text{{{HOSTILE}}}$\n\nArgs:\n    {HOSTILE}"
    experiment.__name__ = HOSTILE
    return Claim(
        statement=f"{HOSTILE} $\\text{{{HOSTILE}}}$ `{HOSTILE}` $\\href{{javascript:alert(1)}}{{x}}$",
        sources=(Source(HOSTILE, HOSTILE),),
        criterion=AtMost(HOSTILE, bound=0.5, each=("note",)),
        function=experiment,
        kind="theorem",
        scope=HOSTILE,
        literature=HOSTILE,
        correction=Correction(HOSTILE, points="other"),
        reported=(Reported(HOSTILE, measure=HOSTILE, setting=HOSTILE, place=HOSTILE),),
        decided_by=HOSTILE,
    )


def hostile_evaluation(store, claim, role, status):
    """An evaluation that has every text that an experiment or a file of others may give."""
    observations = claim.function(range(3))
    observations.attrs["tuning"] = [{HOSTILE: HOSTILE}]
    verdict = claim.judge(observations)
    cell = replace(verdict.cells[0], conditions={HOSTILE: HOSTILE}, phrase=HOSTILE, part=HOSTILE)
    part = Part(HOSTILE, status, 1.0, 0.5, 1.0, 3, HOSTILE, sentence=HOSTILE)
    hostile = replace(
        verdict,
        status=status,
        measure=HOSTILE,
        deciding=HOSTILE,
        sentence=HOSTILE,
        boundary=HOSTILE,
        cells=(cell, cell),
        parts=(part, part),
    )
    return Evaluation(
        role,
        claim.statement,
        {HOSTILE: HOSTILE},
        (0, 1, 2),
        status,
        hostile,
        store.write_observations(observations),
        marks=(HOSTILE,),
        contrast=Contrast(HOSTILE, 1.0, 0.5, 1.5, 3, 0.1),
    )


def test_everything_is_escaped(store):
    claim = hostile_claim()
    run = begin(store, device=HOSTILE, **{HOSTILE: HOSTILE})
    claims = {}
    failed = Evaluation("control", HOSTILE, {HOSTILE: HOSTILE}, (0,), "error", message=HOSTILE, traceback=HOSTILE)
    for status in ("refuted", "conditional", "absent", "inconclusive"):
        name = f"{claim.id}{status}"
        claims[name] = claim
        correction = hostile_evaluation(store, claim, "correction", "reproduced")
        own = hostile_evaluation(store, claim, "claim", status)
        store.record(run.id, ClaimResult(name, own, (failed, correction)))
    index = report.build(store, claims=claims)
    listing_pages = {"mistakes.html", "conditions.html", "absent.html", "open.html", "costs.html", "performance.html"}
    assert {path.name for path in index.parent.glob("*.html")} == {"index.html", *listing_pages}
    for page in pages(index):
        assert len(page.scripts) <= 1
        assert all(page.allows(script) for script in page.scripts)
        assert page.links.isdisjoint({"x", "javascript:alert(1)"})
        assert not any(name.startswith("on") for name in page.attributes)
        assert HOSTILE in page.text or page.path.name in ("costs.html", "performance.html")
    for figure in (index.parent / "figures").glob("*.svg"):
        assert "<script" not in figure.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "latex",
    [
        rf"\text{{{HOSTILE}}}",
        HOSTILE,
        r"\text{&lt;img onerror=x&gt;}",
        r"\class{a}{b}",
        r"\style{color:red}{b}",
        r"\href{javascript:alert(1)}{x}",
        r"\left(",
        r"\frac{a",
        "{" * 5000,
        r"\unicode{x3c}img onerror=x\unicode{x3e}",
    ],
)
def test_no_formula_escapes(latex, tmp_path):
    path = tmp_path / "formula.html"
    path.write_text(str(formula(latex)), encoding="utf-8")
    page = Page(path)
    assert page.tags.isdisjoint({"script", "img", "a"})
    assert page.attributes.isdisjoint({"href", "style", "class", "onerror"})


def test_formula_becomes_mathml():
    rendered = formula(r"\gamma < 1")
    assert rendered.startswith("<math")
    assert "<mi>γ</mi><mo>&lt;</mo><mn>1</mn>" in rendered


def test_words_in_formulas_are_one_identifier():
    assert "<mi>ReLU</mi>" in formula(r"\mathrm{ReLU}(x)")


def test_formula_that_cannot_be_rendered_stays_text():
    assert formula(r"\left( <b>") == r"<code>\left( &lt;b&gt;</code>"


def test_prose_has_formulas_code_and_dollars():
    rendered = prose(r"costs \$5 & ``a_b`` at $x$.")
    assert rendered.startswith("costs $5 &amp; <code>a_b</code> at <span")
    assert rendered.endswith("</math>.</span>")


def test_source_code_is_coloured():
    assert python(tokens("def f():  # <one>\n    return 1 < x\n")) == (
        '<span class="k">def</span> f():  <span class="c1"># &lt;one&gt;</span>\n'
        '    <span class="k">return</span> <span class="mi">1</span> &lt; x\n'
    )


def test_no_token_of_source_code_escapes():
    assert "<" not in python([('"><b>', "</pre>"), ("", "<b>")]).replace("<span", "").replace("</span>", "")


def test_paragraphs_keep_indented_blocks():
    assert paragraphs("One\ntwo.\n\nArgs:\n    x: <b>.") == "<p>One two.</p>\n<pre>Args:\n    x: &lt;b&gt;.</pre>"


@pytest.mark.parametrize(
    "claim", ["../../etc/passwd", "CON.x", "a/b", "", "ünï.cödé", "a" * 300, "A.b", "a.b\x00", "mod.f.g"]
)
def test_file_names_are_safe_for_any_id(claim):
    name = file_name(claim)
    assert name
    assert len(name) < 110
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.-")
    assert ".." not in name
    assert name != claim


def test_file_names_do_not_collide():
    assert file_name("perceptron.novikoff") == "perceptron.novikoff"
    assert len({file_name(claim) for claim in ("a.b", "A.b", "a.B", "a b", "a-b", "a/b")}) == 6


def test_new_report_replaces_the_old_one(store, index):
    (index.parent / "claims" / "stale.html").touch()
    assert report.build(store, claims=CLAIMS) == index
    assert not (index.parent / "claims" / "stale.html").exists()
    assert [path.name for path in store.folder.iterdir() if path.name.startswith("site-")] == []


def test_unknown_run_leaves_the_report_that_is_there(store, index):
    with pytest.raises(StoreError):
        report.build(store, "nonsense", claims=CLAIMS)
    assert index.is_file()


def test_report_that_cannot_be_written_is_one_line(store, index, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy", full)
    with pytest.raises(StoreError, match="No space left on device") as error:
        report.build(store, claims=CLAIMS)
    assert "\n" not in str(error.value)
    assert index.is_file()


def test_report_is_the_same_for_the_same_run(store, index):
    before = {path: path.read_bytes() for path in index.parent.rglob("*") if path.is_file()}
    report.build(store, claims=CLAIMS)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.1235"), (np.inf, "∞"), (7, "7"), (True, "True"), ((1, 2.5), "1, 2.5"), (None, "None")],
)
def test_cells(value, text):
    assert cell(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.26, "0.3 s"), (42, "42 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("memory", "text"), [(2**28, "256 MiB"), (3 * 2**29, "1.5 GiB")])
def test_sizes(memory, text):
    assert format_size(memory) == text


@pytest.mark.parametrize("claim", registry.registered().values(), ids=lambda claim: claim.id)
def test_everything_that_is_said_of_a_claim_renders_without_a_stray_command(claim):
    texts = [claim.statement, claim.literature, claim.decided_by, claim.criterion.describe()]
    texts += [claim.correction.statement] if claim.correction else []
    rendered = [*map(prose, texts), paragraphs(claim.method)]
    assert not [text for text in rendered if "\\" in text]
