"""Faults in values that flow through a model: what a layer gives, what the model is given."""

from clipact.faults._values._drawn import Drawn
from clipact.faults._values._example import observe_example
from clipact.faults._values._flow import Flow, Forward
from clipact.faults._values._flowing import Plan, flowing
from clipact.faults._values._landing import Landing
from clipact.faults._values._observe import observe
from clipact.faults._values._place import Place, Source

__all__ = [
    "Drawn",
    "Flow",
    "Forward",
    "Landing",
    "Place",
    "Plan",
    "Source",
    "flowing",
    "observe",
    "observe_example",
]
