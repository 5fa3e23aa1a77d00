"""Kernels lowered per platform, and the layers built on them. Device room."""
