"""PAC-Bayesian bounds, and learning on perturbed parameters."""

from __future__ import annotations

import itertools
from functools import cache, partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AtMost, Correction, Greater, Identity, ScalingLaw, cheatsheet, claim
from repro.engine import classifier, compare_arms, load_data
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras

THRESHOLDS = np.linspace(0, 1, 101)
LABEL_NOISE = 0.2


@claim(
    r"For fixed $\varepsilon$ and any $Q$ over $s$ samples, $E_Q[E(f)] - E_Q[\hat E(f)] \le \sqrt{\frac{2}{s}"
    r"\left[\mathrm{KL}(Q\|P) + \ln\frac{1}{2\sqrt{s\varepsilon}}\right]}$, with probability $1 - \varepsilon$.",
    source=cheatsheet("1.9.4"),
    kind="theorem",
    root="pac_bayes_log_term",
    transcription=True,
    literature=r"McAllester 1999; Maurer 2004: $\frac{1}{2s}[\mathrm{KL} + \ln(2\sqrt{s}/\varepsilon)]$ under the root",
    criterion=AtMost("violations", bound="epsilon"),
    correction=Correction(
        r"$E_Q[E(f)] - E_Q[\hat E(f)] \le \sqrt{\frac{2}{s}\left[\mathrm{KL}(Q\|P) + \ln\frac{2\sqrt{s}}{\varepsilon}"
        r"\right]}$: the logarithm is positive, and grows with the sample and with the confidence.",
        logarithm="right",
    ),
)
def pac_bayes_bound(
    seed,
    *,
    sizes=(20, 200, 2000),
    confidences=(0.01, 0.05),
    temperatures=(0.0, 1.0, 10.0),
    samples=100,
    logarithm="printed",
):
    """Counts in how many of 100 samples the gap of a distribution Q exceeds the bound, for every size and epsilon.

    Functions: 101 thresholds on uniform inputs, whose labels are wrong with probability 0.2, so that errors and the
    divergence from the uniform P are known exactly. Q: P itself, and distributions proportional to exp(-t s error on
    the sample). The document does not say with which probability the bound holds; it is read as 1 - epsilon over
    samples. As printed the logarithm is negative once 4 s epsilon exceeds 1, so that Q near P has no bound at all
    (taken as zero): the fraction stands upside down, with epsilon under the root.
    """
    rows = []
    for size, temperature in itertools.product(sizes, temperatures):
        gap, divergence = _gaps(np.random.default_rng((seed, size)), size, temperature, samples)
        for epsilon in confidences:
            bound = np.sqrt(2 / size * np.maximum(divergence + _logarithm(logarithm, size, epsilon), 0))
            labels = {"size": size, "temperature": temperature, "epsilon": epsilon}
            rows.append({**labels, "violations": np.mean(gap > bound)})
    return pd.DataFrame(rows)


@claim(
    r"The PAC-Bayesian theorem ensures the rate $\tilde O(1/\sqrt{s})$ for the gap between expected and empirical "
    "error.",
    source=cheatsheet("1.9.4"),
    kind="law",
    literature="McAllester 1999",
    criterion=ScalingLaw(
        x="size",
        y="value",
        at_most=-0.4,
        because="the logarithm of the bound, which the tilde stands for, takes less than a tenth off the exponent 1/2",
        each=("quantity",),
    ),
    control={"divergence_per_example": 0.1},
)
def pac_bayes_rate(
    seed, *, sizes=(100, 400, 1600, 6400), epsilon=0.05, samples=200, concentration=20.0, divergence_per_example=0.0
):
    """Fits the exponents in the sample size of the bound and of the gap that it bounds.

    The thresholds of ``pac_bayes_bound`` with a Q proportional to exp(-20 error on the sample), which does not sharpen
    with the sample. The gap is the root mean square over 200 samples; the bound that of the mean divergence, with
    ln(2 sqrt(s) / epsilon), since the printed one is no number for large s. In the control Q learns 0.1
    nats from every further example, and a divergence in proportion to s leaves no rate.
    """
    rows = []
    for size in sizes:
        gap, divergence = _gaps(np.random.default_rng((seed, size)), size, concentration / size, samples)
        total = divergence.mean() + divergence_per_example * size + _logarithm("right", size, epsilon)
        bound = np.sqrt(2 / size * total)
        rows.append({"size": size, "quantity": "bound", "value": bound})
        rows.append({"size": size, "quantity": "gap", "value": np.sqrt(np.mean(np.square(gap)))})
    return pd.DataFrame(rows)


