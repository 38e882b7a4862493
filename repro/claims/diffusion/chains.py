"""Markov chains: what their factors are, and which sums of terms make up the evidence lower bound.

Discrete chains are joint distributions [states, ..., states], one axis for each of x_0 to x_T, so that every marginal
and every conditional is an exhaustive sum.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, Correction, Identity, cheatsheet, claim, notes
from repro.claims.diffusion._processes import log_normal, random_network

with epy.lazy_imports():
    import keras

STATES = 3


@claim(
    r"In a Markov chain $p(x_t | x_{t-1}) = p(x_t | x_0)$ for all $t$.",
    source=cheatsheet("1.10.3"),
    kind="formula",
    scope="printed beside the independence of past and future given the present; an index range x_{0:t-1} may be lost",
    transcription=True,
    criterion=Identity("given_previous", "given_other", operations=4096),
    smoke={"steps": 4},
    correction=Correction(
        r"The last state stands for the whole past: $p(x_t | x_{t-1}) = p(x_t | x_{0:t-1})$. The first state does so "
        r"for $t = 1$ only.",
        given="past",
    ),
)
def markov_property(seed, *, steps=5, given="start"):
    """Conditionals of the next state given the last one, beside those given the first state, or given the whole past.

    Discrete: every conditional probability of a random chain. Gaussian: conditional mean at a simulated trajectory and
    conditional variance, by conditioning the joint covariance. Both are instances of one statement. The document's
    index 0 should be 0:t-1. By hand, two states that change with probability p: the next differs from the last with p,
    from the one before with 2p(1 - p), which is another number unless p is 0 or 1/2.
    """
    generator = np.random.default_rng(seed)
    joint = _chain(generator, steps)
    factor, path = _gaussian_chain(generator, steps)
    tables = []
    for t in range(1, steps + 1):
        other = (0,) if given == "start" else tuple(range(t))
        previous, others = (_conditional(joint, (t,), known) for known in ((t - 1,), other))
        tables.append(_rows(previous, others, chain="discrete"))
        left, right = (_gaussian_conditional(factor @ factor.T, path, t, known) for known in ((t - 1,), other))
        tables.append(_rows(left, right, chain="Gaussian"))
    return pd.concat(tables, ignore_index=True).rename(columns={"left": "given_previous", "right": "given_other"})


@claim(
    r"A Markov chain factorises in both directions, $p(x_{s:t}) = p(x_t) \prod_{\tau=s+1}^t p(x_{\tau-1} | x_\tau) = "
    r"p(x_s) \prod_{\tau=s+1}^t p(x_\tau | x_{\tau-1})$, and $x_{0:t-1} \perp x_{t+1:\infty} | x_t$.",
    source=cheatsheet("1.10.3"),
    kind="formula",
    scope="any Markov chain, s < t",
    criterion=AllOf(
        **{
            part: Identity("product", "joint", operations=4096, where={"factors": part})
            for part in ("backward", "forward", "independent")
        }
    ),
    smoke={"steps": 5},
    control={"order": 2},
)
def reverse_factorisation(seed, *, steps=7, order=1):
    """Products of exhaustive conditionals of a random discrete chain against its joint probabilities.

    Every step of the chain has transition probabilities of its own. The segment of the two factorisations leaves out
    the first and the last state; independence of past and future is asked at every state between them. The control
    draws every state given the two before it.
    """
    joint = _chain(np.random.default_rng(seed), steps, order)
    s, t = 1, steps - 1
    segment = _marginal(joint, range(s, t + 1))
    backward, forward = _marginal(joint, (t,)), _marginal(joint, (s,))
    for tau in range(s + 1, t + 1):
        backward = backward * _conditional(joint, (tau - 1,), (tau,))
        forward = forward * _conditional(joint, (tau,), (tau - 1,))
    tables = [_rows(backward, segment, factors="backward"), _rows(forward, segment, factors="forward")]
    for now in range(1, steps):
        past, future = _marginal(joint, range(now + 1)), _marginal(joint, range(now, steps + 1))
        tables.append(_rows(past * future / _marginal(joint, (now,)), joint, factors="independent"))
    return pd.concat(tables, ignore_index=True).rename(columns={"left": "product", "right": "joint"})


@claim(
    r"If entropy does not fall along a Markov chain, denoising is the less random direction: $H(x_t) \ge H(x_{t-1})$ "
    r"implies $H(x_t | x_{t-1}) \ge H(x_{t-1} | x_t)$.",
    source=cheatsheet("1.10.3"),
    kind="theorem",
    scope="any two variables of finite entropy, discrete or with densities",
    criterion=AtLeast("forward_entropy", bound="backward_entropy", atol=1e-9),
    smoke={"pairs": 200},
    control={"growing": False},
)
def entropy_bound(seed, *, pairs=1000, growing=True):
    """Conditional entropies in nats of both directions, for random steps of discrete and of Gaussian chains.

    Each conditional entropy is computed from its own conditional distribution. Kept are the steps at which the entropy
    does not fall; the control keeps those at which it falls, where the premise does not hold. Among the discrete ones
    are as many of a symmetric joint distribution, whose entropy stays as it is: there the bound is attained. The bound
    follows from the two ways to write the entropy of both variables together, H(x) + H(y | x) = H(y) + H(x | y), so
    that no chain could break it: a worked example rather than a finding.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for chain, entropies in (
        ("discrete", _discrete_entropies),
        ("symmetric", _symmetric_entropies),
        ("Gaussian", _gaussian_entropies),
    ):
        before, after, forward, backward = entropies(generator, pairs)
        columns = {"forward_entropy": forward, "backward_entropy": backward}
        grows = after >= before - 1e-12  # rounding, where the entropy stays as it is
        tables.append(pd.DataFrame(columns)[grows == growing].assign(chain=chain))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"For any Markovian hierarchical autoencoder the evidence lower bound is a reconstruction term, minus a prior "
    r"matching term, minus the consistency terms $\sum_{t=1}^{T-1} \mathbb{E}_{q(x_{t-1},x_{t+1}|x_0)} "
    r"D(q(x_t|x_{t-1}) \| p(x_t|x_{t+1}))$.",
    source=notes("Remark 3.72"),
    kind="formula",
    scope="the first two terms are illegible in the notes; they are taken from the derivation that these follow",
    literature="Luo 2022 has the same step; there the first two terms are E log p(x_0 | x_1) and "
    "E_q(x_(T-1) | x_0) D(q(x_T | x_(T-1)) || p(x_T))",
    criterion=Identity("terms", "bound", operations=4096),
    smoke={"steps": 4},
    correction=Correction(
        r"The consistency terms are expectations of log-ratios, $\mathbb{E}_{q(x_{t-1},x_t,x_{t+1}|x_0)} "
        r"\log \frac{p(x_t|x_{t+1})}{q(x_t|x_{t-1})}$, and no Kullback-Leibler divergences: once $x_{t+1}$ is given, "
        r"$x_t$ is not distributed as $q(x_t|x_{t-1})$.",
        divergence=False,
    ),
)
def elbo_two_variable_terms(seed, *, steps=6, divergence=True):
    """Sum of the terms over two variables against E_q log p(x_0:T) / q(x_1:T | x_0), by exhaustive sums.

    For every x_0 of a random discrete chain q and a random reverse chain p, in nats. The document moves an expectation
    over x_t given both neighbours into a divergence, whose expectation is over x_t given the earlier neighbour alone.
    The two agree where x_{t+1} says nothing of x_t. By hand, q being stationary with two states that change with a
    small probability e, and p its exact reverse: all log-ratios together come to log p(x_0) on every path, while each
    divergence is about 2 e log(1/e) on average, for neighbours on both sides that differ.
    """

    def terms(q, p):
        total = _expected(q, _log(_conditional(p, (0,), (1,))))
        total -= _expected(q, _log(_conditional(q, (steps,), (steps - 1,)) / _marginal(p, (steps,))))
        for t in range(1, steps):
            forward, backward = _conditional(q, (t,), (t - 1,)), _conditional(p, (t,), (t + 1,))
            ratio = _log(forward / backward)
            if divergence:
                ratio = (forward * ratio).sum(axis=t, keepdims=True)
            total -= _expected(q, ratio)
        return total

    return _bounds(seed, steps, terms)


