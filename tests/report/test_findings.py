"""Lists of what came out, and what pages show of conditions, parts, counterparts and marks."""

import pandas as pd
import pytest
from test_report import Page, begin

import repro
from repro import report
from repro.catalogue import Correction, PositiveControl, Source, cheatsheet, lectures, registry
from repro.criteria import AllOf, Boundary, Greater, Identity
from repro.criteria.verdict import Part, Verdict
from repro.report import findings, listings
from repro.report.pages import file_name
from repro.results import ClaimResult, Evaluation, Store
from repro.runner import execute, make_plan

SMALLEST = {"smallest_difference": 0.1, "source": "a tenth can be seen"}
LOSES_MORE = Greater("loss", of="b", than="a", by="arm", each=("depth",), **SMALLEST)


def losses(seeds, *, depths=(2, 4, 20, 40), gap=0.5, deepest=10):
    """Arm b loses more than arm a in networks that are not deep, by ``gap`` in the median over seeds."""
    rows = [
        {"seed": seed, "depth": depth, "arm": "b", "loss": 1 + gap * (depth < deepest) + 0.01 * (seed % 3 - 1)}
        for seed in seeds
        for depth in depths
    ]
    of_b = pd.DataFrame(rows)
    return pd.concat([of_b, of_b.assign(arm="a", loss=1.0)], ignore_index=True)


@repro.claim(
    "Arm b loses more.",
    source=cheatsheet("2 Arms"),
    kind="tendency",
    criterion=LOSES_MORE,
    left_open=("depth",),
    boundary=Boundary("below depth 10", holds="depth < 10", named=({"depth": 4}, {"depth": 20})),
    positive_control=PositiveControl("Arm b loses more by far.", gap=2.0, deepest=100),
    control={"gap": 0.0},
)
def in_part(seeds, *, depths=(2, 4, 20, 40), gap=0.5, deepest=10):
    """Where it is not deep."""
    return losses(seeds, depths=depths, gap=gap, deepest=deepest)


@repro.claim(
    "Arm b loses more when deep.",
    source=cheatsheet("2 Arms"),
    kind="tendency",
    criterion=LOSES_MORE,
    left_open=("depth",),
    positive_control=PositiveControl("Arm b loses more when nothing is deep.", deepest=100),
)
def nowhere(seeds, *, depths=(20, 40), gap=0.5, deepest=10):
    """Where it is deep."""
    return losses(seeds, depths=depths, gap=gap, deepest=deepest)


@repro.claim(
    "Arm b can lose more.",
    source=cheatsheet("2 Arms"),
    kind="possibility",
    criterion=LOSES_MORE,
    left_open=("depth",),
    positive_control=PositiveControl("Arm b loses more when nothing is deep.", deepest=100),
)
def somewhere(seeds, *, depths=(2, 40), gap=0.5, deepest=10):
    """Shallow and deep."""
    return losses(seeds, depths=depths, gap=gap, deepest=deepest)


@repro.claim("Arm b loses somewhat more.", source=cheatsheet("2 Arms"), criterion=LOSES_MORE)
def undeclared(seeds, *, depths=(2,), gap=0.5, deepest=10):
    """Shallow."""
    return losses(seeds, depths=depths, gap=gap, deepest=deepest)


@repro.claim(
    "Arm b may lose more.", source=cheatsheet("2 Arms"), kind="possibility", criterion=LOSES_MORE, left_open=("depth",)
)
def at_the_border(seeds, *, depths=(2,), gap=0.1, deepest=10):
    """Shallow, and by what just counts, now a little more and now a little less."""
    table = losses(seeds, depths=depths, gap=gap, deepest=deepest)
    return table.assign(loss=table["loss"] + 0.01 * (-1) ** table["seed"] * (table["arm"] == "b"))


def sums(name, right, **details):
    declare = repro.claim(
        f"Two and two is {right}, and one and one is two.",
        kind="formula",
        criterion=AllOf(two=Identity("two", "right"), one=Identity("one", "one_right")),
        correction=Correction("Two and two is four.", right=4.0),
        root="the second sum",
        **{"source": cheatsheet("3 Sums")} | details,
    )

    def written(*, right=right):
        """Both sides are written down."""
        return pd.DataFrame({"two": [4.0], "right": [right], "one": [2.0], "one_right": [2.0]})

    written.__name__ = written.__qualname__ = name
    return declare(written)


