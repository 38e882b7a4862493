"""Markov chains and dynamics that are to sample the posterior: Metropolis-Hastings, Hamiltonian and Langevin."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Correction, Identity, Rival, ScalingLaw, cheatsheet, claim
from repro.claims.bayesian._models import LinearModel, SmallNetwork
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.integrate
    import scipy.linalg


@claim(
    r"With $\Pi(\theta_1 | \theta_2) = \tilde\Pi(\theta_1 | \theta_2) A(\theta_1 | \theta_2)$ and $A(\theta_1 | "
    r"\theta_2) = \min\{1, \frac{p(\theta_1 | S) \tilde\Pi(\theta_2 | \theta_1)}{p(\theta_2 | S) \tilde\Pi(\theta_1 | "
    r"\theta_2)}\}$ there is detailed balance: $p(\theta_1 | S) \Pi(\theta_2 | \theta_1) = p(\theta_2 | S) "
    r"\Pi(\theta_1 | \theta_2)$.",
    source=cheatsheet("1.9.2"),
    kind="theorem",
    scope="two different states; the second argument is the present state; what is rejected stays where it is",
    literature="Hastings 1970",
    criterion=AllOf(
        balance=Identity("flow", "flow_back", operations=100, where={"of": "balance"}),
        stationary=Identity("reached", "posterior", operations=10**6, where={"of": "stationary"}),
    ),
    control={"acceptance": "without the proposals"},
)
def metropolis_hastings(seed, *, states=8, side=12, acceptance="printed"):
    """Transition matrices by Keras, in double precision, for proposals that are not symmetric.

    Balance: flows between all pairs of eight states, with random probabilities over ten orders of magnitude and random
    proposals, a third of which are never made one way. Stationary: the posterior of a tanh(b x) with four examples on a
    grid of 12 x 12 weights; the distribution that the chain leaves as it is, by SciPy's solution of linear equations,
    against the posterior. The control accepts by the ratio of the posteriors alone, as if proposals were symmetric
    (Metropolis et al. 1953).
    """
    generator = np.random.default_rng(seed)
    target = 10 ** generator.uniform(-10, 0, size=states)
    proposals = generator.dirichlet(np.full(states, 0.5), size=states) + 1e-3
    proposals[(generator.uniform(size=proposals.shape) < 1 / 3) & ~np.eye(states, dtype=bool)] = 0.0
    proposals /= proposals.sum(axis=1, keepdims=True)
    flows = (target / target.sum())[:, None] * _transitions(target, proposals, acceptance)
    pairs = np.triu_indices(states, 1)
    tables = [pd.DataFrame({"of": "balance", "flow": flows[pairs], "flow_back": flows.T[pairs]})]
    network = SmallNetwork.draw(generator, side)
    energies = network.energies(network.observe(generator, 1)[:, :-1])[0]
    posterior = np.exp(-(energies - energies.min()))
    posterior /= posterior.sum()
    moves = _transitions(posterior, generator.dirichlet(np.ones(side**2), size=side**2), acceptance)
    np.fill_diagonal(moves, 0.0)
    np.fill_diagonal(moves, 1 - moves.sum(axis=1))
    # All rows but one of p (moves - 1) = 0, and one for the sum.
    equations = np.vstack([(moves - np.eye(side**2)).T[:-1], np.ones(side**2)])
    reached = scipy.linalg.solve(equations, np.eye(side**2)[-1])
    tables.append(pd.DataFrame({"of": "stationary", "reached": reached, "posterior": posterior}))
    return pd.concat(tables, ignore_index=True)


MASSES = ("identity", "multiple", "general")


@claim(
    r"With $H(\theta, v) = E(\theta) + \frac{1}{2} v^\top M^{-1} v$ the dynamics are $\dot v = -E'(\theta)$, "
    r"$\dot\theta = v$.",
    source=cheatsheet("1.9.2"),
    kind="formula",
    scope="Hamiltonian dynamics of H, so that H stays as it is along them; M is left open; the dot on theta is lost in "
    "our copy",
    left_open=("mass",),
    literature="Neal 2011, section 5.2.1: momentum p, velocity M^{-1} p",
    criterion=AllOf(
        equations=Identity("printed", "derivative_of_h", operations=10**3, each=("mass",), where={"of": "equations"}),
        conserved=Identity("h_after", "h_before", operations=10**7, each=("mass",), where={"of": "conserved"}),
    ),
    boundary=Boundary(
        "for M = I, where momentum and velocity are one",
        holds="mass == 'identity'",
        assumption="unit masses, M = I; Neal 2011, section 5.2.1",
    ),
    correction=Correction(
        r"$\dot v = -E'(\theta)$, $\dot\theta = M^{-1} v$, Hamilton's equations for every M.", velocity="M^-1 v"
    ),
)
def hamiltonian_flow(seed, *, velocity="v", masses=MASSES, dimension=3, time=3.0):
    """Compares the printed derivatives with those of H, by Keras, and H before and after a flow of three time units.

    E is a random quadratic function of three parameters plus a quarter of the sum of their fourth powers. Equations:
    against the derivatives of H with respect to v and, with a minus, to theta. Conserved: the printed dynamics are
    integrated by SciPy's DOP853 at a tolerance of 1e-12; H may change by 1e-9 of its size. Masses: the identity, a
    multiple of it between two and four, and a matrix with off-diagonal entries.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for mass in masses:
        curvature, matrix = _positive(generator, dimension), _positive(generator, dimension) + np.eye(dimension)
        if mass != "general":
            matrix = np.eye(dimension) * (1.0 if mass == "identity" else generator.uniform(2, 4))
        inverse = scipy.linalg.inv(matrix)
        state = generator.normal(size=2 * dimension)

        def derivative(_, state, curvature=curvature, inverse=inverse):
            theta, v = np.split(state, 2)
            return np.concatenate([v if velocity == "v" else inverse @ v, -_slope(theta, curvature)])

        of_v = keras.ops.convert_to_numpy(_kinetic_gradient()(state[dimension:], inverse))
        true = np.concatenate([of_v, -_slope_and_energy(state[:dimension], curvature)[0]])
        equations = {"printed": derivative(0.0, state), "derivative_of_h": true}
        tables.append(pd.DataFrame({"of": "equations", "mass": mass, **equations}))
        path = scipy.integrate.solve_ivp(derivative, (0, time), state, method="DOP853", rtol=1e-12, atol=1e-12)
        before, after = (
            _slope_and_energy(ends[:dimension], curvature)[1] + ends[dimension:] @ inverse @ ends[dimension:] / 2
            for ends in (state, path.y[:, -1])
        )
        tables.append(pd.DataFrame({"of": ["conserved"], "mass": mass, "h_after": after, "h_before": before}))
    return pd.concat(tables, ignore_index=True)


