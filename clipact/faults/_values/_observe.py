"""Find out what flows through a model, by watching it run."""

from collections.abc import Callable
from typing import Any, final

from torch import nn

from clipact.errors import FaultError
from clipact.faults._targets import Target
from clipact.faults._values._batch import Batch
from clipact.faults._values._flow import Flow
from clipact.faults._values._leaves import leaves
from clipact.faults._values._place import Source
from clipact.faults._values._select import chosen
from clipact.faults._values._sightings import Sightings
from clipact.surgery import ACTIVATIONS, BOUNDED, Execution, intercept


def observe(model: nn.Module, target: Target, run: Callable[[], Any]) -> Flow:
    """The places of a target that the model meets in ``run``, which is called once.

    The model runs as it is: its mode, and whether there are gradients, are the caller's choice. Nothing in it or in what
    it is given is changed. A place's name and bits do not depend on the batch size, so that a smaller last batch has the same.

    Args:
        model: Any module that ``run`` calls; calls of its parts from outside are forwards too.
        target: What is looked for.
        run: Runs the model, usually on all data of an evaluation.

    Raises:
        SelectionError: The target picks nothing of what was met.
        FaultError: The model was not called, or a tensor that is picked cannot have faults.
        SurgeryError: The model cannot be followed: it is compiled, scripted or wrapped for distributed training.
    """
    parts = target.flowing()
    if not parts:
        run()
        return Flow((), ())
    observer = _Observer(type(model))
    layers = (nn.Module,) if any(part.looks_everywhere for part in parts) else ()
    kinds = (*ACTIVATIONS, *BOUNDED)
    with intercept(model, kinds, observer.output, layers=layers, on_begin=observer.begin):
        run()
    if not observer.sightings.forwards:
        raise FaultError(
            f"{target} is looked for in what flows through the model, but the {type(model).__name__} was not called; run it"
        )
    return chosen(parts, observer.sightings)


@final
class _Observer:
    def __init__(self, model: type[nn.Module]) -> None:
        self._model = model
        self.sightings = Sightings()

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.sightings.begin(Batch.of(args, kwargs))
        for leaf in (*leaves(args), *leaves(kwargs)):
            source = Source("input", 0, leaf.path, is_input=True)
            self.sightings.add(source, self._model, leaf)

    def output(self, execution: Execution, output: Any) -> None:
        for leaf in leaves(output):
            source = Source(execution.site, execution.number, leaf.path, is_input=False)
            self.sightings.add(source, execution.kind, leaf)
