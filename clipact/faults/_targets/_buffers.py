"""Buffers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from clipact.faults._memory._held import Held
from clipact.faults._targets._stored import StoredTarget


@final
@dataclass(frozen=True)
class Buffers(StoredTarget):
    """All buffers, such as the running statistics of batch norms (and their counters, which are integers).

    Args:
        where: Narrows by the buffer's dotted name and the type of the module that owns it.
    """

    what: ClassVar[str] = "buffers"

    def held(self, model: nn.Module) -> Iterable[Held]:
        """See :class:`StoredTarget`."""
        return (
            Held.of(name, buffer) for name, buffer in model.named_buffers(remove_duplicate=False)
        )
