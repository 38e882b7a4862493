"""Derivatives of networks, layer by layer."""
