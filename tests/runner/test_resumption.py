"""Interrupted runs go on where they stopped, on stand-in claims."""

import sys
from dataclasses import replace

import pytest
import stand_in
from claim_source import claim_source

import repro
from repro.catalogue import registry
from repro.common.errors import ReproError, StoreError
from repro.results.records import Request
from repro.results.store import Store
from repro.runner import execution, planning, resumption

CLAIMS = [stand_in.bounded, stand_in.addition, stand_in.first_reader, stand_in.second_reader]
OPTIONS = {"seeds": 9, "overrides": {"stand_in.bounded": {"sizes": (8, 20)}}}


@pytest.fixture(autouse=True)
def stand_ins_are_registered(monkeypatch):
    monkeypatch.setattr(registry, "registered", lambda: {claim.id: claim for claim in CLAIMS})


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "results")


def interrupted(store, after=1, claims=CLAIMS, **options):
    """Run claims, but only until some are recorded."""

    def interrupt(event):
        if isinstance(event, execution.Recorded) and len(store.results(store.run().id)) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execution.execute(planning.make_plan(claims, "smoke", **options), store.folder, workers=0, listen=interrupt)
    return store.run()


def resume(store, run, listen=execution.ignore):
    return execution.execute(resumption.plan_rest(run, store), store.folder, workers=0, listen=listen, resumed=run)


def without_costs(results):
    def plain(evaluation):
        return replace(evaluation, seconds=0.0, memory=0)

    return [
        replace(result, evaluation=plain(result.evaluation), counterparts=tuple(map(plain, result.counterparts)))
        for result in results
    ]


@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["by the profile", "with seeds and parameters"])
@pytest.mark.parametrize("after", [1, 3])
def test_a_resumed_run_equals_an_undisturbed_one(store, tmp_path, after, options):
    undisturbed = execution.execute(planning.make_plan(CLAIMS, "smoke", **options), tmp_path / "other", workers=0)
    run = interrupted(store, after, **options)
    completed = resume(store, run)
    assert without_costs(completed.results) == without_costs(undisturbed.results)
    assert {result.id for result in store.results(run.id)} == {claim.id for claim in CLAIMS}
    assert len(store.runs()) == 1


def test_only_what_is_missing_is_done(store):
    run = interrupted(store)
    done = {result.id for result in store.results(run.id)}
    recorded = []
    resume(
        store, run, lambda event: recorded.append(event.result.id) if isinstance(event, execution.Recorded) else None
    )
    assert sorted(recorded) == sorted({claim.id for claim in CLAIMS} - done)


def test_claims_that_ended_in_error_are_done(store, monkeypatch):
    claims = [stand_in.failing, stand_in.addition]
    monkeypatch.setattr(registry, "registered", lambda: {claim.id: claim for claim in claims})
    execution.execute(planning.make_plan(claims, "smoke"), store.folder, workers=0)
    with pytest.raises(ReproError, match="is complete; `repro report"):
        resumption.find_unfinished(store, store.run().id)


def test_the_latest_unfinished_run_is_found_behind_finished_ones(store):
    run = interrupted(store)
    execution.execute(planning.make_plan([stand_in.addition], "smoke"), store.folder, workers=0)
    assert resumption.find_unfinished(store) == run
    assert resumption.find_unfinished(store, run.id) == run
    resume(store, run)
    with pytest.raises(ReproError, match="has no unfinished run; `repro run` starts one"):
        resumption.find_unfinished(store)


def test_runs_of_versions_that_did_not_record_the_request_are_refused(store):
    run = replace(interrupted(store), id="old", request=None)
    store.begin(run)
    with pytest.raises(ReproError, match="run old was made by a version that could not resume; start a new run"):
        resumption.find_unfinished(store, "old")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keras": "2.0"}, r"run \S+ cannot be resumed with keras [\d.]+ instead of 2.0; resume it where it began"),
        ({"commit": "0" * 40}, "with commit"),
        ({"packages": {"numpy": "1.0"}}, r"with numpy [\d.]+ instead of 1.0"),
    ],
)
def test_other_conditions_than_at_the_beginning_are_refused(store, change, message):
    run = interrupted(store)
    begun_elsewhere = replace(run, environment=run.environment | change)
    with pytest.raises(ReproError, match=message):
        resume(store, begun_elsewhere)
    assert len(store.results(run.id)) == 1


def test_other_cores_and_memory_are_no_other_conditions(store):
    run = interrupted(store)
    resume(store, replace(run, environment=run.environment | {"cores": 512, "memory": 1}))
    assert len(store.results(run.id)) == len(CLAIMS)


def test_of_two_that_resume_a_run_at_once_one_says_so(store):
    run = interrupted(store)
    plan = resumption.plan_rest(run, store)
    resume(store, run)
    with pytest.raises(StoreError, match=r"already has a result of stand_in\.\w+; another process works on this run"):
        execution.execute(plan, store.folder, workers=0, resumed=run)
    assert sorted(result.id for result in store.results(run.id)) == sorted(claim.id for claim in CLAIMS)


def test_the_request_comes_back_as_it_was_stored(store):
    request = Request(("a.b", "c.d"), 9, {"a.b": {"sizes": (8, (20,)), "rate": 0.1, "name": None}}, {"c.d": "0" * 64})
    store.begin(replace(interrupted(store), id="other", request=request))
    assert store.run("other").request == request


def test_a_request_that_cannot_be_stored_is_named(store):
    request = Request(("a.b",), None, {"a.b": {"model": object()}})
    with pytest.raises(StoreError, match="parameter model=<object"):
        store.begin(replace(interrupted(store), id="other", request=request))


def test_the_python_interface_resumes(store):
    run = interrupted(store)
    with pytest.raises(ReproError, match="resume takes claims, profile, source, seeds and data from the run"):
        repro.run("stand_in", results=store.folder, workers=0, resume="latest")
    completed = repro.run(results=store.folder, workers=0, resume="latest")
    assert completed.run == run
    assert [result.id for result in completed.results] == [claim.id for claim in CLAIMS]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A file of the user's own with two claims."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    file = tmp_path / "bounds.py"
    file.write_text("".join(claim_source(name) for name in ("first", "second")))
    return file


def test_claims_of_a_file_go_on_where_the_file_is_named_again(store, own):
    run = interrupted(store, claims=registry.find(str(own)))
    with pytest.raises(
        ReproError, match=r"bounds\.second was in a file of your own; name the file, `repro run --resume"
    ):
        repro.run(results=store.folder, workers=0, resume="latest")
    completed = repro.run(str(own), results=store.folder, workers=0, resume="latest")
    assert completed.run == run
    assert [result.id for result in completed.results] == ["bounds.first", "bounds.second"]


def test_a_file_that_has_changed_does_not_go_on(store, own):
    run = interrupted(store, claims=registry.find(str(own)))
    own.write_text(own.read_text() + "\n")
    with pytest.raises(ReproError, match=f"bounds.py is not as it was when run {run.id} began; restore it"):
        repro.run(str(own), results=store.folder, workers=0, resume=run.id)
    assert len(store.results(run.id)) == 1
