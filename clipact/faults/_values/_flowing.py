"""Put faults into the values of a running model."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, final

from torch import Tensor, nn

from clipact.faults._formats import NATIVE, Format
from clipact.faults._hits import Hits
from clipact.faults._models import FaultModel
from clipact.faults._values._batch import Batch
from clipact.faults._values._landing import Landing
from clipact.faults._values._leaves import leaves, replaced
from clipact.faults._values._place import Place
from clipact.faults._values._strike import Visit, own_copy, strike
from clipact.surgery import ACTIVATIONS, BOUNDED, Execution, intercept

Plan: TypeAlias = Callable[[int, Place, int], Mapping[int, Sequence[Hits]]]
OnLanding: TypeAlias = Callable[[Landing], None]


@contextmanager
def flowing(
    model: nn.Module,
    places: Iterable[Place],
    plan: Plan,
    fault: FaultModel,
    *,
    format: Format = NATIVE,  # noqa: A002 - as in inject
    on_landing: OnLanding | None = None,
) -> Generator[None]:
    """Faults in the values that flow through a model, inside the ``with`` block.

    The model goes on with a copy of the tensor that is hit, of the same strides, on the same device: what the tensor
    shares memory with (the layer's input, a weight, what the caller gave the model) stays as it is. Only where a
    function has overwritten its own input are the words changed there, since the model may go on with either. Gradients
    pass a fault unchanged. Nothing is installed if there are no places; afterwards nothing is left.

    Args:
        model: The model that was observed; run it inside the block, in this thread.
        places: Those that may be hit; fewer cost less.
        plan: Called with the number of the forward (from 0), a place, and how many samples there are (1 for a whole).
            Returns, of each sample that is hit, the hits of each part of the fault model.
        fault: What happens to words that are hit.
        format: Number format whose bits are changed.
        on_landing: Told of what each hit tensor was and became.

    Raises:
        FaultError: Inside, if a tensor is not what was observed.
        SurgeryError: As :func:`clipact.surgery.intercept`.
    """
    hit = list(places)
    if not hit:
        yield
        return
    striker = _Striker(model, hit, plan, fault, format, on_landing)
    names = {place.source.site for place in hit if not place.source.is_input}
    kinds = (*ACTIVATIONS, *BOUNDED)
    with intercept(
        model,
        kinds,
        striker.output,
        layers=(nn.Module,),
        names=names,
        on_begin=striker.begin,
    ):
        yield


@final
class _Striker:
    """Strikes the tensors of each forward."""

    def __init__(
        self,
        model: nn.Module,
        places: Sequence[Place],
        plan: Plan,
        fault: FaultModel,
        format: Format,  # noqa: A002 - as in inject
        on_landing: OnLanding | None,
    ) -> None:
        self._outputs: dict[tuple[str, int], dict[str, Place]] = {}
        self._inputs: dict[str, Place] = {}
        for place in places:
            site, number, path, is_input = place.source
            here = self._inputs if is_input else self._outputs.setdefault((site, number), {})
            here[path] = place
        self._plan, self._fault, self._format = plan, fault, format
        self._on_landing = on_landing
        self._own = _storages([*model.parameters(), *model.buffers()])
        self._given: set[int] = set()
        self._forward, self._batch = -1, Batch(())

    def begin(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """A forward starts with these arguments; returns those with faults."""
        self._forward += 1
        self._batch = Batch.of(args, kwargs)
        self._given = _storages(leaf.tensor for leaf in (*leaves(args), *leaves(kwargs)))
        if not self._inputs:
            return None
        return self._struck(args, self._inputs), self._struck(kwargs, self._inputs)

    def output(self, execution: Execution, output: Any) -> Any:
        """A site gave this; returns it with faults, or None for no change."""
        places = self._outputs.get((execution.site, execution.number))
        if places is None:
            return None
        return self._struck(output, places, in_place=execution.in_place)

    def _struck(self, value: Any, places: Mapping[str, Place], *, in_place: bool = False) -> Any:
        changed: dict[str, Tensor] = {}
        for leaf in leaves(value):
            place = places.get(leaf.path)
            if place is None or not leaf.tensor.numel():
                continue
            visit = Visit(self._forward, place, place.rows(self._batch))
            hits = self._plan(*visit)
            if not any(part.index.size for parts in hits.values() for part in parts):
                continue
            here = in_place and self._is_free(leaf.tensor)
            tensor = leaf.tensor if here else own_copy(leaf.tensor)
            landing = strike(tensor, visit, hits, self._fault, self._format)
            if landing is not None:
                changed[leaf.path] = tensor
                if self._on_landing is not None:
                    self._on_landing(landing)
        return replaced(value, changed)

    def _is_free(self, tensor: Tensor) -> bool:
        """Whether nobody but the running forward sees this memory: not autograd, the caller, or who holds the model."""
        if tensor.requires_grad:
            return False
        (storage,) = _storages([tensor])
        return storage not in self._own and storage not in self._given


def _storages(tensors: Iterable[Tensor]) -> set[int]:
    return {each.untyped_storage().data_ptr() for each in tensors if type(each.detach()) is Tensor}
