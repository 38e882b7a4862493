"""What the claims on diffusion are made of, against closed forms, SciPy and finite differences."""

import numpy as np
import pytest
import scipy.stats

from repro.claims.diffusion._generators import _noised, level_features, points_of, reverse_step
from repro.claims.diffusion._processes import Schedule, log_density, posterior_weights, schedule
from repro.claims.diffusion._quality import energy_distance, squared_frechet_distance
from repro.claims.diffusion.applications import _halves, _latent_space, autoencoder
from repro.claims.diffusion.bounds import ALONE, TOGETHER, _continued, _Paths, _variance
from repro.claims.diffusion.chains import (
    STATES,
    _chain,
    _conditional,
    _gaussian_entropies,
    _marginal,
    _symmetric_entropies,
)
from repro.claims.diffusion.gaussians import _beta, _step_by_step
from repro.claims.diffusion.langevin import _exact_langevin, _log_density, _score
from repro.claims.diffusion.sampling import Mixture, _estimated
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


def test_samples_of_one_distribution_are_as_far_apart_as_their_numbers_say():
    first, second = np.random.default_rng(0).normal(size=(2, 1000, 2))
    # two points of a standard normal in the plane are sqrt(pi) apart on average
    assert energy_distance(first, second) == pytest.approx(2 / 1000 * np.sqrt(np.pi), abs=0.003)


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
            *((1 / signal, -spread / signal) if prediction == "noise" else (0.0, 1.0)),
            -np.inf,
            np.inf,
            np.sqrt(chain.alpha[t]) * (1 - chain.before[t]) / total[t],
            np.sqrt(chain.before[t]) * chain.beta[t] / total[t],
            0.0,
            1.0,
            level_features(50)[t].astype(np.float32),
            np.zeros((4, 2), np.float32),
        )
        x = reverse_step(None, network, x, row)
    np.testing.assert_allclose(x, point, atol=1e-5)


@pytest.mark.parametrize(("scale", "expected"), [(0.0, 0.0), (1.0, 1.0), (7.0, 7.0)])
def test_guidance_goes_beyond_the_condition(scale, expected):
    def network(inputs):  # puts out its first label
        return inputs[:, -2:-1] + 0 * inputs[:, :1]

    row = (0.0, 1.0, -np.inf, np.inf, 0.0, 1.0, 0.0, scale, level_features(50)[0], np.zeros((3, 1)))
    conditions = np.tile([1.0, 0.0], (3, 1))
    row = tuple(np.asarray(values, np.float32) for values in row)
    step = reverse_step(conditions, network, np.ones((3, 1), np.float32), row)
    np.testing.assert_allclose(step, expected)


@pytest.mark.parametrize("prediction", ["noise", "image"])
def test_weights_of_the_bound_make_both_predictions_the_same_loss(prediction):
    x, levels = np.random.default_rng(0).normal(size=(200, 2)), 40
    arguments = {"levels": levels, "weighting": "bound", "trained_levels": "all"}
    _, targets = _noised(x, np.zeros((200, 0)), np.random.default_rng(1), prediction=prediction, **arguments)
    level = np.random.default_rng(1).integers(0, levels, size=200)
    chain = schedule("linear", levels)
    # an image that is off by e is noise that is off by e sqrt(alpha bar / (1 - alpha bar))
    snr = (chain.running / (1 - chain.running))[level]
    of_noise = (chain.beta / (2 * chain.alpha * (1 - chain.running)))[level]
    expected = of_noise if prediction == "noise" else of_noise * snr
    np.testing.assert_allclose(targets[:, -1], expected, rtol=1e-5)
    np.testing.assert_array_equal(targets[:, -2], targets[:, -1])


@pytest.mark.parametrize("data", ["clusters", "digits"])
def test_points_of_seeds_differ_and_none_is_in_two_parts(data):
    first, second = points_of(data, 0), points_of(data, 1)
    assert not np.array_equal(first.train, second.train)
    assert len(first.fresh) > 300
    everything = np.concatenate([first.train, first.fresh])
    assert len(np.unique(everything, axis=0)) >= len(everything) - 5  # as good as none twice


