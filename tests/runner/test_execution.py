"""Planning, executing, judging and recording, on stand-in claims."""

import inspect
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import stand_in

import repro
from repro.catalogue import design, first_seed, registry
from repro.catalogue.fingerprints import BLOCK
from repro.common.errors import ReproError
from repro.engine import backend
from repro.results.reference import PublishedClaim, PublishedCounterpart
from repro.results.store import Store
from repro.runner import execution, planning

READERS = [stand_in.first_reader, stand_in.second_reader]


def seeds_from_the_first(claim, count):
    """Seeds of a run of a claim, which follow from its design."""
    first = first_seed(claim)
    return tuple(range(first, first + count))


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "results")


def execute(store, claims, workers=0, listen=execution.ignore, **options):
    return execution.execute(planning.make_plan(claims, "smoke", **options), store.folder, workers, listen)


def by_id(completed):
    return {result.id: result for result in completed.results}


@pytest.fixture(scope="module")
def in_workers(tmp_path_factory):
    """Stand-in claims of every fate, run together by two worker processes."""
    store = Store.open(tmp_path_factory.mktemp("workers"))
    claims = [
        stand_in.bounded,
        stand_in.dying,
        stand_in.failing,
        stand_in.without_data,
        stand_in.timed,
        stand_in.pausing,
    ]
    return store, execute(store, claims, workers=2)


@pytest.mark.parametrize(("profile", "count"), [("smoke", 13), ("standard", 24), ("full", 48)])
def test_profiles_set_the_number_of_seeds(profile, count):
    assert planning.seeds_of(stand_in.bounded, profile, None) == seeds_from_the_first(stand_in.bounded, count)


def test_seeds_are_those_that_the_claim_asks_for_but_exact_if_asked_for():
    eight, seven = (seeds_from_the_first(stand_in.first_reader, count) for count in (8, 7))
    assert planning.seeds_of(stand_in.first_reader, "full", None) == eight
    assert planning.seeds_of(stand_in.first_reader, "full", 7) == seven


@pytest.mark.parametrize(("asked", "count"), [(None, 48), (150, 150)])
def test_a_repetition_has_fresh_seeds(asked, count):
    own, fresh = (set(planning.seeds_of(stand_in.bounded, "full", asked, role)) for role in ("claim", "repetition"))
    assert len(own) == len(fresh) == count
    assert not own & fresh


def test_claims_without_randomness_have_no_seeds():
    assert planning.seeds_of(stand_in.addition, "full", 7) == ()


@pytest.mark.parametrize("seeds", [0, -1])
def test_fewer_than_one_seed_is_refused(seeds):
    with pytest.raises(ReproError, match=f"at least 1, not {seeds}"):
        planning.make_plan([stand_in.addition], "smoke", seeds=seeds)


def test_claims_with_the_same_experiment_share_jobs():
    plan = planning.make_plan(READERS, "smoke")
    assert [(task.claim.id, task.variant.role) for task in plan.tasks] == [
        ("stand_in.first_reader", "claim"),
        ("stand_in.first_reader", "control"),
        ("stand_in.second_reader", "claim"),
        ("stand_in.second_reader", "control"),
    ]
    assert [job.parameters["broken"] for job in plan.jobs] == [False, True]
    assert [task.job for task in plan.tasks] == plan.jobs * 2


def test_other_parameters_or_seeds_are_other_jobs():
    other = planning.make_plan(READERS, "smoke", overrides={"stand_in.first_reader": {"size": 2}})
    assert len(other.jobs) == 4
    own_parameter = planning.make_plan(READERS, "smoke", overrides={"stand_in.first_reader": {"factor": 2}})
    assert len(own_parameter.jobs) == 2


def test_shared_experiments_are_executed_and_stored_once(store, tmp_path):
    log = tmp_path / "executions"
    overrides = {claim.id: {"log": str(log)} for claim in READERS}
    first, second = execute(store, READERS, overrides=overrides).results
    assert sorted(log.read_text().split("\n")) == ["", "3 False", "3 True"]
    assert first.evaluation.observations == second.evaluation.observations
    assert first.seconds > 0
    assert second.seconds == 0
    assert second.memory > 1e6


def test_results_are_stored_with_verdicts_and_environment(store):
    completed = execute(store, [stand_in.bounded, stand_in.addition])
    run = store.run()
    assert (run.id, run.profile) == (completed.run.id, "smoke")
    assert run.environment["cores"] >= 1
    stored = {result.id: result for result in store.results(run.id)}
    bounded, addition = stored["stand_in.bounded"], stored["stand_in.addition"]
    assert (bounded.status, bounded.sound, bounded.evaluation.verdict.n) == ("reproduced", True, 13)
    assert (addition.status, addition.sound, addition.evaluation.seeds) == ("refuted", True, ())
    assert addition.counterparts[0].statement == "Three plus three is six."
    pd.testing.assert_frame_equal(
        store.read_observations(bounded.evaluation.observations),
        stand_in.bounded(seeds_from_the_first(stand_in.bounded, 13), points=5),
    )