def _orders(local, accumulated):
    return AllOf(
        local=ScalingLaw("eta", "error", expected=local, rivals=(local - 1, local + 1), where={"after": "one step"}),
        accumulated=ScalingLaw(
            "eta", "error", expected=accumulated, rivals=(accumulated - 1, accumulated + 1), where={"after": "the time"}
        ),
    )


@claim(
    r"The update $\theta_{t+1} = \theta_t + \eta v_t$, $v_{t+1} = v_t - \eta \nabla E(\theta_t)$ follows the "
    r"Hamiltonian dynamics $\dot v = -E'(\theta)$, $\dot\theta = v$.",
    source=cheatsheet("1.9.2"),
    kind="formula",
    scope="small eta, M = I; renewal of v and acceptance, which Hamiltonian Monte Carlo needs besides, are not printed",
    literature="Neal 2011, section 5.2.3: Euler's method, in which H grows, beside the leapfrog",
    criterion=_orders(2, 1),
    rival=Rival("The update follows the dynamics to the order of the leapfrog, one higher.", criterion=_orders(3, 2)),
    control={"force": "none"},
)
def hamiltonian(
    seeds, *, etas=(2**-4, 2**-5, 2**-6, 2**-7, 2**-8), time=1.0, long=30.0, dimension=3, force="of the energy"
):
    """The distance of theta and v from the exact flow, after one step and after one unit of time.

    E as in ``hamiltonian_flow``, in the update with Keras' gradient; the exact flow by SciPy's DOP853 at a tolerance of
    1e-12. An update that follows dynamics has a local error of order two at least in eta, and then an accumulated one
    of order one: both are Euler's, which is what is printed, with both right sides at the old point. Over long times H
    grows, for a quadratic E of curvature a by the factor 1 + a eta^2 in each step, so that the update does not sample p
    without an acceptance step; that is not said. Further rows, which are not judged, have H after 30 units of time over
    H before, for the smallest eta, by the update and by the leapfrog. The control has no force.
    """
    starts, curvatures = [], []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        curvatures.append(_positive(generator, dimension))
        starts.append(generator.normal(size=2 * dimension))
    start, curvature = np.array(starts), np.array(curvatures)
    strength = 1.0 if force == "of the energy" else 0.0
    tables = []
    for eta in etas:
        (theta, v), path = np.split(start, 2, axis=1), []
        for _ in range(round(time / eta)):
            theta, v = theta + eta * v, v - eta * strength * _slope_and_energy(theta, curvature)[0]
            path.append(np.hstack([theta, v]))
        for after, duration, reached in (("one step", eta, path[0]), ("the time", time, path[-1])):
            exact = [_exact_flow(*each, duration) for each in zip(start, curvature, strict=True)]
            errors = np.linalg.norm(reached - exact, axis=1)
            tables.append(pd.DataFrame({"seed": seeds, "eta": eta, "after": after, "error": errors}))
    eta = min(etas)
    for method in ("update", "leapfrog"):
        theta, v = np.split(start, 2, axis=1)
        before = _slope_and_energy(theta, curvature)[1] + (v**2).sum(axis=1) / 2
        for _ in range(round(long / eta)):
            if method == "update":
                theta, v = theta + eta * v, v - eta * strength * _slope(theta, curvature)
            else:
                v = v - eta / 2 * strength * _slope(theta, curvature)
                theta = theta + eta * v
                v = v - eta / 2 * strength * _slope(theta, curvature)
        ratios = (_slope_and_energy(theta, curvature)[1] + (v**2).sum(axis=1) / 2) / before
        place = {"eta": eta, "after": "long", "method": method}
        tables.append(pd.DataFrame({"seed": seeds, **place, "h_after_over_before": ratios}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Langevin dynamics $\dot\theta = v$, $dv = -\nabla E(\theta) dt - B v dt + N(0, 2B dt)$ sample the posterior, by "
    r"the update $\theta_{t+1} = \theta_t + \eta v_t$, $v_{t+1} = (1 - \eta\gamma) v_t - \eta \nabla \tilde E(\theta) "
    r"+ \sqrt{2\gamma\eta}\, N(0, I)$.",
    source=cheatsheet("1.9.2"),
    kind="formula",
    scope="one of the Markov chain methods for the posterior, so exact for small eta; tried on a quadratic E, whose "
    "posterior is normal; gradient at the present parameters; whether it is that of all examples or of a minibatch is "
    "left open",
    left_open=("gradient",),
    transcription=True,
    literature="Chen, Fox and Guestrin 2014; Leimkuhler and Matthews 2015: Euler's method has a "
    "bias of first order in eta",
    criterion=AllOf(
        dynamics=Identity("covariance", "of_exp_minus_h", operations=10**6, where={"of": "dynamics"}),
        update=ScalingLaw("eta", "bias", expected=1, rivals=(0, 2), each=("gradient",), where={"of": "update"}),
    ),
    control={"strength": 1.0},
)
def langevin(
    seed, *, etas=(2**-8, 2**-9, 2**-10, 2**-11, 2**-12), gradients=("all examples", "one example"), strength=2.0
):
    r"""Stationary moments on the conjugate posterior of a linear model, without simulation.

    Six examples, two parameters, friction gamma from one to two. Dynamics: with a random positive matrix B the
    stationary covariance of theta and v solves a Lyapunov equation (SciPy), and must be that of $\exp(-H)$: the
    posterior's and the identity. Update: on this E it is affine, since Keras' gradient is, which is read off at
    zero and at unit vectors; the stationary mean and covariance then solve linear equations, for gradients
    of one random example of six, times six, too. The bias is the norm of what covariance and mean of theta are off,
    relative to the posterior's covariance: it goes to nothing as eta to the first power. The stray integral sign in our
    copy is left out. The control has noise of half the variance, $\sqrt{\gamma\eta}$.
    """
    generator = np.random.default_rng(seed)
    model, friction = LinearModel.draw(generator), _positive(generator, 2)
    zero, one = np.zeros((2, 2)), np.eye(2)
    drift = np.block([[zero, one], [-model.precision, -friction]])
    noise = np.block([[zero, zero], [zero, strength * friction]])
    covariance = scipy.linalg.solve_continuous_lyapunov(drift, -noise)
    of_h = scipy.linalg.block_diag(model.covariance, one)
    tables = [pd.DataFrame({"of": "dynamics", "covariance": covariance.ravel(), "of_exp_minus_h": of_h.ravel()})]
    gamma = generator.uniform(1, 2)
    for gradient in gradients:
        batches = [slice(None)] if gradient == "all examples" else [[row] for row in range(len(model.x))]
        slopes = [_affine_gradient(model, batch) for batch in batches]
        for eta in etas:
            maps = [_affine_update(*slope, eta, gamma) for slope in slopes]
            mean, second = _stationary_moments(maps, strength * gamma * eta)
            off = second[:2, :2] - np.outer(mean[:2], mean[:2]) - model.covariance
            bias = np.hypot(np.linalg.norm(off), np.sum((mean[:2] - model.mean) ** 2)) / np.linalg.norm(
                model.covariance
            )
            tables.append(pd.DataFrame({"of": ["update"], "gradient": gradient, "eta": eta, "bias": bias}))
    return pd.concat(tables, ignore_index=True)


def _transitions(target, proposals, acceptance):
    """Probabilities of moves from the row's state to the column's, by Keras; those of staying are left out."""
    p, q = (keras.ops.convert_to_tensor(values) for values in (target, proposals))
    back = keras.ops.transpose(q) if acceptance == "printed" else q
    made = q > 0
    ratio = p[None, :] * back / keras.ops.where(made, p[:, None] * q, 1.0)
    return np.array(keras.ops.convert_to_numpy(keras.ops.where(made, q * keras.ops.minimum(ratio, 1.0), 0.0)))


def _positive(generator, dimension):
    """Random positive definite matrix with eigenvalues from a half to two."""
    directions = np.linalg.qr(generator.normal(size=(dimension, dimension)))[0]
    return directions * generator.uniform(0.5, 2, size=dimension) @ directions.T


@cache
def _compiled_energy():
    def energy(values, curvature):
        (theta,) = values
        curved = keras.ops.matmul(curvature, theta[..., None])[..., 0]
        energies = keras.ops.sum(theta * curved / 2 + theta**4 / 4, axis=-1)
        return keras.ops.sum(energies), energies

    return compile_function(lambda theta, curvature: value_and_gradient(energy, [theta], curvature))


@cache
def _kinetic_gradient():
    def kinetic(values, inverse):
        (v,) = values
        return keras.ops.sum(v * keras.ops.matmul(inverse, v)) / 2, ()

    return lambda v, inverse: value_and_gradient(
        kinetic, [keras.ops.convert_to_tensor(v)], keras.ops.convert_to_tensor(inverse)
    )[2][0]


def _slope(theta, curvature):
    """Gradient of the energy, written out."""
    return (curvature @ theta[..., None])[..., 0] + theta**3


def _exact_flow(state, curvature, duration):
    """Parameters and v, [2 d], after some time of the Hamiltonian dynamics with M = I, by SciPy."""

    def derivative(_, state):
        theta, v = np.split(state, 2)
        return np.concatenate([v, -_slope(theta, curvature)])

    return scipy.integrate.solve_ivp(derivative, (0, duration), state, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]


def _slope_and_energy(theta, curvature):
    """Gradients of the energy at one or more parameters, [..., d], and the energies, [...], by Keras."""
    tensors = (keras.ops.convert_to_tensor(values) for values in (theta, curvature))
    _, energies, (gradient,) = _compiled_energy()(*tensors)
    return keras.ops.convert_to_numpy(gradient), keras.ops.convert_to_numpy(energies)


def _affine_gradient(model, batch):
    """Matrix, [2, 2], and offset, [2], of the gradient of the energy, by Keras at zero and at unit vectors."""
    theta = keras.ops.convert_to_tensor(np.vstack([np.zeros(2), np.eye(2)]))
    weight = len(model.x) / len(model.x[batch])
    _, _, (gradient,) = value_and_gradient(
        lambda values: (keras.ops.sum(model.energy(values[0], batch, weight)), ()), [theta]
    )
    rows = keras.ops.convert_to_numpy(gradient)
    return (rows[1:] - rows[0]).T, rows[0]


def _affine_update(matrix, offset, eta, gamma):
    """Matrix, [4, 4], and offset, [4], of the update without noise, given those of the gradient."""
    one = np.eye(2)
    update = np.block([[one, eta * one], [-eta * matrix, (1 - eta * gamma) * one]])
    return update, np.concatenate([np.zeros(2), -eta * offset])


def _stationary_moments(maps, noise):
    """Mean, [4], and second moments, [4, 4], of states that random affine maps and noise on the last two leave alike.

    Args:
        maps: Matrix and offset of each map, all equally likely.
        noise: Variance of the noise.
    """
    matrices, offsets = (np.array(each) for each in zip(*maps, strict=True))
    size = offsets.shape[1]
    mean = scipy.linalg.solve(np.eye(size) - matrices.mean(axis=0), offsets.mean(axis=0))
    cross = np.mean([np.outer(matrix @ mean, offset) for matrix, offset in maps], axis=0)
    added = cross + cross.T + np.mean([np.outer(offset, offset) for offset in offsets], axis=0)
    added += np.diag([0.0, 0.0, noise, noise])
    both = np.mean([np.kron(matrix, matrix) for matrix in matrices], axis=0)
    return mean, scipy.linalg.solve(np.eye(size**2) - both, added.ravel()).reshape(size, size)
