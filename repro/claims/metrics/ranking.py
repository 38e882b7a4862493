"""The area under the ROC curve."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Correction, Identity, claim, notes

with epy.lazy_imports():
    import keras
    import scipy.stats
    import sklearn.metrics


def _scores(generator, negatives, positives):
    """Labels and scores between zero and one: logistic of normal numbers, which are larger by one for positives."""
    labels = np.repeat([0, 1], [negatives, positives])
    return labels, 1 / (1 + np.exp(-generator.normal(size=len(labels)) - labels))


def _area(labels, scores):
    """Area by Keras with a threshold between any two scores, which is exact; single precision tells them apart."""
    ordered = np.unique(scores)
    # JAX compiles the metric anew for every number of thresholds; those above all scores change nothing.
    above = np.linspace(1, ordered[-1], len(scores) - len(ordered), endpoint=False)
    metric = keras.metrics.AUC(thresholds=[*(ordered[1:] + ordered[:-1]) / 2, *above])
    metric.update_state(labels, scores)
    return float(metric.result())


@claim(
    r"AUC, the area under the ROC curve, is the probability that a random positive outranks a random negative, "
    r"$AUC(f) = \frac{\sum_{t_0} \sum_{t_1} 1[f(t_0) < f(t_1)]}{|D^F| |D^P|}$.",
    source=notes("Definition 3.60"),
    kind="formula",
    scope="ties between a positive and a negative are left open",
    left_open=("ties",),
    literature="Hanley and McNeil 1982: the Mann-Whitney statistic, in which ties count one half",
    criterion=AllOf(
        keras=Identity("by_keras", "pairs", operations=64, dtype="float32", each=("ties",)),
        scikit_learn=Identity("by_scikit_learn", "pairs", operations=64, each=("ties",)),
    ),
    boundary=Boundary(
        "where no positive has the score of a negative",
        holds="ties != 'between classes'",
        assumption="scores have a continuous distribution, so that ties have the probability zero (Hanley and McNeil "
        "1982)",
    ),
    correction=Correction(
        "With ties between a positive and a negative, each of which counts one half, the pairs give the area.",
        criterion=AllOf(
            keras=Identity("by_keras", "with_halves", operations=64, dtype="float32"),
            scikit_learn=Identity("by_scikit_learn", "with_halves", operations=64),
        ),
    ),
    full={"negatives": 1000, "positives": 500},
)
def auc_is_rank_probability(seed, *, negatives=80, positives=60):
    """Counts all pairs and compares with the area by Keras and by scikit-learn, for scores without and with ties.

    80 negatives and 60 positives; scores are as drawn, or rounded to tenths, or rounded with a twentieth added for
    negatives, so that ties are within a class alone. Keras has a threshold between any two scores and joins the points
    of the curve by lines, as scikit-learn does. In the correction SciPy's Mann-Whitney statistic, from mean ranks,
    counts ties of a positive with a negative one half. Column "default" is Keras' area with its 200 thresholds at even
    distances.
    """
    labels, drawn = _scores(np.random.default_rng(seed), negatives, positives)
    rows = []
    rounded = np.round(drawn, 1)
    samples = {"none": drawn, "within a class": 0.9 * (rounded + 0.05 * (labels == 0)), "between classes": rounded}
    for ties, scores in samples.items():
        positive, negative = scores[labels == 1], scores[labels == 0]
        default = keras.metrics.AUC()
        default.update_state(labels, scores)
        areas = {
            "by_keras": _area(labels, scores),
            "by_scikit_learn": sklearn.metrics.roc_auc_score(labels, scores),
            "pairs": np.mean(negative[:, None] < positive),
            "with_halves": scipy.stats.mannwhitneyu(positive, negative).statistic / (len(positive) * len(negative)),
            "default": float(default.result()),
        }
        rows.append({"ties": ties, **areas})
    return pd.DataFrame(rows)


MAPS = {
    "affine": lambda s: 0.1 + 0.3 * s,
    "cube": lambda s: s**3,
    "root": lambda s: s**0.5,
    "logistic": lambda s: 1 / (1 + np.exp(-6 * s + 1)),
    # Odds times a third and times three: a decision at one half is what it was at three quarters and at a quarter.
    "threshold three quarters": lambda s: s / (s + 3 * (1 - s)),
    "threshold a quarter": lambda s: 3 * s / (3 * s + 1 - s),
}
OTHERS = {
    "tent": lambda s: 1 - np.abs(2 * s - 1),
    "wave": lambda s: 0.5 + 0.4 * np.sin(9 * s),
    "decision at three quarters": lambda s: (s > 0.75).astype(float),
}


@claim(
    "AUC is invariant to the scale of the scores and to the threshold.",
    source=notes("Remark 3.42"),
    kind="theorem",
    scope="strictly increasing maps of the scores",
    literature="Fawcett 2006: only the order of the scores counts",
    criterion=AllOf(
        keras=Identity("of_mapped", "of_scores", operations=64, dtype="float32", where={"by": "Keras"}),
        scikit_learn=Identity("of_mapped", "of_scores", operations=64, where={"by": "scikit-learn"}),
    ),
    control={"increasing": False},
)
def auc_invariant(seed, *, increasing=True, negatives=80, positives=60):
    """Maps scores by six strictly increasing functions and compares the areas, by Keras and by scikit-learn.

    An affine map, a cube, a root and a logistic function, which keep scores between zero and one, as Keras' metric
    wants them; it gets a threshold between any two scores. Two more maps multiply the odds, so that decisions at one
    half are those at three quarters and at a quarter: another threshold. Columns show what does change: the accuracy at
    one half; the Brier score, which is about calibration; the area of Keras' 200 thresholds at even distances, by the
    coarseness of its bins; and the area of scores that rounding to one decimal merges. The control maps by a tent and
    by a wave, which do not increase, and by a decision, which merges scores.
    """
    labels, scores = _scores(np.random.default_rng(seed), negatives, positives)
    areas = {"Keras": _area, "scikit-learn": sklearn.metrics.roc_auc_score}
    of_scores = {by: area(labels, scores) for by, area in areas.items()}
    rows = []
    for name, function in (MAPS if increasing else OTHERS).items():
        mapped = function(scores)
        default = keras.metrics.AUC()
        default.update_state(labels, mapped)
        changed = {
            "accuracy": np.mean((mapped > 0.5) == labels),
            "brier_score": np.mean((mapped - labels) ** 2),
            "default": float(default.result()),
            "merged": sklearn.metrics.roc_auc_score(labels, np.round(mapped, 1)),
        }
        for by, area in areas.items():
            columns = {"of_mapped": area(labels, mapped), "of_scores": of_scores[by]}
            rows.append({"map": name, "by": by, **columns, **changed})
    return pd.DataFrame(rows)