def test_whatever_a_claim_does_the_others_go_on(store):
    claims = [
        stand_in.failing,
        stand_in.unjudged,
        stand_in.without_data,
        stand_in.on_gpu,
        stand_in.unsound,
        stand_in.bounded,
    ]
    results = by_id(execute(store, claims, seeds=8))
    failing, unjudged = results["stand_in.failing"], results["stand_in.unjudged"]
    assert (failing.status, failing.evaluation.message) == ("error", "ZeroDivisionError: division by zero")
    assert "depth / 0" in failing.evaluation.traceback
    assert unjudged.status == "error"
    assert unjudged.evaluation.message.startswith("ObservationsError: AtMost reads column 'missing'")
    assert unjudged.evaluation.observations is not None
    without_data, unsound = results["stand_in.without_data"], results["stand_in.unsound"]
    assert without_data.status == "skipped"
    assert without_data.evaluation.message.endswith("download it")
    assert (unsound.sound, unsound.failed) == (False, True)
    assert results["stand_in.bounded"].status == "reproduced"
    assert {name for name, result in results.items() if result.failed} == {failing.id, unjudged.id, unsound.id}


def test_unmet_requirements_skip(store):
    if backend.device() != "CPU":
        pytest.skip("this machine has a GPU")
    (result,) = execute(store, [stand_in.on_gpu]).results
    assert result.status == "skipped"
    assert result.evaluation.message.startswith("needs gpu, this is ")


def test_experiments_that_return_no_table_are_errors(store):
    @repro.claim("x", source=repro.notes("1"), criterion=repro.AtMost("a", bound=1), control={"value": 2})
    def tableless(*, value=1):
        return value

    (result,) = execute(store, [tableless]).results
    assert result.evaluation.message == "ClaimError: " + f"{tableless.__qualname__} returned int, not a DataFrame"


def test_workers_make_the_same_observations_as_this_process(in_workers, store):
    (here,) = execute(store, [stand_in.bounded]).results
    there = by_id(in_workers[1])["stand_in.bounded"]
    assert there.evaluation.observations == here.evaluation.observations


def test_a_dead_worker_is_an_error_of_its_job_alone(in_workers):
    store, completed = in_workers
    results = by_id(completed)
    assert results["stand_in.dying"].status == "error"
    assert "worker process died" in results["stand_in.dying"].evaluation.message
    assert results["stand_in.failing"].evaluation.message == "ZeroDivisionError: division by zero"
    assert results["stand_in.without_data"].status == "skipped"
    assert results["stand_in.pausing"].sound
    assert "native noise" in (store.folder / "workers.log").read_text()


def test_timings_are_taken_alone(in_workers):
    store, completed = in_workers
    results = by_id(completed)

    def interval(evaluation):
        observations = store.read_observations(evaluation.observations)
        return observations["began"].min(), observations["ended"].max()

    timed, pausing = results["stand_in.timed"], results["stand_in.pausing"]
    timings = [interval(evaluation) for evaluation in (timed.evaluation, *timed.counterparts)]
    others = [interval(evaluation) for evaluation in (pausing.evaluation, *pausing.counterparts)]
    assert max(ended for _, ended in others) < min(began for began, _ in timings)
    (first, second) = sorted(timings)
    assert first[1] < second[0]


def test_an_interrupted_run_keeps_what_is_done(store):
    def interrupt(event):
        if isinstance(event, execution.Recorded):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(store, [stand_in.addition, stand_in.bounded], listen=interrupt)
    assert len(store.results(store.run().id)) == 1


def test_events_tell_what_runs(store):
    events = []
    execute(store, [stand_in.addition], listen=events.append)
    names = [type(event).__name__ for event in events]
    assert names == ["Begun", "Started", "Finished", "Started", "Finished", "Recorded"]
    assert (events[0].workers, events[0].resumed, events[0].folder) == (0, False, store.folder)


def test_longest_jobs_come_first_and_unknown_ones_before(store, monkeypatch):
    counterparts = {"correction": PublishedCounterpart("reproduced", 9.0)}
    reference = PublishedClaim("refuted", None, None, None, 1, 4.0, counterparts)
    monkeypatch.setattr(planning, "published", {"smoke": {"stand_in.addition": reference}}.get)
    plan = planning.with_expected_times(planning.make_plan([stand_in.addition, stand_in.unsound], "smoke"), store)
    assert [plan.expected.get(job) for job in plan.jobs] == [None, None, 9.0, 4.0]
    assert planning.expected_seconds(plan, plan.jobs, 2) == 9.0
    assert planning.expected_seconds(plan, plan.jobs, 1) == 13.0


