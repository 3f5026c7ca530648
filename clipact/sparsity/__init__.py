"""Sparse activations that train deep: initialisation at the edge of chaos, meters, and layers that skip zeros."""

from clipact.sparsity._check import check_
from clipact.sparsity._depth_check import CheckedSite, DepthCheck
from clipact.sparsity._edge_of_chaos import edge_of_chaos, edge_of_chaos_of
from clipact.sparsity._init import init_
from clipact.sparsity._initialisation import Initialisation, InitialisedLayer
from clipact.sparsity._maps import correlation_map, variance_map
from clipact.sparsity._meter import SparsityMeter
from clipact.sparsity._point import EdgeOfChaos
from clipact.sparsity._sparsity_table import SiteSparsity, SparsityTable
from clipact.sparsity._weights import DeltaOrthogonal, Gaussian, Orthogonal

__all__ = [
    "CheckedSite",
    "DeltaOrthogonal",
    "DepthCheck",
    "EdgeOfChaos",
    "Gaussian",
    "Initialisation",
    "InitialisedLayer",
    "Orthogonal",
    "SiteSparsity",
    "SparsityMeter",
    "SparsityTable",
    "check_",
    "correlation_map",
    "edge_of_chaos",
    "edge_of_chaos_of",
    "init_",
    "variance_map",
]
