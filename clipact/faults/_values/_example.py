"""Find out what flows through a model, by running it on an example."""

from torch import nn

from clipact.errors import FaultError
from clipact.faults._targets import Target
from clipact.faults._values._flow import Flow
from clipact.faults._values._observe import observe
from clipact.surgery import Example, run_once


def observe_example(model: nn.Module, target: Target, example: Example | None) -> Flow:
    """The places of a target in one forward; nothing is run for a target without any.

    Raises:
        FaultError: The target has values that flow, and there is no example.
    """
    if not target.flowing():
        return Flow((), ())
    if example is None:
        raise FaultError(
            f"{target} has values that flow through the model, whose sizes are known when it runs; give example= inputs"
        )
    return observe(model, target, lambda: run_once(model, example))
