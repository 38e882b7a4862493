"""What is made of experiments that take all seeds, one seed, or none."""

import pandas as pd
import pytest

from repro.catalogue import observe
from repro.catalogue.experiments import takes_seeds
from repro.common import ClaimError, ObservationsError


def of_all(seeds, *, scale=1):
    return pd.DataFrame({"seed": seeds, "value": [scale * seed for seed in seeds]})


def row(seed, *, scale=1):
    return {"value": scale * seed, "name": f"seed {seed}"}


def rows(seed, *, scale=1):
    return {"position": [0, 1], "value": [scale * seed, scale * seed + 0.5], "name": "both"}


def table(seed, *, scale=1):
    return pd.DataFrame({"value": [scale * seed] * (seed + 1)})


def tuned(seed):
    found = pd.DataFrame({"value": [seed]})
    found.attrs["tuning"] = [{"rate": 0.1 * seed}]
    return found


def without(*, scale=1):
    return pd.DataFrame({"value": [scale]})


def test_all_seeds_at_once():
    assert observe(of_all, range(3), scale=2)["value"].tolist() == [0, 2, 4]


def test_a_mapping_of_scalars_is_a_row():
    assert observe(row, [3, 5], scale=2).to_dict("list") == {
        "seed": [3, 5],
        "value": [6, 10],
        "name": ["seed 3", "seed 5"],
    }


def test_a_mapping_with_sequences_is_several_rows():
    assert observe(rows, [1, 2]).to_dict("list") == {
        "seed": [1, 1, 2, 2],
        "position": [0, 1, 0, 1],
        "value": [1.0, 1.5, 2.0, 2.5],
        "name": ["both"] * 4,
    }


def test_tables_may_differ_in_length():
    found = observe(table, [0, 2])
    assert found["seed"].tolist() == [0, 2, 2, 2]
    assert found.index.tolist() == [0, 1, 2, 3]
    assert found.columns[0] == "seed"
    assert found.attrs == {}


def test_a_single_seed_needs_no_list():
    pd.testing.assert_frame_equal(observe(row, 3), observe(row, [3]))


def test_trials_of_searches_are_joined():
    assert observe(tuned, [1, 2]).attrs["tuning"] == [{"rate": 0.1}, {"rate": 0.2}]


def test_without_randomness():
    assert observe(without, scale=3)["value"].tolist() == [3]
    assert [takes_seeds(each) for each in (of_all, row, without)] == [True, True, False]


def test_the_table_of_an_experiment_is_not_changed():
    kept = pd.DataFrame({"value": [1]})
    observe(lambda seed: kept, [0, 1])  # noqa: ARG005
    assert list(kept) == ["value"]


@pytest.mark.parametrize(
    ("experiment", "seeds", "error", "message"),
    [
        (row, [], ClaimError, "row takes a seed; give it one, or a list"),
        (lambda seed: [seed], [0], ClaimError, "returned list, not a DataFrame, or a mapping"),
        (lambda seeds: None, [0], ClaimError, "returned nothing, not a DataFrame"),  # noqa: ARG005
        (lambda seed: {"seed": seed}, [0], ObservationsError, "leave the column 'seed' to what calls it"),
    ],
)
def test_what_cannot_be_observed_is_one_line(experiment, seeds, error, message):
    with pytest.raises(error, match=message) as raised:
        observe(experiment, seeds)
    assert "\n" not in str(raised.value)