five = sums("five", 5.0, source=(lectures("1", parts=("one",)), Source("My notes", "7", ("two",))), transcription=True)
six = sums("six", 6.0)
CLAIMS = {claim.id: claim for claim in (in_part, nowhere, somewhere, undeclared, at_the_border, five, six)}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("findings")
    return folder, {
        result.id.partition(".")[2]: result
        for result in execute(make_plan(list(CLAIMS.values()), "standard"), folder, workers=0).results
    }


@pytest.fixture
def overview(results):
    folder, found = results
    return listings.overview(Store.existing(folder).run(), list(found.values()), CLAIMS)


@pytest.fixture(scope="module")
def site(results):
    folder, _ = results
    return report.build(Store.existing(folder), claims=CLAIMS).parent


def page_of(site, claim):
    return Page(site / "claims" / f"{file_name(claim.id)}.html")


def sentence_of(results, claim):
    return results[1][claim.function.__name__].evaluation.verdict.sentence


def result_of(kind, status, correction=None, parts=()):
    verdict = Verdict(status, 1.0, 0.9, 1.1, 8, "ratio", kind=kind, parts=parts)
    own = Evaluation("claim", "It holds.", {}, (), status, verdict)
    others = () if correction is None else (Evaluation("correction", "It does not.", {}, (), correction),)
    return ClaimResult("test_findings.five", own, others)


@pytest.mark.parametrize(
    ("kind", "status", "correction", "expected"),
    [
        ("formula", "refuted", "reproduced", "mistakes"),
        ("theorem", "refuted", "reproduced", "mistakes"),
        ("law", "refuted", "reproduced", "mistakes"),
        (None, "refuted", "reproduced", "mistakes"),  # of a version that knew no kinds
        ("tendency", "refuted", "reproduced", None),
        ("advice", "refuted", "reproduced", None),
        ("finding", "refuted", "reproduced", None),
        ("formula", "refuted", "inconclusive", None),
        ("formula", "refuted", None, None),
        ("tendency", "conditional", None, "conditions"),
        ("law", "conditional", None, "conditions"),
        ("possibility", "absent", None, "absent"),
        ("theorem", "inconclusive", None, "open"),
        ("formula", "reproduced", "reproduced", None),
        ("formula", "error", None, None),
        ("formula", "skipped", None, None),
    ],
)
def test_a_result_stands_in_at_most_one_list(kind, status, correction, expected):
    found = findings.lists([result_of(kind, status, correction)], {})
    assert [each.name for each in found if each.findings] == ([expected] if expected else [])


def test_claims_that_are_wrong_for_one_reason_are_one_entry(results):
    wrong = [results[1]["five"], results[1]["six"]]
    (finding,) = findings.lists(wrong, CLAIMS)[0].findings
    assert (finding.result.id, [other.id for other in finding.others]) == (five.id, [six.id])
    assert len(findings.lists(wrong, {})[0].findings) == 2


def test_a_document_is_named_beside_the_parts_that_stand_in_it(results):
    (finding,) = findings.lists([results[1]["five"]], CLAIMS)[0].findings
    assert finding.places == ("My notes, 7",)
    assert finding.as_transcribed


def test_a_document_that_says_several_parts_is_named_if_one_of_them_came_out_so():
    parts = tuple(Part(name, status, 1.0, 0.9, 1.1, 8) for name, status in (("one", "reproduced"), ("two", "refuted")))
    (finding,) = findings.lists([result_of("formula", "refuted", "reproduced", parts)], CLAIMS)[0].findings
    assert finding.places == ("My notes, 7",)


def test_mistakes_are_listed_with_what_holds_instead(site):
    text = Page(site / "mistakes.html").text
    assert "My notes, 7 – as transcribed" in text
    assert "Two and two is four." in text
    assert "The same cause: test_findings.six" in text
    assert "false as stated" in text
    assert "Rossi" not in text


