from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import repro
from repro.catalogue import registry
from repro.common.errors import ReproError
from repro.results.bundle import export_run
from repro.results.comparison import loading
from repro.results.comparison.differences import compare_runs
from repro.results.comparison.samples import publishable, stored_samples
from repro.results.records import ClaimResult, Evaluation, Run
from repro.results.reference import FOLDER, publish, published
from repro.results.store import Store

RUN = Run("first", "2026-01-01T12:00:00+00:00", "smoke", "jax", {"python": "3.13.1"})


@pytest.fixture
def store(tmp_path):
    """Two runs of a registered claim, of 13 and of 8 seeds."""
    store = Store.open(tmp_path / "results")
    claim = registry.get("perceptron.xor")
    parameters = claim.variants("smoke")[0].parameters
    for number, seeds in enumerate((13, 8)):
        run = replace(RUN, id=("first", "second")[number], started=f"2026-01-0{number + 1}T12:00:00+00:00")
        checked = repro.check(claim, profile="smoke", seeds=seeds)
        verdict = checked.verdict
        store.begin(run)
        key = store.write_observations(checked.observations)
        own = Evaluation("claim", claim.statement, parameters, (0, 1), verdict.status, verdict, key, 1.0, 2**30)
        store.record(run.id, ClaimResult(claim.id, own, ()))
    return store


def test_names_of_runs(store, tmp_path):
    export_run(store, "first", tmp_path / "run.zip")
    names = {"first": "first", "latest": "second", str(store.folder): "second", str(tmp_path / "run.zip"): "first"}
    for name, expected in names.items():
        found = loading.load(name, store.folder)
        assert found.run.id == expected
        (result,) = found.results
        samples = found.samples(result)
        assert samples.deciding(result.evaluation.verdict) is not None


def test_files_and_folders_need_no_results_folder(store, tmp_path):
    export_run(store, "first", tmp_path / "run.zip")
    base, head = loading.load_pair(str(tmp_path / "run.zip"), str(store.folder), tmp_path / "missing")
    assert (base.run.id, head.run.id) == ("first", "second")
    assert not (tmp_path / "missing").exists()
    assert not compare_runs(base, head).moved


@pytest.mark.parametrize("name", ["frist", "missing.zip"])
def test_unknown_names(store, name):
    with pytest.raises(ReproError, match=f"no run '{name}'; did you mean"):
        loading.load(name, store.folder)


def test_what_is_published_is_that_of_the_other_runs_profile(store):
    base, head = loading.load_pair("published", "latest", store.folder)
    assert (base.run.id, base.run.profile, head.run.id) == ("published", "smoke", "second")
    assert {result.id: result.status for result in base.results} == {
        name: claim.status for name, claim in published("smoke").items()
    }
    assert compare_runs(base, head).compared == 1
    head, base = loading.load_pair("first", "published", store.folder)
    assert (head.run.id, base.run.id) == ("first", "published")


def test_what_is_published_cannot_be_compared_with_itself(store):
    with pytest.raises(ReproError, match="the same on both sides"):
        loading.load_pair("published", "published", store.folder)


def test_nothing_is_published_for_a_profile(monkeypatch):
    monkeypatch.setattr(loading, "published_run", lambda _: None)
    with pytest.raises(ReproError, match="nothing is published for profile full"):
        loading.load_published("full")


def test_numbers_of_seeds_are_published_and_compared(store, tmp_path, monkeypatch):
    results = store.results("first")
    samples = {result.id: publishable(result, stored_samples(result, store.read_observations)) for result in results}
    publish(RUN, results, tmp_path, samples)
    monkeypatch.setattr(loading, "published", lambda profile: published(profile, tmp_path))
    base, head = loading.load_pair("published", "second", store.folder)
    (test,) = compare_runs(base, head).effects
    assert (test.by, test.p) == ("seeds", 1.0)


def test_a_run_is_no_worse_than_what_was_published_of_it(tmp_path, monkeypatch):
    store = Store.open(tmp_path / "results")
    store.begin(RUN)
    claim = registry.get("perceptron.xor")
    parameters = claim.variants("smoke")[0].parameters
    checked = repro.check(claim, profile="smoke")
    for marks in ((), ("its kind is not declared",)):
        own = Evaluation("claim", "x", parameters, (0, 1), checked.verdict.status, checked.verdict, marks=marks)
        counterparts = [
            Evaluation(role, "x", parameters, (0, 1), status, replace(checked.verdict, status=status))
            for role, status in (("control", "refuted"), ("correction", "reproduced"))
        ]
        result = ClaimResult(claim.id, own, tuple(counterparts))
        publish(RUN, [result], tmp_path)
        monkeypatch.setattr(loading, "published", lambda profile: published(profile, tmp_path))
        base = loading.load_published("smoke")
        compared = compare_runs(base, replace(base, run=RUN, results=(result,)))
        assert (compared.compared, compared.verdicts, compared.worse) == (1, (), False), marks


def test_references_of_older_versions_are_taken_for_the_parameters_of_the_profile():
    assert Path(loading.__file__).parents[1] / "published" == FOLDER
    loaded = loading.load_published("smoke")
    result = next(result for result in loaded.results if result.id == "perceptron.xor")
    old = replace(published("smoke")["perceptron.xor"], parameters=None)
    assert loading._result("perceptron.xor", old, "smoke").evaluation.parameters == result.evaluation.parameters


def test_observations_that_the_claim_cannot_read_any_more_have_no_sample(store):
    (result,) = store.results("first")
    table = pd.DataFrame({"other": [1.0]})
    assert stored_samples(result, lambda _: table).count == 0
    assert stored_samples(replace(result, id="gone.claim"), store.read_observations).count == 0
