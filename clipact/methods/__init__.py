"""Methods that make a trained network resilient, applied with one verb: :func:`clipact.protect`."""

from clipact.methods._base import Method, Scope, protect
from clipact.methods._budgeted_percentile import BudgetedPercentile
from clipact.methods._clip_to_mean import ClipToMean
from clipact.methods._clip_to_zero import ClipToZero
from clipact.methods._early import Early
from clipact.methods._estimate import Estimate
from clipact.methods._fault_tuned import FaultTuned
from clipact.methods._fit_act import FitAct
from clipact.methods._ft_clip_act import FTClipAct
from clipact.methods._history import History
from clipact.methods._proact import ProAct
from clipact.methods._ranger import Ranger
from clipact.methods._slopes import AbsoluteSlope, RelativeSlope, Slope

__all__ = [
    "AbsoluteSlope",
    "BudgetedPercentile",
    "ClipToMean",
    "ClipToZero",
    "Early",
    "Estimate",
    "FTClipAct",
    "FaultTuned",
    "FitAct",
    "History",
    "Method",
    "ProAct",
    "Ranger",
    "RelativeSlope",
    "Scope",
    "Slope",
    "protect",
]
