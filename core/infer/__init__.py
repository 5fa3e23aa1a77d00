"""Sliding-window prediction with a memory bound known beforehand. Device room."""