def test_halves_of_an_autoencoder_compute_what_it_computes():
    model = autoencoder(inputs=6, size=2)
    x = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    encode, decode = _halves([np.asarray(values) for values in model.get_weights()])
    np.testing.assert_allclose(decode(encode(x)), np.asarray(model(x)), atol=1e-5)
    points, back = _latent_space((x, x, x, *[np.zeros(5)] * 3), encode, decode)
    np.testing.assert_allclose(points.train.std(axis=0), 1, rtol=1e-4)
    np.testing.assert_allclose(back(points.train), decode(encode(x)), atol=1e-5)


def test_levels_have_features_of_their_own():
    features = level_features(100)
    differences = np.abs(features[:, None] - features[None]).max(axis=-1) + np.eye(100)
    assert differences.min() > 0.01


def test_a_summable_schedule_keeps_some_of_the_image():
    signal, variance = _step_by_step("summable", 100, False)
    # Euler's product for the sine
    assert signal[-1] ** 2 == pytest.approx(np.sin(np.pi / np.sqrt(2)) * np.sqrt(2) / np.pi, rel=1e-4)
    np.testing.assert_allclose(signal**2 + variance, 1)
    assert _beta("linear", 100)[-1] == schedule("linear", 100).beta[-1]


def test_symmetric_chains_keep_their_entropy():
    before, after, forward, backward = _symmetric_entropies(np.random.default_rng(0), 20)
    np.testing.assert_allclose(before, after)
    np.testing.assert_allclose(forward, backward)


def test_variances_of_sums_of_terms():
    terms = np.array([[1.0, -1.0, 1.0, -1.0], [-1.0, 1.0, -1.0, 1.0]])
    assert _variance(terms, TOGETHER) == 0
    assert _variance(terms, ALONE) == pytest.approx(2 * 4 / 3)


def test_log_ratios_of_both_forms_along_a_path_differ_by_the_prior_matching_terms_alone():
    path = _Paths(0, schedule("linear", 40), 5, "digits")
    first, before, last = path.x[0], path.x[-2], path.x[-1]
    alpha, running = path.chain.alpha[-1], path.chain.running[-1]
    given_image = scipy.stats.norm(np.sqrt(running) * first, np.sqrt(1 - running)).logpdf(last)
    given_last_step = scipy.stats.norm(np.sqrt(alpha) * before, np.sqrt(1 - alpha)).logpdf(last)
    difference = path.log_ratios_of_one().sum(axis=0) - path.log_ratios().sum(axis=0)
    np.testing.assert_allclose(difference, (given_image - given_last_step).sum(axis=-1), rtol=1e-6)


def test_fewer_larger_steps_leave_as_much_signal_as_more_small_ones():
    assert _continued(160, 40, True).running[-1] == pytest.approx(_continued(160, 40, False).running[-1])
    assert len(_continued(160, 40, False).beta) == 40


def test_a_mixture_is_estimated_from_many_points():
    mixture = Mixture(np.array([0.2, 0.3, 0.5]), np.array([-2.0, 0.0, 3.0]), np.array([0.2, 0.4, 0.8]))
    found = _estimated(mixture, np.random.default_rng(0), 100_000)
    for name in ("weights", "means", "deviations"):
        np.testing.assert_allclose(getattr(found, name), getattr(mixture, name), atol=0.02)


def test_langevin_dynamics_with_exact_scores_keeps_the_larger_mode_narrow():
    generator = np.random.default_rng(0)
    rows = (np.ones(400), np.full(400, 0.1), generator.normal(size=(400, 500, 2)))
    x = _exact_langevin(np.full((500, 2), 5.0), rows)
    np.testing.assert_allclose(x.mean(axis=0), 5, atol=0.2)
    np.testing.assert_allclose(x.std(axis=0), 1, atol=0.1)
