"""Changes to a model, written down so that they can be taken back."""

from collections.abc import Callable
from typing import Any, final

from torch import nn

from clipact.surgery._entries import MISSING, Action, Hook, Mode, Redo, Slot
from clipact.surgery._registered import registered

__all__ = ["Journal"]


@final
class Journal:
    """Makes changes to modules and takes them back, all of them, in reverse order.

    Attributes:
        entries: The single changes, in the order in which they were made.
    """

    def __init__(self) -> None:
        self.entries: list[Slot | Mode | Hook | Action] = []

    def set_child(self, label: str, parent: nn.Module, key: str, child: nn.Module) -> None:
        """Register ``child`` under ``key``, in the place of what is there, if anything."""
        before = registered(parent).get(key)
        if before is not None:
            self.entries.append(Mode(before, parent, parent.training))
        self._write(label, registered(parent), key, child)

    def set_attribute(
        self, label: str, module: nn.Module, key: str, value: Any, *, checked: bool = True
    ) -> None:
        """Set a plain attribute; unless ``checked``, it may be something else by the time it is taken back."""
        self._write(label, module.__dict__, key, value, checked=checked)

    def hold(self, label: str, module: nn.Module, key: str) -> None:
        """Change nothing, but refuse to take anything back while something else is at this place."""
        table: dict[str, Any] = module.__dict__ if key in module.__dict__ else registered(module)
        self._write(label, table, key, table.get(key, MISSING))

    def drop_attribute(self, label: str, module: nn.Module, key: str) -> None:
        """Remove a plain attribute."""
        self._write(label, module.__dict__, key, MISSING)

    def add_hook(self, module: nn.Module, hook: Any) -> None:
        """Register a forward hook."""
        self.entries.append(Hook(module, module.register_forward_hook(hook)))

    def on_undo(self, action: Callable[[], object], redo: Redo = list) -> None:
        """Run ``action`` when what was done so far is taken back, and ``redo`` if taking back then fails further on.

        Args:
            action: Undoes something.
            redo: Does it again; it is also called where ``action`` has failed or was not reached, and then changes nothing.
        """
        self.entries.append(Action(action, redo))

    def undo(self) -> None:
        """Take everything back, without a check."""
        while self.entries:
            self.entries.pop().undo()

    def _write(self, label: str, table: Any, key: str, value: Any, *, checked: bool = True) -> None:
        slot = Slot(label, table, key, table.get(key, MISSING), value, list(table), checked=checked)
        self.entries.append(slot)
        slot.write()
