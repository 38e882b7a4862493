"""Every claim: at smoke as published, its full profile runs, and it says how it is measured."""

import inspect
import json

import pandas as pd
import pytest
import stand_in

import repro
from repro import backend, environment
from repro.published import FOLDER, published
from repro.registry import registered

CLAIMS = registered()
SMOKE = published("smoke")
PUBLISHED_ON = json.loads((FOLDER / "smoke.json").read_text(encoding="utf-8"))["environment"]
SLOW = 10.0  # seconds that an experiment and its counterparts took together when it was published
# What makes any experiment small; a parameter of another name is small already, or is added here.
TINY = {
    "data": "digits",
    "batch_size": 32,
    "batch_sizes": (4, 8),
    "depth": 3,
    "depths": (8, 14),
    "tanh_depths": (8, 14),
    "dimensions": (2, 5),
    "draws": 1,
    "epochs": 1,
    "every": 3,
    "images": 30,
    "labellings": 3,
    "layers": ((2, 0.5), (16, 0.5)),
    "levels": 50,
    "matrices": 3,
    "most": 4,
    "narrowest": 8,
    "network_images": 30,
    "network_steps": 10,
    "networks": 1,
    "pairs": 1,
    "planes": 2,
    "points": 20,
    "rates": (0.01,),
    "repeats": 2,
    "runs": 2,
    "samples": (2, 4),
    "steps": 6,
    "target": 0.0,
    "training_images": 64,
    "training_sets": 2,
    "trials": 2,
    "units": 4,
    "hidden": (2, 2),
    "width": 8,
    "examples": 200,
    "generated": 20,
    "langevin_steps": 5,
    "lengths": (50, 100),
    "paths": 5,
    "sets": ("clusters",),
    "sides": (1, 2),
    "starts": 20,
}


@pytest.fixture(autouse=True, scope="module")
def configured():
    backend.configure()


def held(config):
    """The claims that are held to their published verdicts: the headline claims, and on TensorFlow the quick ones.

    The published verdicts are TensorFlow's; on JAX the headline claims stand for all.
    """
    every = config.getoption("--every-claim")
    return [
        CLAIMS[name]
        for name, reference in SMOKE.items()
        if every or "headline" in CLAIMS[name].tags or (backend.name() == "tensorflow" and cost(reference) <= SLOW)
    ]


def grown(config):
    """The claims with parameters of their own for the full profile: the headline claims stand for all."""
    every = config.getoption("--every-claim")
    return [claim for claim in CLAIMS.values() if claim.full and (every or "headline" in claim.tags)]


def cost(reference):
    return sum(item.seconds for item in (reference, *reference.counterparts.values()))


def pytest_generate_tests(metafunc):
    for fixture, choose in (("held_claim", held), ("grown_claim", grown)):
        if fixture in metafunc.fixturenames:
            claims = choose(metafunc.config)
            metafunc.parametrize(fixture, claims, ids=[claim.id for claim in claims])


@pytest.fixture(scope="session")
def smoke_results(tmp_path_factory, request):
    """The results of one smoke run of the claims that the selected tests hold, by id."""
    calls = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    chosen = dict.fromkeys(params["held_claim"].id for params in calls if "held_claim" in params)
    run = repro.run(*chosen, profile="smoke", results=tmp_path_factory.mktemp("smoke"))
    return {result.id: result for result in run.results}


def test_contradicts_nothing_that_is_published(held_claim, smoke_results):
    result = smoke_results[held_claim.id]
    messages = [evaluation.message for evaluation in (result.evaluation, *result.counterparts)]
    assert not result.failed, (result.status, result.published, messages)


@pytest.mark.skipif(
    (PUBLISHED_ON["cpu"], PUBLISHED_ON["keras"]) != (environment.cpu(), environment.version("keras"))
    or backend.name() != "tensorflow",
    reason="another processor or release rounds otherwise, and what is near a boundary may come out undecided",
)
def test_agrees_with_the_published_verdicts(held_claim, smoke_results):
    result, reference = smoke_results[held_claim.id], SMOKE[held_claim.id]
    found = {evaluation.kind: evaluation.status for evaluation in (result.evaluation, *result.counterparts)}
    counterparts = {kind: counterpart.status for kind, counterpart in reference.counterparts.items()}
    assert found == {"claim": reference.status, **counterparts}


# Deviations beyond the bound are so rare that none is drawn at smoke, with any seed.
WITHOUT_EVENTS = ("generalization.vc_inequality",)


def test_observations_differ_between_seeds(held_claim, smoke_results):
    if held_claim.id in WITHOUT_EVENTS:
        pytest.skip("nothing happens at this size")
    verdict = smoke_results[held_claim.id].evaluation.verdict
    if held_claim.takes_seeds and verdict is not None and has_measurements(verdict.observations):
        assert differ_between_seeds(verdict.observations), "the experiment takes seeds and ignores them"


def test_counterparts_observe_something_else(held_claim, smoke_results):
    result = smoke_results[held_claim.id]
    for counterpart in result.counterparts:
        if counterpart.verdict is not None and result.evaluation.verdict is not None:
            assert not counterpart.verdict.observations.equals(result.evaluation.verdict.observations), (
                f"what the {counterpart.kind} changes has no effect on the observations"
            )


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


def test_full_overrides_run_at_one_seed_and_tiny_size(grown_claim):
    full = grown_claim.variants("full")[0].parameters
    parameters = {setting: TINY.get(setting, value) for setting, value in full.items()}
    observations = grown_claim([0], **parameters) if grown_claim.takes_seeds else grown_claim(**parameters)
    assert isinstance(observations, pd.DataFrame)
    assert not observations.empty


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_says_how_it_is_measured(claim):
    assert inspect.getdoc(claim.function)
    assert claim.criterion.describe()
