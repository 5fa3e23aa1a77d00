"""Exact Euclidean distances between voxels and masks, in mm, on the device."""
