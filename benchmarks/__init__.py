"""Measurements: kernels, steps, loaders and whole cases against a peer in the same run."""
