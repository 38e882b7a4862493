"""Helpers of the claims on Hopfield networks, against values worked out elsewhere."""

import numpy as np
import pytest

from repro import ReproError
from repro.claims.hopfield import memories
from repro.engine import backend

backend.configure()


def test_energies_of_two_units():
    weights = np.array([[5.0, 1.0], [1.0, 5.0]])  # the diagonal does not count
    states = np.array([[1, 1], [1, -1], [-1, -1]])
    assert memories.energies(states, weights, np.zeros(2)) == pytest.approx([-1, 1, -1])
    assert memories.energies(states, weights, np.array([1.0, 3.0])) == pytest.approx([3, -1, -5])


def test_energies_want_shapes_that_fit():
    with pytest.raises(ReproError, match="do not fit"):
        memories.energies(np.ones((1, 2)), np.ones((3, 3)), np.zeros(3))


def test_a_unit_without_a_field_keeps_its_state():
    assert memories._updated(np.array([0.5, -2.0, 0.0, 1e-16]), np.array([-1.0, 1.0, -1.0, -1.0])).tolist() == [
        1,
        -1,
        -1,
        -1,
    ]


def test_a_network_rests_at_its_pattern():
    pattern = np.array([1.0, -1.0, 1.0, 1.0, -1.0])
    weights = np.outer(pattern, pattern) - np.eye(5)
    start = pattern * [1, -1, 1, 1, 1]
    generator = np.random.default_rng(0)
    assert memories._recall(generator, start[None].copy(), weights)[0] == pytest.approx(pattern)
    states = memories._course(generator, start.copy(), weights, np.zeros(5), sweeps=2)
    assert states.shape == (11, 5)
    assert states[-1] == pytest.approx(pattern)
