"""How fast the suite is over time: the history of its benchmarks, steps in it, and comparisons with a commit."""
