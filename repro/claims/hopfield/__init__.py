"""Hopfield networks: their energy, and what they learn by Hebb's rule."""
