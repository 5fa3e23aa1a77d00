"""Geometry and intensity steps, each beside its inverse. Host room."""
