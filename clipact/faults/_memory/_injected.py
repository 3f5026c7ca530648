"""Put drawn faults into tensors in memory, and the old bits back."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from clipact.errors import FaultError
from clipact.faults._hits import Hits
from clipact.faults._memory._bound import Bound
from clipact.faults._memory._caches import forget_casts
from clipact.faults._memory._patch import Change, Patch, plan
from clipact.faults._models import FaultModel


@contextmanager
def injected(
    bound: Bound, hits: Sequence[Sequence[Hits]], fault: FaultModel
) -> Generator[list[Change]]:
    """:func:`inject` of drawn hits into tensors that :func:`exclusive` holds; no table is made.

    Args:
        bound: The tensors.
        hits: Of each part of the fault model, the hits in each tensor.
        fault: What happens.
    """
    patches, changes = plan(bound, hits, fault)
    try:
        for patch in patches:
            patch.apply()
        forget_casts()
        yield changes
    finally:
        # a second Ctrl-C, also one at the very start, must not leave half; to undo twice does no harm
        try:
            _undo(patches)
        except BaseException:
            _undo(patches)
            raise
    _check_in_place(patches)


def _undo(patches: Sequence[Patch]) -> None:
    for patch in patches:
        patch.restore()
    forget_casts()


def _check_in_place(patches: Sequence[Patch]) -> None:
    moved = [p.target.name for p in patches if p.target.tensor.data_ptr() != p.words.data_ptr()]
    if moved:
        raise FaultError(
            f"{', '.join(moved)} moved to other memory inside inject(), so its copy there keeps the faults; load the"
            " weights again, and call model.to(...) before inject()"
        )
