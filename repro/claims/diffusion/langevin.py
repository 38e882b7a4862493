"""Estimated scores where data are rare, and Langevin dynamics with them."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Greater, claim, notes
from repro.claims.diffusion._trained import functions, simulations, tuned
from repro.engine import ValidatedArm, mlp, train

with epy.lazy_imports():
    import keras

# Figure 2 of Song and Ermon 2019: two Gaussians of unit variance, one of four and one of one fifth of the weight.
MEANS = np.array([[-5.0, -5.0], [5.0, 5.0]])
WEIGHTS = np.array([0.2, 0.8])
SMOKE = {"steps": 1000, "examples": 1000, "width": 32, "batch_size": 64, "generated": 1000, "langevin_steps": 50}
FULL = {"steps": 50_000, "examples": 100_000, "width": 256}
FEW, DATA, NOISE = "a tenth of the data", "data alone", "with noise"
NETWORKS, EXACT = "networks", "exact scores"
SCORES = {"measured": "score"}


def estimated_scores(
    seeds,
    *,
    trained_on=(FEW, DATA, NOISE),
    drawn="data",
    largest=10.0,
    smallest=0.1,
    sizes=10,
    examples=2000,
    steps=4000,
    batch_size=128,
    width=64,
    rates=(0.001, 0.003, 0.01, 0.03),
    generated=1000,
    langevin_steps=100,
    sampled_with=(NETWORKS, EXACT),
):
    """Errors of trained scores where data are rare and where they are not, and the modes that Langevin dynamics finds.

    Keras networks of two hidden layers minimise the Fisher divergence itself, for points drawn by each seed from a
    mixture of two Gaussians in the plane, with the exact score for target, so that nothing but the places of the points
    makes errors; each at its rate of the least loss on further points, after half and after all of the steps. They are
    trained on the points, on a tenth of them, or on points with noise of ten sizes, which the network is told. Errors
    are medians of squares over a square grid: where the data's density is less than a thousandth of its highest, and
    where it is over a tenth; relative ones are divided by the median square of the score there. With noise they are for
    the perturbed distribution of the two largest sizes, times its variance, which puts scores of all sizes on one
    scale; "bias" is how far its exact score is from that of the data. Samples start evenly spread over the square and
    take the same number of Langevin steps, of the data's size throughout or shrinking with the noise (Song and Ermon,
    algorithm 1), with the networks' scores and, beside them, with exact ones. "share_error" is how far the share of
    samples in the smaller mode is from its weight, a fifth.
    """
    of_noise = np.geomspace(largest, smallest, sizes)
    grid = _grid()
    density = np.exp(_log_density(grid, 0.0))
    regions = {"low": density < density.max() / 1000, "high": density > density.max() / 10}
    rows, trials = [], []
    for name in trained_on:
        levels = of_noise if name == NOISE else np.zeros(sizes)
        number = examples // 10 if name == FEW else examples
        arm = _arm(partial(_examples, levels, number, examples, drawn), batch_size, width)
        trainings, found = tuned(arm, rates, seeds, steps, trained_on=name)
        trials += found
        for length, training in trainings.items():
            networks, dynamics = functions(training), simulations(training, _langevin_step)
            for seed, network, langevin in zip(seeds, networks, dynamics, strict=True):
                labels = {"seed": seed, "trained_on": name, "examples": number, "steps": length}
                if name != FEW and NETWORKS in sampled_with:
                    share = _share_error(langevin, seed, levels, generated, langevin_steps)
                    rows.append({**labels, "measured": "share", "share_error": share})
                for sigma in levels[:2] if name == NOISE else levels[:1]:
                    squares = _errors(network, grid, sigma) * (1 + sigma**2)
                    exact = _score(grid, sigma)
                    sizes_of = np.square(exact).sum(axis=-1) * (1 + sigma**2)
                    bias = np.square(exact - _score(grid, 0.0)).sum(axis=-1)
                    rows += [
                        {
                            **labels,
                            "measured": "score",
                            "noise": sigma,
                            "density": region,
                            "error": np.median(squares[where]),
                            "relative": np.median(squares[where]) / np.median(sizes_of[where]),
                            "bias": np.median(bias[where]),
                        }
                        for region, where in regions.items()
                    ]
    for seed in seeds if EXACT in sampled_with else ():
        for name, levels in (("exact scores, data alone", np.zeros(sizes)), ("exact scores, with noise", of_noise)):
            share = _share_error(_exact_langevin, seed, levels, generated, langevin_steps)
            rows.append({"seed": seed, "trained_on": name, "measured": "share", "share_error": share})
    observations = pd.DataFrame(rows)
    observations.attrs["tuning"] = trials
    return observations


@claim(
    r"Estimated scores are inaccurate in regions of low density, where few data points are available: score matching "
    r"minimises $\int p(x)\|\nabla\log p(x) - s_\theta(x)\|^2 dx$, in which they are largely ignored.",
    source=notes("Remark 3.78"),
    kind="tendency",
    scope="score matching on samples without noise; left open: network, number of samples",
    left_open=("examples",),
    literature="Song and Ermon 2019, section 3.2.1",
    reads=estimated_scores,
    criterion=AllOf(
        absolute=Greater("error", of="low", than="high", by="density", smallest_ratio=1.05, each=("examples", "steps")),
        relative=Greater(
            "relative", of="low", than="high", by="density", smallest_ratio=1.05, each=("examples", "steps")
        ),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"drawn": "evenly", "trained_on": (FEW, DATA), "sampled_with": ()},
    seeds=48,
)
def low_density_scores(observations):
    """Compares errors where the density is low with those where it is high, of networks trained without noise.

    Relative errors tell the rival explanation apart, that scores are larger far out. The control draws its points
    evenly from the square, so that no region is ignored.
    """
    chosen = observations[observations["trained_on"].isin((FEW, DATA)) & (observations["measured"] == "score")]
    return chosen.astype({"examples": int, "steps": int}).reset_index(drop=True)


@claim(
    "Noise of sufficiently large magnitude, added to the data, can populate regions of low density to improve the "
    "accuracy of estimated scores: the way round their inaccuracy, which derails Langevin dynamics.",
    source=notes("Remark 3.78"),
    kind="tendency",
    scope="scores of the perturbed distribution; left open: noise level, bias of that distribution, Langevin steps",
    left_open=("noise",),
    literature="Song and Ermon 2019, sections 3.2.2 and 4",
    reads=estimated_scores,
    criterion=AllOf(
        scores=Greater(
            "error", of=DATA, than=NOISE, by="trained_on", smallest_ratio=1.05, each=("noise", "steps"), where=SCORES
        ),
        sampling=Greater(
            "share_error",
            of=DATA,
            than=NOISE,
            by="trained_on",
            smallest_difference=0.01,
            each=("steps",),
            where={"measured": "share"},
        ),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"largest": 0.2, "trained_on": (DATA, NOISE), "sampled_with": (NETWORKS,)},
    seeds=48,
)
def noise_fills_low_density(observations):
    """Compares errors of scores where data are rare, with noise of the two largest sizes and without any; and samples.

    The two sizes span the gap between the modes, seven to either side. What noise leaves of a bias is not counted, as
    the statement is about the scores of the perturbed distribution; the smallest size ends Langevin dynamics with
    hardly any. In the control the noise is too small to fill the gap, ten sizes of it from a tenth to a fifth.
    """
    chosen = observations[observations["trained_on"].isin((DATA, NOISE)) & (observations["density"] != "high")]
    perturbed = chosen[chosen["trained_on"] == NOISE]
    alone = chosen[(chosen["trained_on"] == DATA) & (chosen["measured"] == "score")]
    without = [alone.assign(noise=sigma) for sigma in perturbed["noise"].dropna().unique()]
    share = chosen[(chosen["trained_on"] == DATA) & (chosen["measured"] == "share")]
    return pd.concat([perturbed, *without, share], ignore_index=True).astype({"steps": int})


def _drawn(generator, number):
    return MEANS[generator.choice(2, size=number, p=WEIGHTS)] + generator.normal(size=(number, 2))


def _grid():
    axis = np.linspace(-8, 8, 65)
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)


def _log_density(x, sigma):
    variance = 1 + np.asarray(sigma) ** 2
    kernels = -np.square(x[:, None] - MEANS).sum(axis=-1) / (2 * np.reshape(variance, (-1, 1)))
    return np.logaddexp(*(kernels + np.log(WEIGHTS)).T) - np.log(2 * np.pi * variance)


def _score(x, sigma):
    """Score of the mixture with noise, at points [n, 2], sigma a number or one for each point."""
    variance = np.reshape(1 + np.asarray(sigma) ** 2, (-1, 1))
    offsets = MEANS - x[:, None]
    kernels = -np.square(offsets).sum(axis=-1) / (2 * variance) + np.log(WEIGHTS)
    second = 1 / (1 + np.exp(kernels[:, :1] - kernels[:, 1:]))
    return ((1 - second) * offsets[:, 0] + second * offsets[:, 1]) / variance


def _examples(levels, number, examples, drawn, seed):
    """Points with noise of each size, as the inputs and targets of a network, and as many further ones to test on.

    Fewer points than usual are repeated, so that all networks have as many examples. Inputs are a point and the
    logarithm of the standard deviation there, which also scales the targets.
    """
    arrays = []
    for generator in np.random.default_rng((seed, 7)).spawn(2):
        x = generator.uniform(-8, 8, size=(number, 2)) if drawn == "evenly" else _drawn(generator, number)
        x = np.tile(x, (len(levels) * examples // number, 1))
        sigma = np.repeat(levels, examples)
        x = x + sigma[:, None] * generator.normal(size=x.shape)
        scale = np.sqrt(1 + sigma**2)[:, None]
        arrays += [np.hstack([x, np.log(scale)]).astype(np.float32), (_score(x, sigma) * scale).astype(np.float32)]
    return SimpleNamespace(**dict(zip(("x_train", "y_train", "x_test", "y_test"), arrays, strict=True)))


def _arm(examples, batch_size, width):
    """Prepare the training of a score network; a trial's seed has points of its own, to train and to validate on."""
    training = partial(
        train,
        mlp,
        examples,
        loss="mean_squared_error",
        optimizer=keras.optimizers.Adam(),
        batch_size=batch_size,
        inputs=3,
        outputs=2,
        widths=(width, width),
        activation="swish",
    )
    return ValidatedArm(training, training)


