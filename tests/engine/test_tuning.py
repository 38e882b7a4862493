"""Searches on arms whose best hyperparameters are known, and fair comparisons."""

import math
from functools import partial
from types import SimpleNamespace

import pandas as pd
import pytest

from repro.common.errors import ReproError
from repro.engine.arms import compare_arms, join_tables
from repro.engine.training import Training
from repro.engine.tuning import TUNING_SEEDS, tune


class Parabola:
    """An arm whose training loss is the squared distance of log10 of the rate from its optimum, plus the seed's share.

    Attributes:
        calls: hyperparameters and seeds of every training.
    """

    def __init__(self, optimum=-1.0, diverges_above=math.inf):
        self.optimum = optimum
        self.diverges_above = diverges_above
        self.calls = []

    def __call__(self, *, seeds, settings=({},), steps=2, **others):
        self.calls.append({"settings": settings, "seeds": seeds, "steps": steps})
        rows = [
            {"seed": seed, **values, "step": step, "train_loss": loss + seed % 2 / step, "test_loss": -loss}
            for values in ({**others, **setting} for setting in settings)
            for loss in [self.loss(**values)]
            for seed in seeds
            for step in (steps // 2, steps)
        ]
        replicas = pd.DataFrame({"seed": seed, **others, **setting} for setting in settings for seed in seeds)
        nothing = (None,) * len(replicas)
        return Training(pd.DataFrame(rows), pd.DataFrame(), replicas, pd.DataFrame(), nothing, nothing)

    def loss(self, *, learning_rate, width=1, kind="a"):
        if learning_rate > self.diverges_above:
            return math.inf
        return (math.log10(learning_rate) - self.optimum) ** 2 + (width - 2) ** 2 + (kind != "b")


ORACLES = ["grid", "random", "bayesian"]


def test_the_grid_finds_the_best_of_all_combinations():
    arm = Parabola()
    space = {"learning_rate": [0.001, 0.01, 0.1, 1.0], "width": [1, 2, 3], "kind": ["a", "b"]}
    tuning = tune(arm, space, 24)
    assert tuning.best == {"learning_rate": 0.1, "width": 2, "kind": "b"}
    assert type(tuning.best["width"]) is int
    assert len(tuning.trials) == len(tuning.trials.drop_duplicates(list(space))) == 24
    # the median over the tuning seeds at the last step
    assert tuning.trials["score"].min() == pytest.approx(0.25)


def test_the_grid_divides_a_range_into_equal_factors():
    trials = tune(Parabola(), {"learning_rate": (0.001, 10.0)}, 5).trials
    assert sorted(trials["learning_rate"]) == pytest.approx([0.001, 0.01, 0.1, 1.0, 10.0])


def test_the_grid_covers_all_ranges_within_the_budget():
    arm = Parabola()
    trials = tune(arm, {"learning_rate": (0.01, 1.0), "width": (1.0, 4.0), "kind": ["a", "b"]}, 20).trials
    assert len(trials) == 18
    assert sorted(trials["width"].unique()) == pytest.approx([1.0, 2.0, 4.0])
    assert sorted(trials["learning_rate"].unique()) == pytest.approx([0.01, 0.1, 1.0])


@pytest.mark.parametrize("oracle", ["random", "bayesian"])
def test_other_oracles_come_near_the_best(oracle):
    tuning = tune(Parabola(), {"learning_rate": (1e-4, 1e2)}, 16, oracle=oracle)
    assert math.log10(tuning.best["learning_rate"]) == pytest.approx(-1, abs=0.6)


@pytest.mark.parametrize("oracle", ORACLES)
@pytest.mark.parametrize("budget", [1, 6])
def test_no_oracle_exceeds_its_budget_or_leaves_its_space(oracle, budget):
    arm = Parabola()
    tuning = tune(arm, {"learning_rate": (0.01, 1.0)}, budget, oracle=oracle)
    assert len(tuning.trials) == budget
    assert sum(len(call["settings"]) for call in arm.calls) == budget
    assert tuning.trials["learning_rate"].between(0.01 * 0.999, 1.001).all()
    assert all(call["seeds"] == list(TUNING_SEEDS) for call in arm.calls)


@pytest.mark.parametrize("oracle", ORACLES)
def test_a_search_is_repeatable_whatever_the_global_seed(oracle, monkeypatch):
    monkeypatch.setattr("random.randint", lambda *_: 1234)
    first = tune(Parabola(), {"learning_rate": (0.01, 1.0)}, 5, oracle=oracle)
    monkeypatch.setattr("random.randint", lambda *_: 4321)
    again = tune(Parabola(), {"learning_rate": (0.01, 1.0)}, 5, oracle=oracle)
    assert first.trials.equals(again.trials)


@pytest.mark.parametrize("oracle", ORACLES)
def test_trials_that_diverge_are_kept_and_not_chosen(oracle):
    tuning = tune(Parabola(diverges_above=0.05), {"learning_rate": (0.001, 10.0)}, 8, oracle=oracle)
    assert len(tuning.trials) == 8
    assert math.isinf(tuning.trials["score"].max())
    assert tuning.best["learning_rate"] <= 0.05


@pytest.mark.parametrize("oracle", ORACLES)
def test_when_every_trial_diverges_there_is_no_best(oracle):
    with pytest.raises(ReproError, match="every trial of the search over learning_rate diverged; include smaller"):
        tune(Parabola(diverges_above=0.0), {"learning_rate": (0.001, 10.0)}, 5, oracle=oracle)


def test_the_objective_may_be_another_column_or_a_function():
    space = {"learning_rate": [0.01, 0.1, 10.0]}
    assert tune(Parabola(), space, 3, objective="test_loss").best == {"learning_rate": 10.0}
    by_rate = tune(Parabola(), space, 3, objective=lambda training: training.records["learning_rate"].max())
    assert by_rate.best == {"learning_rate": 0.01}


def test_trials_are_trained_together():
    arm = Parabola()
    tune(arm, {"learning_rate": (0.001, 1.0)}, 10, oracle="random", at_once=4)
    assert [len(call["settings"]) for call in arm.calls] == [4, 4, 2]


def test_hyperband_gives_the_better_trials_more_steps():
    arm = Parabola()
    tuning = tune(arm, {"learning_rate": (0.001, 10.0)}, 40, oracle="hyperband", steps=90)
    lengths = tuning.trials.groupby("steps")["score"]
    assert set(lengths.groups) == {10, 30, 90}
    # of the nine to twelve short trials a third goes on, those with the lowest scores
    short, longer = lengths.get_group(10), lengths.get_group(30)
    assert len(longer) < len(short)
    assert {10, 30, 90} == {call["steps"] for call in arm.calls}
    assert abs(math.log10(tuning.best["learning_rate"]) + 1) < 0.7
    assert set(tuning.best) == {"learning_rate"}


@pytest.mark.parametrize(
    ("space", "budget", "options", "message"),
    [
        ({"learning_rate": [0.1]}, 0, {}, "a budget of at least one trial, not 0"),
        ({"learning_rate": [0.1]}, 1, {"oracle": "hyperband"}, "Hyperband needs the steps"),
        ({"learning_rate": [0.1]}, 1, {"steps": 9}, "only Hyperband takes them"),
        ({"learning_rate": [0.1, 0.2], "width": [1, 2]}, 3, {}, "a grid of 4 combinations needs a budget"),
        (
            {"learning_rate": [0.1, 0.2]},
            2,
            {"objective": "loss"},
            "the records have no 'loss' to minimise; they have seed, ",
        ),
    ],
)
def test_wrong_searches_are_errors(space, budget, options, message):
    with pytest.raises(ReproError, match=message):
        tune(Parabola(), space, budget, **options)


@pytest.mark.parametrize("oracle", ORACLES)
def test_a_search_prints_nothing(oracle, capfd):
    tune(Parabola(diverges_above=0.5), {"learning_rate": (0.01, 1.0)}, 5, oracle=oracle)
    assert capfd.readouterr() == ("", "")


def test_a_table_of_trials_carries_labels():
    first, second = tune(Parabola(), {"learning_rate": [0.1, 1.0]}, 2).table(arm="plain")
    assert first == {"learning_rate": 0.1, "score": pytest.approx(2.25), "arm": "plain"}
    assert second["learning_rate"] == 1.0


def test_nothing_is_trained_where_there_is_nothing_to_choose():
    arm = Parabola()
    tuning = tune(arm, {"learning_rate": [0.1], "width": [2]}, 4)
    assert tuning.best == {"learning_rate": 0.1, "width": 2}
    assert tuning.table(arm="plain") == []
    assert not arm.calls


def test_arms_are_compared_at_their_own_best_on_the_same_seeds():
    arms = {"slow": Parabola(-2.0), "fast": Parabola(0.0)}
    space = {"learning_rate": [0.01, 0.1, 1.0], "width": [2]}
    observations = compare_arms(arms, space, 3, [0, 1, 2], by="arm")
    chosen = observations.groupby("arm")["learning_rate"].unique()
    assert list(chosen["slow"]) == [0.01]
    assert list(chosen["fast"]) == [1.0]
    for arm, rows in observations.groupby("arm"):
        assert list(rows["seed"]) == [0, 0, 1, 1, 2, 2]
        searches, evaluations = arms[arm].calls[:-1], arms[arm].calls[-1:]
        assert sum(len(call["settings"]) for call in searches) == 3
        assert evaluations[0]["seeds"] == [0, 1, 2]
        assert not set(evaluations[0]["seeds"]) & {seed for call in searches for seed in call["seeds"]}
    tuning = pd.DataFrame(observations.attrs["tuning"])
    assert list(tuning["arm"]) == ["slow"] * 3 + ["fast"] * 3
    assert set(tuning) == {"arm", "learning_rate", "width", "score"}


def test_labels_stand_in_records_and_trials_and_survive_joining():
    arms = {"slow": Parabola(-2.0)}
    space = {"learning_rate": [0.1, 1.0]}
    tables = [compare_arms(arms, space, 2, [0], by="arm", depth=depth) for depth in (1, 2)]
    observations = join_tables(tables)
    assert list(observations["depth"]) == [1, 1, 2, 2]
    assert [trial["depth"] for trial in observations.attrs["tuning"]] == [1, 1, 2, 2]


def test_a_real_training_is_tuned():
    import keras
    import numpy as np

    from repro.engine.networks import mlp
    from repro.engine.training import train

    x = np.linspace(-1, 1, 32, dtype=np.float32)[:, None]
    line = SimpleNamespace(x_train=x, y_train=3 * x, x_test=x, y_test=3 * x)
    arm = partial(
        train,
        mlp,
        line,
        loss="mean_squared_error",
        optimizer=keras.optimizers.SGD(),
        steps=60,
        batch_size=16,
        inputs=1,
        outputs=1,
        widths=(),
    )
    tuning = tune(arm, {"learning_rate": [0.001, 0.5, 100.0]}, 3)
    assert tuning.best == {"learning_rate": 0.5}
    assert math.isinf(tuning.trials.set_index("learning_rate")["score"][100.0])
    assert tuning.trials["score"].min() < 1e-6
