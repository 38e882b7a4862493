"""Gaussian chains: marginals, and the posterior of a step."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Boundary, Correction, Identity, Rival, cheatsheet, claim, notes
from repro.claims.diffusion._processes import Schedule, images_as_points, schedule

with epy.lazy_imports():
    import keras
    import scipy.stats

# First of the pixels that are looked at: those of the first row are blank in most digits.
MIDDLE = 18
# Levels of the chains that are to have lost their image: all of them within the first thousands.
FAR = 20_000
# Logarithm of the level at which a Kolmogorov-Smirnov test rejects, one in a million.
REJECTS = np.log(1e-6)


def _moments(of: str) -> AllOf:
    return AllOf(
        **{
            moment: Identity(of, "conditioned", operations=10**4, where={"moment": moment})
            for moment in ("mean", "variance")
        }
    )


@claim(
    r"Noised step by step, $x_t | x_0 \sim N(\sqrt{\bar\alpha_t}\, x_0, (1 - \bar\alpha_t) I)$ with $\bar\alpha_t = "
    r"\prod_\tau (1 - \beta_\tau)$, which tends to $N(0, I)$ for $t \to \infty$.",
    source=(cheatsheet("1.10.3"), notes("Remark 3.73", parts=("mean", "variance", "shape"))),
    kind="formula",
    scope="independent standard normal noise in each step; left open: the schedule of beta",
    left_open=("schedule",),
    transcription=True,
    literature="Sohl-Dickstein et al. 2015; Ho et al. 2020, equation 4",
    criterion=AllOf(
        mean=Identity("signal", "closed_signal", operations=10**4, where={"found": "moments"}),
        variance=Identity("variance", "closed_variance", operations=10**4, where={"found": "moments"}),
        shape=AtMost("distance", bound="rejected_from", where={"found": "shape"}),
        limit=Identity("reached", "standard_normal", atol=1e-9, each=("schedule",), where={"found": "limit"}),
    ),
    boundary=Boundary(
        "where the noise goes on for ever: the sum of all beta is infinite, so that alpha bar goes to zero",
        holds="part != 'limit' or schedule != 'summable'",
        assumption="Sohl-Dickstein et al. 2015: the forward process is run until it is at its stationary distribution",
    ),
    smoke={"levels": 100, "chains": 50},
    full={"data": "mnist", "levels": 1000},
    control={"unit_noise": True},
)
def forward_marginal(seed, *, levels=250, chains=100, unit_noise=False, data="digits"):
    """The chain step by step, from a real image, against the closed form; its moments exactly, its shape by simulation.

    Every x_t is a factor on x_0 plus normal noise: factor and variance follow from the steps one by one, and are
    compared at every level of every schedule. Normality is asked of x_t, standardised by the closed form, by the
    Kolmogorov-Smirnov distance over pixels and chains at five levels: less than that at which the test rejects at one
    in a million, which no correct formula should reach in any run. The limit is asked after 20,000 levels, the last
    beta being kept where a schedule ends. The summable schedule has beta_t = 1 / (2 t^2): by Euler's product for the
    sine, alpha bar then tends to sin(pi / sqrt 2) / (pi / sqrt 2) = 0.358 and some of the image stays. In the control
    every step adds noise of variance one. Some lines of the notes print the result without the bars on alpha, which the
    cheat sheet has.
    """
    image = images_as_points(data, 1, np.random.default_rng(seed))
    shape = (levels, chains, image.shape[1])
    noise = keras.ops.convert_to_numpy(keras.random.normal(shape, seed=keras.random.SeedGenerator(seed)))
    tables = []
    for kind in ("linear", "cosine", "constant", "summable"):
        beta = _beta(kind, levels)
        signal, variance = _step_by_step(kind, levels, unit_noise)
        running = np.cumprod(1 - beta)
        moments = {
            "signal": signal,
            "closed_signal": np.sqrt(running),
            "variance": variance,
            "closed_variance": 1 - running,
        }
        tables.append(pd.DataFrame(moments)[:levels].assign(chain=kind, found="moments"))
        limit = {"reached": [signal[-1], variance[-1]], "standard_normal": [0.0, 1.0]}
        tables.append(pd.DataFrame(limit).assign(schedule=kind, found="limit"))
        x, distances = np.repeat(image, chains, axis=0), []
        for t in range(levels):
            x = np.sqrt(1 - beta[t]) * x + (1.0 if unit_noise else np.sqrt(beta[t])) * noise[t]
            if (t + 1) % (levels // 5) == 0:
                standardized = (x - np.sqrt(running[t]) * image) / np.sqrt(1 - running[t])
                distances.append(scipy.stats.kstest(standardized.ravel(), "norm", method="asymp").statistic)
        # The asymptotic tail of the Kolmogorov distribution, 2 exp(-2 n d^2) (Smirnov 1948).
        rejected_from = np.sqrt((np.log(2) - REJECTS) / (2 * x.size))
        shape_of = pd.DataFrame({"distance": distances, "rejected_from": rejected_from})
        tables.append(shape_of.assign(chain=kind, found="shape"))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"$q(x_{t-1} | x_t, x_0)$ is Gaussian with $\mu_q = \frac{\sqrt{\alpha_t}(1 - \bar\alpha_{t-1})\, x_t + "
    r"\sqrt{\bar\alpha_{t-1}}(1 - \alpha_t)\, x_0}{1 - \bar\alpha_t}$ and "
    r"$\sigma_q^2 = \frac{(1 - \alpha_t)(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}$.",
    source=notes("Remark 3.74"),
    kind="formula",
    scope="the fixed linear Gaussian chain, t from 2",
    literature="Ho et al. 2020, equations 6 and 7",
    criterion=_moments("formula"),
    smoke={"levels": 100},
    rival=Rival(
        r"The denominator is $1 - \alpha_t$ of the single step, in place of $1 - \bar\alpha_t$ of all steps.",
        criterion=_moments("rival"),
    ),
)
def posterior(seed, *, levels=400, pixels=4, data="digits"):
    """The formula, by Keras, against conditioning the joint Gaussian of two neighbouring levels, built step by step.

    Pixels of real images, levels 2 to T of a linear schedule. The rival has the product of all alpha's, which the bar
    stands for, mistaken for the last one in the denominator.
    """

    def formula(chain, noised, image):
        _, alpha, running, before, _ = (keras.ops.convert_to_tensor(values) for values in chain.after_first())
        signal, original = keras.ops.sqrt(alpha) * (1 - before), keras.ops.sqrt(before) * (1 - alpha)
        return (signal * noised + original * image) / (1 - running), (1 - alpha) * (1 - before) / (1 - running)

    table = _against_conditioning(seed, formula, levels, pixels, data)
    beta, _, running, _, _ = schedule("linear", levels).after_first()
    factor = (1 - running) / beta
    rival = table["formula"] * np.concatenate([np.repeat(factor, pixels), np.ravel(factor)])
    return table.assign(rival=rival)


@claim(
    r"$q(x_{t-1} | x_t, x_0) = N(m, \tilde\beta_t I)$ with $m = \frac{\sqrt{\bar\alpha_{t-1}\beta_t}}"
    r"{1 - \bar\alpha_t} x_0 + \frac{(1 - \bar\alpha_{t-1})\sqrt{1 - \beta_t}}{1 - \bar\alpha_t} x_t$ and "
    r"$\tilde\beta_t = \frac{1 - \bar\alpha_{t-1}\beta_t}{1 - \bar\alpha_t}$.",
    source=cheatsheet("1.10.3"),
    kind="formula",
    transcription=True,
    literature="Ho et al. 2020, equation 7",
    scope="extent of the root and of the bracket as they are transcribed",
    criterion=_moments("formula"),
    smoke={"levels": 100},
    correction=Correction(
        r"The root is over $\bar\alpha_{t-1}$ alone, and $\beta_t$ multiplies a difference: "
        r"$m = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t} x_0 + \dots$ and "
        r"$\tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\beta_t$.",
        as_printed=False,
    ),
)
def posterior_cheatsheet(seed, *, levels=400, pixels=4, as_printed=True, data="digits"):
    """The printed formula, by Keras, against conditioning the joint Gaussian of two neighbouring levels.

    Pixels of real images, levels 2 to T of a linear schedule. As printed, the mean's root covers beta and the variance
    lacks a pair of brackets, so that it exceeds one wherever beta is below a half; both look like slips in setting the
    formula, but stand there. The section's own form of the mean by its noise, which agrees with conditioning,
    contradicts the printed one as well; the correction is Ho et al.'s.
    """

    def formula(chain, noised, image):
        beta, _, running, before, _ = (keras.ops.convert_to_tensor(values) for values in chain.after_first())
        original = keras.ops.sqrt(before * beta) if as_printed else keras.ops.sqrt(before) * beta
        variance = 1 - before * beta if as_printed else (1 - before) * beta
        mean = original * image + (1 - before) * keras.ops.sqrt(1 - beta) * noised
        return mean / (1 - running), variance / (1 - running)

    return _against_conditioning(seed, formula, levels, pixels, data)


@claim(
    r"With $x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon$ the posterior mean equals "
    r"$\frac{1}{\sqrt{\alpha_t}}\left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,\epsilon\right)$.",
    source=(cheatsheet("1.10.3"), notes("Remark 3.75")),
    kind="formula",
    literature="Ho et al. 2020, equation 10",
    criterion=Identity("formula", "conditioned", operations=10**4),
    smoke={"levels": 100},
    control={"noise": "of the last step"},
)
def noise_form_of_mean(seed, *, levels=400, pixels=4, noise="of all steps", data="digits"):
    """The formula, by Keras, against the mean by Gaussian conditioning, levels 2 to T of a linear schedule.

    Pixels of real images are noised to level t - 1 and on to t. The control takes the noise of the last step for that
    of all steps together.
    """
    generator, chain = np.random.default_rng(seed), schedule("linear", levels)
    beta, alpha, running, before, _ = chain.after_first()
    image = images_as_points(data, 1, generator)[:, MIDDLE : MIDDLE + pixels]
    first, last = generator.normal(size=(2, levels - 1, pixels))
    noised = np.sqrt(alpha) * (np.sqrt(before) * image + np.sqrt(1 - before) * first) + np.sqrt(beta) * last
    together = (noised - np.sqrt(running) * image) / np.sqrt(1 - running)
    chosen = together if noise == "of all steps" else last
    formula = (noised - beta / keras.ops.sqrt(1 - running) * chosen) / keras.ops.sqrt(alpha)
    mean, _ = _conditioned(chain, noised, image, 0.0)
    return {"formula": np.ravel(formula), "conditioned": mean.ravel()}


def _beta(kind, levels):
    """Variances of the noise of many more levels than a schedule has, whose last one is kept from there on."""
    if kind == "summable":
        return 0.5 / np.arange(1, FAR + 1.0) ** 2
    beta = schedule(kind, levels).beta
    return np.concatenate([beta, np.full(FAR - levels, beta[-1])])


@cache
def _step_by_step(kind, levels, unit_noise):
    """Factor on x_0 and variance of the noise in x_t, for every level; the same for all seeds."""
    beta = _beta(kind, levels)
    added = np.ones_like(beta) if unit_noise else beta
    factor, variance, found = 1.0, 0.0, []
    for kept, of_noise in zip(1 - beta, added, strict=True):
        factor, variance = np.sqrt(kept) * factor, kept * variance + of_noise
        found.append((factor, variance))
    return np.array(found).T


def _against_conditioning(seed, formula, levels, pixels, data):
    """Mean and variance of x_{t-1} by a formula, of [levels - 1, pixels] and [levels - 1, 1], and by conditioning."""
    generator, chain = np.random.default_rng(seed), schedule("linear", levels)
    image, running = images_as_points(data, 1, generator)[:, MIDDLE : MIDDLE + pixels], chain.after_first()[2]
    noised = np.sqrt(running) * image + np.sqrt(1 - running) * generator.normal(size=(levels - 1, pixels))
    formulas, conditioned = formula(chain, noised, image), _conditioned(chain, noised, image, 0.0)
    tables = []
    for moment, left, right in zip(("mean", "variance"), formulas, conditioned, strict=True):
        tables.append(pd.DataFrame({"moment": moment, "formula": np.ravel(left), "conditioned": np.ravel(right)}))
    return pd.concat(tables, ignore_index=True)


def _conditioned(chain: Schedule, noised, mean, variance):
    """Mean and variance of x_{t-1} given x_t, from the joint Gaussian of both, for levels 2 to T.

    Args:
        chain: how every level follows from the one before.
        noised: x_t, [levels - 1, pixels].
        mean: of x_0.
        variance: of x_0.
    """
    means, variances = [], []
    for t, beta in enumerate(chain.beta):
        covariance, total = np.sqrt(1 - beta) * variance, (1 - beta) * variance + beta
        if t:
            means.append(mean + covariance / total * (noised[t - 1] - np.sqrt(1 - beta) * mean))
            variances.append(variance - covariance**2 / total)
        mean, variance = np.sqrt(1 - beta) * mean, total
    return np.vstack(means), np.vstack(variances)
