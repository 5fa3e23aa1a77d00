"""What `benchmarks.case` runs, a file per paper: one whole case, ours against a peer."""
