"""Perceptron learning: convergence, capacity, Boolean neurons, the geometry of its loss."""
