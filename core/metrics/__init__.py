"""Metrics: a row per case first, aggregates after."""
