"""Bayesian networks: their posterior, averages over it, and Markov chains that sample it."""
