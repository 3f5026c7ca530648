"""Write down a forward pass: which container calls which activation, in what order, with what arguments."""

from typing import Any, final

from torch import Tensor
from torch.utils import _pytree as pytree

from clipact.surgery._call import TENSOR, Call
from clipact.surgery._follow import Listener, Run
from clipact.surgery._frames import Frame
from clipact.surgery._outputs import first_tensor

__all__ = ["Recorder"]


@final
class Recorder(Listener):
    """Records what a :class:`Follower` tells it.

    Attributes:
        calls: Each place once, by name, in order of its first execution.
        sequences: By container, the calls that its forward makes, without those of hooks, in each of its executions.
        arguments: By container, the arguments of each execution, tensors replaced by :data:`TENSOR`.
        ran: Paths of the modules that ran.
        reshaped: Paths of those that did not give one new tensor of their input's shape.
    """

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.sequences: dict[str, list[list[Call]]] = {}
        self.arguments: dict[str, list[Any]] = {}
        self.ran: set[str] = set()
        self.reshaped: set[str] = set()

    def entered(self, frame: Frame, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """See :class:`Listener`."""
        self.ran.add(frame.path)
        if not frame.opaque:
            marked = pytree.tree_map_only(Tensor, lambda _: TENSOR, (args, kwargs))
            self.arguments.setdefault(frame.path, []).append(marked)

    def left(self, frame: Frame, args: tuple[Any, ...], output: Any) -> None:
        """See :class:`Listener`."""
        if not frame.opaque:
            self.sequences.setdefault(frame.path, []).append(frame.calls)
        if not _is_same_shape(args, output):
            self.reshaped.add(frame.path)

    def see(self, run: Run, output: Any) -> None:
        """See :class:`Listener`."""
        tensor = output if isinstance(output, Tensor) else first_tensor(output)
        if tensor is None:
            return
        if run.name not in self.calls:
            self.calls[run.name] = run.called.at(run.name, run.frame.path, tensor.device)
        call = self.calls[run.name]
        call.shapes.append(tensor.shape)
        if not run.frame.returned:
            run.frame.calls.append(call)


def _is_same_shape(args: tuple[Any, ...], output: Any) -> bool:
    """Whether a module gave a new tensor of its first argument's shape, as activations do."""
    given = args[0] if args else None
    same = isinstance(given, Tensor) and isinstance(output, Tensor) and given.shape == output.shape
    return same and output is not given