def _estimated(network, x, sigma):
    scale = np.sqrt(1 + sigma**2)
    return network(np.column_stack([x, np.full(len(x), np.log(scale))])) / scale


def _errors(network, x, sigma):
    return np.square(_estimated(network, x, sigma) - _score(x, sigma)).sum(axis=-1)


def _langevin_step(network, x, row):
    scale, step, noise = row
    inputs = keras.ops.concatenate([x, keras.ops.log(scale) * keras.ops.ones_like(x[:, :1])], axis=-1)
    return x + step / 2 * network(inputs) / scale + keras.ops.sqrt(step) * noise


def _exact_langevin(x, rows):
    for scale, step, noise in zip(*rows, strict=True):
        x = x + step / 2 * _score(x, np.sqrt(scale**2 - 1)) + np.sqrt(step) * noise
    return x


def _share_error(langevin, seed, sizes, samples, steps):
    """Distance from its weight of the share of samples nearer the smaller mode, after steps for every size of noise."""
    generator = np.random.default_rng(seed)
    scale = np.repeat(np.sqrt(1 + sizes**2), steps)
    noise = generator.normal(size=(len(scale), samples, 2))
    x = langevin(generator.uniform(-8, 8, size=(samples, 2)), (scale, 0.1 * scale**2, noise))
    return abs((x.sum(axis=1) < 0).mean() - WEIGHTS[0])
