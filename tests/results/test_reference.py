import json
import math
from dataclasses import replace

import pytest

from repro.catalogue import code, design, registry
from repro.common.errors import ReproError, StoreError
from repro.criteria.verdict import Verdict
from repro.results.comparison.samples import Samples, publishable
from repro.results.records import ClaimResult, Evaluation, Run
from repro.results.reference import (
    FOLDER,
    PublishedClaim,
    PublishedCounterpart,
    PublishedRun,
    PublishedSample,
    publish,
    published,
    published_run,
)
from repro.results.serialization import strict
from repro.uncertainty.two_samples import Sample

RUN = Run("20260101-120000", "2026-01-01T12:00:00+00:00", "standard", "jax", {"python": "3.13.1", "cpu": "Ω"})
REPRODUCED = Verdict("reproduced", effect=0.5, low=0.25, high=1.0, n=9, measure="ratio")
REFUTED = Verdict("refuted", effect=math.inf, low=math.nan, high=math.inf, n=3, measure="ratio")


def evaluation(role, verdict, seconds):
    return Evaluation(role, "It holds.", {}, (0,), verdict.status if verdict else "error", verdict, seconds=seconds)


RESULTS = [
    ClaimResult(
        "perceptron.novikoff",
        evaluation("claim", REPRODUCED, 1.25),
        (evaluation("control", REFUTED, 0.5), evaluation("correction", REPRODUCED, 0.0)),
    ),
    ClaimResult("dropout.mixture", evaluation("claim", REFUTED, 1 / 3), (evaluation("control", REFUTED, 0.1),)),
]
PUBLISHED = {
    "perceptron.novikoff": PublishedClaim(
        "reproduced",
        parameters={},
        effect=0.5,
        low=0.25,
        high=1.0,
        n=9,
        seconds=1.25,
        counterparts={
            "control": PublishedCounterpart("refuted", 0.5),
            "correction": PublishedCounterpart("reproduced", 0.0),
        },
    ),
    "dropout.mixture": PublishedClaim(
        "refuted",
        parameters={},
        effect=None,
        low=None,
        high=None,
        n=3,
        seconds=0.333,
        counterparts={"control": PublishedCounterpart("refuted", 0.1)},
    ),
}


def test_reads_what_a_run_published(tmp_path):
    file = publish(RUN, RESULTS, tmp_path / "published")
    assert file == tmp_path / "published" / "standard.json"
    assert published("standard", file.parent) == PUBLISHED


def test_file_has_the_documented_form(tmp_path):
    text = publish(RUN, RESULTS, tmp_path).read_text(encoding="utf-8")

    def reject(constant):
        raise AssertionError(f"{constant} is no JSON")

    document = json.loads(text, parse_constant=reject)
    assert document["environment"] == RUN.environment
    assert (document["backend"], document["started"]) == (RUN.backend, RUN.started)
    assert document["claims"]["perceptron.novikoff"] == {
        "status": "reproduced",
        "effect": 0.5,
        "low": 0.25,
        "high": 1.0,
        "n": 9,
        "seconds": 1.25,
        "counterparts": {
            "control": {"status": "refuted", "seconds": 0.5},
            "correction": {"status": "reproduced", "seconds": 0.0},
        },
        "memory": 0,
        "parameters": {},
    }
    assert text.endswith("}\n")


def test_samples_and_parameters_come_back(tmp_path):
    sample = PublishedSample("width 8", "ratio", (0.123456, math.inf, -math.inf, 0.0), deterministic=False, count=2)
    own = replace(RESULTS[0].evaluation, parameters={"sizes": (8, (1, 2.5)), "limit": math.inf}, memory=2**30)
    publish(RUN, [replace(RESULTS[0], evaluation=own)], tmp_path, {"perceptron.novikoff": sample})
    claim = published("standard", tmp_path)["perceptron.novikoff"]
    assert (claim.sample, claim.memory) == (sample, 2**30)
    assert claim.parameters == strict(own.parameters) == {"sizes": [8, [1, 2.5]], "limit": "inf"}
    assert '"numbers": "0.123456 inf -inf 0"' in (tmp_path / "standard.json").read_text()


