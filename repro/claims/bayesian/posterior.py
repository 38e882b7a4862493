"""The posterior of a network's parameters, and averages over it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Boundary, Correction, Identity, cheatsheet, claim
from repro.claims.bayesian._models import LinearModel, SmallNetwork

with epy.lazy_imports():
    import keras
    import scipy.special
    import scipy.stats

# Probability with which a true statement about means is rejected in one seed.
REJECTS = 1e-6


@claim(
    r"$\log p(\theta | S) = E(\theta) + \mathrm{const}$ with $E(\theta) = \frac{1}{2\gamma^2} \|y - f\|^2 + "
    r"\frac{1}{2\sigma^2} \|\theta\|^2$.",
    source=cheatsheet("1.9.2"),
    kind="formula",
    scope="normal prior and noise; E and the same letter with a tilde are taken to be one",
    transcription=True,
    literature="MacKay 1992; the section's own lines for the prior and the likelihood have the minus",
    # Keras' penalties are in single precision, whatever the type of the weights.
    criterion=AllOf(
        linear=Identity("log_posterior", "energy", operations=10**3, dtype="float32", where={"model": "linear"}),
        network=Identity("log_posterior", "energy", operations=10**3, dtype="float32", where={"model": "network"}),
    ),
    correction=Correction(r"$\log p(\theta | S) = -E(\theta) + \mathrm{const}$.", sign=-1.0),
)
def posterior_energy(seed, *, sign=1.0, draws=16):
    """Differences between 16 draws of the parameters from the prior, so that the constant is of no account.

    Linear: six examples, two parameters; log p(theta | S) is the density of the conjugate posterior, by SciPy. Network:
    two inputs, three tanh units, one output, 13 weights and biases; log p is the sum of the logarithms of SciPy's
    normal densities of parameters and of targets, with the network written out in NumPy. The energy is Keras': the mean
    squared error of a model, times s / (2 gamma^2), plus the penalties of its regularisers L2(1 / (2 sigma^2)). As
    printed the signs of the two sides differ, by which the likeliest parameters are the worst: minus twice a difference
    is left. The minus is by Bayes' rule.
    """
    generator = np.random.default_rng(seed)
    model = LinearModel.draw(generator)
    parameters = model.prior * generator.normal(size=(draws, 2))
    density = scipy.stats.multivariate_normal(model.mean, model.covariance).logpdf(parameters)
    energy = _keras_energy([_dense(1, model.prior, use_bias=False)], model.x, model.y, model.noise)
    energies = [energy([row[:, None]]) for row in parameters]
    tables = [_differences("linear", density, sign * np.array(energies))]
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
    tables.append(_differences("network", np.array(logarithms), sign * np.array(energies)))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Bayesian ensembling weights networks by their relative posterior: $f(\Theta)(x) = \sum_i w_i f(\theta_i)(x)$ "
    r"with $w_i = \exp(-E(\theta_i) / \gamma) / \sum_j \exp(-E(\theta_j) / \gamma)$.",
    source=cheatsheet("1.9.2"),
    kind="formula",
    scope="E is minus the logarithm of the posterior, up to a constant; whether gamma is a temperature, or the "
    "deviation of the noise as a few lines before, and how the members were found are left open",
    left_open=("gamma",),
    literature="Wenzel et al. 2020: the posterior is at temperature one",
    criterion=AllOf(
        weights=Identity("weight", "share", operations=10**5, each=("gamma",), where={"of": "weights"}),
        mean=Identity("prediction", "posterior_mean", atol=1e-6, each=("gamma",), where={"of": "mean"}),
    ),
    boundary=Boundary(
        "where gamma is a temperature of one; at other values the weights are those of a posterior that is sharpened "
        "or flattened",
        holds="gamma == 'one'",
        assumption="Wenzel et al. 2020: Bayes' rule is the case of temperature one",
    ),
    control={"weighting": "equal"},
)
def posterior_weights(seed, *, weighting="posterior", members=20, side=201):
    """Weights of 20 members by Keras' softmax, and the prediction of an ensemble on a grid.

    Weights: in a linear model with two parameters and six examples, members drawn from the prior; w against the shares
    of the conjugate posterior's density at them, by SciPy. Mean: members are a grid of 201 x 201 weights of a tanh(b x)
    with four examples, which reaches five deviations of the prior; their weighted prediction against the mean of the
    posterior by quadrature of unnormalised densities on a grid twice as fine. Members that are samples of the posterior
    already would be counted by it twice. Gamma is one or the noise's deviation, a half to one. The control weights all
    members alike.
    """
    generator = np.random.default_rng(seed)
    model = LinearModel.draw(generator)
    parameters = model.prior * generator.normal(size=(members, 2))
    energy = keras.ops.convert_to_numpy(model.energy(keras.ops.convert_to_tensor(parameters)))
    logarithm = scipy.stats.multivariate_normal(model.mean, model.covariance).logpdf(parameters)
    share = np.exp(logarithm - scipy.special.logsumexp(logarithm))
    network = SmallNetwork.draw(generator, side, noise=0.7, prior=0.8)
    y = network.observe(generator, 1)[:, :-1]
    fine = SmallNetwork(network.x, network.noise, network.prior, 2 * side - 1)
    density = np.exp(-(fine.energies(y)[0] - fine.energies(y).min()))
    posterior_mean = density @ fine.outputs(fine.weights)[:, -1] / density.sum()
    tables = []
    for gamma, of_linear, of_network in (("one", 1.0, 1.0), ("noise", model.noise, network.noise)):
        weight = _weights(energy / of_linear, weighting)
        tables.append(pd.DataFrame({"of": "weights", "gamma": gamma, "weight": weight, "share": share}))
        weight = _weights(network.energies(y)[0] / of_network, weighting)
        prediction = weight @ network.outputs(network.weights)[:, -1]
        means = {"prediction": prediction, "posterior_mean": posterior_mean}
        tables.append(pd.DataFrame({"of": ["mean"], "gamma": gamma, **means}))
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
    smoke={"worlds": 1000},
    control={"predict": "by the likeliest weights"},
)
def predictive_average(seed, *, worlds=2000, side=81, proposals=100_000, predict="by the average"):
    """The integral for a tanh(b x), by Keras on a grid of 81 x 81 weights, tried as a conditional mean and by samples.

    Calibrated: in 2000 worlds weights are drawn from the prior, then four targets and the one to be predicted with
    noise of deviation 0.5. What a conditional mean leaves of the target has mean zero, and is uncorrelated with what
    was known: with each of the four targets and with the prediction itself; means over worlds in standard errors.
    Sampled: for one world the average over exact samples of the posterior, by rejection of 100,000 draws from the
    prior, against the grid. Limits are exceeded once in a million by a correct formula. The control predicts by the
    likeliest weights of the grid, the single network that penalised training would give.
    """
    generator = np.random.default_rng(seed)
    network = SmallNetwork.draw(generator, side)
    y = network.observe(generator, worlds)
    known, target = y[:, :-1], y[:, -1]
    energies, outputs = network.energies(known), network.outputs(network.weights)[:, -1]
    if predict == "by the average":
        posterior = keras.ops.softmax(-keras.ops.convert_to_tensor(energies))
        predicted = keras.ops.convert_to_numpy(keras.ops.matmul(posterior, keras.ops.convert_to_tensor(outputs)))
    else:
        predicted = outputs[energies.argmin(axis=1)]
    factors = np.column_stack([np.ones(worlds), known, predicted])
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
    """Make a function of the weights of a stack of Keras layers: its squared error and penalties."""
    model = keras.Sequential([keras.Input((x.shape[1],), dtype="float64"), *layers])
    loss = keras.losses.MeanSquaredError(dtype="float64")

    def energy(weights):
        model.set_weights(weights)
        misfit = len(x) / (2 * noise**2) * float(keras.ops.convert_to_numpy(loss(y[:, None], model(x))))
        return misfit + sum(float(keras.ops.convert_to_numpy(penalty)) for penalty in model.losses)

    return energy


def _differences(model, logarithms, energies):
    return pd.DataFrame({"model": model, "log_posterior": np.diff(logarithms), "energy": np.diff(energies)})


def _weights(energies, weighting):
    if weighting == "equal":
        return np.full(len(energies), 1 / len(energies))
    return keras.ops.convert_to_numpy(keras.ops.softmax(-keras.ops.convert_to_tensor(energies)))
