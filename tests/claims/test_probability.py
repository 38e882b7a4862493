"""Helpers of the claims on probability, against values worked out elsewhere."""

import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from repro import ReproError
from repro.claims.probability import _samples, geodesics, inference, limits, mahalanobis, moments, normal
from repro.engine import backend

backend.configure()


def test_distance_at_which_one_in_a_million_is_rejected():
    assert scipy.stats.kstwobign.sf(_samples.rejected_from(10_000) * 100) == pytest.approx(1e-6)
    two = _samples.rejected_from(10_000, 10_000)
    assert scipy.stats.kstwobign.sf(two * np.sqrt(5000)) == pytest.approx(1e-6)


@pytest.mark.parametrize("sizes", [(0,), (-1,), (10, 0)])
def test_samples_have_a_size(sizes):
    with pytest.raises(ReproError, match="sizes of samples"):
        _samples.rejected_from(*sizes)


def test_draws_depend_on_all_of_their_seed():
    first, second, again = (_samples.draw("normal", (1000,), seed) for seed in ((0, 1), (0, 2), (0, 1)))
    assert first.dtype == np.float64
    assert (first == again).all()
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.15
    assert _samples.distance(first, "norm") < _samples.rejected_from(1000)


def test_coins_of_their_own_probabilities():
    assert limits._poisson_binomial([0.5, 0.5]) == pytest.approx([0.25, 0.5, 0.25])
    assert limits._poisson_binomial([0.1, 0.9]) == pytest.approx([0.09, 0.82, 0.09])


def test_distance_of_a_distribution_from_the_normal_one():
    points = np.linspace(-4, 4, 8001)
    law = scipy.stats.norm(3, 2)
    assert limits._to_normal(law.cdf, 3, 4, points, dominated=False) == pytest.approx(0, abs=1e-12)
    coin = scipy.stats.bernoulli(0.5)  # half of the mass one deviation below, where the normal one has 0.1587
    assert limits._to_normal(coin.cdf, 0.5, 0.25, points, dominated=False) == pytest.approx(0.3413, abs=1e-4)
    assert limits._to_normal(law.cdf, 3, 4, points, dominated=True) > 0.1


def test_sum_of_two_exponential_variables():
    law, z = scipy.stats.expon(), np.array([0.5, 1.0, 3.0])
    assert normal._of_sum(law, law, z) == pytest.approx(z * np.exp(-z))


def test_a_coordinate_is_integrated_out():
    density = scipy.stats.multivariate_normal(np.zeros(2)).pdf
    found = normal._integrate_out(density, np.array([[0.0, 7.0], [1.0, 7.0]]), 1, 0.0, 1.0)
    assert found == pytest.approx(scipy.stats.norm.pdf([0.0, 1.0]))


def test_gaussian_marginals_without_gaussian_conditionals():
    """The two parts of the claim are separate: another copula keeps the one and breaks the other."""
    table = normal.gaussian_marginals([0], joint="copula")
    parts = dict(list(table.groupby("of")))
    assert parts["marginal"]["by_integral"].tolist() == pytest.approx(parts["marginal"]["gaussian"].tolist())
    assert (parts["conditional"]["by_integral"] / parts["conditional"]["gaussian"] - 1).abs().max() > 0.01
    moment = scipy.integrate.quad(lambda x: x * (1 - 2 * scipy.stats.norm.cdf(x)) * scipy.stats.norm.pdf(x), -9, 9)[0]
    assert normal._copula(0.9)[1][0, 2] == pytest.approx(0.9 * moment**2)


@pytest.mark.parametrize(
    ("t", "nu", "expected"), [(0.0, 1.0, 1 / np.pi), (1.0, 1.0, 0.5 / np.pi), (0.0, 2.0, 1 / np.sqrt(8))]
)
def test_t_densities_of_tables(t, nu, expected):
    assert inference._density(t, nu) == pytest.approx(expected)
    assert inference._mixture(t, nu) == pytest.approx(expected)


def test_t_test_of_the_notes():
    table = inference.t_test_example()
    assert table["t"].item() == pytest.approx(-6.3 / np.sqrt((19.0969 + 9.61) / 20))
    assert table["p_of_looked_up"].item() == pytest.approx(0.0578, abs=1e-4)  # two-sided 0.1157, by tables
    assert table["p_two_sided"].item() == pytest.approx(6e-6, rel=0.05)


def test_printed_covariance():
    assert moments._expression(np.array([[0.0, 0.0], [2.0, 4.0]])) == pytest.approx(2)


def test_distances_after_a_mapping():
    points = np.array([[0.0, 0.0], [3.0, 2.0], [3.0, 3.0]])
    distances = mahalanobis._distances(points, np.diag([1.0, 2.0]))
    assert distances == pytest.approx([5.0, np.sqrt(45), 2.0])
    assert mahalanobis._nearest(distances).tolist() == [1, 2, 1]


def test_energy_far_from_the_data_is_that_of_a_straight_line():
    straight, _ = geodesics._paths(0.5, 1.5, np.pi / 2, np.pi / 2)
    assert straight[0] == pytest.approx([0, 0.5])
    assert straight[-1] == pytest.approx([0, 1.5])
    far, starts, width = np.full((4, 2), 50.0), straight[None, None], np.full((1, 1, 1, 1, 1), 0.1)
    tensors = [keras.ops.convert_to_tensor(array) for array in (starts[:, :, 1:-1], starts, far, width)]
    for isotropic in (False, True):
        _, of_curves, gradient = geodesics._energy(*tensors, isotropic=isotropic)
        assert np.asarray(of_curves).item() == pytest.approx(np.log(1 / geodesics.FLOOR / geodesics.SEGMENTS))
        assert np.asarray(gradient) == pytest.approx(0, abs=1e-9)


def test_steps_along_data_on_an_axis_come_first():
    data = np.column_stack([np.linspace(-1, 1, 50), np.zeros(50)])
    steps = geodesics._steps(np.zeros(2), data, 0.3)
    assert steps[:, 0].tolist() == [[0, 0]] * 4
    assert steps[:, -1] == pytest.approx(geodesics.STEP * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]))


def test_density_is_highest_along_the_circle():
    straight, circle = geodesics._paths(1.0, 1.0, np.pi / 2 - 1.2, np.pi / 2 + 1.2)
    assert geodesics._mean_density(circle) > 0.95
    assert geodesics._mean_density(straight) < 0.3


def test_path_by_radius_circle_and_radius():
    _, path = geodesics._paths(0.5, 1.5, np.pi / 4, 3 * np.pi / 4)
    assert path[[0, -1]] == pytest.approx(np.array([[1, 1], [-3, 3]]) / np.sqrt(8))
    radii = np.linalg.norm(path, axis=1)
    assert (np.diff(radii) > -1e-12).all()
    assert (np.abs(radii - 1) < 1e-12).sum() >= 10
