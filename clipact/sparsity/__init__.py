"""Sparse activations that train deep: initialisation at the edge of chaos, meters, and layers that skip zeros."""

from clipact.sparsity._budget import Budget
from clipact.sparsity._calibrate_tau import calibrate_tau
from clipact.sparsity._check import check_
from clipact.sparsity._controller import SparsityController
from clipact.sparsity._depth_check import CheckedSite, DepthCheck
from clipact.sparsity._edge_of_chaos import edge_of_chaos, edge_of_chaos_of
from clipact.sparsity._flops import flops
from clipact.sparsity._flops_table import Flops, LayerFlops
from clipact.sparsity._hold_sparsity import hold_sparsity
from clipact.sparsity._init import init_
from clipact.sparsity._initialisation import Initialisation, InitialisedLayer, Scale
from clipact.sparsity._maps import correlation_map, variance_map
from clipact.sparsity._meter import SparsityMeter
from clipact.sparsity._point import EdgeOfChaos
from clipact.sparsity._skipping._break_even import BreakEven, MeasuredBreakEven
from clipact.sparsity._skipping._sparse_linear import sparse_linear
from clipact.sparsity._skipping._zero_skip import zero_skip_
from clipact.sparsity._sparsity_table import SiteSparsity, SparsityTable
from clipact.sparsity._tau_receipt import CalibratedTau, TauReceipt
from clipact.sparsity._weights import DeltaOrthogonal, Gaussian, Orthogonal, WeightDistribution

__all__ = [
    "BreakEven",
    "Budget",
    "CalibratedTau",
    "CheckedSite",
    "DeltaOrthogonal",
    "DepthCheck",
    "EdgeOfChaos",
    "Flops",
    "Gaussian",
    "Initialisation",
    "InitialisedLayer",
    "LayerFlops",
    "MeasuredBreakEven",
    "Orthogonal",
    "Scale",
    "SiteSparsity",
    "SparsityController",
    "SparsityMeter",
    "SparsityTable",
    "TauReceipt",
    "WeightDistribution",
    "calibrate_tau",
    "check_",
    "correlation_map",
    "edge_of_chaos",
    "edge_of_chaos_of",
    "flops",
    "hold_sparsity",
    "init_",
    "sparse_linear",
    "variance_map",
    "zero_skip_",
]
