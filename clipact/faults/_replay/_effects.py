"""Which calls of one forward do more than return a value."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import nn

from clipact.faults._replay._attributes import Attributes, randomness
from clipact.faults._replay._trace import NOWHERE

__all__ = ["Effects"]


@final
class Effects:
    """Looks at modules and random states whenever a call begins or ends, and blames the code that ran in between.

    Args:
        modules: All modules of the model.
        devices: Whose random states are looked at besides the CPU's.
        always: Modules that are looked at every time: hooks may change them before or after they run.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        devices: Sequence[torch.device],
        always: Sequence[nn.Module],
    ) -> None:
        self.blamed: set[int] = set()
        self._modules = modules
        self._devices = devices
        self._always = always
        self._attributes = Attributes(modules.values())
        self._random: tuple[Any, ...] = randomness(devices)
        self._stretches: list[int] = []  # whose code ran between one look and the next
        self._looked = dict.fromkeys(map(id, modules.values()), 0)

    def look(self, call: int, stack: Sequence[nn.Module], other: nn.Module | None = None) -> None:
        """The code of ``call`` ran until now.

        Args:
            call: The innermost open call.
            stack: Modules of the open calls, looked at every time.
            other: A module that is about to run.
        """
        self._stretches.append(call)
        if (now := randomness(self._devices)) != self._random:
            self._random = now
            self.blamed.add(call)
        for module in {id(m): m for m in (*stack, *self._always, other) if m is not None}.values():
            self._check(module)

    def end(self) -> None:
        """The forward has ended: look at modules that did not run too."""
        for module in self._modules.values():
            self._check(module)
        self.blamed.discard(NOWHERE)

    def _check(self, module: nn.Module) -> None:
        since = self._looked.get(id(module), 0)
        self._looked[id(module)] = len(self._stretches)
        if self._attributes.changed(module):
            self.blamed.update(self._stretches[since:])
