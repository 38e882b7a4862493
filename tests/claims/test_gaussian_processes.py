"""Helpers of the claims on Gaussian processes, against values worked out elsewhere."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from repro.claims.gaussian_processes import _activations, _processes, networks, processes


@pytest.mark.parametrize(
    ("kernel", "distance", "value"),
    [
        ("rbf", 2.0, np.exp(-0.5)),
        ("laplace", 2.0, np.exp(-1)),
        ("periodic", _processes.PERIOD, 1.0),
        ("white", 2.0, 0.0),
        ("white", 0.0, 1.0),
    ],
)
def test_kernels(kernel, distance, value):
    found = _processes.covariance(kernel, np.zeros((1, 1)), np.array([[distance]]), length=2.0)
    assert found == pytest.approx(np.array([[value]]))


def test_the_linear_kernel_is_a_product():
    x, z = np.array([[1.0, 2.0]]), np.array([[3.0, -1.0], [0.0, 0.5]])
    assert _processes.covariance("linear", x, z) == pytest.approx(np.array([[1.0, 1.0]]))


def test_the_periodic_kernel_is_curved_like_the_gaussian_one_at_the_origin():
    near = [_processes.covariance(kernel, np.zeros((1, 1)), np.array([[1e-2]]))[0, 0] for kernel in ("rbf", "periodic")]
    assert 1 - near[1] == pytest.approx(1 - near[0], rel=1e-3)


def test_another_kernel_is_named():
    with pytest.raises(ValueError, match="no kernel 'cosine'"):
        _processes.covariance("cosine", np.zeros((1, 1)), np.zeros((1, 1)))


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_posterior_after_one_observation(noise):
    k = np.exp(-0.5)
    mean, left = _processes.condition("rbf", np.zeros((1, 1)), np.array([2.0]), np.array([[1.0], [30.0]]), noise)
    shrunk = 1 / (1 + noise**2)
    assert mean == pytest.approx([2 * k * shrunk, 0.0])
    assert left == pytest.approx(np.diag([1 - k**2 * shrunk, 1.0]))


def test_pseudo_inverse_of_a_singular_matrix():
    matrix = np.array([[2.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 3.0]])
    assert _processes.pseudo_inverse(matrix) == pytest.approx(np.linalg.pinv(matrix), abs=1e-12)


def test_draws_have_the_covariance_asked_for_and_no_other():
    covariance = np.array([[1.0, 0.8], [0.8, 1.0]])
    drawn = _processes.draw_normal(covariance, 10_000, np.random.default_rng(0))
    assert max(_processes.moment_errors(drawn, covariance)) < 4
    assert _processes.moment_errors(drawn, np.eye(2))[1] > 50


def test_limits_are_those_of_the_tests():
    assert _processes.error_limit(1) == pytest.approx(scipy.stats.norm.isf(5e-7))
    assert _processes.distance_limit(400) == pytest.approx(scipy.stats.kstwobign.isf(1e-6) / 20, rel=1e-6)
    assert _processes.distance_limit(400, 400) == pytest.approx(_processes.distance_limit(200))


@pytest.mark.parametrize(
    ("activation", "correlation", "value"),
    [("relu", 1.0, 1.0), ("relu", 0.0, 1 / np.pi), ("relu", -1.0, 0.0), ("linear", 0.3, 0.6)],
)
def test_expected_products_of_activations(activation, correlation, value):
    covariance = 2 * np.array([[1.0, correlation], [correlation, 1.0]])
    assert _activations.expected_products(activation, covariance)[0, 1] == pytest.approx(value, abs=1e-12)


def test_expected_square_of_tanh():
    integral = scipy.integrate.quad(lambda z: np.tanh(1.5 * z) ** 2 * scipy.stats.norm.pdf(z), -10, 10)[0]
    found = _activations.expected_products("tanh", np.full((2, 2), 2.25))
    assert found == pytest.approx(np.full((2, 2), integral), rel=1e-4)


def test_rank_of_fractions():
    assert processes.exact_rank([[Fraction(1, 3), Fraction(2, 3)], [Fraction(1), Fraction(2)]]) == 1
    assert processes.exact_rank([[Fraction(0), Fraction(1)], [Fraction(1), Fraction(0)]]) == 2


def test_excess_kurtosis_of_linear_networks():
    """One product of a normal matrix and a normal vector has an excess of 6 / n."""
    options = {"networks": 2000, "widths": (8, 16), "depths": (1,), "activations": ("linear",)}
    found = networks.deep_nets_near_normal([0, 1, 2], **options).groupby("width")["excess"].mean()
    assert found.to_numpy() == pytest.approx([6 / 8, 6 / 16], rel=0.1)
