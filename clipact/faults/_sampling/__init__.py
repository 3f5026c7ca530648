"""Which faults the trials of a campaign are."""

from clipact.faults._sampling._exhaustive import Exhaustive
from clipact.faults._sampling._sampling import Sampler, Sampling
from clipact.faults._sampling._stratified import Stratified, by_bit, by_tensor, by_tensor_and_bit
from clipact.faults._sampling._uniform import Uniform

__all__ = [
    "Exhaustive",
    "Sampler",
    "Sampling",
    "Stratified",
    "Uniform",
    "by_bit",
    "by_tensor",
    "by_tensor_and_bit",
]