def test_what_holds_under_conditions_is_listed_with_its_map(site, results):
    page = Page(site / "conditions.html")
    assert f"figures/{in_part.id}-claim.svg" in page.links
    assert sentence_of(results, in_part) in page.text
    assert "expected" in (site / "figures" / f"{in_part.id}-claim.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "claim"), [("absent", nowhere), ("open", at_the_border)])
def test_what_is_absent_or_open_says_why(name, claim, site, results):
    page = Page(site / f"{name}.html")
    assert sentence_of(results, claim) in page.text
    assert f"claims/{file_name(claim.id)}.html" in page.links


@pytest.mark.parametrize("name", ["mistakes", "conditions", "absent", "open"])
def test_each_list_has_the_number_of_its_findings_on_the_overview(name, site):
    assert f"{name}.html" in Page(site / "index.html").links
    assert "1" in Page(site / f"{name}.html").text


def test_lists_are_empty_where_nothing_came_out_so(tmp_path):
    store = Store.open(tmp_path)
    begin(store)
    folder = report.build(store, claims=CLAIMS).parent
    for name, nothing in (
        ("mistakes", "This run refuted no formula, theorem or law"),
        ("conditions", "No statement of this run came out conditional."),
        ("absent", "No effect of this run was absent."),
        ("open", "This run decided every statement."),
    ):
        assert nothing in Page(folder / f"{name}.html").text


def test_a_page_shows_each_condition_with_what_was_expected_there(site):
    text = page_of(site, in_part).text
    for row in (
        "depth 2 (shown, does not decide) ✓ holds holds 0.5",
        "depth 4 ✓ holds holds 0.5",
        "depth 20 ○ fails fails 0",
        "depth 40 (shown, does not decide) ○ fails fails 0",
    ):
        assert row in text


def test_a_page_shows_each_part_with_a_verdict_of_its_own(site):
    text = page_of(site, five).text
    assert "two ✗ refuted" in text
    assert "one ✓ reproduced" in text


def test_a_page_shows_the_counterparts_with_their_meaning(site, results):
    text = page_of(site, in_part).text
    assert "Positive control ✓ reproduced" in text
    assert "it must be found, or nothing could have been" in text
    assert "Claim minus control, paired by seed" in text
    assert "repetition reproduced" in page_of(site, somewhere).text
    assert f"../figures/{in_part.id}-positive-control.svg" in page_of(site, in_part).links
    assert results[1]["somewhere"].sound


def test_thresholds_are_shown_with_how_far_they_could_move(site):
    assert "threshold 0.1; the verdict stays from 0.01 to 0.49 flips" in page_of(site, in_part).text


def test_marks_are_listed_and_fail_nothing(site, results):
    result = results[1]["undeclared"]
    assert (result.sound, result.failed) == (False, False)
    text = page_of(site, undeclared).text
    for mark in (
        "its kind is not declared (kind=), so it is judged as a tendency",
        "no counterpart shows that its verdict could have come out otherwise (control=, rival=, correction=)",
        "its conditions depth are not among those that the passage leaves open (left_open=)",
    ):
        assert mark in text


def test_the_overview_sets_marked_claims_apart_from_contradicted_ones(overview):
    groups = {group.title: {result.id for result in group.results} for group in overview.groups}
    assert undeclared.id in groups["Marked"]
    assert groups["Sound"] == {in_part.id, nowhere.id, somewhere.id, five.id, six.id}
    assert [group.title for group in overview.groups if group.attention] == []


def test_a_possibility_needs_no_counterpart_but_its_repetition(results):
    assert results[1]["at_the_border"].evaluation.marks == ()


def test_the_overview_counts_verdicts_by_scale(overview):
    assert overview.scales == {
        "exact": {"refuted": 2},
        "toy": {"reproduced": 2, "conditional": 1, "absent": 1, "inconclusive": 1},
    }
    assert sum(overview.counts.values()) == len(CLAIMS)


def test_a_document_that_says_only_parts_that_hold_is_not_shown_to_be_refuted(results):
    shown = {listing.title: listing.counts for listing in listings.documents(list(results[1].values()), CLAIMS)}
    assert shown["My notes"] == {"refuted": 1}
    assert "refuted" not in shown[lectures("1").title]


def test_no_claim_of_ours_names_parts_that_it_does_not_have():
    for claim in registry.registered().values():
        known = set(claim.criterion.criteria) if isinstance(claim.criterion, AllOf) else set()
        assert {part for source in claim.sources for part in source.parts} <= known, claim.id