@claim(
    r"For any Markovian chain the evidence lower bound is $\mathbb{E}\log p(x_0|x_1) - D(q(x_T|x_0) \| p(x_T)) - "
    r"\sum_{t=2}^T \mathbb{E}_{q(x_t|x_0)} D(q(x_{t-1}|x_t,x_0) \| p(x_{t-1}|x_t))$.",
    source=notes("Remark 3.72"),
    kind="formula",
    literature="Sohl-Dickstein et al. 2015; Ho et al. 2020, appendix A",
    criterion=Identity("terms", "bound", operations=4096),
    smoke={"steps": 4},
    control={"order": 2},
)
def elbo_one_variable_terms(seed, *, steps=6, order=1):
    """Sum of the terms over one variable against E_q log p(x_0:T) / q(x_1:T | x_0), by exhaustive sums.

    For every x_0 of a random discrete chain q and a random reverse chain p. In the control every state of q depends on
    the two before it.
    """

    def terms(q, p):
        return (
            _expected(q, _log(_conditional(p, (0,), (1,))))
            - _expected(q, _log(_conditional(q, (steps,), (0,)) / _marginal(p, (steps,))))
            - sum(_consistency(q, p, t) for t in range(2, steps + 1))
        )

    return _bounds(seed, steps, terms, order)