def test_a_run_begins_with_the_quickest_claim_of_every_module(store, monkeypatch):
    def published(seconds):
        return PublishedClaim("refuted", None, None, None, 1, seconds, {})

    def named(name, module):
        claim = replace(stand_in.timed, function=lambda seeds: seeds, control=None)
        claim.function.__module__, claim.function.__name__, claim.function.__qualname__ = module, name, name
        return claim

    seconds = {"one.slow": 60.0, "one.quick": 2.0, "one.quickest": 1.0, "two.slow": 50.0, "three.quick": 0.5}
    claims = [named(*reversed(name.split("."))) for name in seconds]
    monkeypatch.setattr(planning, "published", lambda _: {name: published(each) for name, each in seconds.items()})
    plan = planning.with_expected_times(planning.make_plan(claims, "smoke"), store)
    order = [plan.tasks_of(job)[0].claim.id for job in plan.jobs]
    assert order == ["three.quick", "one.quickest", "one.slow", "two.slow", "one.quick"]


def test_measured_times_replace_published_ones(store):
    (result,) = execute(store, [stand_in.timed], seeds=1).results
    plan = planning.with_expected_times(planning.make_plan([stand_in.timed], "smoke"), store)
    assert sum(plan.expected.values()) == pytest.approx(result.seconds)


@pytest.mark.parametrize(
    ("seconds", "count", "expected"),
    [([4, 3, 2, 1], 2, 5), ([4, 3, 2, 1], 0, 10), ([4, 3, 2, 1], 9, 4), ([], 2, 0), ([3, 3, 2, 2, 2], 2, 7)],
)
def test_makespan_of_list_scheduling(seconds, count, expected):
    assert planning.makespan(seconds, count) == expected


def test_published_verdicts_bind_only_runs_like_the_published(store, monkeypatch):
    reference = PublishedClaim("reproduced", None, None, None, 1, 0.0, {}, design=design(stand_in.addition))
    monkeypatch.setattr(planning, "published", {"smoke": {"stand_in.addition": reference}}.get)
    (contradicting,) = execute(store, [stand_in.addition]).results
    assert (contradicting.published, contradicting.failed) == ("reproduced", True)
    (overridden,) = execute(store, [stand_in.addition], overrides={"stand_in.addition": {"right": 8.0}}).results
    assert (overridden.published, overridden.failed) == (None, False)
    (other_seeds,) = execute(store, [stand_in.addition], seeds=3).results
    assert other_seeds.published is None


@pytest.mark.parametrize("other", ["", "0" * 12])
def test_verdicts_on_another_design_bind_nothing(store, monkeypatch, other):
    reference = PublishedClaim("reproduced", None, None, None, 1, 0.0, {}, design=other)
    monkeypatch.setattr(planning, "published", {"smoke": {"stand_in.addition": reference}}.get)
    (result,) = execute(store, [stand_in.addition]).results
    assert (result.published, result.failed) == (None, False)


def test_a_data_set_reaches_the_claims_that_choose():
    overrides = planning.data_overrides([stand_in.bounded, stand_in.addition], "mnist")
    assert overrides == {"stand_in.bounded": {"data": "mnist"}}
    with pytest.raises(ReproError, match="none of the chosen claims takes a data set"):
        planning.data_overrides([stand_in.addition], "mnist")


def test_the_python_interface_runs_registered_claims(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "registered", lambda: {stand_in.addition.id: stand_in.addition})
    completed = repro.run("stand_in", profile="smoke", results=tmp_path / "results", workers=0)
    assert [result.status for result in completed.results] == ["refuted"]
    assert Store.existing(tmp_path / "results").run().id == completed.run.id


def test_public_names_are_what_the_stub_lists():
    for name in repro.__all__:
        assert getattr(repro, name) is not None
    assert inspect.isfunction(repro.claim)
    assert Path(repro.__file__).with_name("py.typed").exists()


@repro.claim(
    "Values are below a half.",
    source=repro.notes("1"),
    kind="law",
    criterion=repro.Equivalent("value", 0.0, smallest_difference=0.5, source="the test"),
    control={"shift": 1.0},
)
def clear(seeds, *, shift=0.0, fails_from=100, log=""):
    """Decided by the first look, unless it fails before."""
    places = [seed % BLOCK for seed in seeds]  # a run has the seeds from the start of a block
    if log:
        with Path(log).open("a") as file:
            file.write(f"{places[0]}-{places[-1]} {shift}\n")
    if max(places) >= fails_from:
        raise ValueError("too many seeds")
    table = pd.DataFrame({"seed": seeds, "value": [shift + place / 1000 for place in places]})
    table.attrs["tuning"] = [{"score": 1.0}]
    return table


