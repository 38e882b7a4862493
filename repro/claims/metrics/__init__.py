"""Metrics of classifiers and of masks."""
