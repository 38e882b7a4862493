"""Overfitting: training, validation and test error along one training."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Equivalent, Greater, Monotone, PositiveControl, Ratio, Reported, claim, lectures
from repro.engine import Record, classifier, corrupt_labels, load_data, mlp, train

with epy.lazy_imports():
    import keras

EPOCH = 10  # steps of a batch of a tenth of the images


def overfitting_runs(
    seeds, *, images=100, noise=0.2, width=32, steps=1000, rates=(0.03, 0.1, 0.3), tests=100, data="digits"
):
    """Trains networks of 32 ReLU units on 100 images, and measures them after every step.

    A fifth of all labels are wrong, of training, validation and future images alike. Every seed draws 100 images to
    train on, 100 for validation, 100 of the test images, and the wrong labels. Gradient descent on the whole set, and
    stochastic gradient descent with batches of 10, each at three rates.
    """
    source = load_data(data).standardized().flat()
    tables = []
    for descent, size in (("whole set", images), ("stochastic", images // EPOCH)):
        trained = train(
            mlp,
            lambda seed: noisy_images(source, images, tests, noise, seed),
            loss=first_column_loss,
            optimizer=keras.optimizers.SGD(),
            steps=steps,
            batch_size=size,
            seeds=list(seeds),
            record=Record(
                every=1, metrics={"error": mistakes, "validated": validation_loss, "wrong": validation_error}
            ),
            inputs=source.x_train.shape[1],
            outputs=source.classes,
            widths=(width,),
            learning_rate=list(rates),
        )
        tables.append(trained.records.assign(descent=descent))
    records = pd.concat(tables, ignore_index=True).rename(columns={"learning_rate": "rate"})
    share = images / (images + tests)
    for name, marked, of_all in (("loss", "test_validated", "test_loss"), ("error", "test_wrong", "test_error")):
        records[f"validation_{name}"] = records[marked] / share
        records[f"future_{name}"] = (records[of_all] - records[marked]) / (1 - share)
    measured = ["train_loss", "train_error", "validation_loss", "validation_error", "future_loss", "future_error"]
    return records[["seed", "descent", "rate", "step", *measured]]


@claim(
    "Overfitting often shows as a training error that falls monotonically with the gradient descent iterations, "
    "especially with stochastic gradient descent, while the ability to generalise can degrade beyond a certain point.",
    source=lectures("2.5.2"),
    kind="tendency",
    scope="networks trained past the point of overfitting",
    left_open=("descent", "curve", "rate"),
    reads=overfitting_runs,
    criterion=AllOf(
        falls=Monotone(
            "step",
            "share_of_first_loss",
            smallest_difference=0.05,
            direction="decreasing",
            source="five per cent of the loss that training starts from, by the project's table",
            each=("descent", "curve", "rate"),
            where={"question": "falls"},
        ),
        degrades=Greater(
            "future_loss",
            of="end",
            than="best",
            by="moment",
            smallest_ratio=1.05,
            each=("descent", "rate", "steps"),
            where={"question": "degrades"},
        ),
    ),
    boundary=Boundary(
        "in the curve of an epoch at a small rate; single steps at a large rate raise the loss on what is not in their "
        "batch, by an amount in proportion to the rate",
        holds="part == 'degrades' or curve == 'per epoch' or rate < 0.1",
        named=(
            {"part": "falls", "descent": "stochastic", "curve": "per epoch", "rate": 0.03},
            {"part": "falls", "descent": "stochastic", "curve": "per step", "rate": 0.3},
            {"part": "degrades", "descent": "stochastic", "rate": 0.1},
        ),
    ),
    smoke={"steps": 800},
    seeds=48,
    control={"share": 0.025},
    positive_control=PositiveControl(
        "After the first step the loss on future images is higher than at the best moment along the way.",
        criterion=Greater(
            "future_loss",
            of="start",
            than="best",
            by="moment",
            smallest_ratio=1.05,
            each=("descent", "rate", "steps"),
            where={"question": "degrades"},
        ),
    ),
)
def training_error_falls(observations, *, share=1.0):
    """The largest rise of the training loss, and the loss on future images at the end over the least along the way.

    The loss is read at the end of each epoch, as training is usually plotted, and after every step. A rise is how far a
    later loss stands above an earlier one, as a share of the first loss that is read. The end is that of half and of
    all steps. The control stops after a fortieth of them, before there is anything to overfit.
    """
    last = observations["step"].max()
    records = observations[observations["step"] <= share * last]
    runs = ["seed", "descent", "rate"]
    per_epoch = records["step"] % np.where(records["descent"] == "stochastic", EPOCH, 1) == 0
    curves = {
        "per epoch": records[per_epoch],
        "per step": records[records["descent"] == "stochastic"],
    }
    tables = []
    for curve, rows in curves.items():
        first = rows.groupby(runs)["train_loss"].transform("first")
        tables.append(rows.assign(question="falls", curve=curve, share_of_first_loss=rows["train_loss"] / first))
    for steps in (last // 2, last):
        stop = round(share * steps)
        rows = records[records["step"] <= stop]
        best = rows.groupby(runs, as_index=False)["future_loss"].min().assign(moment="best")
        start, end = (
            rows[rows["step"] == step].assign(moment=moment) for step, moment in ((1, "start"), (stop, "end"))
        )
        tables += [table.assign(question="degrades", steps=steps) for table in (start, best, end)]
    return pd.concat(tables, ignore_index=True)


EARLY = AllOf(
    end=Greater("loss", of="end", than="stop", by="moment", smallest_ratio=1.05, each=("patience", "steps")),
    best=Ratio("loss", of="stop", than="best", by="moment", expected=1.0, within=1.05, each=("patience", "steps")),
)


@claim(
    "Training is to be halted when the error on a validation set starts to increase, which indicates that overfitting "
    "begins; this is where the model generalises best.",
    source=lectures("2.5.2"),
    kind="tendency",
    scope="a validation set that is kept out of training and watched once an epoch",
    left_open=("patience",),
    literature="Prechelt 1998: validation error has many local minima",
    reads=overfitting_runs,
    criterion=EARLY,
    boundary=Boundary(
        "with patience; the first rise of a noisy curve comes before its minimum (Prechelt 1998)",
        holds="patience > 0",
        named=({"part": "best", "patience": 0}, {"part": "best", "patience": 20}, {"part": "end", "patience": 20}),
    ),
    smoke={"steps": 800},
    seeds=48,
    control={"watched": "train_loss"},
    positive_control=PositiveControl(
        "At the end of training the model generalises worse than at the best moment along the way.",
        criterion=Greater("loss", of="end", than="best", by="moment", smallest_ratio=1.05, each=("patience", "steps")),
    ),
    reported=(
        Reported(
            "4 %",
            measure="gain in generalisation of slower stopping criteria, for four times the training time",
            setting="12 classification and approximation tasks, multi-layer perceptrons trained by RPROP",
            place="Prechelt 1998",
        ),
    ),
)
def early_stopping(observations, *, watched="validation_loss", patiences=(0, 5, 20)):
    """The loss on future images at the stop against that at the end of training, and against the least along the way.

    Stochastic gradient descent at the rate whose least validation loss is lowest, watched once an epoch. As Keras'
    EarlyStopping does with ``restore_best_weights``, training stops when more epochs than the patience bring no new
    minimum, and returns to the last one; patience 0 stops at the first rise. Training ends after half or all of the
    steps. The control watches the training loss, which has no such minimum.
    """
    runs = observations[(observations["descent"] == "stochastic") & (observations["step"] % EPOCH == 0)]
    runs = runs[runs["rate"] == best_rate(runs)]
    last = runs["step"].max()
    rows = []
    for steps, (seed, run) in ((steps, run) for steps in (last // 2, last) for run in runs.groupby("seed")):
        run = run[run["step"] <= steps]
        losses = run["future_loss"].to_numpy()
        for patience in patiences:
            stop = stopping_place(run[watched].to_numpy(), patience)
            for moment, loss in (("stop", losses[stop]), ("end", losses[-1]), ("best", losses.min())):
                rows.append({"seed": seed, "patience": patience, "steps": steps, "moment": moment, "loss": loss})
    return pd.DataFrame(rows)


@claim(
    "An estimate of performance from the training set will likely be overly optimistic, because the model has been "
    "trained on the same data.",
    source=lectures("2.5"),
    kind="tendency",
    scope="any fitted model, future data from the same distribution",
    left_open=("examples_per_parameter",),
    literature="Hastie, Tibshirani and Friedman 2009, section 7.4; Efron 1986",
    reads=overfitting_runs,
    criterion=AllOf(
        network=Greater("error", of="future", than="estimate", by="of", each=("steps",), where={"model": "network"}),
        least_squares=Greater(
            "squared_error",
            of="future",
            than="estimate",
            by="of",
            smallest_ratio=1.05,
            each=("examples_per_parameter",),
            where={"model": "least squares"},
        ),
    ),
    boundary=Boundary(
        "where there are fewer than 40 examples for each parameter: least squares is too optimistic by a ratio of "
        "(1 + d / (n - d - 1)) / (1 - d / n), about 1 + 2 d / n (Efron 1986)",
        holds="part == 'network' or examples_per_parameter < 40",
    ),
    smoke={"steps": 800},
    seeds=48,
    control={"estimated_on": "unseen"},
    positive_control=PositiveControl(
        "On noisier future data, with a tenth more squared noise, the error is larger than the estimate.",
        criterion=Greater(
            "squared_error",
            of="noisier future",
            than="estimate",
            by="of",
            smallest_ratio=1.05,
            each=("examples_per_parameter",),
            where={"model": "least squares"},
        ),
    ),
)
def training_error_optimistic(observations, *, estimated_on="training", per_parameter=(2, 10, 100), features=20):
    """The error on future data against that on the training data, of networks and of least squares.

    Networks: the share of mistakes after half and all steps of stochastic gradient descent, at the rate whose least
    validation loss is lowest. Least squares: 20 normal features, unit noise, and 2, 10 or 100 examples for each of
    them, drawn 20 times for each seed; the expected squared error on future examples is 1 + |w|^2. The control
    estimates the error on as many examples that were not trained on.
    """
    runs = observations[observations["descent"] == "stochastic"]
    last = runs["step"].max()
    runs = runs[(runs["rate"] == best_rate(runs)) & runs["step"].isin([last // 2, last])]
    estimate = "train_error" if estimated_on == "training" else "validation_error"
    tables = [
        pd.DataFrame({"seed": runs["seed"], "steps": runs["step"], "of": of, "error": runs[name]})
        for of, name in (("estimate", estimate), ("future", "future_error"))
    ]
    tables = [table.assign(model="network") for table in tables]
    for seed in observations["seed"].unique():
        for ratio in per_parameter:
            generator = np.random.default_rng((seed, ratio))
            errors = [_least_squares(generator, ratio * features, features, estimated_on) for _ in range(20)]
            rows = pd.DataFrame(errors).mean().rename_axis("of").reset_index(name="squared_error")
            tables.append(rows.assign(seed=seed, model="least squares", examples_per_parameter=ratio))
    return pd.concat(tables, ignore_index=True)


@claim(
    "Patterns can be found even in random data, which leads to the false belief that the model performs well.",
    source=lectures("2.5"),
    kind="possibility",
    scope="a model with enough capacity for the sample",
    left_open=("width",),
    literature="Zhang et al. 2017",
    criterion=AllOf(
        found=Equivalent("train_accuracy", 1.0, smallest_difference=0.01, each=("width", "steps")),
        belief_is_false=Greater("accuracy", of="training", than="test", by="on", each=("width", "steps")),
    ),
    smoke={"steps": 600, "widths": (64,)},
    full={"data": "cifar10", "images": 5000, "widths": (8, 512), "steps": 20_000},
    control={"widths": (1,)},
    reported=(
        Reported(
            "100 % and 10.48 %",
            measure="training and test accuracy",
            setting="MLP of three layers of 512 units, CIFAR-10 with random labels",
            place="Zhang et al. 2017, table 1",
        ),
    ),
)
def random_labels_fit(seeds, *, images=100, widths=(8, 64), steps=1000, data="digits"):
    """Trains networks on 100 images whose labels were shuffled, and measures accuracy on them and on test images.

    One hidden layer of 8 or 64 ReLU units, Adam at a rate of 0.01 on all images at once, after half and all steps.
    Every seed draws the images and shuffles their labels. All are learnt if at most one in a hundred is missed; on the
    test images one in ten is right by chance. The control has a single hidden unit, too little to find a pattern.
    """
    source = load_data(data).standardized().flat()

    def shuffled(seed):
        chosen = source.subset(images, seed)
        return replace(chosen, y_train=np.random.default_rng((seed, 7)).permutation(chosen.y_train))

    adam = keras.optimizers.Adam(0.01)
    arm = classifier(mlp, shuffled, steps=steps, batch_size=images, optimizer=adam, every=steps // 2)
    tables = []
    for width in widths:
        records = arm(seeds=list(seeds), widths=(width,)).records.rename(columns={"step": "steps"})
        for on, name in (("training", "train_accuracy"), ("test", "test_accuracy")):
            columns = ["seed", "steps", "train_accuracy"]
            tables.append(records[columns].assign(width=width, on=on, accuracy=records[name]))
    return pd.concat(tables, ignore_index=True)


def noisy_images(source, images, tests, noise, seed):
    """Training images of a seed; validation and test images behind each other, told apart by the targets.

    Targets [examples, 2] have the class, some of them wrong, and whether it is a validation image.
    """
    both = source.subset(2 * images, seed)
    order = np.random.default_rng((seed, 7)).permutation(len(source.x_test))[:tests]
    parts = {
        "train": (both.x_train[:images], both.y_train[:images]),
        "validation": (both.x_train[images:], both.y_train[images:]),
        "test": (source.x_test[order], source.y_test[order]),
    }
    targets = {
        part: np.column_stack(
            [corrupt_labels(y, source.classes, noise, 3 * seed + place), np.full(len(y), part == "validation")]
        ).astype(np.int32)
        for place, (part, (_, y)) in enumerate(parts.items())
    }
    return SimpleNamespace(
        x_train=parts["train"][0],
        y_train=targets["train"],
        x_test=np.concatenate([parts["validation"][0], parts["test"][0]]),
        y_test=np.concatenate([targets["validation"], targets["test"]]),
    )


def first_column_loss(targets, outputs):
    """Cross-entropy of the classes in the first column of the targets, for each example."""
    return keras.losses.sparse_categorical_crossentropy(targets[:, 0], outputs, from_logits=True)


def mistakes(targets, outputs):
    """Whether an example is mistaken for another class."""
    return 1.0 - keras.metrics.sparse_categorical_accuracy(targets[:, 0], outputs)


def validation_loss(targets, outputs):
    """Cross-entropy of validation examples, zero for others."""
    return keras.ops.cast(targets[:, 1], "float32") * first_column_loss(targets, outputs)


def validation_error(targets, outputs):
    """Whether an example is a validation example and mistaken."""
    return keras.ops.cast(targets[:, 1], "float32") * mistakes(targets, outputs)


def best_rate(runs):
    """Rate at which the least validation loss of a run, as a median over seeds, is lowest."""
    least = runs.groupby(["rate", "seed"])["validation_loss"].min()
    return least.groupby("rate").median().idxmin()


def stopping_place(losses, patience):
    """Find the minimum that no later one improves on within some measurements.

    Args:
        losses: measurements in order.
        patience: measurements after a minimum that may pass without a new one; zero stops before the first increase.
    """
    place = 0
    for later in range(1, len(losses)):
        if losses[later] < losses[place]:
            place = later
        elif later - place > patience:
            break
    return place


def _least_squares(generator, examples, features, estimated_on):
    """Squared errors of a least-squares fit: estimated, expected, and expected with a tenth more squared noise."""
    x, y = generator.normal(size=(examples, features)), generator.normal(size=examples)
    weights = np.linalg.solve(x.T @ x, x.T @ y)  # the true ones are nought: least squares is equivariant
    if estimated_on != "training":
        x, y = generator.normal(size=x.shape), generator.normal(size=examples)
    future = 1 + weights @ weights
    return {"estimate": np.square(x @ weights - y).mean(), "future": future, "noisier future": future + 0.1}
