"""What small weights do for generalisation and for complexity, and how their penalty is chosen."""

from __future__ import annotations

import numpy as np
import pandas as pd

from repro import AllOf, Boundary, Falls, Greater, PositiveControl, Ratio, Reported, claim, lectures
from repro.claims.weight_decay._networks import penalised_network
from repro.engine import classifier, compare_arms, horizons, join_tables, load_data

OF_RIDGE, OF_NORM, OF_FIT = ({"quantity": quantity} for quantity in ("ridge", "norm", "fit"))


@claim(
    "In practice small weights tend to improve the generalisation performance of neural networks.",
    source=lectures("2.5.3"),
    kind="tendency",
    scope="neural networks in practice; how weights are kept small, noise and amount of data, and layers that "
    "normalise are left open",
    left_open=("images", "normalisation"),
    literature="Krogh and Hertz 1992; van Laarhoven 2017: with normalisation weight decay sets an effective rate, by "
    "which Zhang, Wang, Xu and Grosse 2019 explain gains; Zhang et al. 2017: small networks on clean labels hardly "
    "differ",
    criterion=Greater("test_error", of="no decay", than="decay", by="arm", each=("images", "normalisation", "steps")),
    boundary=Boundary(
        "where examples are few and labels wrong, which small weights keep plain networks from learning by heart; not "
        "where layers normalise, so that any function has weights of any size and their penalty is an effective rate, "
        "tuned in both arms, nor where examples are many and clean",
        holds="images == 'few, noisy' and normalisation == 'none'",
    ),
    smoke={"steps": 600, "decays": (0.003, 0.01, 0.03, 0.1, 0.3)},
    full={"data": "mnist", "few": 500, "many": 20_000, "width": 512, "steps": 10_000},
    control={"penalised": "biases"},
    positive_control=PositiveControl(
        "Three in ten wrong labels more raise the test error.",
        criterion=Greater(
            "test_error",
            of="more wrong labels",
            than="no decay",
            by="arm",
            each=("images", "normalisation", "steps"),
            smallest_difference=0.02,
            because="it is twice what matters",
        ),
    ),
    reported=tuple(
        Reported(
            value,
            measure=f"test accuracy with and without weight decay, {network}",
            setting="CIFAR-10",
            place="Zhang et al. 2017, table 1",
        )
        for network, value in (("MLP 3x512", "53.35 and 52.39 %"), ("MLP 1x512", "50.39 and 50.51 %"))
    ),
    seeds=48,
)
def small_weights_generalise(
    seeds,
    *,
    penalised="kernels",
    few=200,
    many=1000,
    noise=0.3,
    width=64,
    steps=1500,
    rates=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
    decays=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
    data="digits",
):
    """Trains networks with and without a penalty on their weights, each at its validated rate and penalty.

    Two hidden layers of 64 ReLU units, plain or with batch normalisation, on standardised images, which each seed
    redraws: 200 with three in ten labels wrong, or 1000 with right labels. SGD with batches of 32, half and all of 1500
    steps; rate, and weight of half the squares of all kernels, are those of the least loss on a fifth of the images,
    held out, on seeds of their own. Each arm has its full grid, so that decay has six times the tries, on validation
    data alone. The error is the share of misclassified test images. Scales and offsets of the normalisation have no
    penalty: they make up for kernels of any size, those of the outputs too. Beside them are networks without decay,
    three in ten of whose labels more are wrong. The control penalises the biases instead, tuned in the same way.
    """
    loaded = load_data(data).standardized().flat()
    name = "decay" if penalised == "kernels" else "bias_decay"
    tables = []
    for label, size, share in (("few, noisy", few, noise), ("many, clean", many, 0.0)):
        for normalisation in ("none", "batch"):
            network = {"width": width, "statistics": normalisation}
            arms = {
                "no decay": (share, [0.0]),
                "decay": (share, list(decays)),
                "more wrong labels": (share + noise, [0.0]),
            }
            for arm, (wrong, strengths) in arms.items():
                trained = classifier(
                    penalised_network,
                    lambda seed, size=size, wrong=wrong: loaded.subset(size, seed).with_label_noise(wrong, seed),
                    steps=steps,
                    every=steps // 2,
                    **network,
                )
                searched = {"learning_rate": list(rates), name: strengths}
                budget = len(rates) * len(strengths)
                options = {"objective": "validation_loss", "widen": 2}
                labels = {"images": label, "normalisation": normalisation}
                tables.append(compare_arms({arm: trained}, searched, budget, seeds, **options, **labels))
    records = join_tables(tables)
    found = horizons(records)
    found.attrs = records.attrs
    return found.assign(test_error=1 - found["test_accuracy"])


