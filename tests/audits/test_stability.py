from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import stand_in

from repro import Greater, cheatsheet, claim
from repro.audits import stability
from repro.audits.stability import audit_stability
from repro.catalogue import first_seed
from repro.common.errors import ReproError
from repro.runner.planning import SEEDS


@claim(
    "The second arm is larger by more than a tenth.",
    source=cheatsheet("1"),
    criterion=Greater("value", of="b", than="a", by="arm", smallest_difference=0.1, because="a tenth can be seen"),
    control={"shift": 0.0},
)
def arms(seeds, *, shift=1.0):
    """Draws paired normal numbers of standard deviation one."""
    tables = []
    for seed in seeds:
        noise = np.random.default_rng(seed).normal()
        tables.append(pd.DataFrame({"seed": seed, "arm": ["a", "b"], "value": [0.0, shift + noise]}))
    return pd.concat(tables, ignore_index=True)


def audit(chosen, **options):
    said = []
    return audit_stability(chosen, workers=0, listen=said.append, **options), said


def test_counts_statuses_and_agreement(monkeypatch):
    ((row,), said) = audit([arms], repeats=20)
    assert sum(row.statuses.values()) == row.repeats == 20
    assert row.agree is None  # nothing is published for it
    # At most one of 12 seeds may contradict; each does with a probability of 18 %, so a third of the sets decide.
    assert set(row.statuses) == {"inconclusive", "reproduced"}
    assert said[-1].startswith(f"20/20 {arms.id} ")
    plan = stability.make_plan
    monkeypatch.setattr(stability, "make_plan", lambda *of: replace(plan(*of), published={arms.id: "inconclusive"}))
    ((again,), _) = audit([arms], repeats=20)
    assert again.agree == row.statuses["inconclusive"]


def test_sets_of_seeds_are_disjoint_from_each_other_and_from_those_of_runs():
    used = []

    @claim("Recorded.", source=cheatsheet("1"), criterion=arms.criterion, control={"shift": 0.0})
    def recorded(seeds, *, shift=1.0):
        """Notes its seeds."""
        used.append(tuple(seeds))
        return arms.function(seeds, shift=shift)

    audit([recorded], repeats=50)
    seeds = [seed for chosen in used for seed in chosen]
    assert [len(chosen) for chosen in used] == [SEEDS["smoke"]] * 50
    assert len(set(seeds)) == len(seeds)
    assert max(seeds) < 2**32  # no generator of JAX, Keras or scikit-learn takes larger ones
    first = first_seed(recorded)
    assert not set(seeds) & set(range(first, first + SEEDS["smoke"]))


def test_claims_without_randomness_are_left_out():
    rows, _ = audit([stand_in.addition, stand_in.bounded], repeats=2)
    assert [row.id for row in rows] == ["stand_in.bounded"]
    with pytest.raises(ReproError, match="none of these claims takes seeds"):
        audit([stand_in.addition])


def test_repeats_must_be_positive():
    with pytest.raises(ReproError, match="repeats must be at least 1, not 0"):
        audit([arms], repeats=0)
