"""Denoising diffusion: chains and their bounds, Gaussian steps, scores, and what is generated."""
