"""What a site is, and the list of a model's sites."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import final

import torch
from torch import nn

__all__ = ["Site", "Sites"]


@final
@dataclass(frozen=True)
class Site:
    """One call of an activation in a model's forward, or the output of one layer.

    Attributes:
        name: Dotted path where a replacement lives. The first call of a module has the module's own path, further
            calls ``layer1.0.relu_2``, ``layer1.0.relu_3``; a functional call is named after its function, in the
            module that makes it. The output of a layer has the layer's path.
        kind: The module class, ``nn.ReLU`` also for ``F.relu``, ``torch.relu`` and ``x.relu_()``.
        shape: Shape of the output in the example, batch included; ``torch.Size([])`` where no example was run.
        calls: How often one forward executes it: more than once when the container that makes the call is itself
            shared, or when a layer (whose output this is) is called again.
        activation: The module at this site, or one that does what the functional call does. Not part of equality.
    """

    name: str
    kind: type[nn.Module]
    shape: torch.Size
    calls: int
    activation: nn.Module = field(repr=False, compare=False)


@final
class Sites(list[Site]):
    """Sites in execution order; ``print(sites)`` shows them as a table.

    Attributes:
        unseen: What the search could not look into, one sentence each.
    """

    unseen: list[str]

    def __init__(self, sites: Iterable[Site] = (), unseen: Iterable[str] = ()) -> None:
        super().__init__(sites)
        self.unseen = list(unseen)

    def __str__(self) -> str:
        rows = [("site", "kind", "shape", "calls")]
        rows += [(s.name, s.kind.__name__, str(tuple(s.shape)), str(s.calls)) for s in self]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join(lines + [f"not seen: {sentence}" for sentence in self.unseen])
