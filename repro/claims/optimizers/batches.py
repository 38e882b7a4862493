"""Gradients of single samples, of mini-batches and of all samples."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pandas as pd

from repro import AllOf, Boundary, Greater, Identity, PositiveControl, claim, lectures
from repro.claims.optimizers._functions import INPUTS, NETWORK_SIZE, Function, network
from repro.claims.optimizers._speed import steps_to
from repro.engine import classifier, load_data, mlp, tune

SINGLE, MINI, ALL, SLOWER = "single samples", "mini-batches", "all samples", "mini-batches at an eighth of the rate"


@claim(
    "The gradient of a single sample is a faster and unbiased estimate of the mean over all N, but of high variance, "
    "which can make the optimisation oscillate; the mean over a mini-batch of M < N is a good balance of cost and "
    "variance, allowing faster convergence while maintaining stability.",
    source=lectures("2.3.2"),
    kind="tendency",
    scope="a sample drawn uniformly; rates for each batch size, and whether cost is counted in samples or in steps, "
    "are left open; oscillation and stability are not measured; the passage has no formula of the variance, which is "
    "the literature's",
    left_open=("cost",),
    literature="Bottou, Curtis and Nocedal 2018, section 3.3; Shallue et al. 2019: steps fall as 1/M up to a critical "
    "size; Cochran 1977, theorem 2.2, for the factor of sampling without replacement",
    criterion=AllOf(
        unbiased=Identity("mean_of_samples", "gradient", operations=4096, where={"quantity": "mean"}),
        variance=Identity("variance", "expected", operations=4096, where={"quantity": "variance"}),
        beside_all=Greater(
            "cost_to_target", of=ALL, than=MINI, by="batches", each=("cost",), where={"quantity": "run"}
        ),
        beside_single=Greater(
            "cost_to_target", of=SINGLE, than=MINI, by="batches", each=("cost",), where={"quantity": "run"}
        ),
    ),
    boundary=Boundary(
        "in samples beside all of them, in steps beside single ones: mini-batches need more steps than the whole and "
        "as many samples as single ones",
        holds="part == 'unbiased' or part == 'variance' or (part == 'beside_all' and cost == 'samples') or (part == "
        "'beside_single' and cost == 'steps')",
    ),
    smoke={"images": 128, "budgets": (2048, 512, 192)},
    full={"data": "mnist", "images": 2048, "budgets": (65536, 16384, 2048)},
    positive_control=PositiveControl(
        "At an eighth of the best rate mini-batches cost more, in samples and in steps.",
        criterion=AllOf(
            **{
                part: Greater(
                    "cost_to_target",
                    of=SLOWER,
                    than=MINI,
                    by="batches",
                    each=("cost",),
                    where={"quantity": "run"},
                    smallest_ratio=1.05**2,
                    because="it is twice what matters",
                )
                for part in ("beside_all", "beside_single")
            }
        ),
    ),
    seeds=48,
)
def sgd_unbiased(seeds, *, images=256, mini=8, target=0.3, budgets=(4096, 1024, 256), width=32, data="digits"):
    """Compares gradients of drawn samples with that of all, exactly, and the cost to a training loss of 0.3.

    Exact: half the squared error of a tanh network of 13 weights on 12 normal examples at normal weights, double
    precision; the mean over all examples of their gradients against the gradient of the mean, each by automatic
    differentiation; the variance of the mean over all 495 batches of four without replacement, by enumeration, against
    that of one sample over 4 times 8 / 11. Cost: one hidden ReLU layer of Keras on standardised images, which each seed
    redraws, SGD with one, 8 or all images in a step, each at its rate of the fewest steps to the target on seeds of
    their own; steps, interpolated between 64 measurements, and steps times batch size. Beside them mini-batches at an
    eighth of their rate. A run that does not get there is infinite.
    """
    tables, trials = [_exact(seed) for seed in seeds], []
    loaded = load_data(data).standardized().flat()
    grids = ((0.003, 0.01, 0.03, 0.1), (0.03, 0.1, 0.3, 1.0), (0.1, 0.3, 1.0, 3.0))
    for batches, size, steps, rates in zip((SINGLE, MINI, ALL), (1, mini, images), budgets, grids, strict=True):
        arm = classifier(
            mlp,
            lambda seed: loaded.subset(images, seed),
            steps=steps,
            batch_size=size,
            every=steps // 64,
            metrics={},
            widths=(width,),
        )
        objective = partial(_median_steps, target=target)
        tuning = tune(arm, {"learning_rate": list(rates)}, len(rates), objective=objective, widen=2)
        trials += tuning.table(batches=batches)
        best = tuning.best["learning_rate"]
        for name, rate in ({batches: best, SLOWER: best / 8} if batches == MINI else {batches: best}).items():
            found = steps_to(arm(seeds=list(seeds), learning_rate=rate).records, target)
            for cost, factor in (("steps", 1), ("samples", size)):
                columns = {"seed": found.index, "cost_to_target": factor * found.to_numpy()}
                tables.append(pd.DataFrame({"quantity": "run", "batches": name, "cost": cost, **columns}))
    table = pd.concat(tables, ignore_index=True)
    table.attrs["tuning"] = trials
    return table


def _median_steps(training, target):
    return float(steps_to(training.records, target).median())


def _exact(seed, examples=12, batch=4):
    generator = np.random.default_rng((seed, 7))
    x, y = generator.normal(size=(examples, INPUTS)), generator.normal(size=examples)
    weights = generator.normal(size=(1, NETWORK_SIZE))
    single = np.stack([Function(network, (x[[i]], y[[i]], 0.0)).gradients(weights)[0] for i in range(examples)])
    of_all = Function(network, (x, y, 0.0)).gradients(weights)[0]
    means = np.stack([single[list(chosen)].mean(axis=0) for chosen in itertools.combinations(range(examples), batch)])
    variance = np.square(means - of_all).sum(axis=1).mean()
    of_one = np.square(single - of_all).sum(axis=1).mean()
    expected = of_one / batch * (examples - batch) / (examples - 1)
    mean = {"quantity": "mean", "mean_of_samples": single.mean(axis=0), "gradient": of_all}
    spread = {"quantity": "variance", "variance": [variance], "expected": [expected]}
    return pd.concat([pd.DataFrame({"seed": seed, **mean}), pd.DataFrame({"seed": seed, **spread})])
