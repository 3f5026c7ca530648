"""Put faults into a model for the length of a ``with`` block."""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager

from torch import nn

from clipact.errors import ClipactError, FaultError
from clipact.faults._formats import NATIVE, Format
from clipact.faults._memory._bound import bind
from clipact.faults._memory._exclusive import exclusive
from clipact.faults._memory._tensors import TargetTensor
from clipact.faults._models import FaultModel, draw_parts
from clipact.faults._records._record import FaultRecord
from clipact.faults._records._tabulate import join
from clipact.faults._requests import check_request
from clipact.faults._streams import Draw, check_seed
from clipact.faults._surface import Shot, Surface
from clipact.faults._targets import Target
from clipact.faults._values import observe_example
from clipact.surgery import Example, plain_attention


@contextmanager
def inject(  # noqa: PLR0913 - the last four by keyword
    model: nn.Module,
    fault: FaultModel,
    target: Target,
    *,
    seed: int = 0,
    trial: int = 0,
    format: Format = NATIVE,  # noqa: A002 - the word users look for
    example: Example | None = None,
) -> Generator[FaultRecord]:
    """A model with faults inside the ``with`` block, and bit for bit the model of before after it.

    The faults are a pure function of the seed, the trial, the fault model, the number format and the target: for a
    rate, each tensor's faults depend on its name and size only, so that two models meet the same faults on the tensors they
    share. For a count they depend on the whole target. Only the words that are hit are touched, in place: parameters
    stay the same objects, nothing else is copied, and cost grows with the number of faults. Faults in activations and
    inputs are the same in every forward and sample; their values in the record are NaN, since they are others in each.

    On exit the words hit get their old bits back, also after an exception or Ctrl-C; what an optimizer did to
    these words inside the block is undone with them, what it did to others stays. So do buffers that a forward
    in train mode updates, such as the running statistics of batch norms: they are not undone, unless hit. Autograd
    sees an in-place change at entry and exit: run forward and backward on the same side.

    Args:
        model: Any module, on any devices.
        fault: What happens to bits, as ``BitFlip(rate=1e-6)``.
        target: Where, as ``Weights() | Biases()``.
        seed: Which series of trials.
        trial: Which trial of the series.
        format: Number format whose bits are changed.
        example: Inputs with which the model is run once, for targets that flow: one tensor, a tuple of positional
            arguments, or a mapping of keyword arguments.

    Yields:
        The faults.

    Raises:
        SelectionError: The target picks nothing.
        FaultError: Fault model, target, format and model do not fit; faults are in one of the tensors already;
            ``parametrize.cached()`` would hide them; or, on exit, a tensor was moved or replaced inside the
            block (``model.to(...)``, ``load_state_dict(..., assign=True)``), so that its copy may keep the faults. On an
            exception that is on its way this is a note.

    Examples:
        >>> from clipact import faults
        >>> model = nn.Linear(2, 1)
        >>> _ = nn.init.constant_(model.weight, 1.5)
        >>> with faults.inject(model, faults.BitFlip(count=1), faults.Weights(), seed=3) as record:
        ...     len(record), bool((model.weight == 1.5).all())
        (1, False)
        >>> bool((model.weight == 1.5).all())
        True
    """
    check_request(model, fault, target, format)
    check_seed(seed, trial)
    tensors = target.tensors(model)
    with ExitStack() as stack:
        if target.flowing():
            stack.enter_context(plain_attention())
        flow = observe_example(model, target, example)
        surface = Surface(model, bind(tensors, format), flow, format)
        draw = Draw(seed, trial)
        shot = Shot(fault, draw, draw_parts(fault, surface.spaces, draw))
        stack.enter_context(exclusive(tensors))
        stack.enter_context(_unreplaced(model, target, tensors))
        changes = stack.enter_context(surface.struck(shot))
        records = [change.record(fault) for change in changes]
        yield join(fault, [*records, *surface.unseen(shot)])


@contextmanager
def _unreplaced(
    model: nn.Module, target: Target, tensors: Sequence[TargetTensor]
) -> Generator[None]:
    """Raise on exit, or add a note to what was raised, if the model has other tensors than these."""
    try:
        yield
    except BaseException as error:
        if problem := _replaced(model, target, tensors):
            error.add_note(problem)
        raise
    if problem := _replaced(model, target, tensors):
        raise FaultError(problem)


def _replaced(model: nn.Module, target: Target, tensors: Sequence[TargetTensor]) -> str | None:
    held = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
    if held.issuperset(item.identity for item in tensors):
        return None
    try:
        now = {item.identity for item in target.tensors(model)}
    except ClipactError:
        now = set[int]()
    gone = [item.name for item in tensors if item.identity not in now]
    if not gone:
        return None
    return (
        f"{', '.join(gone)} was replaced inside inject(), so what is there now was not restored and may hold faults;"
        " load the weights again, and replace parameters before inject()"
    )
