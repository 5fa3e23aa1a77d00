"""Splits, cache, patch sampling and the input pipeline. Host room."""
