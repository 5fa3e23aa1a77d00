"""The same networks and kernels in other frameworks, to compare with; each file imports its own."""
