"""The posterior of a network's parameters, and averages over it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Boundary, Correction, Identity, Rival, cheatsheet, claim
from repro.claims.bayesian._models import LinearModel, SmallNetwork

with epy.lazy_imports():
    import keras
    import scipy.special
    import scipy.stats

# Probability with which a true statement about means is rejected in one seed.
REJECTS = 1e-6


def _is_log_posterior(energy):
    # Keras' penalties are in single precision, whatever the type of the weights.
    options = {"operations": 10**3, "dtype": "float32"}
    return AllOf(
        linear=Identity("log_posterior", energy, **options, where={"model": "linear"}),
        network=Identity("log_posterior", energy, **options, where={"model": "network"}),
    )


@claim(
    r"$\log p(\theta | S) = E(\theta) + \mathrm{const}$ with $E(\theta) = \frac{1}{2\gamma^2} \|y - f\|^2 + "
    r"\frac{1}{2\sigma^2} \|\theta\|^2$.",
    source=cheatsheet("1.9.2"),
    kind="formula",
    scope="normal prior and noise; E and the same letter with a tilde are taken to be one",
    transcription=True,
    literature="MacKay 1992; the section's own lines for the prior and the likelihood have the minus, and so has its "
    "energy for Hamiltonian dynamics, minus the logarithms of both",
    criterion=_is_log_posterior("energy"),
    rival=Rival(
        r"$\log p(\theta | S) = -\frac{1}{\gamma^2} \|y - f\|^2 - \frac{1}{2\sigma^2} \|\theta\|^2 + \mathrm{const}$.",
        criterion=_is_log_posterior("without_the_half"),
    ),
    correction=Correction(r"$\log p(\theta | S) = -E(\theta) + \mathrm{const}$.", sign=-1.0),
    smoke={"draws": 6},
)
def posterior_energy(seed, *, sign=1.0, draws=16):
    """Differences between 16 draws of the parameters from the prior, so that the constant is of no account.

    Linear: six examples, two parameters; log p(theta | S) is the density of the conjugate posterior, by SciPy. Network:
    two inputs, three tanh units, one output, 13 weights and biases; log p is the sum of the logarithms of SciPy's
    normal densities of parameters and of targets, with the network written out in NumPy. The energy is Keras': the mean
    squared error of a model, times s / (2 gamma^2), plus the penalties of its regularisers L2(1 / (2 sigma^2)). As
    printed the signs of the two sides differ, by which the likeliest parameters are the worst: minus twice a difference
    is left. The minus is by Bayes' rule. The rival has the minus and lacks the half of the misfit.
    """
    generator = np.random.default_rng(seed)
    model = LinearModel.draw(generator)
    parameters = model.prior * generator.normal(size=(draws, 2))
    density = scipy.stats.multivariate_normal(model.mean, model.covariance).logpdf(parameters)
    energy = _keras_energy([_dense(1, model.prior, use_bias=False)], model.x, model.y, model.noise)
    energies = [energy([row[:, None]]) for row in parameters]
    tables = [_differences("linear", density, energies, sign)]
    x, noise, prior = generator.normal(size=(8, 2)), 0.5, 1.2
    y = generator.normal(size=8)
    energy = _keras_energy([_dense(3, prior, activation="tanh"), _dense(1, prior)], x, y, noise)
    logarithms, energies = [], []
    for _ in range(draws):
        weights = [prior * generator.normal(size=shape) for shape in ((2, 3), (3,), (3, 1), (1,))]
        w, b, v, c = weights
        outputs = (np.tanh(x @ w + b) @ v + c)[:, 0]
        of_prior = sum(scipy.stats.norm.logpdf(values, scale=prior).sum() for values in weights)
        logarithms.append(of_prior + scipy.stats.norm.logpdf(y, outputs, noise).sum())
        energies.append(energy(weights))
    tables.append(_differences("network", logarithms, energies, sign))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Bayesian ensembling weights networks by their relative posterior: $f(\Theta)(x) = \sum_i w_i f(\theta_i)(x)$ "
    r"with $w_i = \exp(-E(\theta_i) / \gamma) / \sum_j \exp(-E(\theta_j) / \gamma)$.",
    source=cheatsheet("1.9.2"),
    kind="formula",
    scope="E is minus the logarithm of the posterior, up to a constant, or that times gamma; whether gamma is a "
    "temperature or the noise's deviation, as a few lines before, or its variance, and how the members were found, are "
    "left open",
    left_open=("gamma", "members"),
    literature="Wenzel et al. 2020: the posterior is at temperature one",
    criterion=AllOf(
        weights=Identity("weight", "share", operations=10**5, each=("gamma",), where={"of": "weights"}),
        # The grid's own error is under 3e-7.
        mean=Identity("prediction", "posterior_mean", atol=1e-6, each=("gamma", "members"), where={"of": "mean"}),
    ),
    boundary=Boundary(
        "where E / gamma is minus the logarithm of the posterior, and for the mean if members lie on a grid: other "
        "values of gamma sharpen or flatten the posterior, its samples are counted by it twice, and optima leave out "
        "the rest",
        holds="gamma != 'deviation of the noise' and (part == 'weights' or members == 'grid')",
        named=(
            {"part": "weights", "gamma": "one"},
            {"part": "weights", "gamma": "deviation of the noise"},
            {"part": "mean", "gamma": "one", "members": "grid"},
            {"part": "mean", "gamma": "one", "members": "samples"},
        ),
        assumption="Wenzel et al. 2020: Bayes' rule is the case of temperature one; members that represent all weights "
        "alike, as in quadrature",
    ),
    control={"weighting": "equal"},
)
def posterior_weights(seed, *, weighting="posterior", members=20, side=201):
    """Weights of 20 members by Keras' softmax, and the prediction of an ensemble on a grid.

    Weights: in a linear model with two parameters and six examples, members drawn from the prior; w against the shares
    of the conjugate posterior's density at them, by SciPy. Mean: the weighted prediction of a tanh(b x) with four
    examples against the mean of the posterior, by quadrature of unnormalised densities on 401 x 401 weights up to five
    deviations of the prior. Members are all of a grid of 201 x 201 weights; the same as often as the posterior says,
    the limit of many samples of it; or the optimum of E on the grid, whose mirror image has the same output. Gamma is
    one; the noise's deviation, a half to one; or the noise's variance, with E times it: half the squared error plus
    decay. The control weights all members alike, as is right for samples of the posterior.
    """
    generator = np.random.default_rng(seed)
    model = LinearModel.draw(generator)
    parameters = model.prior * generator.normal(size=(members, 2))
    energy = keras.ops.convert_to_numpy(model.energy(keras.ops.convert_to_tensor(parameters)))
    logarithm = scipy.stats.multivariate_normal(model.mean, model.covariance).logpdf(parameters)
    share = np.exp(logarithm - scipy.special.logsumexp(logarithm))
    network = SmallNetwork.draw(generator, side)
    y = network.observe(generator, 1)[:, :-1]
    fine = SmallNetwork(network.x, network.noise, network.prior, 2 * side - 1)
    of_fine = fine.energies(y)[0]
    density = np.exp(of_fine.min() - of_fine)
    posterior_mean = density @ fine.outputs(fine.weights)[:, -1] / density.sum()
    energies, outputs = network.energies(y)[0], network.outputs(network.weights)[:, -1]
    found = {
        "grid": np.zeros_like(energies),
        "samples": -energies,
        "optima": np.where(energies == energies.min(), 0.0, -np.inf),
    }
    tables = []
    # Powers of the noise's deviation with which E is multiplied, and that are gamma.
    readings = {"one": (0, 0), "deviation of the noise": (0, 1), "variance of the noise": (2, 2)}
    for gamma, (times, over) in readings.items():
        weight = _weights(energy * model.noise**times / model.noise**over, weighting)
        tables.append(pd.DataFrame({"of": "weights", "gamma": gamma, "weight": weight, "share": share}))
        for name, log_frequency in found.items():
            weight = _weights(energies * network.noise**times / network.noise**over, weighting, log_frequency)
            means = {"prediction": weight @ outputs, "posterior_mean": posterior_mean}
            tables.append(pd.DataFrame({"of": ["mean"], "gamma": gamma, "members": name, **means}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"The mean of the Bayesian predictive distribution is $f(x) = \int f(\theta)(x)\, p(\theta | S)\, d\theta$.",
    source=cheatsheet("1.9.2"),
    kind="formula",
    scope="given prior and likelihood; that it beats a single network is not said",
    literature="Neal 1996, section 1.1",
    criterion=AllOf(
        calibrated=AtMost("deviation", bound="limit", where={"of": "residuals"}),
        sampled=AtMost("deviation", bound="limit", where={"of": "samples"}),
    ),
    smoke={"worlds": 4000},
    control={"predict": "by the likeliest weights"},
)
def predictive_average(seed, *, worlds=8000, side=101, proposals=100_000, predict="by the average"):
    """The integral for a tanh(b x), by Keras on 101 x 101 weights, tried as a conditional mean and by samples.

    Calibrated: in 8000 worlds weights are drawn from the prior, of deviation 1.5, then one known target and the one to
    be predicted, with noise of deviation 0.7. What a conditional mean leaves of the target has mean zero, and is
    uncorrelated with what was known: with the known target, with the prediction itself, and with how far it is from
    that of the likeliest weights; means over worlds in standard errors. Sampled: for one world the average over exact
    samples of the posterior, by rejection of 100,000 draws from the prior, against the grid. Limits are exceeded once
    in a million by a correct formula. The control predicts by the likeliest weights of the grid, the single network
    that penalised training would give.
    """
    generator = np.random.default_rng(seed)
    # With one example both predictions differ most, and the grid resolves the posterior to 2e-5.
    network = SmallNetwork.draw(generator, side, prior=1.5, examples=1)
    y = network.observe(generator, worlds)
    known, target = y[:, :-1], y[:, -1]
    batches = np.array_split(known, -(-worlds // 500))  # all energies at once are too many
    average, likeliest = np.hstack([_predictions(network, batch) for batch in batches])
    predicted = average if predict == "by the average" else likeliest
    factors = np.column_stack([np.ones(worlds), known, predicted, average - likeliest])
    products = (target - predicted)[:, None] * factors
    deviations = np.abs(products.mean(axis=0)) / (products.std(axis=0, ddof=1) / np.sqrt(worlds))
    drawn = network.outputs(network.prior * generator.normal(size=(proposals, 2)))
    likelihood = np.exp(-((known[0] - drawn[:, :-1]) ** 2).sum(axis=1) / (2 * network.noise**2))
    samples = drawn[generator.uniform(size=proposals) < likelihood, -1]
    off = np.abs(samples.mean() - predicted[0]) / (samples.std(ddof=1) / np.sqrt(len(samples)))
    limit = scipy.stats.norm.isf(REJECTS / (2 * len(deviations)))
    return pd.concat(
        [
            pd.DataFrame({"of": "residuals", "deviation": deviations, "limit": limit}),
            pd.DataFrame({"of": ["samples"], "deviation": off, "limit": limit}),
        ],
        ignore_index=True,
    )


def _dense(units, prior, **options):
    penalty = keras.regularizers.L2(1 / (2 * prior**2))
    return keras.layers.Dense(units, kernel_regularizer=penalty, bias_regularizer=penalty, dtype="float64", **options)


def _keras_energy(layers, x, y, noise):
    """Make a function of the weights of a stack of Keras layers: misfit and penalty of its energy."""
    model = keras.Sequential([keras.Input((x.shape[1],), dtype="float64"), *layers])
    loss = keras.losses.MeanSquaredError(dtype="float64")

    def energy(weights):
        model.set_weights(weights)
        misfit = len(x) / (2 * noise**2) * float(keras.ops.convert_to_numpy(loss(y[:, None], model(x))))
        return misfit, sum(float(keras.ops.convert_to_numpy(penalty)) for penalty in model.losses)

    return energy


def _differences(model, logarithms, energies, sign):
    misfit, penalty = np.diff(energies, axis=0).T
    columns = {"energy": sign * (misfit + penalty), "without_the_half": -2 * misfit - penalty}
    return pd.DataFrame({"model": model, "log_posterior": np.diff(logarithms), **columns})


def _weights(energies, weighting, log_frequency=0.0):
    """Weights of members, times how often each is there."""
    logarithms = log_frequency - (energies if weighting == "posterior" else np.zeros_like(energies))
    return keras.ops.convert_to_numpy(keras.ops.softmax(keras.ops.convert_to_tensor(logarithms)))


def _predictions(network, known):
    """Predictions at the last input by the average over the posterior and by the likeliest weights, [2, worlds]."""
    energies, outputs = network.energies(known), network.outputs(network.weights)[:, -1]
    posterior = keras.ops.softmax(-keras.ops.convert_to_tensor(energies))
    average = keras.ops.matmul(posterior, keras.ops.convert_to_tensor(outputs))
    return np.stack([keras.ops.convert_to_numpy(average), outputs[energies.argmin(axis=1)]])