@claim(
    r"For $Q = N(\theta, \mathrm{diag}\,\sigma_i^2)$: $\mathrm{KL}(Q\|P) = \sum_i \log\left(\frac{\lambda}{\sigma_i} + "
    r"\frac{\sigma_i^2 + \theta_i^2}{2\lambda^2} - \frac12\right)$, with $P = N(0, \lambda^2 I)$.",
    source=cheatsheet("1.9.4"),
    kind="formula",
    transcription=True,
    criterion=Identity("formula", "integral", operations=1000),
    correction=Correction(
        r"$\mathrm{KL}(Q\|P) = \sum_i \left(\log\frac{\lambda}{\sigma_i} + \frac{\sigma_i^2 + \theta_i^2}{2\lambda^2} "
        r"- \frac12\right)$: the logarithm is of the first fraction alone.",
        logarithm="of the first fraction",
    ),
)
def pac_bayes_gaussian_kl(seeds, *, parameters=5, logarithm="of the sum"):
    """Integrates the logarithm of the densities' ratio over Q by Gauss-Hermite quadrature, exact for its polynomials.

    Five parameters for each seed: means normal, deviations and the prior's deviation uniform from 0.5 to 2. The
    brackets stand around all three terms in the document, not by a slip of one character; the divergence of Q from
    itself would be log(1) = 0 all the same.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    rows = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        mean, sigma = generator.normal(size=parameters), generator.uniform(0.5, 2.0, size=parameters)
        prior = generator.uniform(0.5, 2.0)
        points = mean[:, None] + sigma[:, None] * nodes
        ratio = np.log(prior / sigma)[:, None] - nodes**2 / 2 + points**2 / (2 * prior**2)
        integral = (ratio @ weights).sum() / np.sqrt(2 * np.pi)
        fraction, rest = prior / sigma, (sigma**2 + mean**2) / (2 * prior**2) - 0.5
        formula = np.log(fraction + rest) if logarithm == "of the sum" else np.log(fraction) + rest
        rows.append({"seed": seed, "formula": formula.sum(), "integral": integral})
    return pd.DataFrame(rows)


@claim(
    r"$\nabla E_Q[\hat E] = \nabla \hat E(\tilde\theta)$ with $\tilde\theta = \theta + \mathrm{diag}(\sigma_i)"
    r"\varepsilon$, $\varepsilon \sim N(0, I)$: backpropagation to $\theta$ and to $\sigma_i$ at perturbed parameters.",
    source=cheatsheet("1.9.4"),
    kind="formula",
    literature="Kingma and Welling 2014; Blundell et al. 2015",
    criterion=Identity("perturbed", "gradient", operations=10_000, each=("parameter",)),
    correction=Correction(
        r"The gradient at perturbed parameters is right on average: $\nabla_\theta E_Q[\hat E] = E_\varepsilon[\nabla"
        r"\hat E(\tilde\theta)]$, and with the chain rule's factor $\partial E_Q[\hat E]/\partial\sigma_i = "
        r"E_\varepsilon[\varepsilon_i \partial_i \hat E(\tilde\theta)]$. A single draw is an estimate of it.",
        draws="all",
        chain_rule=True,
    ),
)
def perturbed_gradient(seeds, *, examples=40, nodes=80, draws="one", chain_rule=False):
    """Compares gradients of a Keras loss at perturbed parameters with the gradient of its Gaussian average.

    Logistic regression with two parameters on 40 normal examples. The average and its gradients are integrals over
    epsilon by Gauss-Hermite quadrature (80 by 80 nodes), the gradients by the score function, E[loss epsilon / sigma]
    and E[loss (epsilon^2 - 1) / sigma], which differentiates no loss. Backpropagation at one draw, or at all nodes and
    averaged. Taken literally, the identity for one draw holds in no draw, and for sigma lacks the factor epsilon.
    """
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    grid = np.stack(np.meshgrid(points, points), axis=-1).reshape(-1, 2)
    share = np.outer(weights, weights).ravel() / (2 * np.pi)
    tables = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        x, y = generator.normal(size=(examples, 2)), generator.integers(0, 2, size=examples).astype(float)
        theta, sigma = generator.normal(size=2), generator.uniform(0.2, 0.5, size=2)
        loss, _ = _logistic(x, y, theta + sigma * grid)
        epsilon = grid if draws == "all" else generator.normal(size=(1, 2))
        _, by_parameters = _logistic(x, y, theta + sigma * epsilon)
        average = share if draws == "all" else np.ones(1)
        sides = {
            "theta": (average @ by_parameters, share * loss @ grid / sigma),
            "sigma": (
                average @ (by_parameters * (epsilon if chain_rule else 1)),
                share * loss @ (np.square(grid) - 1) / sigma,
            ),
        }
        for parameter, (perturbed, gradient) in sides.items():
            columns = {"perturbed": perturbed, "gradient": gradient}
            tables.append(pd.DataFrame({"seed": seed, "parameter": parameter, **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Training the PAC-Bayesian objective by the gradient on perturbed parameters favours minima that are robust to "
    r"perturbations of the parameters.",
    source=cheatsheet("1.9.4"),
    kind="tendency",
    literature="Dziugaite and Roy 2017; Neyshabur et al. 2017",
    criterion=Greater(
        "rise",
        of="plain",
        than="perturbed",
        by="training",
        smallest_ratio=1.5,
        because="a third less rise of the loss is more than the seeds of one training differ by",
    ),
    smoke={"steps": 400, "width": 16, "rates": (0.03,)},
    full={"data": "mnist", "steps": 10_000, "width": 256},
    control={"training_deviation": 0.0},
)
def pac_bayes_flat_minima(
    seeds, *, deviation=0.3, training_deviation=0.3, steps=1000, width=32, draws=10, rates=(0.01, 0.03), data="digits"
):
    """Compares by how much noise on the trained weights raises the training loss, after training with and without it.

    Networks of one hidden layer, SGD with momentum 0.9, each arm at the rate of the least training loss; in the
    perturbed arm normal noise of deviation 0.3, at 32 units twice that of the initial weights of the first kernel, is
    added to all kernels anew in every step. The rise is the mean over 10 draws of such noise, relative to no noise. The
    deviations are fixed, as in the document's update, and the part of the objective that depends on the distance from
    the prior is left out: the perturbation is what is to favour flat minima. The control trains with none.
    """
    images = load_data(data).standardized().flat()
    found = {}

    def arm(label, amount, **options):
        optimizer, network = keras.optimizers.SGD(momentum=0.9), {"width": width, "deviation": amount}
        prepared = classifier(noisy_network, images, steps=steps, optimizer=optimizer, metrics={}, **network)
        found[label] = prepared(**options)
        return found[label]

    arms = {label: partial(arm, label, amount) for label, amount in (("plain", 0.0), ("perturbed", training_deviation))}
    records = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds, by="training")
    rises = [
        {"seed": seed, "training": label, "rise": _rise(found[label].weights[place], images, deviation, draws, seed)}
        for label in arms
        for place, seed in enumerate(seeds)
    ]
    table = pd.DataFrame(rises)
    table.attrs = records.attrs
    return table


def noisy_network(*, inputs, outputs, width, deviation):
    """Build a network whose kernels are perturbed in training."""
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            _noisy_dense()(width, deviation, activation="relu"),
            _noisy_dense()(outputs, deviation),
        ]
    )


@cache
def _noisy_dense():
    class NoisyDense(keras.layers.Dense):
        """A dense layer with normal noise on its kernel during training."""

        def __init__(self, units, deviation, **options):
            super().__init__(units, **options)
            self.deviation = deviation
            self.generator = keras.random.SeedGenerator(0)

        def call(self, inputs, training=None):
            kernel = self.kernel
            if training and self.deviation:
                kernel = kernel + self.deviation * keras.random.normal(kernel.shape, seed=self.generator)
            return self.activation(keras.ops.matmul(inputs, kernel) + self.bias)

    return NoisyDense


def _rise(weights, images, deviation, draws, seed):
    """Mean rise of the training loss of a two-layer ReLU network under normal noise on its kernels."""
    generator = np.random.default_rng((seed, 7))
    kernels = [weight for weight in weights if weight.ndim == 2 and np.issubdtype(weight.dtype, np.floating)]
    biases = [weight for weight in weights if weight.ndim == 1 and np.issubdtype(weight.dtype, np.floating)]

    def loss(amount):
        first, second = (kernel + amount * generator.normal(size=kernel.shape) for kernel in kernels)
        logits = np.maximum(images.x_train @ first + biases[0], 0) @ second + biases[1]
        per_example = keras.losses.sparse_categorical_crossentropy(images.y_train, logits, from_logits=True)
        return float(keras.ops.mean(per_example))

    return np.mean([loss(deviation) for _ in range(draws)]) - loss(0.0)


def _gaps(generator, size, temperature, samples):
    """Gap of the expected from the empirical error of Q, and its divergence from P, for samples of one size.

    Inputs are uniform, labels say whether they exceed 1/2 and are wrong with probability LABEL_NOISE; a threshold's
    error counts the grid cells between it and 1/2. Q is proportional to exp(-temperature * size * error on the sample).
    """
    expected = LABEL_NOISE + (1 - 2 * LABEL_NOISE) * np.abs(THRESHOLDS - 0.5)
    x = generator.uniform(size=(samples, size))
    label = (x > 0.5) ^ (generator.uniform(size=(samples, size)) < LABEL_NOISE)
    cell = np.searchsorted(THRESHOLDS, x)  # threshold t says 1 where x > t, that is where its place is below the cell
    empirical = np.empty((samples, len(THRESHOLDS)))
    for row in range(samples):
        ones = np.bincount(cell[row], weights=label[row], minlength=len(THRESHOLDS) + 1)
        zeros = np.bincount(cell[row], weights=~label[row], minlength=len(THRESHOLDS) + 1)
        empirical[row] = (np.cumsum(ones)[:-1] + zeros.sum() - np.cumsum(zeros)[:-1]) / size
    logits = -temperature * size * (empirical - empirical.min(axis=1, keepdims=True))
    posterior = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    positive = np.where(posterior > 0, posterior, 1)
    divergence = (posterior * np.log(positive * len(THRESHOLDS))).sum(axis=1)
    return (posterior * (expected - empirical)).sum(axis=1), divergence


def _logarithm(form, size, epsilon):
    """The logarithm in the bound, as printed or right."""
    return np.log(1 / (2 * np.sqrt(size * epsilon))) if form == "printed" else np.log(2 * np.sqrt(size) / epsilon)


def _logistic(x, y, parameters):
    """Mean logistic loss and its gradient by the backend at several parameters [points, 2]."""

    def total(values):
        logits = keras.ops.matmul(values[0], x.T)
        targets = keras.ops.broadcast_to(keras.ops.convert_to_tensor(y), keras.ops.shape(logits))
        # The sum, because Keras takes means in single precision on JAX, whatever their type.
        losses = keras.ops.sum(keras.ops.softplus(logits) - targets * logits, axis=1) / len(y)
        return keras.ops.sum(losses), losses

    _, losses, (gradient,) = value_and_gradient(total, [keras.ops.convert_to_tensor(parameters, "float64")])
    return keras.ops.convert_to_numpy(losses), keras.ops.convert_to_numpy(gradient)