def test_what_was_judged_and_its_fingerprints_come_back(tmp_path):
    claim = registry.get("perceptron.novikoff")
    verdict = replace(REPRODUCED, kind="theorem", scale="exact", sentence="No violation found.")
    result = ClaimResult(claim.id, evaluation("claim", verdict, 1.0), ())
    publish(RUN, [result, RESULTS[1]], tmp_path, claims={claim.id: claim})
    known, other = published("standard", tmp_path)[claim.id], published("standard", tmp_path)["dropout.mixture"]
    assert (known.kind, known.scale, known.sentence) == ("theorem", "exact", "No violation found.")
    assert (known.design, known.code) == (design(claim), code(claim))
    assert (other.kind, other.scale, other.sentence, other.design, other.code) == (None, None, "", "", "")


def test_samples_are_published_to_six_digits():
    result = ClaimResult("a.b", evaluation("claim", replace(REPRODUCED, deciding="width 8"), 1.0), ())
    numbers = (1 / 3, math.inf, 123456789.0)
    by_part = {("width 8", "ratio"): Sample(numbers, 1.0), ("width 9", "ratio"): Sample((2.0,), 2.0)}
    sample = publishable(result, Samples(by_part, 2))
    assert sample == PublishedSample("width 8", "ratio", (0.333333, math.inf, 123457000.0), False, 2)
    assert publishable(result, Samples()) is None


def test_the_run_behind_what_is_published_is_known(tmp_path):
    assert published_run("standard", tmp_path) is None
    publish(RUN, RESULTS, tmp_path)
    assert published_run("standard", tmp_path) == PublishedRun(RUN.started, "jax", RUN.environment)


def test_files_of_older_versions_can_be_read(tmp_path):
    claim = {"status": "refuted", "effect": None, "low": None, "high": 1.0, "n": 3, "seconds": 0.5, "counterparts": {}}
    text = json.dumps({"environment": {"python": "3.11"}, "claims": {"a.b": claim}})
    (tmp_path / "standard.json").write_text(text)
    assert published("standard", tmp_path) == {"a.b": PublishedClaim("refuted", None, None, 1.0, 3, 0.5, {})}
    assert published_run("standard", tmp_path) == PublishedRun("", "", {"python": "3.11"})


def test_profiles_are_apart(tmp_path):
    publish(RUN, RESULTS, tmp_path)
    assert published("smoke", tmp_path) == {}
    publish(replace(RUN, profile="smoke"), RESULTS[:1], tmp_path)
    assert list(published("smoke", tmp_path)) == ["perceptron.novikoff"]
    assert published("standard", tmp_path) == PUBLISHED


def test_a_run_replaces_what_was_published_of_its_claims(tmp_path):
    publish(RUN, RESULTS, tmp_path)
    again = replace(RESULTS[1], evaluation=replace(RESULTS[1].evaluation, seconds=77.0))
    publish(RUN, [again], tmp_path)
    assert published("standard", tmp_path)["perceptron.novikoff"] == PUBLISHED["perceptron.novikoff"]
    assert published("standard", tmp_path)["dropout.mixture"].seconds == 77.0
    assert [path.name for path in tmp_path.iterdir()] == ["standard.json"]


def test_skipped_claims_are_left_out(tmp_path):
    skipped = ClaimResult("a.b", Evaluation("claim", "It holds.", {}, (), "skipped"), ())
    publish(RUN, [*RESULTS, skipped], tmp_path)
    assert published("standard", tmp_path) == PUBLISHED


@pytest.mark.parametrize(
    "failed",
    [
        ClaimResult("a.b", evaluation("claim", None, 1.0), ()),
        ClaimResult("a.b", evaluation("claim", REPRODUCED, 1.0), (evaluation("control", None, 1.0),)),
    ],
    ids=["claim", "control"],
)
def test_errors_cannot_be_published(tmp_path, failed):
    publish(RUN, RESULTS, tmp_path)
    with pytest.raises(ReproError, match=r"a\.b ended in error and cannot be published"):
        publish(RUN, [*RESULTS, failed], tmp_path)
    assert published("standard", tmp_path) == PUBLISHED


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot publish to .*standard\.json"):
        publish(RUN, RESULTS, tmp_path / "file")


@pytest.mark.parametrize("profile", ["smoke", "standard", "full"])
def test_what_ships_with_the_package_can_be_read(profile):
    assert FOLDER.name == "published"
    statuses = {"reproduced", "conditional", "absent", "refuted", "inconclusive"}
    assert all(claim.status in statuses for claim in published(profile).values())
