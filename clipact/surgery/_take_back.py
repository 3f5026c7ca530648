"""Take changes back, the last one first: all of them or nothing."""

from collections.abc import Iterable, Sequence
from typing import Any

from clipact.errors import SurgeryError
from clipact.surgery._entries import Redo, Slot
from clipact.surgery._journal import Journal

__all__ = ["take_back"]


def take_back(journals: Sequence[Journal]) -> None:
    """Take several journals back; whatever is raised on the way, all is then as it was before.

    Args:
        journals: In the order in which the changes were made; a later one may lie on top of an earlier one.

    Raises:
        SurgeryError: One was taken back before, or a change that is in none of them lies on top of one; names the places.
    """
    if not all(journal.entries for journal in journals):
        raise SurgeryError(
            "restore() was called before on this receipt; the model is already what it was"
        )
    entries = [entry for journal in journals for entry in journal.entries]
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
        journal.entries.clear()


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