@claim(
    r"The evidence lower bound is $\sum_{t=0}^T L_t$ with $L_0 = \mathbb{E}\ln p(x_0|x_1)$, "
    r"$L_T = -D(q(x_T|x_0) \| \pi)$ and $L_t = -D(q(x_{t-1}|x_t,x_0) \| p(x_{t-1}|x_t))$ for every other $t$.",
    source=cheatsheet("1.10.3"),
    kind="formula",
    literature="Ho et al. 2020, equation 5, whose terms of this kind run from 2 to T",
    criterion=Identity("terms", "bound", operations=4096),
    smoke={"steps": 4},
    correction=Correction(
        r"The divergences between reverse steps run over $t = 2, \dots, T$, in addition to $L_0$ and the prior's term: "
        r"written as $L_{t-1}$ they fill the places 1 to $T-1$.",
        first=2,
    ),
)
def elbo_terms(seed, *, steps=6, first=1):
    """Sum of the documented terms against E_q log p(x_0:T) / q(x_1:T | x_0), by exhaustive sums.

    For every x_0 of a random discrete chain q and a random reverse chain p; divergences are averaged over q(x_t | x_0).
    The document's index is off by one: its term t = 1 counts the reconstruction again (it is infinite for Gaussians),
    and the step from T to T - 1 is missing. ``first`` is the t of the first divergence, of T - 1 in all.
    """

    def terms(q, p):
        return (
            _expected(q, _log(_conditional(p, (0,), (1,))))
            - _expected(q, _log(_conditional(q, (steps,), (0,)) / _marginal(p, (steps,))))
            - sum(_consistency(q, p, t) for t in range(first, first + steps - 1))
        )

    return _bounds(seed, steps, terms)


@claim(
    r"With $T = 1$ the diffusion bound is that of a variational autoencoder, "
    r"$\mathbb{E}_{q(z|x)}\log p(x|z) - D(q(z|x) \| p(z))$ with $z = x_1$ and $x = x_0$.",
    source=notes("Remark 3.72"),
    kind="formula",
    literature="Kingma and Welling 2014; Luo 2022",
    criterion=Identity("diffusion", "autoencoder", operations=10**5),
    smoke={"points": 10},
    control={"steps": 2},
)
def one_step_is_vae(seed, *, points=50, steps=1, nodes=60, alpha=0.5, deviation=0.3):
    """Bound of a chain with Keras networks for its reverse means against the autoencoder's with the same decoder.

    Scalars x_0, one bound each. The chain's is E_q log p(x_0:T) / q(x_1:T | x_0), the autoencoder's a reconstruction
    and the closed divergence of its Gaussian encoder from N(0, 1); expectations by Gauss-Hermite quadrature with the
    same nodes, exact for the Gaussian terms. The control has a second latent step between x_1 and the prior.
    """
    abscissae, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights = weights / weights.sum()
    x = np.random.default_rng(seed).normal(size=points)
    networks = [random_network(1, 1, seed + 1000 * step) for step in range(steps)]
    bound, previous, probability = np.zeros((points, 1)), x[:, None], np.ones((1, 1))
    for network in networks:
        latent = (np.sqrt(alpha) * previous[..., None] + np.sqrt(1 - alpha) * abscissae).reshape(points, -1)
        probability = (probability[..., None] * weights).reshape(1, -1)
        previous, bound = (np.repeat(values, nodes, axis=1) for values in (previous, bound))
        bound = bound + log_normal(previous, _applied(network, latent), deviation)
        bound = bound - log_normal(latent, np.sqrt(alpha) * previous, np.sqrt(1 - alpha))
        previous = latent
    bound = ((bound + log_normal(previous, 0.0, 1.0)) * probability).sum(axis=1)
    latent = np.sqrt(alpha) * x[:, None] + np.sqrt(1 - alpha) * abscissae
    reconstruction = log_normal(x[:, None], _applied(networks[0], latent), deviation) @ weights
    divergence = 0.5 * (alpha * x**2 + (1 - alpha) - 1 - np.log(1 - alpha))
    return {"diffusion": bound, "autoencoder": reconstruction - divergence}


def _chain(generator, steps, order=1):
    """Joint probabilities of a random chain, [states] * (steps + 1); every state depends on ``order`` before it."""
    joint = generator.dirichlet(np.ones(STATES))
    for t in range(steps):
        transition = generator.dirichlet(np.ones(STATES), size=(STATES,) * min(order, t + 1))
        joint = joint[..., None] * transition
    return joint


