"""Clean-up of predicted masks. Host room."""
