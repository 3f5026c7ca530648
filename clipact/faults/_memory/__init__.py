"""Tensors in memory: their words, the faults in these, and the bits of before."""
