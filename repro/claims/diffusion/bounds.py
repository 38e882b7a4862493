"""How much Monte Carlo estimates of the evidence lower bound vary."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import Greater, ScalingLaw, claim, notes
from repro.claims.diffusion._processes import log_normal, schedule
from repro.engine import load_data

with epy.lazy_imports():
    import keras

ESTIMATES = ("divergences as written", "log-ratios drawn one by one")
TERMS = ("log-ratios", "divergences as written")


@claim(
    "The form of the bound whose terms are expectations over two random variables for each step has a higher Monte "
    "Carlo variance than that over one.",
    source=notes("Remark 3.72"),
    kind="possibility",
    root="two_variable_variance",
    literature="Luo 2022; Ho et al. 2020 call the use of closed divergences a Rao-Blackwellisation",
    criterion=Greater(
        "variance",
        of="two variables",
        than="one variable",
        by="form",
        smallest_ratio=2.0,
        because="twice the variance takes twice the samples",
        each=("terms",),
    ),
    smoke={"paths": 100, "levels": 50},
    full={"data": "mnist", "levels": 1000},
    control={"one_path": True, "terms": ("log-ratios",)},
)
def two_elbo_variances(seed, *, terms=TERMS, one_path=False, levels=200, paths=200, data="digits"):
    """Sum of the variances of both forms' terms, in square nats, for a real image.

    Over two variables: log-ratios of neighbouring conditionals, which are the bound, or the divergences that the
    document writes in their place, which are not. Over one: the closed divergence of the reverse step from
    q(x_{t-1} | x_t, x_0). The model's reverse steps take the best linear guess of the image, pixel by pixel, over a
    linear schedule. The document reasons from single terms. The control draws all log-ratios from one path x_1 to x_T:
    there neighbouring ones cancel, and for an ideal model their sum is log p(x_0) on every path. The divergences as
    written do not cancel, so that one path takes nothing from them.
    """
    path = _Paths(seed, levels, paths, data)
    one = np.vstack([path.divergences(), -path.reconstruction()])
    forms = {
        "log-ratios": np.vstack([path.log_ratios(), path.reconstruction(), path.last_log_ratio()]),
        "divergences as written": np.vstack([path.divergences_as_written(), -path.reconstruction()]),
    }
    rows = []
    for name in terms:
        for form, values in (("one variable", one), ("two variables", forms[name])):
            variance = values.sum(axis=0).var(ddof=1) if one_path else values.var(axis=1, ddof=1).sum()
            rows.append({"terms": name, "form": form, "variance": variance})
    return pd.DataFrame(rows)


@claim(
    "With $T - 1$ consistency terms over two random variables the estimate of the bound has considerable variance for "
    "large $T$.",
    source=notes("Remark 3.72"),
    kind="possibility",
    root="two_variable_variance",
    literature="Luo 2022",
    criterion=ScalingLaw(
        x="length",
        y="variance",
        at_least=0.5,
        because="variance that many terms make grows with their number; the root of it is the least that deserves that",
        each=("estimate",),
    ),
    smoke={"lengths": (50, 100, 200), "paths": 100},
    full={"data": "mnist", "lengths": (100, 300, 1000)},
    control={"estimates": ("log-ratios of one path",)},
)
def elbo_variance_grows(seed, *, estimates=ESTIMATES, lengths=(50, 100, 200, 400, 800), paths=200, data="digits"):
    """Variance over paths of the sum of consistency terms, in square nats, as one schedule is refined.

    A real image, a linear schedule, and a model that takes the best linear guess of the image, pixel by pixel. The
    divergences that the document writes, which are not the bound, and the log-ratios of neighbouring conditionals,
    log p(x_t | x_{t+1}) / q(x_t | x_{t-1}), which are, each from a path of its own. The document reasons from the
    number of terms. In the control all log-ratios are from one path: there they cancel, and more steps do not vary
    more.
    """
    rows = []
    for number in lengths:
        path = _Paths(seed, number, paths, data)
        ratios = path.log_ratios()
        variances = {
            "divergences as written": path.divergences_as_written().sum(axis=0).var(ddof=1),
            "log-ratios of one path": ratios.sum(axis=0).var(ddof=1),
            "log-ratios drawn one by one": ratios.var(axis=1, ddof=1).sum(),
        }
        rows += [{"length": number, "estimate": name, "variance": variances[name]} for name in estimates]
    return pd.DataFrame(rows)


class _Paths:
    """Forward paths of one image and a model's reverse steps along them.

    Results have a row for every term and a column for every path; sums over pixels are taken.
    """

    def __init__(self, seed, levels, paths, data):
        images = 2 * load_data(data).flat().x_train.astype(float) - 1
        image = images[np.random.default_rng(seed).integers(len(images))]
        noise = keras.random.normal((levels, paths, len(image)), seed=keras.random.SeedGenerator(seed))
        noise = keras.ops.convert_to_numpy(noise).astype(float)
        self.chain = schedule("linear", levels)
        self.beta, self.alpha, self.running = (
            values[:, None, None] for values in (self.chain.beta, self.chain.alpha, self.chain.running)
        )
        x = [np.broadcast_to(image, noise.shape[1:])]
        for alpha, beta, added in zip(self.alpha, self.beta, noise, strict=True):
            x.append(np.sqrt(alpha) * x[-1] + np.sqrt(beta) * added)
        self.x = np.stack(x)
        mean, variance = images.mean(axis=0), images.var(axis=0)
        gain = np.sqrt(self.running) * variance / (self.running * variance + 1 - self.running)
        guess = mean + gain * (self.x[1:] - np.sqrt(self.running) * mean)
        self.reverse_mean = self.chain.posterior_mean(self.x[1:], guess)
        variance = np.concatenate([self.chain.beta[:1], self.chain.posterior_variance[1:]])
        self.reverse_deviation = np.sqrt(variance)[:, None, None]

    def log_ratios(self):
        """Terms over two variables, log p(x_t | x_{t+1}) / q(x_t | x_{t-1}), t from 1 to T - 1."""
        return (self._log_reverse()[1:] - self._log_forward()[:-1]).sum(axis=-1)

    def divergences_as_written(self):
        """Terms that the document has in their place, D(q(x_t | x_{t-1}) || p(x_t | x_{t+1})), t from 1 to T - 1."""
        share = self.beta[:-1] / self.reverse_deviation[1:] ** 2
        offset = (np.sqrt(self.alpha[:-1]) * self.x[:-2] - self.reverse_mean[1:]) / self.reverse_deviation[1:]
        return 0.5 * (share - 1 - np.log(share) + np.square(offset)).sum(axis=-1)

    def divergences(self):
        """Terms over one variable, D(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)), t from 2 to T."""
        offset = (self._posterior_mean()[1:] - self.reverse_mean[1:]) / self.reverse_deviation[1:]
        return 0.5 * np.square(offset).sum(axis=-1)

    def reconstruction(self):
        """The first term, log p(x_0 | x_1), of every path."""
        return self._log_reverse()[0].sum(axis=-1)

    def last_log_ratio(self):
        """The term of the prior, log p(x_T) / q(x_T | x_{T-1}), of every path."""
        return (log_normal(self.x[-1], 0.0, 1.0) - self._log_forward()[-1]).sum(axis=-1)

    def _log_forward(self):
        return log_normal(self.x[1:], np.sqrt(self.alpha) * self.x[:-1], np.sqrt(self.beta))

    def _log_reverse(self):
        return log_normal(self.x[:-1], self.reverse_mean, self.reverse_deviation)

    def _posterior_mean(self):
        return self.chain.posterior_mean(self.x[1:], self.x[:1])
