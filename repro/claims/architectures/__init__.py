"""Deep architectures: what they consist of, what they cost, and what they do for training."""
