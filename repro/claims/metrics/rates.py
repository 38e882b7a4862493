"""Rates of the confusion matrix, and what a threshold does to them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, Boundary, Greater, Identity, claim, notes
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras
    import sklearn.datasets
    import sklearn.linear_model
    import sklearn.metrics

RATES = ("precision", "recall", "specificity", "npv", "accuracy")


def _rate(name, operations=16):
    return Identity("computed", "formula", operations=operations, dtype="float32", where={"of": name})


@claim(
    "precision = PPV = TP / (TP + FP), recall = sensitivity = TP / (TP + FN), specificity = TN / (FP + TN), NPV = TN / "
    r"(TN + FN), accuracy = (TP + TN) / (TP + FN + TN + FP); $F_\beta = \frac{(1 + \beta^2) TP}{(1 + \beta^2) TP + "
    r"\beta^2 FN + FP}$ is the harmonic mean of precision and recall with recall $\beta$ times as important, and "
    r"$F_1 = \frac{2 TP}{2 TP + FN + FP}$.",
    source=(
        notes("Definitions 3.54-3.58", parts=("precision", "recall", "accuracy", "f_beta", "importance")),
        notes("Remarks 3.39-3.40", parts=("precision", "recall", "specificity", "npv")),
        notes("Example 39", parts=("f_one",)),
    ),
    kind="formula",
    scope="a binary classifier, denominators not zero",
    literature="van Rijsbergen 1979, chapter 7: both have equal marginal worth where recall is beta times precision",
    criterion=AllOf(
        **{name: _rate(name) for name in RATES},
        f_beta=_rate("f_beta"),
        f_one=_rate("f_one"),
        importance=_rate("importance", 64),
    ),
    control={"power": 1},
)
def confusion_rates(seed, *, power=2, tables=2, records=80):
    """Compares the formulas with Keras' metrics and scikit-learn's on random tables, with weights and without.

    Tables have 80 records, three at least in each of their four places; weights are all one or uniform from a half to
    two; scores lie at random on their side of the threshold of a half. Keras' precision, recall, binary accuracy, true
    and false positives and negatives, F-beta and F1 score take scores, scikit-learn takes predictions; specificity and
    NPV are its recall and precision of the other class. Beta is from a half to two. F-beta is compared with the
    weighted harmonic mean too, 1 / (a / precision + (1 - a) / recall) with a = 1 / (1 + beta^2), and its derivatives by
    precision and by recall, by automatic differentiation, with each other where recall is beta times precision. The
    control has beta in place of its square.
    """
    generator = np.random.default_rng(seed)
    found = []
    for number in range(tables):
        counts = 3 + generator.multinomial(records - 12, generator.dirichlet(np.ones(4)))
        beta = float(generator.uniform(0.5, 2))
        truth, predicted = np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)
        scores = (predicted + generator.uniform(0.01, 0.99, size=len(truth))) / 2
        weights = np.ones(len(truth)) if number % 2 else generator.uniform(0.5, 2, size=len(truth))
        tp, fn, fp, tn = (float(part.sum()) for part in np.split(weights, np.cumsum(counts)[:-1]))
        factor = beta**power
        formulas = {
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "specificity": tn / (fp + tn),
            "npv": tn / (tn + fn),
            "accuracy": (tp + tn) / (tp + fn + tn + fp),
            "f_beta": (1 + factor) * tp / ((1 + factor) * tp + factor * fn + fp),
            "f_one": 2 * tp / (2 * tp + fn + fp),
        }
        for by, values in (
            ("Keras", _by_keras(truth, scores, weights, beta)),
            ("scikit-learn", _by_scikit_learn(truth, predicted, weights, beta)),
        ):
            found += [{"of": of, "by": by, "computed": values[of], "formula": formulas[of]} for of in formulas]
        share = 1 / (1 + beta**2)
        harmonic = 1 / (share / formulas["precision"] + (1 - share) / formulas["recall"])
        found.append({"of": "f_beta", "by": "harmonic mean", "computed": harmonic, "formula": formulas["f_beta"]})
        by_precision, by_recall = _derivatives(factor, formulas["precision"] / 2, beta * formulas["precision"] / 2)
        found.append({"of": "importance", "computed": by_recall, "formula": by_precision})
    return pd.DataFrame(found)


def _by_keras(truth, scores, weights, beta):
    """Rates of records by Keras' metrics, by name."""

    def value(metric, shape=(-1,)):
        metric.update_state(truth.reshape(shape), scores.reshape(shape), sample_weight=weights)
        return float(np.squeeze(keras.ops.convert_to_numpy(metric.result())))

    metrics = keras.metrics
    negatives, false_positives = value(metrics.TrueNegatives()), value(metrics.FalsePositives())
    return {
        "precision": value(metrics.Precision()),
        "recall": value(metrics.Recall()),
        "specificity": negatives / (negatives + false_positives),
        "npv": negatives / (negatives + value(metrics.FalseNegatives())),
        "accuracy": value(metrics.BinaryAccuracy(), (-1, 1)),
        "f_beta": value(metrics.FBetaScore(beta=beta, threshold=0.5), (-1, 1)),
        "f_one": value(metrics.F1Score(threshold=0.5), (-1, 1)),
    }