def reader(name, criterion):
    def read(observations):
        return observations

    read.__name__ = name
    declare = repro.claim(
        "x",
        source=repro.notes("1"),
        kind="law",
        criterion=criterion,
        reads=clear.function,
        control={"shift": 1.0},
    )
    return declare(read)


UNCLEAR = reader("unclear", repro.Equivalent("value", 0.012, smallest_difference=0.0085, source="the test"))
IDENTITY = reader("identity", repro.Identity("value", "value"))


def standard(store, claims, **options):
    overrides = {claim.id: options.pop("parameters", {}) for claim in claims}
    return execution.execute(
        planning.make_plan(claims, "standard", overrides=overrides, **options), store.folder, workers=0
    ).results


def test_a_clear_verdict_takes_a_third_fewer_seeds(store, tmp_path):
    log = tmp_path / "log"
    (result,) = standard(store, [clear], parameters={"log": str(log)})
    assert (result.status, result.counterparts[0].status, result.sound) == ("reproduced", "refuted", True)
    sixteen = seeds_from_the_first(clear, 16)
    assert [evaluation.seeds for evaluation in (result.evaluation, *result.counterparts)] == [sixteen] * 2
    assert log.read_text().splitlines() == ["0-15 0.0", "0-15 1.0"]
    # Sixteen of sixteen are inside: the sign test at a third of the error probability.
    assert result.evaluation.verdict.p == pytest.approx(2 / 2**16 / 0.33)
    assert result.evaluation.verdict.confidence == pytest.approx(0.9967)
    observations = store.read_observations(result.evaluation.observations)
    assert (len(observations), observations.attrs["tuning"]) == (16, [{"score": 1.0}])


def test_an_unclear_verdict_takes_all_seeds_and_the_shared_job_goes_on(store, tmp_path):
    log = tmp_path / "log"
    decided, unclear = execution.execute(
        planning.make_plan([clear, UNCLEAR], "standard", overrides={c.id: {"log": str(log)} for c in (clear, UNCLEAR)}),
        store.folder,
        workers=0,
    ).results
    assert [line for line in log.read_text().splitlines() if line.endswith("0.0")] == ["0-15 0.0", "16-23 0.0"]
    assert len(decided.evaluation.seeds) == 16
    assert unclear.evaluation.seeds == seeds_from_the_first(UNCLEAR, 24) == seeds_from_the_first(clear, 24)
    assert unclear.evaluation.verdict.confidence == pytest.approx(0.9933)
    assert (decided.seconds > 0, unclear.seconds > 0) == (True, True)  # each bears what was made for it alone
    whole = store.read_observations(unclear.evaluation.observations)
    pd.testing.assert_frame_equal(whole, clear(seeds_from_the_first(clear, 24)))
    assert whole.attrs["tuning"] == [{"score": 1.0}]


def test_exactly_the_seeds_asked_for_are_taken_at_once(store, tmp_path):
    log = tmp_path / "log"
    (result,) = standard(store, [clear], parameters={"log": str(log)}, seeds=30)
    assert log.read_text().splitlines() == ["0-29 0.0", "0-29 1.0"]
    assert result.evaluation.verdict.confidence == 0.99


def test_criteria_without_sampling_error_take_all_seeds_at_once(store, tmp_path):
    log = tmp_path / "log"
    (result,) = standard(store, [IDENTITY], parameters={"log": str(log)})
    assert (result.status, result.evaluation.verdict.n) == ("reproduced", 24)
    assert log.read_text().splitlines() == ["0-23 0.0", "0-23 1.0"]


def test_an_error_at_a_later_look_is_an_error(store):
    (result,) = standard(store, [UNCLEAR], parameters={"fails_from": 20})
    assert (result.status, result.evaluation.message) == ("error", "ValueError: too many seeds")
    assert result.evaluation.observations is None


def test_every_job_starts_and_finishes_once(store):
    events = []
    execution.execute(planning.make_plan([clear, UNCLEAR], "standard"), store.folder, workers=0, listen=events.append)
    for kind in (execution.Started, execution.Finished):
        jobs = [event.job for event in events if isinstance(event, kind)]
        assert len(jobs) == len(set(jobs)) == 2


def test_growing_samples_do_not_depend_on_workers(store):
    (here,) = execution.execute(planning.make_plan([stand_in.spread], "standard"), store.folder, workers=0).results
    (there,) = execution.execute(planning.make_plan([stand_in.spread], "standard"), store.folder, workers=2).results
    assert here.evaluation.seeds == there.evaluation.seeds == seeds_from_the_first(stand_in.spread, 24)
    assert here.evaluation.observations == there.evaluation.observations
    assert here.evaluation.verdict == there.evaluation.verdict
