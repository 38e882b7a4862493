"""Normalisation: what its layers compute, and what they do for training."""
