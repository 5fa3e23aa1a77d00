"""The nested cross-validation of the paper: every network, every comparison, Tables IV to VII."""