@claim(
    r"Larger values of $\gamma$ penalise larger weights more strongly, encouraging smaller weights and thus reducing "
    "model complexity.",
    source=lectures("2.5.3"),
    kind="tendency",
    scope="minimisers of the penalised error; the measure of complexity and layers that normalise are left open",
    left_open=("normalisation",),
    literature="Hastie, Tibshirani and Friedman 2009, section 3.4.1, for the degrees of freedom of the ridge; van "
    "Laarhoven 2017: what a normalised layer computes does not depend on the size of its weights",
    criterion=AllOf(
        ridge_weights=Falls("norm", along="gamma", where=OF_RIDGE),
        ridge_complexity=Falls("degrees_of_freedom", along="gamma", where=OF_RIDGE),
        weights=Greater("norm", of="no penalty", than="penalised", by="arm", each=("normalisation",), where=OF_NORM),
        complexity=Greater(
            "fitted_accuracy",
            of="no penalty",
            than="penalised",
            by="arm",
            each=("normalisation", "steps"),
            where=OF_FIT,
        ),
    ),
    boundary=Boundary(
        "except that networks with normalisation fit random labels as well as before: the size of weights means "
        "nothing there",
        holds="part != 'complexity' or normalisation == 'none'",
    ),
    smoke={"steps": 1000},
    full={"data": "mnist", "images": 1000, "width": 512, "steps": 20_000},
    control={"penalty": "biases"},
    positive_control=PositiveControl(
        "A network of four units a layer fits fewer random labels.",
        criterion=Greater(
            "fitted_accuracy",
            of="no penalty",
            than="four units",
            by="arm",
            each=("normalisation", "steps"),
            where=OF_FIT,
            smallest_difference=0.02,
            because="it is twice what matters",
        ),
    ),
    seeds=48,
)
def gamma_shrinks_weights(
    seeds,
    *,
    penalty="kernels",
    gamma=0.3,
    images=150,
    width=64,
    steps=2000,
    rate=0.1,
    examples=40,
    inputs=12,
    data="digits",
):
    """Measures the weights and the complexity of ridge regressions and of networks against the penalty.

    Ridge, worked numbers, since both fall for any data: 40 normal records with 12 inputs of mean one and an intercept
    without penalty, sums of squares, gamma from 0.1 to 1000; the norm of the weights, and the effective degrees of
    freedom, the trace of the matrix that maps targets to fits. Networks: two hidden layers of 64 ReLU units, plain or
    with batch normalisation, on 150 images that each seed redraws, with labels at random; gradient descent on all
    images at rate 0.1 in all arms, as random labels have none to validate a rate, with and without 0.3 times half the
    squares of all kernels, which without normalisation cost more than the loss of guessing, 2.3, at the size that fits
    labels, as 0.03 times did not. Norm: of all kernels after 2000 steps. Complexity: the share of random labels that
    are fitted, after half and all of the steps. Beside them is a network of four units a layer. The control penalises
    biases and intercept in place of weights, with the same gamma.
    """
    rows = [row for seed in seeds for row in _ridge_path(seed, examples, inputs, penalty == "kernels")]
    loaded = load_data(data).standardized().flat()
    tables = [pd.DataFrame(rows)]
    penalised = {"decay": gamma} if penalty == "kernels" else {"bias_decay": gamma}
    arms = {"no penalty": (width, {}), "penalised": (width, penalised), "four units": (4, {})}
    for normalisation in ("none", "batch"):
        for arm, (units, options) in arms.items():
            trained = classifier(
                penalised_network,
                lambda seed: _with_random_labels(loaded, images, seed),
                steps=steps,
                every=steps // 2,
                batch_size=images,
                width=units,
                statistics=normalisation,
                **options,
            )(seeds=list(seeds), learning_rate=rate)
            labels = {"arm": arm, "normalisation": normalisation}
            fitted = horizons(trained.records).rename(columns={"train_accuracy": "fitted_accuracy"})
            tables.append(fitted[["seed", "steps", "fitted_accuracy"]].assign(quantity="fit", **labels))
            norms = pd.DataFrame({"seed": trained.replicas["seed"], "norm": _norms(trained)})
            tables.append(norms.assign(quantity="norm", **labels))
    return pd.concat(tables, ignore_index=True)


