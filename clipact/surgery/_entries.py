"""The single changes of which a journal consists: each can be undone, and be done again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

from torch import nn
from torch.utils.hooks import RemovableHandle

__all__ = ["MISSING", "Action", "Hook", "Mode", "Redo", "Slot"]

MISSING: Final = object()

Redo = Callable[[], object]
"""Brings back what an entry is about as it was when this was made, whether or not it was undone since."""


@final
@dataclass(eq=False)
class Slot:
    """One entry of a module's ``_modules`` or ``__dict__``: what was there, and what is."""

    label: str
    table: dict[str, Any]
    key: str
    before: Any
    after: Any
    order: list[str]
    checked: bool = True

    @property
    def place(self) -> tuple[int, str]:
        return id(self.table), self.key

    def current(self) -> Any:
        return self.table.get(self.key, MISSING)

    def write(self) -> None:
        if self.after is MISSING:
            del self.table[self.key]
        else:
            self.table[self.key] = self.after

    def undo(self) -> None:
        if self.before is MISSING:
            self.table.pop(self.key, None)
        elif self.key in self.table:
            self.table[self.key] = self.before
        else:
            items = {**self.table, self.key: self.before}
            known = [key for key in self.order if key in items]
            self.table.clear()
            self.table.update({key: items[key] for key in [*known, *items]})

    def keep(self) -> Redo:
        return _kept(self.table)


@final
@dataclass(eq=False)
class Mode:
    """A module that was taken out: on its return it follows a change of its parent's training mode."""

    module: nn.Module
    parent: nn.Module
    training: bool

    def undo(self) -> None:
        if self.parent.training != self.training:
            self.module.train(self.parent.training)

    def keep(self) -> Redo:
        modes = [(module, module.training) for module in self.module.modules()]
        return lambda: [setattr(module, "training", mode) for module, mode in modes]


@final
@dataclass(eq=False)
class Hook:
    module: nn.Module
    handle: RemovableHandle

    def undo(self) -> None:
        self.handle.remove()

    def keep(self) -> Redo:
        return _kept(self.module._forward_hooks)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - torch has no public way to put a hook back in its place


@final
@dataclass(eq=False)
class Action:
    action: Callable[[], object]
    redo: Redo

    def undo(self) -> None:
        self.action()

    def keep(self) -> Redo:
        return self.redo


def _kept(table: dict[Any, Any]) -> Redo:
    items = dict(table)

    def put_back() -> None:
        table.clear()
        table.update(items)

    return put_back
