"""Forms of convolution that only CPUs need; each file has a value and both gradients."""