def _by_scikit_learn(truth, predicted, weights, beta):
    """Rates of records by scikit-learn, by name."""
    arguments, options = (truth, predicted), {"sample_weight": weights}
    return {
        "precision": sklearn.metrics.precision_score(*arguments, **options),
        "recall": sklearn.metrics.recall_score(*arguments, **options),
        "specificity": sklearn.metrics.recall_score(*arguments, pos_label=0, **options),
        "npv": sklearn.metrics.precision_score(*arguments, pos_label=0, **options),
        "accuracy": sklearn.metrics.accuracy_score(*arguments, **options),
        "f_beta": sklearn.metrics.fbeta_score(*arguments, beta=beta, **options),
        "f_one": sklearn.metrics.f1_score(*arguments, **options),
    }


def _derivatives(factor, precision, recall):
    """Derivatives of the printed F-score by precision and by recall, for one positive record in all."""

    def score(values):
        # With one positive record, TP is the recall, FN its rest, and FP follows from the precision.
        p, r = values
        return (1 + factor) * r / ((1 + factor) * r + factor * (1 - r) + r / p - r), ()

    values = [keras.ops.convert_to_tensor(np.float64(value)) for value in (precision, recall)]
    return [float(part) for part in value_and_gradient(score, values)[2]]


def _cancer_scores(generator):
    """Labels and scores of half of 569 breast tumours by logistic regression on the other half; benign is positive."""
    x, y = sklearn.datasets.load_breast_cancer(return_X_y=True)
    order = generator.permutation(len(y))
    train, test = np.array_split(order, 2)
    mean, deviation = x[train].mean(axis=0), x[train].std(axis=0)
    model = sklearn.linear_model.LogisticRegression(C=0.01, max_iter=500).fit((x[train] - mean) / deviation, y[train])
    return y[test], model.predict_proba((x[test] - mean) / deviation)[:, 1]


@claim(
    "Lowering the threshold raises both the true and the false positive rate.",
    source=notes("Remark 3.41"),
    kind="theorem",
    scope="weakly: a step at which no score is passed changes nothing, one that passes positives alone moves one rate",
    literature="Fawcett 2006: the curve of both rates rises monotonically",
    criterion=AllOf(
        true_positives=AtLeast("rise", bound="least", atol=1e-6, where={"rate": "true positive"}),
        false_positives=AtLeast("rise", bound="least", atol=1e-6, where={"rate": "false positive"}),
    ),
    control={"redrawn": True},
)
def threshold_moves_rates(seed, *, redrawn=False, records=200, thresholds=60):
    """Counts true and false positives by Keras' metrics at 60 falling thresholds, for random and for real scores.

    Random scores are logistic of normal numbers, which are larger by one for positives; real ones are those of a
    logistic regression for breast tumours that it has not seen, half of scikit-learn's 569. Thresholds fall from 0.99
    to 0.01; a rise is the rate less that at the threshold before, and must not be negative; from the first threshold to
    the last it must be one point at least, as constant rates would pass otherwise. Column "moves" says how many of both
    rates moved. The control draws the records anew for each threshold, with replacement, and counts in NumPy.
    """
    generator, levels = np.random.default_rng(seed), np.linspace(0.99, 0.01, thresholds)
    labels = np.arange(records) % 2
    samples = {
        "random": (labels, 1 / (1 + np.exp(-generator.normal(size=records) - labels))),
        "real": _cancer_scores(generator),
    }
    tables = []
    for scores_of, sample in samples.items():
        if redrawn:
            drawn = generator.integers(len(sample[0]), size=(thresholds, len(sample[0])))
            above = sample[1][drawn] > levels[:, None]
            of_class = [sample[0][drawn] == label for label in (1, 0)]
            rates = np.stack([(above & chosen).sum(axis=1) / chosen.sum(axis=1) for chosen in of_class])
        else:
            rates = _rates(*sample, levels)
        rises = np.hstack([np.diff(rates, axis=1), rates[:, -1:] - rates[:, :1]])
        columns = {"moves": (np.abs(rises) > 1e-6).sum(axis=0), "least": [0.0] * (thresholds - 1) + [0.01]}
        for rate, rise in zip(("true positive", "false positive"), rises, strict=True):
            tables.append(pd.DataFrame({"scores": scores_of, "rate": rate, "rise": rise, **columns}))
    return pd.concat(tables, ignore_index=True)


