"""What the suite `case` runs, a file per system: one whole case, ours against a peer."""
