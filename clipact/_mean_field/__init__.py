"""What a wide random layer does to the variance of a signal: closed forms in pure Python, float64."""

from clipact._mean_field._choose import clipped, unclipped
from clipact._mean_field._edge import Edge, check_variance, edge
from clipact._mean_field._moments import Moments
from clipact._mean_field._normal import above, density, quantile
from clipact._mean_field._rule import legendre
from clipact._mean_field._sparsifier import Sparsifier
from clipact._mean_field._variance_map import CorrelationMap, VarianceMap

__all__ = [
    "CorrelationMap",
    "Edge",
    "Moments",
    "Sparsifier",
    "VarianceMap",
    "above",
    "check_variance",
    "clipped",
    "density",
    "edge",
    "legendre",
    "quantile",
    "unclipped",
]
