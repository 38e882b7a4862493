"""What the claims on diffusion are made of, against closed forms, SciPy and finite differences."""

import numpy as np
import pytest
import scipy.stats

from repro.claims.diffusion._processes import Schedule, log_density, posterior_weights, schedule
from repro.claims.diffusion._quality import energy_distance, squared_frechet_distance
from repro.claims.diffusion.chains import STATES, _chain, _conditional, _gaussian_entropies, _marginal
from repro.claims.diffusion.generation import _reverse_step, level_features
from repro.claims.diffusion.langevin import _log_density, _score
from repro.claims.diffusion.prediction import _optima
from repro.claims.diffusion.sampling import Mixture
from repro.engine import load_data
from repro.engine.backend import configure


@pytest.fixture(autouse=True)
def backend():
    configure()


@pytest.mark.parametrize("kind", ["linear", "constant"])
def test_schedules_leave_a_share_of_about_exp_minus_ten(kind):
    assert np.log(schedule(kind, 1000).running[-1]) == pytest.approx(-10, rel=0.02)


def test_the_cosine_schedule_halves_the_signal_in_the_middle():
    assert schedule("cosine", 1000).running[499] == pytest.approx(0.5, abs=0.02)


def test_posterior_of_two_equal_steps():
    chain = Schedule(np.array([0.5, 0.5]))  # x_2 = x_1 / sqrt(2) + noise, precision of x_1: 2 + 1
    assert chain.posterior_variance[1] == pytest.approx(1 / 3)
    mean = chain.posterior_mean(np.array([[0.0], [1.0]]), np.array([[1.0], [1.0]]))
    assert mean[1, 0] == pytest.approx((np.sqrt(0.5) * 2 + np.sqrt(0.5) * 2) / 3)
    assert mean[0, 0] == pytest.approx(1.0)


def test_log_density_and_weights_of_noised_points():
    generator = np.random.default_rng(0)
    points, x = generator.normal(size=(5, 3)), generator.normal(size=(4, 3))
    signal, variance = np.full((4, 1), 0.7), np.full((4, 1), 0.3)
    densities = np.array([scipy.stats.multivariate_normal(0.7 * point, 0.3 * np.eye(3)).pdf(x) for point in points]).T
    np.testing.assert_allclose(log_density(x, points, signal, variance), np.log(densities.mean(axis=1)))
    expected = densities / densities.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(posterior_weights(x, points, signal, variance), expected)


def test_chains_are_distributions_of_the_order_asked_for():
    joint = _chain(np.random.default_rng(0), 3)
    assert joint.shape == (STATES,) * 4
    assert joint.sum() == pytest.approx(1)
    np.testing.assert_allclose(_conditional(joint, (3,), (2,)).sum(axis=3), 1)
    np.testing.assert_allclose(
        np.broadcast_to(_conditional(joint, (3,), (2,)), joint.shape) * _marginal(joint, range(3)), joint
    )
    second = _chain(np.random.default_rng(0), 3, order=2)
    assert not np.allclose(_conditional(second, (3,), (2,)) * _marginal(second, range(3)), second)


def test_gaussian_entropies_satisfy_the_chain_rule():
    before, after, forward, backward = _gaussian_entropies(np.random.default_rng(0), 20)
    np.testing.assert_allclose(before + forward, after + backward)


def test_mixture_score_is_the_slope_of_the_log_density():
    mixture = Mixture(np.array([0.3, 0.7]), np.array([-1.0, 2.0]), np.array([0.5, 1.5]))
    x = np.linspace(-3, 5, 9)

    def density(x):
        return 0.3 * scipy.stats.norm(-1, 0.5).pdf(x) + 0.7 * scipy.stats.norm(2, 1.5).pdf(x)

    slope = (np.log(density(x + 1e-5)) - np.log(density(x - 1e-5))) / 2e-5
    np.testing.assert_allclose(mixture.score(x), slope, rtol=1e-6, atol=1e-9)


def test_noised_mixture_has_the_moments_of_its_samples():
    noised = Mixture(np.ones(1), np.array([2.0]), np.array([0.5])).noised(0.25)
    assert noised.means[0] == pytest.approx(1.0)
    assert noised.deviations[0] ** 2 == pytest.approx(0.25 * 0.25 + 0.75)


def test_distance_of_quantiles_from_their_mixture_is_small_and_from_a_shifted_one_large():
    mixture = Mixture(np.ones(1), np.zeros(1), np.ones(1))
    quantiles = scipy.stats.norm.ppf((np.arange(1000) + 0.5) / 1000)
    assert mixture.distance(quantiles) == pytest.approx(0.0005)
    assert mixture.distance(quantiles + 1) == pytest.approx(2 * scipy.stats.norm.cdf(0.5) - 1, abs=0.001)


def test_score_in_the_plane_is_the_slope_of_the_log_density():
    x = np.array([[0.3, -0.2], [5.0, 4.0], [-6.0, -3.0]])
    for sigma in (0.0, 2.0):
        for axis in range(2):
            step = 1e-5 * np.eye(2)[axis]
            slope = (_log_density(x + step, sigma) - _log_density(x - step, sigma)) / 2e-5
            np.testing.assert_allclose(_score(x, sigma)[:, axis], slope, rtol=1e-5, atol=1e-8)


def test_distances_of_samples_with_known_ones():
    assert energy_distance(np.zeros((2, 1)), np.full((2, 1), 3.0)) == pytest.approx(6.0)
    # N(0, 1) and N(3, 4): 3^2 + (1 - 2)^2
    first, second = np.array([[-1.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [5.0, 0.0]])
    assert squared_frechet_distance(first, second) == pytest.approx(10.0)


@pytest.mark.parametrize("prediction", ["noise", "image"])
def test_reverse_steps_with_an_ideal_network_end_at_the_only_point(prediction):
    chain, point = schedule("linear", 50), 0.3
    total = 1 - chain.running
    x = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    for t in range(49, -1, -1):
        signal, spread = np.sqrt(chain.running[t]), np.sqrt(total[t])

        def network(inputs, signal=signal, spread=spread):
            x = inputs[:, :2]
            return (x - signal * point) / spread if prediction == "noise" else 0 * x + point

        row = (
            signal,
            spread,
            np.sqrt(chain.alpha[t]) * (1 - chain.before[t]) / total[t],
            np.sqrt(chain.before[t]) * chain.beta[t] / total[t],
            0.0,
            level_features(50)[t].astype(np.float32),
            np.zeros((4, 2), np.float32),
        )
        x = _reverse_step(prediction, (-1.0, 1.0), None, 1.0, network, x, row)
    np.testing.assert_allclose(x, point, atol=1e-5)


def test_levels_have_features_of_their_own():
    features = level_features(100)
    differences = np.abs(features[:, None] - features[None]).max(axis=-1) + np.eye(100)
    assert differences.min() > 0.01


def test_the_best_predictions_for_one_image_are_its_noise_however_they_are_parameterised():
    images, chain = load_data("digits").flat(), schedule("linear", 50)
    table = _optima(0, images, chain, population=1)
    generator = np.random.default_rng(0)
    point = 2 * images.x_train[generator.choice(len(images.x_train), size=1, replace=False)][0].astype(float) - 1
    generator.integers(1, 50)
    noise = generator.normal(size=point.shape)
    for of in ("image", "score"):
        chosen = table[table["of"] == of]
        np.testing.assert_allclose(chosen["optimum"], noise, rtol=1e-9)
        np.testing.assert_allclose(chosen["converted"], noise, rtol=1e-4, atol=1e-4)
