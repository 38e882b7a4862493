"""How initial weights are drawn, what their scale does to signals and gradients, and what it means for training."""
