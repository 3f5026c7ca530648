"""Sparse activations that train deep: initialisation at the edge of chaos, meters, and layers that skip zeros."""

from clipact.sparsity._edge_of_chaos import edge_of_chaos
from clipact.sparsity._maps import correlation_map, variance_map
from clipact.sparsity._meter import SparsityMeter
from clipact.sparsity._point import EdgeOfChaos
from clipact.sparsity._sparsity_table import SiteSparsity, SparsityTable

__all__ = [
    "EdgeOfChaos",
    "SiteSparsity",
    "SparsityMeter",
    "SparsityTable",
    "correlation_map",
    "edge_of_chaos",
    "variance_map",
]
