"""Targets: where faults may fall. Combine them with ``|``."""

from clipact.faults._targets._activations import Activations
from clipact.faults._targets._buffers import Buffers
from clipact.faults._targets._flowing import Candidate, FlowingTarget
from clipact.faults._targets._inputs import Inputs
from clipact.faults._targets._optimizer_state import OptimizerState
from clipact.faults._targets._parameters import Biases, Thresholds, Weights
from clipact.faults._targets._population import bit_spaces
from clipact.faults._targets._target import Target

__all__ = [
    "Activations",
    "Biases",
    "Buffers",
    "Candidate",
    "FlowingTarget",
    "Inputs",
    "OptimizerState",
    "Target",
    "Thresholds",
    "Weights",
    "bit_spaces",
]
