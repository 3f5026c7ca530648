"""What an optimizer keeps of each parameter."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast, final

from torch import Tensor, nn
from torch.optim import Optimizer

from clipact.errors import FaultError
from clipact.faults._memory._held import Held
from clipact.faults._targets._stored import StoredTarget
from clipact.where import Where


@final
@dataclass(frozen=True, init=False)
class OptimizerState(StoredTarget):
    """All tensors that an optimizer keeps of the model's parameters: ``exp_avg``, ``momentum_buffer`` and so on.

    They are called after the parameter, ``layer1.weight.exp_avg``. What is kept of other models' parameters is left out.

    Args:
        optimizer: It must have taken a step, or loaded its state.
        where: Narrows by that name, and by the type of the module that owns the parameter.

    Raises:
        FaultError: On use, if the optimizer keeps nothing of this model's parameters.

    Examples:
        >>> import torch
        >>> model = nn.Linear(2, 1)
        >>> optimizer = torch.optim.Adam(model.parameters())
        >>> model(torch.ones(1, 2)).sum().backward()
        >>> optimizer.step()
        >>> [each.name for each in OptimizerState(optimizer).tensors(model)][:3]
        ['weight.step', 'weight.exp_avg', 'weight.exp_avg_sq']
    """

    what: ClassVar[str] = "tensors of the optimizer's state"
    optimizer: Optimizer

    def __init__(self, optimizer: Optimizer, where: Where | None = None) -> None:
        object.__setattr__(self, "optimizer", optimizer)
        object.__setattr__(self, "where", where)

    def held(self, model: nn.Module) -> Iterable[Held]:
        """See :class:`StoredTarget`."""
        state = cast("Mapping[Any, Any]", self.optimizer.state)
        found = [
            held
            for name, parameter in model.named_parameters(remove_duplicate=False)
            if parameter in state
            for held in _tensors(name, name.rpartition(".")[0], state[parameter])
        ]
        if not found:
            raise FaultError(
                f"{type(self.optimizer).__name__} keeps nothing of this model's parameters yet; take a step with it, or load"
                " its state, before faults are put into it (SGD without momentum never keeps anything)"
            )
        return found

    def __str__(self) -> str:
        where = "" if self.where is None else f", where={self.where}"
        return f"OptimizerState({type(self.optimizer).__name__}{where})"


def _tensors(name: str, owner: str, value: Any) -> Iterator[Held]:
    if isinstance(value, Tensor):
        yield Held.of(name, value, owner)
    elif isinstance(value, Mapping):
        for key, each in cast("Mapping[Any, Any]", value).items():
            yield from _tensors(f"{name}.{key}", owner, each)
    elif isinstance(value, list | tuple):
        for place, each in enumerate(cast("list[Any]", value)):
            yield from _tensors(f"{name}[{place}]", owner, each)
