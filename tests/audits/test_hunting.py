"""The fault audit, in this process, with stand-in claims."""

import keras
import numpy as np
import pandas as pd
import pytest

from repro import AtMost, Identity, cheatsheet, claim
from repro.audits.faults import SPECIAL
from repro.audits.hunting import audit_faults
from repro.catalogue import registry
from repro.common.errors import ReproError
from repro.engine import backend
from repro.results.reference import PublishedClaim, PublishedCounterpart


@claim(
    "The rectifier is the larger of its argument and zero.",
    source=cheatsheet("1"),
    kind="formula",
    criterion=Identity("rectified", "maximum"),
    control={"slope": 0.5},
)
def rectifier(seeds, *, slope=0.0):
    """Compares Keras with NumPy."""
    tables = []
    for seed in seeds:
        x = np.random.default_rng(seed).normal(size=10)
        rectified = keras.ops.convert_to_numpy(keras.ops.relu(keras.ops.convert_to_tensor(x)))
        tables.append(pd.DataFrame({"seed": seed, "rectified": rectified, "maximum": np.maximum(x, slope * x)}))
    return pd.concat(tables, ignore_index=True)


@claim(
    "Squares are at least zero.",
    source=cheatsheet("2"),
    kind="theorem",
    criterion=AtMost("negative", bound=0.0),
    control={"sign": -1.0},
)
def squares(seeds, *, sign=1.0):
    """Notices a wrong sign of the square, not a wrong factor."""
    squared = sign * keras.ops.convert_to_numpy(keras.ops.square(np.array(seeds) + 1.0))
    return pd.DataFrame({"seed": seeds, "negative": -squared})


def failing(original):
    """A mutation that raises once the function is called."""

    def faulty(*arguments):
        raise ValueError(f"{original.__name__} of {len(arguments)}")

    return faulty


def reference(control="refuted"):
    return PublishedClaim("reproduced", 0.0, 0.0, 1.0, 12, 0.1, {"control": PublishedCounterpart(control, 0.1)})


REFERENCES = {rectifier.id: reference(), squares.id: reference()}


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    backend.configure()
    monkeypatch.setattr(registry, "registered", lambda: registry.by_id([rectifier, squares]))


@pytest.fixture
def said():
    return []


def audit(said, references=REFERENCES, **options):
    return audit_faults([rectifier, squares], references, workers=0, listen=said.append, **options)


def test_says_which_evaluation_notices_a_fault(said):
    found = {each.name: each for each in audit(said, pattern="ops.*")}
    noticed = f"{rectifier.id}, claim refuted instead of reproduced"
    assert found["ops.relu: result doubled"].by == noticed
    assert found["ops.relu: sign flipped"].by == noticed
    assert not found["ops.square: result doubled"].caught
    assert f"{len(found)}/{len(found)} " in said[-1]
    assert list(found) == sorted(found)


def test_plants_faults_in_what_the_claims_use_only(said):
    used = {each.name.partition(":")[0] for each in audit(said)}
    assert {"ops.relu", "ops.square"} <= used
    assert not used & {"ops.softmax", "layers.Dense.call", "activations.relu"}


def test_an_evaluation_that_is_not_as_published_bears_no_witness(said):
    references = {rectifier.id: reference(control="reproduced"), squares.id: reference()}
    found = audit(said, references, pattern="ops.relu: sign flipped")
    assert f"{rectifier.id}, control: left out; refuted without faults, published reproduced" in said
    assert found[0].by == f"{rectifier.id}, claim refuted instead of reproduced"


def test_an_experiment_that_fails_with_the_fault_notices(said, monkeypatch):
    monkeypatch.setitem(SPECIAL, "keras.ops.square", {"fails": failing})
    (found,) = audit(said, {squares.id: reference()}, pattern="ops.square: fails")
    assert "error instead of" in found.by


def test_faults_that_nothing_matches_and_claims_without_reference_are_named(said):
    with pytest.raises(ReproError, match="no fault in what these claims use matches 'nothing'"):
        audit(said, pattern="nothing")
    with pytest.raises(ReproError, match="none of these claims has a published verdict at smoke"):
        audit(said, {})
