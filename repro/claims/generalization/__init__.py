"""Generalisation: test error, how it is estimated, and what bounds it."""
