"""CT of the upper abdomen of synthetic patients, with known truth. Host room."""
