"""Probability and statistics: limits, distributions, moments, tests, distances."""
