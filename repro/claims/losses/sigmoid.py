"""Where a sigmoid is needed beside losses of probabilities and of scores."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Greater, PositiveControl, claim, notes
from repro.claims.losses._arms import arm, perceptron
from repro.engine import horizons, load_data, tune

with epy.lazy_imports():
    import keras
    import scipy.special
    import sklearn.metrics

PARTS = {"training": "test_error", "probabilities": "brier", "decisions": "test_error", "ranking": "ranking_error"}

# what is wanted, the threshold of raw scores, and the measurements with a sigmoid and without
TESTED = (
    ("probabilities", None, ("brier", "raw_brier")),
    ("decisions", "one half", ("error", "raw_error")),
    ("decisions", "zero", ("error", "zero_error")),
)


def _needed(of="without", than="with", parts=tuple(PARTS), **options):
    return AllOf(
        **{
            part: Greater(
                PARTS[part],
                of=of,
                than=than,
                by="sigmoid",
                each=("threshold", "steps") if part == "decisions" else ("steps",),
                where={"needed_for": part},
                **options,
            )
            for part in parts
        }
    )


@claim(
    "With BCELoss, which has no sigmoid, a sigmoid layer after the network is necessary in training and in testing; "
    "with BCEwithLogitsLoss, which has one, it is to be put after the network in testing.",
    source=(
        notes("Remark 3.102", parts=("training",)),
        notes("Remark 3.104", parts=("probabilities", "decisions", "ranking")),
    ),
    kind="advice",
    scope="networks for two classes; whether probabilities, decisions or a ranking are wanted at test is left open",
    left_open=("wanted",),
    criterion=_needed(),
    boundary=Boundary(
        "for training on probabilities and where probabilities are wanted; the sigmoid rises with the score, and "
        "leaves a ranking as it is, and decisions too where their threshold goes from one half to zero",
        holds="part in ['training', 'probabilities']",
        named=(
            {"part": "training"},
            {"part": "probabilities"},
            {"part": "decisions", "threshold": "zero"},
            {"part": "ranking"},
        ),
    ),
    smoke={"steps": 200},
    full={"data": "mnist", "images": 10_000, "steps": 4000},
    positive_control=PositiveControl(
        "An untrained network decides and ranks worse than a trained one.",
        criterion=_needed(
            "untrained",
            "with",
            parts=("decisions", "ranking"),
            smallest_difference=0.02,
            because="it is twice what matters",
        ),
    ),
    seeds=48,
)
def sigmoid_at_test(
    seeds, *, images=600, hidden=32, steps=400, rates=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0), data="digits"
):
    """Trains networks that tell digits from five on from smaller ones, with and without a sigmoid; tests them likewise.

    One hidden layer of 32 ReLU units on 600 standardised images, which each seed redraws, plain stochastic gradient
    descent in batches of 32, each network at the rate of the least error on held-out images. Training: Keras' binary
    cross-entropy of probabilities, which clips outputs of the network without a sigmoid to 1e-7 from both ends; tested
    as trained, since tested without its sigmoid the first network is that which is trained by scores. The test error of
    outputs above one half. Testing: a network trained by the loss of scores, whose scores are put through a sigmoid or
    not. Probabilities: the Brier score; decisions: the test error, that of raw scores at a threshold of one half and of
    zero, where it is the same by monotonicity, a worked fact; ranking: one less the area under the curve, which is
    measured at the end. Half and all of the steps. The positive control has networks with their initial weights.
    """
    loaded = load_data(data).standardized().flat()
    of_seed = partial(_two_classes, loaded, images)
    build = {"inputs": loaded.x_train.shape[1], "outputs": 1, "hidden": hidden}
    losses = {scores: keras.losses.BinaryCrossentropy(from_logits=scores) for scores in (False, True)}

    def prepare(metrics, *, scores, last):
        options = {"steps": steps, "every": steps // 2, "metrics": metrics, "last": last}
        held_out = lambda seed: of_seed(seed).held_out(0.2, seed)  # noqa: E731  it is data, as much as images are
        return arm(perceptron, losses[scores], of_seed, held_out, **options, **build)

    tables, trials = [], []
    for sigmoid, last in (("with", "sigmoid"), ("without", "linear")):
        trained = prepare({"error": _error}, scores=False, last=last)
        tuning = tune(trained, {"learning_rate": list(rates)}, len(rates), objective="validation_error", widen=2)
        trials += tuning.table(trained_on="probabilities", sigmoid=sigmoid)
        records = horizons(trained(seeds=list(seeds), **tuning.best).records)
        tables.append(records.assign(needed_for="training", sigmoid=sigmoid))
    tested = {"error": _error_of_scores, "raw_error": _error, "zero_error": partial(_error, threshold=0.0)}
    tested |= {"brier": _brier, "raw_brier": _raw_brier}
    trained = prepare(tested, scores=True, last="linear")
    tuning = tune(trained, {"learning_rate": list(rates)}, len(rates), objective="validation_error", widen=2)
    trials += tuning.table(trained_on="scores", sigmoid="with")
    training = trained(seeds=list(seeds), **tuning.best)
    records = horizons(training.records)
    for part, threshold, metrics in TESTED:
        for sigmoid, metric in zip(("with", "without"), metrics, strict=True):
            measured = records[["seed", "steps"]].assign(**{PARTS[part]: records[f"test_{metric}"]})
            tables.append(measured.assign(needed_for=part, threshold=threshold, sigmoid=sigmoid))
    untrained = trained(seeds=list(seeds), learning_rate=0.0).records
    for limit in (steps // 2, steps):
        of_start = untrained[untrained["step"] == limit][["seed", "test_error"]]
        tables += [
            of_start.assign(steps=limit, needed_for="decisions", threshold=threshold, sigmoid="untrained")
            for threshold in ("one half", "zero")
        ]
    rows = []
    for place, seed in enumerate(seeds):
        examples = of_seed(seed)
        start = training.builders[place]()
        for sigmoid, model in (("with", training.model(place)), ("untrained", start)):
            scores = keras.ops.convert_to_numpy(model(examples.x_test))[:, 0]
            ranked = {sigmoid: scipy.special.expit(scores.astype(float))}
            if sigmoid == "with":
                ranked["without"] = scores
            for name, values in ranked.items():
                area = sklearn.metrics.roc_auc_score(examples.y_test, values)
                rows.append({"seed": seed, "steps": steps, "sigmoid": name, "ranking_error": 1 - area})
    tables.append(pd.DataFrame(rows).assign(needed_for="ranking"))
    table = pd.concat(tables, ignore_index=True)
    table.attrs["tuning"] = trials
    return table


def _two_classes(loaded, images, seed):
    drawn = loaded.subset(images, seed)
    return replace(
        drawn, classes=2, y_train=(drawn.y_train >= 5).astype(np.int32), y_test=(drawn.y_test >= 5).astype(np.int32)
    )


def _labels(targets, outputs):
    return keras.ops.reshape(keras.ops.cast(targets, outputs.dtype), (-1,))


def _error(targets, outputs, *, threshold=0.5):
    """Error of decisions at a threshold."""
    decided = keras.ops.cast(outputs[:, 0] > threshold, outputs.dtype)
    return keras.ops.abs(decided - _labels(targets, outputs))


def _error_of_scores(targets, outputs):
    return _error(targets, keras.ops.sigmoid(outputs))


def _raw_brier(targets, outputs):
    return keras.ops.square(outputs[:, 0] - _labels(targets, outputs))


def _brier(targets, outputs):
    return _raw_brier(targets, keras.ops.sigmoid(outputs))
