"""Every registered claim: as published, if its design is; that it lacks nothing; what it observes, and how."""

import inspect
import json
from dataclasses import replace
from pathlib import Path

import pytest
import stand_in

import repro
from repro.catalogue import design, lacking, registry
from repro.engine import backend
from repro.results.reference import FOLDER, published
from repro.results.store import Store
from repro.runner import environment

CLAIMS = registry.registered()
# Claims whose designs are fixed, but have not been judged on both backends yet.
UNJUDGED = (Path(__file__).parent / "unjudged.txt").read_text(encoding="utf-8").split()
SMOKE = published("smoke")
PUBLISHED_ON = json.loads((FOLDER / "smoke.json").read_text(encoding="utf-8"))["environment"]
SLOW = 10.0  # seconds that an experiment and its counterparts took together when it was published


def is_held(claim, reference):
    """Whether a published verdict is on the present design; those of before there were fingerprints are on none."""
    return reference is not None and reference.design == design(claim)


def is_quick(claim):
    """Whether a claim is run without ``--every-claim``: headline claims and new ones are, once they were judged.

    The published verdicts are TensorFlow's; on JAX headline claims and new exact ones, which are cheap, stand for all.
    """
    if "headline" in claim.tags:
        return True
    if claim.id in UNJUDGED:
        return False
    if claim.id not in SMOKE:
        return backend.name() == "tensorflow" or claim.scale_of(claim.defaults) == "exact"
    reference = SMOKE[claim.id]
    cost = sum(item.seconds for item in (reference, *reference.counterparts.values()))
    return backend.name() == "tensorflow" and cost <= SLOW


def pytest_generate_tests(metafunc):
    if "claim" in metafunc.fixturenames:
        slow = pytest.mark.skip(reason="slow by its published cost, or not judged yet; --every-claim runs it")
        every = metafunc.config.getoption("--every-claim") or "run" not in metafunc.fixturenames
        marked = [pytest.param(each, marks=() if every or is_quick(each) else slow) for each in CLAIMS.values()]
        metafunc.parametrize("claim", marked, ids=list(CLAIMS))


@pytest.fixture(scope="session")
def run(tmp_path_factory, request):
    """One smoke run of the claims that the selected tests ask for: results by id, and the store."""
    items = [item for item in request.session.items if "run" in getattr(item, "fixturenames", ())]
    asked = [item.callspec.params["claim"].id for item in items if not item.get_closest_marker("skip")]
    folder = tmp_path_factory.mktemp("smoke")
    completed = repro.run(*dict.fromkeys(asked), profile="smoke", results=folder)
    return {result.id: result for result in completed.results}, Store.existing(folder)


def observations_of(claim, evaluation, store):
    return claim.read(store.read_observations(evaluation.observations), evaluation.parameters)


def test_runs_and_is_contradicted_by_nothing(claim, run):
    results, _ = run
    result = results[claim.id]
    messages = [evaluation.message for evaluation in (result.evaluation, *result.counterparts)]
    assert not result.in_error, messages
    if claim.id not in SMOKE or is_held(claim, SMOKE[claim.id]):
        assert not result.complaints


@pytest.mark.skipif(
    (PUBLISHED_ON["cpu"], PUBLISHED_ON["keras"]) != (environment.cpu(), environment.version("keras"))
    or backend.name() != "tensorflow",
    reason="another processor or release rounds otherwise, and what is near a boundary may come out undecided",
)
def test_agrees_with_the_published_verdicts(claim, run):
    reference = SMOKE.get(claim.id)
    if not is_held(claim, reference):
        pytest.skip("nothing is published of its present design")
    results, _ = run
    result = results[claim.id]
    found = {evaluation.role: evaluation.status for evaluation in (result.evaluation, *result.counterparts)}
    counterparts = {role: counterpart.status for role, counterpart in reference.counterparts.items()}
    assert found == {"claim": reference.status, **counterparts}


def test_only_verdicts_on_the_present_design_are_held():
    claim, reference = registry.get("perceptron.novikoff"), SMOKE["perceptron.novikoff"]
    assert is_held(claim, replace(reference, design=design(claim)))
    assert not is_held(claim, replace(reference, design="0" * 12))
    assert not is_held(claim, replace(reference, design=""))
    assert not is_held(claim, None)


def test_what_is_not_judged_yet_is_registered_and_not_published():
    assert set(UNJUDGED) <= set(CLAIMS)
    assert not set(UNJUDGED) & set(SMOKE)


def test_lacks_nothing(claim):
    assert lacking(claim) == []


def test_observations_differ_between_seeds(claim, run):
    if not claim.takes_seeds:
        pytest.skip("nothing random happens")
    results, store = run
    observations = observations_of(claim, results[claim.id].evaluation, store)
    assert not observations.empty
    if has_measurements(observations):
        assert differ_between_seeds(observations), "the experiment takes seeds and ignores them"


def test_counterparts_observe_something_else(claim, run):
    results, store = run
    own, *counterparts = (results[claim.id].evaluation, *results[claim.id].counterparts)
    for counterpart in counterparts:
        if counterpart.parameters == own.parameters and counterpart.role != "repetition":
            continue  # another criterion judges the same observations
        tables = [
            observations_of(claim, evaluation, store).drop(columns="seed", errors="ignore")
            for evaluation in (own, counterpart)
        ]
        assert not tables[0].equals(tables[1]), f"what the {counterpart.role} changes has no effect"


def has_measurements(observations):
    """Whether there is more than counts, which may be the same for every draw, as those of Cover's theorem are."""
    return any(dtype.kind == "f" for dtype in observations.drop(columns="seed").dtypes)


def differ_between_seeds(observations):
    """Whether the rows of some seed differ from those of another."""
    tables = [rows.drop(columns="seed").reset_index(drop=True) for _, rows in observations.groupby("seed")]
    return any(not table.equals(tables[0]) for table in tables)


def test_notices_an_experiment_that_ignores_its_seeds():
    assert differ_between_seeds(stand_in.bounded([0, 1, 2]))
    assert not differ_between_seeds(stand_in.unsound([0, 1, 2]))


def test_says_how_it_is_measured(claim):
    assert inspect.getdoc(claim.function)
    assert claim.criterion.describe()
