"""Augmentations as pure functions of (key, sample), run inside the jitted step. Device room."""
