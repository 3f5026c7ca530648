"""Methods that make a trained network resilient, applied with one verb: :func:`clipact.protect`."""

from clipact.methods._base import Method, Scope, protect
from clipact.methods._clip_to_zero import ClipToZero
from clipact.methods._ranger import Ranger

__all__ = ["ClipToZero", "Method", "Ranger", "Scope", "protect"]