def _marginal(joint, kept):
    """Sum over all axes but the kept ones, which stay in place."""
    return joint.sum(axis=tuple(set(range(joint.ndim)) - set(kept)), keepdims=True)


def _conditional(joint, of, given):
    return _marginal(joint, {*of, *given}) / _marginal(joint, given)


def _log(values):
    return keras.ops.convert_to_numpy(keras.ops.log(values))


def _expected(q, values):
    """Expectation given x_0: [states]."""
    return (_conditional(q, range(1, q.ndim), (0,)) * values).sum(axis=tuple(range(1, q.ndim)))


def _consistency(q, p, t):
    """Expected divergence of p(x_{t-1} | x_t) from q(x_{t-1} | x_t, x_0), for every x_0: [states].

    At t = 1, where q knows x_0, it is that of a distribution concentrated there.
    """
    posterior = _conditional(q, (t - 1,), (t, 0)) if t > 1 else 1.0
    return _expected(q, _log(posterior / _conditional(p, (t - 1,), (t,))))


def _bounds(seed, steps, terms, order=1):
    """Compare a sum of terms with the bound itself, for every x_0 of random chains."""
    generator = np.random.default_rng(seed)
    q = _chain(generator, steps, order)
    p = _chain(generator, steps).transpose()
    bound = _expected(q, _log(p / _conditional(q, range(1, steps + 1), (0,))))
    return {"terms": terms(q, p), "bound": bound}


def _rows(left, right, **labels):
    left, right = np.broadcast_arrays(left, right)
    return pd.DataFrame({"left": left.ravel(), "right": right.ravel()}).assign(**labels)


def _gaussian_chain(generator, steps):
    """Random chain x_t = sqrt(1 - beta) x_{t-1} + sqrt(beta) noise: factor of its covariance, and a trajectory."""
    beta = generator.uniform(0.1, 0.5, size=steps)
    factor = np.zeros((steps + 1, steps + 1))
    factor[0, 0] = generator.uniform(0.5, 2)
    for t, noise in enumerate(beta, start=1):
        factor[t] = np.sqrt(1 - noise) * factor[t - 1]
        factor[t, t] = np.sqrt(noise)
    return factor, factor @ generator.normal(size=steps + 1)


def _gaussian_conditional(covariance, path, t, given):
    """Conditional mean and variance of x_t given the trajectory's values at other places."""
    given = list(given)
    coefficients = np.linalg.solve(covariance[np.ix_(given, given)], covariance[given, t])
    return np.array([coefficients @ path[given], covariance[t, t] - coefficients @ covariance[given, t]])


def _discrete_entropies(generator, pairs):
    """Entropies before and after a step, and conditional ones forward and backward: [pairs] each."""
    before = generator.dirichlet(np.full(STATES, 0.5), size=pairs)
    return _entropies(before[..., None] * generator.dirichlet(np.ones(STATES), size=(pairs, STATES)))


def _symmetric_entropies(generator, pairs):
    """The same for joint distributions that are symmetric: the chain is stationary and reversible."""
    joint = generator.dirichlet(np.ones(STATES**2), size=pairs).reshape(-1, STATES, STATES)
    return _entropies((joint + joint.transpose(0, 2, 1)) / 2)


def _entropies(joint):
    """Entropies of both variables, of the second given the first, and of the first given the second."""
    before, after = joint.sum(axis=2), joint.sum(axis=1)
    forward = -(joint * np.log(joint / before[:, :, None])).sum(axis=(1, 2))
    backward = -(joint * np.log(joint / after[:, None])).sum(axis=(1, 2))
    return *(-(p * np.log(p)).sum(axis=-1) for p in (before, after)), forward, backward


def _gaussian_entropies(generator, pairs, dimensions=3):
    """Differential entropies of x and of A x + noise, and conditional ones forward and backward: [pairs] each."""
    before, noise = (_covariances(generator, pairs, dimensions) for _ in range(2))
    maps = generator.normal(size=(pairs, dimensions, dimensions)) / np.sqrt(dimensions)
    across = maps @ before
    after = across @ maps.transpose(0, 2, 1) + noise
    backward = before - across.transpose(0, 2, 1) @ np.linalg.solve(after, across)
    return [_gaussian_entropy(covariance) for covariance in (before, after, noise, backward)]


def _covariances(generator, number, dimensions):
    factors = generator.normal(size=(number, dimensions, dimensions + 2))
    return factors @ factors.transpose(0, 2, 1) / dimensions


def _gaussian_entropy(covariances):
    dimensions = covariances.shape[-1]
    return 0.5 * (dimensions * np.log(2 * np.pi * np.e) + np.linalg.slogdet(covariances)[1])


def _applied(network, values):
    return keras.ops.convert_to_numpy(network(values.reshape(-1, 1))).reshape(values.shape)