def _ridge_path(seed, examples, inputs, are_weights_penalised):
    """Norm of the weights and degrees of freedom of a ridge regression with an intercept, for several gammas."""
    generator = np.random.default_rng((seed, 5))
    x, t = generator.normal(1.0, size=(examples, inputs)), generator.normal(size=examples)
    design, is_weight = np.column_stack([np.ones(examples), x]), np.arange(inputs + 1) > 0
    rows = []
    for gamma in (0.1, 1.0, 10.0, 100.0, 1000.0):
        penalty = gamma * np.diag(is_weight == are_weights_penalised)
        inverse = np.linalg.solve(design.T @ design + penalty, design.T)
        columns = {"norm": np.linalg.norm((inverse @ t)[1:]), "degrees_of_freedom": np.trace(design @ inverse)}
        rows.append({"seed": seed, "quantity": "ridge", "gamma": gamma, **columns})
    return rows


def _with_random_labels(loaded, images, seed):
    """Choose training images, all of whose labels are drawn anew."""
    chosen = loaded.subset(images, seed)
    return chosen.with_label_noise(1 - 1 / loaded.classes, seed)


def _norms(training):
    """Norm of all kernels of each replica after training."""
    weights = training.builders[0]().weights
    kernels = [place for place, weight in enumerate(weights) if weight.path.endswith("kernel")]
    return [np.sqrt(sum(np.square(values[place]).sum() for place in kernels)) for values in training.weights]


@claim(
    r"To select the optimal $\gamma$ one can minimise the penalised training error for each candidate, choose the "
    r"$\gamma^*$ of the best validation error, and minimise on all data with $\gamma^*$.",
    source=lectures("2.5.3"),
    kind="advice",
    scope="sums of squares, not means; size of the validation set and candidates are left open; the square is taken "
    "outside of the difference, which the section prints inside",
    left_open=("validation",),
    literature="Hastie, Tibshirani and Friedman 2009, section 7.2",
    criterion=AllOf(
        better=Greater("risk", of="no penalty", than="validated", by="arm", each=("validation",)),
        optimal=Ratio("risk", of="validated", than="oracle", by="arm", expected=1.0, within=1.05, each=("validation",)),
    ),
    boundary=Boundary(
        "with half of the data held out, 60 records; a dozen validation records choose by chance, as the error on n "
        "of them is uncertain by a share of the root of 2 / n",
        holds="part == 'better' or validation >= 0.5",
    ),
    full={"records": 600, "inputs": 300, "repetitions": 100},
    control={"is_informed": False},
    seeds=48,
)
def gamma_by_validation(
    seed, *, records=120, inputs=60, noise=2.0, shares=(0.05, 0.1, 0.5, 0.6), repetitions=20, is_informed=True
):
    r"""Follows the procedure for ridge regression, and compares the expected squared error with that of other choices.

    Normal inputs and a normal teacher of 60 weights whose signal has the variance of the noise, 4; 120 records, of
    which 5, 10, 50 or 60 % are for validation; twelve candidates from 0.1 to 10,000. The expected error on new data,
    noise included, is known: $\lVert w - u \rVert^2 + \sigma^2$. Beside the final weights, of all data with the chosen
    $\gamma$, are those of all data without penalty, and with the candidate that is best for new data, the oracle;
    errors are means over 20 data sets of a seed. Optimal: within five per cent of the oracle. The sum of squares has
    its optimum at one $\gamma$ whatever the number of records, so that the choice may be carried from a part of the
    data to all. The control shuffles the validation targets: the procedure stays, what it learns is nothing, and the
    strongest shrinkage, which it prefers, is about as good as no penalty.
    """
    generator = np.random.default_rng(seed)
    candidates = np.geomspace(0.1, 1e4, 12)
    risks = {(arm, share): [] for arm in ("no penalty", "validated", "oracle") for share in shares}
    for _ in range(repetitions):
        teacher = generator.normal(size=inputs)
        teacher *= noise / np.linalg.norm(teacher)
        x = generator.normal(size=(records, inputs))
        t = x @ teacher + noise * generator.normal(size=records)
        final = {gamma: _risk(_ridge(x, t, gamma), teacher, noise) for gamma in (0.0, *candidates)}
        for share in shares:
            held = round(share * records)
            order = generator.permutation(held) if not is_informed else np.arange(held)
            errors = []
            for gamma in candidates:
                w = _ridge(x[held:], t[held:], gamma)
                errors.append(np.square(t[:held][order] - x[:held] @ w).sum())
            chosen = candidates[int(np.argmin(errors))]
            risks["no penalty", share].append(final[0.0])
            risks["validated", share].append(final[chosen])
            risks["oracle", share].append(min(final[gamma] for gamma in candidates))
    rows = [{"arm": arm, "validation": share, "risk": np.mean(values)} for (arm, share), values in risks.items()]
    return pd.DataFrame(rows)


def _ridge(x, t, gamma):
    return np.linalg.solve(x.T @ x + gamma * np.eye(x.shape[1]), x.T @ t)


def _risk(weights, teacher, noise):
    return np.square(weights - teacher).sum() + noise**2
