"""Synthetic patients with known truth. Host room."""
