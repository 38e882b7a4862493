"""Helpers of the claims on losses, against values worked out elsewhere."""

import numpy as np
import pytest

from repro.claims.losses import distances, imbalance, regression, sigmoid, translation, transport
from repro.engine import load_data


@pytest.mark.parametrize(("loss", "expected"), [("mean_squared_error", np.mean), ("mean_absolute_error", np.median)])
def test_mean_and_median_minimise_losses_over_images(loss, expected):
    images = regression.edge_images(np.random.default_rng(0), number=31, pixels=64)
    np.testing.assert_allclose(regression.minimiser(loss, images), expected(images, axis=0), atol=1e-5)


def test_images_have_one_edge():
    images = regression.edge_images(np.random.default_rng(0), number=5, pixels=64)
    np.testing.assert_array_equal(np.diff(images, axis=1).sum(axis=1), 1)
    assert set(np.unique(images)) == {0.0, 1.0}


ONE = np.array([1.0])


@pytest.mark.parametrize("p", [1, 2, 3])
def test_a_mass_that_moves_by_two_costs_two_to_the_power_of_p(p):
    moved = np.array([0.0]), ONE, np.array([2.0]), ONE
    assert transport.transport_cost(*moved, p) == pytest.approx(2**p)
    assert transport.by_quantiles(*moved, p) == pytest.approx(2)
    assert transport._by_cdf(*moved, p) == pytest.approx(2 ** (1 / p))


@pytest.mark.parametrize("p", [2, 3])
def test_double_integral_of_distribution_functions_is_the_distance(p):
    assert transport._by_double_integral(np.array([0.0]), ONE, np.array([2.0]), ONE, p) == pytest.approx(2)
    halves = np.array([0.5, 0.5])
    moved = np.array([0.0, 1.0]), halves, np.array([1.0, 4.0]), halves
    assert transport._by_double_integral(*moved, p) == pytest.approx(((1 + 3**p) / 2) ** (1 / p))


def test_masses_that_split_have_their_quantiles_in_pieces():
    x, y = np.array([0.0]), np.array([-1.0, 2.0])
    assert transport.by_quantiles(x, ONE, y, np.array([0.25, 0.75]), 2) == pytest.approx(np.sqrt(0.25 + 0.75 * 4))


def test_sets_cover_each_other_from_their_hausdorff_distance_on():
    x = np.array([[0.0, 0.0], [1.0, 0.0]])
    assert transport._thickening(x, x[:1]) == pytest.approx(1, abs=1e-6)
    assert transport._thickening(x, np.array([[0.0, 3.0]])) == pytest.approx(np.sqrt(10), abs=1e-6)


def test_distances_of_a_uniform_and_a_linear_density():
    x = (np.arange(4096) + 0.5) / 4096
    w1, w2 = distances._wasserstein(np.ones_like(x), 2 * x)
    assert w1 == pytest.approx(1 / 6, abs=1e-4)  # the integral of x - x^2
    assert w2 == pytest.approx(np.sqrt(1 / 30), abs=1e-4)  # that of (t - sqrt t)^2 is 1/3 + 1/2 - 4/5


@pytest.mark.parametrize("separation", [0.5, 3.0])
def test_divergence_of_normal_distributions_is_half_the_square_of_their_distance(separation):
    values = distances._values("normal", separation)
    assert values["KL"] == pytest.approx(separation**2 / 2, rel=1e-6)
    assert values["W1"] == pytest.approx(separation, rel=1e-6)
    assert 0 < values["JS"] < np.log(2)


def test_disjoint_shapes_have_infinite_divergence_and_the_largest_js():
    values = distances._values("bump", 2.0)
    assert values["KL"] == np.inf
    assert values["JS"] == pytest.approx(np.log(2))


def test_a_shape_is_the_same_wherever_it_is_and_however_large():
    generator = np.random.default_rng(0)
    cloud = distances._cloud(generator, "one ring", 60, 0.5)
    assert distances._distance_from_shape(3 * cloud + [5.0, -2.0], cloud) == pytest.approx(0, abs=1e-6)
    two = distances._cloud(generator, "two spots whose masses differ", 60, 0.5)
    assert distances._distance_from_shape(cloud, two) > 0.1


@pytest.mark.parametrize("detail", ["edge", "line"])
def test_details_of_true_images_have_the_energy_they_are_compared_with(detail):
    images = translation._images(detail, "symmetric", 0.0, 24, 50, 0)
    energies = np.square(np.diff(images.y_test, axis=1)).sum(axis=1)
    np.testing.assert_array_equal(energies, translation.TRUE_ENERGY[detail])


def test_only_training_images_have_outliers():
    images = translation._images("edge", "none", 0.1, 24, 500, 0)
    assert np.isin(images.y_test, [0, 1]).all()
    assert (~np.isin(images.y_train, [0, 1])).mean() == pytest.approx(0.1, abs=0.01)


def test_rare_and_frequent_classes_have_as_many_images_as_asked_for():
    images = imbalance._unbalanced(load_data("digits").flat(), (20,) * 5 + (3,) * 5, 0.0, 1)
    np.testing.assert_array_equal(np.bincount(images.y_train), [20] * 5 + [3] * 5)
    other = imbalance._unbalanced(load_data("digits").flat(), (20,) * 5 + (3,) * 5, 0.0, 2)
    assert not np.array_equal(images.y_test, other.y_test)  # other digits are rare


def test_digits_from_five_on_are_one_class():
    images = sigmoid._two_classes(load_data("digits").flat(), 100, 0)
    assert np.bincount(images.y_train).tolist() == [50, 50]


def test_held_out_images_have_all_classes_alike_and_are_not_trained_on():
    loaded = load_data("digits").flat()
    counts = (80,) * 5 + (8,) * 5
    training, trial = (imbalance._unbalanced(loaded, counts, 0.0, 3, held_out=held_out) for held_out in (False, True))
    np.testing.assert_array_equal(training.x_train, trial.x_train)
    numbers = np.bincount(trial.y_test)
    assert len(numbers) == 10
    assert len(set(numbers)) == 1
    assert not set(map(bytes, trial.x_test)) & set(map(bytes, trial.x_train))