def _rates(labels, scores, levels):
    """True and false positive rates [2, thresholds] by Keras' metrics."""
    found = []
    for metric, total in (
        (keras.metrics.TruePositives(list(levels)), labels.sum()),
        (keras.metrics.FalsePositives(list(levels)), (1 - labels).sum()),
    ):
        metric.update_state(labels, scores)
        found.append(np.atleast_1d(keras.ops.convert_to_numpy(metric.result())) / total)
    return np.stack(found).astype(float)


LOW = 0.6  # accuracy, where that at the best threshold is above 0.9
# Which class is in the majority, its share, and on which side the threshold has to be for the accuracy to be low.
CASES = (
    ("none", 0.5, "too low"),
    ("none", 0.5, "too high"),
    ("negatives", 0.9, "too low"),
    ("positives", 0.9, "too high"),
)


@claim(
    "When the AUC is high but the accuracy low, the classifier performs well on the positive class and not that well "
    "on negative samples.",
    source=notes("Remark 3.43"),
    kind="tendency",
    scope="a scoring classifier with a threshold; threshold and class ratio are left open",
    left_open=("threshold", "majority"),
    literature="accuracy is the mean of both recalls by the shares of the classes, and a threshold trades one for the "
    "other",
    criterion=Greater(
        "recall",
        of="positive",
        than="negative",
        by="class",
        smallest_difference=0.01,
        each=("threshold", "majority"),
    ),
    boundary=Boundary(
        "where the threshold is too low for the scores; where it is too high, positives fare worse",
        holds="threshold == 'too low'",
    ),
    control={"low": 1.0},
    seeds=48,
)
def high_auc_low_accuracy(seed, *, low=LOW, records=200):
    """Moves the threshold of a good classifier to either side until the accuracy is 0.6, and looks at both recalls.

    Scores of a logistic regression for breast tumours that it has not seen, half of scikit-learn's 569, of which 200
    are drawn with replacement, half of them positive or nine tenths of one class; their AUC, by Keras, is about 0.99, a
    column, and the accuracy at the best threshold above 0.9. With a majority of nine tenths an accuracy of 0.6 is
    reached on one side alone: on the other the majority is right. Recalls of both classes are Keras', recall of the
    negatives that of the labels and scores turned round. Where nearly all pairs are in order, one of both is nearly one
    at every threshold; data decide how far the other is below. The control has the best threshold, where the accuracy
    is not low.
    """
    generator = np.random.default_rng(seed)
    labels, scores = _cancer_scores(generator)
    rows = []
    for majority, share, side in CASES:
        of_positives = {"none": 0.5, "negatives": 1 - share, "positives": share}[majority]
        positives = round(of_positives * records)
        chosen = np.concatenate(
            [
                generator.choice(np.flatnonzero(labels == label), size=count)
                for label, count in ((1, positives), (0, records - positives))
            ]
        )
        y, p = labels[chosen], scores[chosen]
        threshold = _threshold(y, p, side, low)
        area = keras.metrics.AUC(num_thresholds=1000)
        area.update_state(y, p)
        recalls = {"positive": (y, p, threshold), "negative": (1 - y, 1 - p, 1 - threshold)}
        for of, (truth, towards, level) in recalls.items():
            recall = keras.metrics.Recall(thresholds=float(level))
            recall.update_state(truth, towards)
            row = {"threshold": side, "majority": majority, "class": of, "recall": float(recall.result())}
            rows.append({**row, "auc": float(area.result()), "accuracy": np.mean((p > threshold) == y)})
    return pd.DataFrame(rows)


def _threshold(labels, scores, side, low):
    """Threshold between two scores, on one side of the best one, at which the accuracy is nearest to a low one."""
    ordered = np.unique(scores)
    levels = np.concatenate([[ordered[0] / 2], (ordered[1:] + ordered[:-1]) / 2, [(1 + ordered[-1]) / 2]])
    accuracy = ((scores > levels[:, None]) == labels).mean(axis=1)
    best = accuracy.argmax()
    reachable = slice(0, best + 1) if side == "too low" else slice(best, None)
    return levels[reachable][np.abs(accuracy[reachable] - low).argmin()]
