"""Whether a changed model still makes the same calls and computes the same."""

from typing import Any

from torch import nn

from clipact.surgery._record import Recorder
from clipact.surgery._recording import recording
from clipact.surgery._run import Example, run_once
from clipact.surgery._same import same_bits

__all__ = ["difference"]


def difference(
    model: nn.Module, example: Example, kinds: tuple[type, ...], before: Recorder, golden: Any
) -> str:
    """How the model differs, in words, from what it did before; empty if it does not.

    Args:
        model: The changed model, with the original activations out of place.
        example: What to run.
        kinds: What was recorded.
        before: What the model did before.
        golden: What it gave.
    """
    with recording(model, kinds) as after:
        output = run_once(model, example)
    calls = {name: call.shapes for name, call in before.calls.items()}
    now = {name: call.shapes for name, call in after.calls.items()}
    if list(calls.items()) != list(now.items()):
        lost = [name for name in calls if calls[name] != now.get(name)] or list(now)
        return f"the calls at {', '.join(lost)} do not go through the modules registered there"
    return "" if same_bits(output, golden) else "its output for the example is another one"
