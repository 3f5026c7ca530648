"""Changes to a model, written down so that they can be taken back."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

from torch import nn

from clipact.errors import SurgeryError
from clipact.surgery._entries import MISSING, Action, Hook, Mode, Redo, Slot
from clipact.surgery._registered import registered

__all__ = ["Journal"]


@final
class Journal:
    """Makes changes to modules and takes them back, all of them, in reverse order."""

    def __init__(self) -> None:
        self._entries: list[Slot | Mode | Hook | Action] = []

    def set_child(self, label: str, parent: nn.Module, key: str, child: nn.Module) -> None:
        """Register ``child`` under ``key``, in the place of what is there, if anything."""
        before = registered(parent).get(key)
        if before is not None:
            self._entries.append(Mode(before, parent, parent.training))
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
        self._entries.append(Hook(module, module.register_forward_hook(hook)))

    def on_undo(self, action: Callable[[], object], redo: Redo = list) -> None:
        """Run ``action`` when what was done so far is taken back, and ``redo`` if taking back then fails further on.

        Args:
            action: Undoes something.
            redo: Does it again; it is also called where ``action`` has failed or was not reached, and then changes nothing.
        """
        self._entries.append(Action(action, redo))

    @staticmethod
    def take_back(journals: Sequence["Journal"]) -> None:
        """Take several journals back, the last one first; all of them or nothing.

        Args:
            journals: In the order in which the changes were made; a later one may lie on top of an earlier one.

        Raises:
            SurgeryError: One was taken back before, or something that is not in these journals has changed one of
                their places again; names the places.
        """
        if not all(journal._entries for journal in journals):
            raise SurgeryError(
                "restore() was called before on this receipt; the model is already what it was"
            )
        entries = [entry for journal in journals for entry in journal._entries]
        entries.reverse()
        _check(entry for entry in entries if isinstance(entry, Slot) and entry.checked)
        kept: list[Redo] = []
        try:
            for entry in entries:
                kept.append(entry.keep())
                entry.undo()
        except BaseException:
            for redo in reversed(kept):
                redo()
            raise
        for journal in journals:
            journal._entries.clear()

    def undo(self) -> None:
        """Take everything back, without a check."""
        while self._entries:
            self._entries.pop().undo()

    def _write(self, label: str, table: Any, key: str, value: Any, *, checked: bool = True) -> None:
        slot = Slot(label, table, key, table.get(key, MISSING), value, list(table), checked=checked)
        self._entries.append(slot)
        slot.write()


def _check(slots: Iterable[Slot]) -> None:
    """Refuse if, undone in this order, one of them would not find what it has put there."""
    expected: dict[tuple[int, str], Any] = {}
    covered: set[str] = set()
    for slot in slots:
        if expected.get(slot.place, slot.current()) is not slot.after:
            covered.add(slot.label)
        expected[slot.place] = slot.before
    if covered:
        raise SurgeryError(
            f"a later change lies on top of {', '.join(sorted(covered))}; restore the later receipt first"
        )
