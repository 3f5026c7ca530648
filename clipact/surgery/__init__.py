"""Find the activations of a model, replace them, put them back.

A *site* is one call of an activation, by name; a *recipe* a function from site to module; a *receipt* what an in-place
change hands back, with ``restore()``.
"""

from clipact.surgery._find import find_sites, watch
from clipact.surgery._guard import refuse_unfit
from clipact.surgery._intercept import Execution, intercept
from clipact.surgery._journal import Journal
from clipact.surgery._kinds import ACTIVATIONS, BOUNDED, LAYERS
from clipact.surgery._operations_count import COUNTED, dense_operations, effective_operations
from clipact.surgery._output_guard import attach_output, guard_output
from clipact.surgery._receipt import Receipt
from clipact.surgery._replace import replace_activations
from clipact.surgery._run import Example, evaluating, plain_attention, run_once
from clipact.surgery._site import Site, Sites
from clipact.surgery._thresholds import harden_, thresholds

__all__ = [
    "ACTIVATIONS",
    "BOUNDED",
    "COUNTED",
    "LAYERS",
    "Example",
    "Execution",
    "Journal",
    "Receipt",
    "Site",
    "Sites",
    "attach_output",
    "dense_operations",
    "effective_operations",
    "evaluating",
    "find_sites",
    "guard_output",
    "harden_",
    "intercept",
    "plain_attention",
    "refuse_unfit",
    "replace_activations",
    "run_once",
    "thresholds",
    "watch",
]
