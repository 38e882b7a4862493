"""How much Monte Carlo estimates of the evidence lower bound vary."""

from __future__ import annotations

import numpy as np
import pandas as pd

from repro import Boundary, Greater, ScalingLaw, claim, notes
from repro.claims.diffusion._processes import LAST_EXPONENT, Schedule, log_normal, schedule
from repro.engine import load_data

LOG_RATIO, DIVERGENCE = "log-ratio", "closed divergence"
ALONE, TOGETHER = "each term from its own path", "all terms from one path"


@claim(
    "A Monte Carlo estimate of the consistency term, which averages over two random variables at each step, may have a "
    "higher variance than one of terms with a single variable.",
    source=notes("Remark 3.72"),
    kind="possibility",
    scope="one consistency term; left open: sampled log-ratio or closed divergence, all terms from one path or each "
    "from its own",
    left_open=("terms", "drawn"),
    root="two_variable_variance",
    literature="Luo 2022; Ho et al. 2020 call the use of closed divergences a Rao-Blackwellisation",
    criterion=Greater(
        "variance", of="two variables", than="one variable", by="form", smallest_ratio=1.05, each=("terms", "drawn")
    ),
    smoke={"paths": 60, "levels": 40},
    full={"data": "mnist", "levels": 1000},
)
def two_elbo_variances(seed, *, levels=200, paths=200, data="digits"):
    """Variances of estimates from one draw, in square nats, of the consistency terms of both forms for a real image.

    Like is compared with like: the sampled log-ratio of two variables, log p(x_t | x_{t+1}) / q(x_t | x_{t-1}), with
    that of one, log p(x_{t-1} | x_t) / q(x_{t-1} | x_t, x_0); and the divergences that the notes write for the former
    with the closed divergences of the latter; whoever takes closed divergences for the one form and log-ratios for the
    other finds the former ahead by Rao and Blackwell's theorem, not by the number of variables. Terms from paths of
    their own: the sum of their variances, which is what the passage reasons from. All from one path: the variance of
    their sum, for divergences alone. Log-ratios along one path are the same estimate of the bound in both forms, an
    arm against itself: by Bayes' rule q(x_{t-1} | x_t, x_0) is q(x_t | x_{t-1}) q(x_{t-1} | x_0) / q(x_t | x_0), so
    that the sums differ by log q(x_T | x_0) / q(x_T | x_{T-1}) alone, which the two prior matching terms make up for.
    The model's reverse steps take the best linear guess of the image, pixel by pixel, over a linear schedule.
    """
    path = _Paths(seed, schedule("linear", levels), paths, data)
    terms = {
        LOG_RATIO: {"one variable": path.log_ratios_of_one(), "two variables": path.log_ratios()},
        DIVERGENCE: {"one variable": path.divergences(), "two variables": path.divergences_as_written()},
    }
    rows = []
    for name, drawn in ((LOG_RATIO, ALONE), (DIVERGENCE, ALONE), (DIVERGENCE, TOGETHER)):
        rows += [
            {"terms": name, "drawn": drawn, "form": form, "variance": _variance(values, drawn)}
            for form, values in terms[name].items()
        ]
    return pd.DataFrame(rows)


@claim(
    "For large T the estimate of the whole evidence lower bound, a sum over T - 1 consistency terms of two variables, "
    "could have considerable variance.",
    source=notes("Remark 3.72"),
    kind="possibility",
    scope="the form of two variables; left open: log-ratio or closed divergence, all terms from one path or each from "
    "its own, schedule refined or continued",
    left_open=("terms", "drawn", "schedule"),
    root="two_variable_variance",
    literature="Luo 2022",
    criterion=ScalingLaw(x="length", y="variance", expected=1.0, rivals=(0.0,), each=("terms", "drawn", "schedule")),
    boundary=Boundary(
        "but for log-ratios along one path, where neighbouring ones cancel",
        holds=f"terms == '{DIVERGENCE}' or drawn == '{ALONE}'",
    ),
    smoke={"lengths": (40, 80, 160), "paths": 60},
    full={"data": "mnist", "lengths": (100, 300, 1000)},
    control={"more_terms": False},
)
def elbo_variance_grows(seed, *, lengths=(50, 100, 200, 400), paths=200, more_terms=True, data="digits"):
    """Variance over paths of the sum of consistency terms, in square nats, against their number.

    A real image, and a model that takes the best linear guess of the image, pixel by pixel. Refined: a linear schedule
    of the same noise in more and more steps. Continued: a constant one that goes on. Terms are log-ratios of
    neighbouring conditionals, log p(x_t | x_{t+1}) / q(x_t | x_{t-1}), or the divergences that the notes write for
    them. Independent terms of equal variance give an exponent of one, which is expected where each is drawn from its
    own path, and for divergences in any case, each of which shares only the noise of two steps with its neighbours.
    Along one path log-ratios add up to that of whole paths, whose variance does not grow with their length: an exponent
    of zero or less. In the control the number of terms stays as it is, and the steps become larger in place of more.
    """
    rows = []
    for name, make in (("refined", _refined), ("continued", _continued)):
        for number in lengths:
            path = _Paths((seed, number), make(number, lengths[0], more_terms), paths, data)
            for terms, values in ((LOG_RATIO, path.log_ratios()), (DIVERGENCE, path.divergences_as_written())):
                rows += [
                    {
                        "schedule": name,
                        "length": number,
                        "terms": terms,
                        "drawn": drawn,
                        "variance": _variance(values, drawn),
                    }
                    for drawn in (ALONE, TOGETHER)
                ]
    return pd.DataFrame(rows)


def _variance(values, drawn):
    """Variance of a sum of terms [terms, paths] whose paths are the same, or their own."""
    return values.sum(axis=0).var(ddof=1) if drawn == TOGETHER else values.var(axis=1, ddof=1).sum()


def _refined(number, shortest, more_terms):
    return schedule("linear", number if more_terms else shortest)


def _continued(number, shortest, more_terms):
    """Steps that each leave the same share of the signal; fewer of them leave less, and come to the same."""
    kept = np.exp(-LAST_EXPONENT / shortest)
    return Schedule(np.full(number, 1 - kept) if more_terms else np.full(shortest, 1 - kept ** (number / shortest)))


class _Paths:
    """Forward paths of one image and a model's reverse steps along them.

    Results have a row for every term and a column for every path; sums over pixels are taken.
    """

    def __init__(self, seed, chain, paths, data):
        levels = len(chain.beta)
        images = 2 * load_data(data).flat().x_train.astype(float) - 1
        generator = np.random.default_rng(seed)
        image = images[generator.integers(len(images))]
        noise = generator.normal(size=(levels, paths, len(image)))
        self.chain = chain
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

    def log_ratios_of_one(self):
        """Terms over one variable as log-ratios, log p(x_{t-1} | x_t) / q(x_{t-1} | x_t, x_0), t from 2 to T."""
        of_posterior = log_normal(self.x[1:-1], self._posterior_mean()[1:], self.reverse_deviation[1:])
        return (self._log_reverse()[1:] - of_posterior).sum(axis=-1)

    def _log_forward(self):
        return log_normal(self.x[1:], np.sqrt(self.alpha) * self.x[:-1], np.sqrt(self.beta))

    def _log_reverse(self):
        return log_normal(self.x[:-1], self.reverse_mean, self.reverse_deviation)

    def _posterior_mean(self):
        return self.chain.posterior_mean(self.x[1:], self.x[:1])
