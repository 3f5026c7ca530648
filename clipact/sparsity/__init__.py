"""Sparse activations that train deep: initialisation at the edge of chaos, meters, and layers that skip zeros."""
