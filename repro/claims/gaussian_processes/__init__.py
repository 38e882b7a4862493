"""Gaussian processes: their draws and kernels, regression with them, and random networks that are nearly such."""
