"""Convolutions of oneDNN on CPU, called by XLA where they stand in a program.

The library comes as a wheel for Linux on x86-64 (`library`). Its convolutions (`convolution`) run
as a target of XLA's foreign functions (`target`), and `form` says which of a network's it takes.
Where it is missing, the forms beside this folder compute all.
"""
