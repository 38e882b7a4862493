"""Baselines of generators and saliency maps, against the moments that they are made of."""

from functools import partial

import keras
import numpy as np
import pytest

from repro.common.errors import ReproError
from repro.engine.baselines import (
    constant_map,
    decoded_prior_noise,
    fitted_gaussian,
    fresh_real,
    mean_plus_noise,
    shuffled_map,
)

MEAN = np.array([[1.0, -2.0], [0.0, 5.0]])
FACTOR = np.array([[2.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.5, 0.1, 0.0], [0.0, 0.0, 0.0, 0.0]])
COUNT = 40_000


def correlated(count=2000):
    """Examples of shape [2, 2] whose last pixel never varies."""
    noise = np.random.default_rng(0).normal(size=(count, 4))
    return MEAN + (noise @ FACTOR.T).reshape(-1, 2, 2)


def test_a_fitted_gaussian_has_mean_and_covariance_of_the_examples():
    train = correlated()
    samples = fitted_gaussian(train, COUNT, seed=1)
    assert samples.shape == (COUNT, 2, 2)
    # four standard errors of a mean, and of a covariance, which is at most that of the largest variance
    largest = train.reshape(-1, 4).var(axis=0).max()
    np.testing.assert_allclose(samples.mean(axis=0), train.mean(axis=0), atol=4 * np.sqrt(largest / COUNT))
    expected = np.cov(train.reshape(-1, 4), rowvar=False, bias=True)
    found = np.cov(samples.reshape(-1, 4), rowvar=False)
    np.testing.assert_allclose(found, expected, atol=4 * np.sqrt(2 / COUNT) * largest)
    np.testing.assert_allclose(samples[:, 1, 1], 5.0, atol=1e-6)


def test_a_gaussian_fitted_to_few_examples_stays_in_their_plane():
    train = np.random.default_rng(0).normal(size=(3, 50)).astype(np.float32)
    samples = fitted_gaussian(train, 20, seed=0)
    assert samples.dtype == np.float32
    plane = np.linalg.qr((train[1:] - train[0]).T.astype(float))[0]
    away = samples - train[0]
    np.testing.assert_allclose(away @ plane @ plane.T, away, atol=1e-5)


def test_the_mean_with_noise_has_the_moments_of_each_pixel_and_no_others():
    train = correlated().astype(np.float32)
    samples = mean_plus_noise(train, COUNT, seed=1)
    assert (samples.shape, samples.dtype) == ((COUNT, 2, 2), np.float32)
    deviations = train.std(axis=0)
    assert (np.abs(samples.mean(axis=0) - train.mean(axis=0)) <= 4 * deviations / np.sqrt(COUNT) + 1e-5).all()
    np.testing.assert_allclose(samples.std(axis=0), deviations, rtol=4 / np.sqrt(2 * COUNT), atol=1e-6)
    correlations = np.corrcoef(samples.reshape(-1, 4)[:, :3], rowvar=False) - np.eye(3)
    assert np.abs(correlations).max() < 4 / np.sqrt(COUNT)


def test_fresh_examples_are_real_and_drawn_once():
    test = np.arange(30).reshape(10, 3)
    drawn = fresh_real(test, 10, seed=0)
    assert sorted(drawn.tolist()) == test.tolist()
    assert drawn.tolist() != test.tolist()
    np.testing.assert_array_equal(fresh_real(test, 4, seed=0), drawn[:4])
    with pytest.raises(ReproError, match="there are 10 real examples, 11 were asked for"):
        fresh_real(test, 11, seed=0)


def test_decoded_noise_is_standard_normal_before_it_is_decoded():
    latent = decoded_prior_noise(lambda noise: noise, 5, COUNT, seed=0)
    assert (latent.shape, latent.dtype) == ((COUNT, 5), np.float32)
    np.testing.assert_allclose(latent.mean(axis=0), 0, atol=4 / np.sqrt(COUNT))
    np.testing.assert_allclose(np.cov(latent, rowvar=False), np.eye(5), atol=4 * np.sqrt(2 / COUNT))
    decoder = keras.Sequential([keras.Input((5,)), keras.layers.Dense(6), keras.layers.Reshape((2, 3))])
    decoded = decoded_prior_noise(decoder, 5, 7, seed=0)
    kernel = decoder.layers[0].kernel.numpy()
    noise = decoded_prior_noise(lambda noise: noise, 5, 7, seed=0)
    np.testing.assert_allclose(decoded, (noise @ kernel).reshape(7, 2, 3), rtol=1e-4, atol=1e-6)


def test_a_constant_map_prefers_no_pixel():
    assert constant_map((3, 4, 5)).shape == (3, 4, 5)
    assert np.ptp(constant_map((3, 4, 5))) == 0


def test_shuffled_maps_keep_their_values_and_lose_their_places():
    maps = np.random.default_rng(0).normal(size=(6, 8, 8))
    before = maps.copy()
    shuffled = shuffled_map(maps, seed=0)
    np.testing.assert_array_equal(maps, before)
    np.testing.assert_array_equal(np.sort(shuffled.reshape(6, -1)), np.sort(maps.reshape(6, -1)))
    # a permutation leaves one pixel in its place on average, and each map has its own
    assert (shuffled == maps).sum() < 6 + 4 * np.sqrt(6)
    order = shuffled_map(np.tile(np.arange(64), (2, 1)), seed=0)
    assert (order[0] != order[1]).any()


@pytest.mark.parametrize(
    "baseline",
    [
        partial(mean_plus_noise, correlated(20), 5),
        partial(fitted_gaussian, correlated(20), 5),
        partial(fresh_real, correlated(20), 5),
        partial(decoded_prior_noise, np.tanh, 3, 5),
        partial(shuffled_map, correlated(20)),
    ],
    ids=lambda baseline: baseline.func.__name__,
)
def test_baselines_follow_from_their_seed(baseline):
    np.testing.assert_array_equal(baseline(seed=3), baseline(seed=3))
    assert (baseline(seed=3) != baseline(seed=4)).any()
