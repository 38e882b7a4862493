"""Searches on arms whose best hyperparameters are known, and fair comparisons."""

import math
from functools import partial
from types import SimpleNamespace

import pandas as pd
import pytest

from repro.common.errors import ReproError
from repro.engine.arms import compare_arms, join_tables
from repro.engine.training import Training
from repro.engine.tuning import TUNING_SEEDS, ValidatedArm, Validation, tune


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
        (
            {"learning_rate": (0.1, 0.2)},
            2,
            {"oracle": "random", "widen": 1},
            "only a grid can be widened; leave out widen=1 for the oracle 'random'",
        ),
        (
            {"learning_rate": [0.1, 0.2]},
            2,
            {"objective": "validation_loss"},
            r"the objective 'validation_loss' needs an arm that can be validated; make it with classifier\(...\)",
        ),
        ({"learning_rate": [0.1]}, 1, {"objective": Validation("train_loss")}, "needs an arm that can be validated"),
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
    expected = {"learning_rate": 0.1, "score": pytest.approx(2.25), "best": True, "at_edge": True, "arm": "plain"}
    assert first == expected
    assert second["learning_rate"] == 1.0
    assert (second["best"], second["at_edge"]) == (False, False)


def test_nothing_is_trained_where_there_is_nothing_to_choose():
    arm = Parabola()
    tuning = tune(arm, {"learning_rate": [0.1], "width": [2]}, 4)
    assert tuning.best == {"learning_rate": 0.1, "width": 2}
    assert tuning.table(arm="plain") == []
    assert not arm.calls


@pytest.mark.parametrize(
    ("optimum", "edges"),
    [(-3.0, ("learning_rate",)), (-2.0, ()), (-1.0, ("learning_rate",))],
)
def test_a_best_value_at_an_edge_of_the_grid_is_told(optimum, edges):
    tuning = tune(Parabola(optimum), {"learning_rate": [0.001, 0.01, 0.1], "width": [2], "kind": ["b", "a"]}, 6)
    assert tuning.at_edge == edges
    best = tuning.trials[tuning.trials["best"]]
    assert best[["learning_rate", "kind"]].to_dict("records") == [{"learning_rate": 10**optimum, "kind": "b"}]
    assert list(best["at_edge"]) == [bool(edges)]
    assert not tuning.trials["at_edge"][~tuning.trials["best"]].any()


@pytest.mark.parametrize(("optimum", "beyond"), [(1.0, [1.0, 10.0, 100.0]), (-4.0, [1e-3, 1e-4, 1e-5])])
def test_a_grid_is_widened_in_its_ratio_until_the_best_is_inside(optimum, beyond):
    arm = Parabola(optimum)
    tuning = tune(arm, {"learning_rate": [0.01, 0.1], "kind": ["a", "b"]}, 4, widen=5)
    assert tuning.best == {"learning_rate": pytest.approx(10**optimum), "kind": "b"}
    assert tuning.at_edge == ()
    # one value each time, with every value of the others
    assert list(tuning.trials["learning_rate"][4:]) == pytest.approx([rate for rate in beyond for _ in range(2)])
    assert list(tuning.trials["kind"][4:]) == ["a", "b"] * 3
    assert not tuning.trials.duplicated(["learning_rate", "kind"]).any()
    assert [len(call["settings"]) for call in arm.calls[-3:]] == [2, 2, 2]
    assert all(call["seeds"] == list(TUNING_SEEDS) for call in arm.calls)


def test_a_grid_is_widened_no_more_often_than_asked_for():
    tuning = tune(Parabola(1.0), {"learning_rate": (0.001, 0.1)}, 3, widen=1)
    assert sorted(tuning.trials["learning_rate"]) == pytest.approx([0.001, 0.01, 0.1, 1.0])
    assert tuning.best == {"learning_rate": pytest.approx(1.0)}
    assert tuning.at_edge == ("learning_rate",)


def test_several_hyperparameters_at_their_edges_are_widened_at_once():
    tuning = tune(Parabola(1.0), {"learning_rate": [0.1, 1.0], "width": [4, 8]}, 4, widen=2)
    assert tuning.best == {"learning_rate": pytest.approx(10.0), "width": 2}
    assert type(tuning.best["width"]) is int
    # 3 x 3 combinations, then 4 x 4
    assert len(tuning.trials) == 16
    assert tuning.at_edge == ()


def test_a_value_that_diverges_bounds_a_grid():
    tuning = tune(Parabola(2.0, diverges_above=1.0), {"learning_rate": [0.1, 1.0]}, 2, widen=3)
    assert tuning.best == {"learning_rate": 1.0}
    assert len(tuning.trials) == 3
    assert tuning.at_edge == ()


@pytest.mark.parametrize("widths", [[0, 1], [1, 0], [-3, 1], [1]])
def test_what_has_no_ratio_is_not_widened(widths):
    tuning = tune(Parabola(), {"learning_rate": [0.01, 0.1, 1.0], "width": widths}, 6, widen=3)
    assert tuning.best["width"] == 1
    assert len(tuning.trials) == 3 * len(widths)
    assert tuning.at_edge == (("width",) if len(widths) > 1 else ())


def validated(**options):
    """An arm whose least loss is at another rate in trials than in the end."""
    return ValidatedArm(final=Parabola(-1.0), trial=Parabola(-2.0), **options)


def negative_validation_loss(training):
    return -training.final["validation_loss"].median()


@pytest.mark.parametrize(
    ("objective", "best"),
    [
        ("train_loss", 0.1),
        ("validation_loss", 1.0),
        (Validation("train_loss"), 0.01),
        (Validation("validation_loss"), 1.0),
        (Validation(negative_validation_loss), 0.01),
    ],
)
def test_the_objective_says_whether_trials_are_validated(objective, best):
    arm, space = validated(), {"learning_rate": [0.01, 0.1, 1.0]}
    assert tune(arm, space, 3, objective=objective).best == {"learning_rate": best}
    assert bool(arm.final.calls) == (objective == "train_loss")


def test_validated_trials_do_not_know_test_data():
    with pytest.raises(ReproError, match=r"have no 'test_loss' to minimise; they have seed, .* validation_loss"):
        tune(validated(), {"learning_rate": [0.01, 0.1]}, 2, objective=Validation("test_loss"))


def test_arms_are_validated_in_trials_and_tested_in_the_end():
    arm = validated()
    observations = compare_arms(
        {"only": arm}, {"learning_rate": [0.1, 1.0]}, 2, [0, 1], objective="validation_loss", widen=1
    )
    assert set(observations["learning_rate"]) == {10.0}
    assert "test_loss" in observations
    assert [call["seeds"] for call in arm.final.calls] == [[0, 1]]
    assert [call["seeds"] for call in arm.trial.calls] == [list(TUNING_SEEDS)] * 2
    assert len(observations.attrs["tuning"]) == 3


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
    assert set(tuning) == {"arm", "learning_rate", "width", "score", "best", "at_edge"}
    assert list(tuning["best"]) == [True, False, False, False, False, True]
    assert list(tuning["at_edge"]) == list(tuning["best"])


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
