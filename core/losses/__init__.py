"""Losses as pure functions of probabilities or logits and truth. Device room."""
