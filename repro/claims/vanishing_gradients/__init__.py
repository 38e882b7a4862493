"""What gradients do on their way back through a deep network, and what that does to its training."""
