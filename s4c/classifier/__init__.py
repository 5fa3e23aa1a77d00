"""The network that S4C is compared with: a scan's class from features of the coarse network."""
