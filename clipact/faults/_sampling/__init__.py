"""How the faults of single-fault campaigns are chosen: uniformly, by strata, or all of them."""

from clipact.faults._sampling._allocation import Allocation
from clipact.faults._sampling._by import by_bit, by_tensor, by_tensor_and_bit
from clipact.faults._sampling._exhaustive import Exhaustive
from clipact.faults._sampling._sampling import Sampler, Sampling
from clipact.faults._sampling._stratified import Stratified
from clipact.faults._sampling._uniform import Uniform

__all__ = [
    "Allocation",
    "Exhaustive",
    "Sampler",
    "Sampling",
    "Stratified",
    "Uniform",
    "by_bit",
    "by_tensor",
    "by_tensor_and_bit",
]
