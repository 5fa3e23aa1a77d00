"""Endosonography of synthetic patients, with known truth. Host room."""
