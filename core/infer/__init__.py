"""Prediction with a memory bound known beforehand: windows of a volume, images. Device room."""
