"""Changes to a model, written down so that they can be taken back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

from torch import nn
from torch.utils.hooks import RemovableHandle

from clipact.errors import SurgeryError
from clipact.surgery._registered import registered

__all__ = ["Journal"]

_MISSING: Final = object()


@final
@dataclass(eq=False)
class _Slot:
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
        return self.table.get(self.key, _MISSING)

    def write(self) -> None:
        if self.after is _MISSING:
            del self.table[self.key]
        else:
            self.table[self.key] = self.after

    def undo(self) -> None:
        if self.before is _MISSING:
            self.table.pop(self.key, None)
        elif self.key in self.table:
            self.table[self.key] = self.before
        else:
            items = {**self.table, self.key: self.before}
            known = [key for key in self.order if key in items]
            self.table.clear()
            self.table.update({key: items[key] for key in [*known, *items]})


@final
@dataclass(eq=False)
class _Mode:
    """A module that was taken out: on its return it follows a change of its parent's training mode."""

    module: nn.Module
    parent: nn.Module
    training: bool

    def undo(self) -> None:
        if self.parent.training != self.training:
            self.module.train(self.parent.training)


@final
@dataclass(eq=False)
class _Hook:
    handle: RemovableHandle

    def undo(self) -> None:
        self.handle.remove()


@final
@dataclass(eq=False)
class _Action:
    action: Callable[[], object]

    def undo(self) -> None:
        self.action()


@final
class Journal:
    """Makes changes to modules and takes them back, all of them, in reverse order."""

    def __init__(self) -> None:
        self._entries: list[_Slot | _Mode | _Hook | _Action] = []

    def set_child(self, label: str, parent: nn.Module, key: str, child: nn.Module) -> None:
        """Register ``child`` under ``key``, in the place of what is there, if anything."""
        before = registered(parent).get(key)
        if before is not None:
            self._entries.append(_Mode(before, parent, parent.training))
        self._write(label, registered(parent), key, child)

    def set_attribute(
        self, label: str, module: nn.Module, key: str, value: Any, *, checked: bool = True
    ) -> None:
        """Set a plain attribute; unless ``checked``, it may be something else by the time it is taken back."""
        self._write(label, module.__dict__, key, value, checked=checked)

    def hold(self, label: str, module: nn.Module, key: str) -> None:
        """Change nothing, but refuse to take anything back while something else is at this place."""
        table: dict[str, Any] = module.__dict__ if key in module.__dict__ else registered(module)
        self._write(label, table, key, table.get(key, _MISSING))

    def drop_attribute(self, label: str, module: nn.Module, key: str) -> None:
        """Remove a plain attribute."""
        self._write(label, module.__dict__, key, _MISSING)

    def add_hook(self, module: nn.Module, hook: Any) -> None:
        """Register a forward hook."""
        self._entries.append(_Hook(module.register_forward_hook(hook)))

    def on_undo(self, action: Callable[[], object]) -> None:
        """Run ``action`` when what was done so far is taken back."""
        self._entries.append(_Action(action))

    def check(self) -> None:
        """Refuse to take back what was taken back, or what something later has changed again.

        Raises:
            SurgeryError: Names the places.
        """
        if not self._entries:
            raise SurgeryError(
                "restore() was called before on this receipt; the model is already what it was"
            )
        expected: dict[tuple[int, str], Any] = {}
        covered: set[str] = set()
        for slot in reversed(self._entries):
            if isinstance(slot, _Slot) and slot.checked:
                if expected.get(slot.place, slot.current()) is not slot.after:
                    covered.add(slot.label)
                expected[slot.place] = slot.before
        if covered:
            raise SurgeryError(
                f"a later change lies on top of {', '.join(sorted(covered))}; restore the later receipt first"
            )

    def undo(self) -> None:
        """Take everything back, without a check."""
        while self._entries:
            self._entries.pop().undo()

    def _write(self, label: str, table: Any, key: str, value: Any, *, checked: bool = True) -> None:
        slot = _Slot(
            label, table, key, table.get(key, _MISSING), value, list(table), checked=checked
        )
        self._entries.append(slot)
        slot.write()
