"""Find sites, and watch them."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from clipact.surgery._call import Call
from clipact.surgery._guard import refuse_unfit
from clipact.surgery._intercept import Execution, intercept
from clipact.surgery._kinds import ACTIVATIONS, as_kinds
from clipact.surgery._outputs import first_tensor
from clipact.surgery._recording import recording
from clipact.surgery._run import Example, run_once
from clipact.surgery._site import Site, Sites
from clipact.surgery._unseen import unseen

__all__ = ["find_sites", "site_of", "watch"]

Kinds = tuple[type[nn.Module], ...]


def find_sites(model: nn.Module, example: Example, *, kinds: Kinds = ACTIVATIONS) -> Sites:
    """Every call of an activation in one forward pass of ``model``.

    The model runs once on a copy of the example, in eval mode and without gradients; parameters, buffers, modes, hooks
    and the random state are afterwards what they were. On the ``meta`` device this costs next to nothing.

    Args:
        model: Any module: activations may be modules, modules called several times, functions or tensor methods.
        example: One tensor, a tuple of positional arguments, or a mapping of keyword arguments.
        kinds: What counts: activation classes (found as functions too), classes of yours, and layer classes such as
            ``nn.Linear`` or ``nn.MultiheadAttention``, whose *output* is then the site. A class of yours counts as an
            activation if it owns no children, no buffers and no parameter of two or more dimensions.

    Returns:
        The sites in execution order; ``.unseen`` says what could not be looked into.

    Raises:
        SurgeryError: The model is compiled, scripted, wrapped in DistributedDataParallel or not yet initialised.

    Examples:
        >>> import torch
        >>> block = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2))
        >>> print(find_sites(block, torch.randn(1, 3, 8, 8)))
        site  kind  shape         calls
        1     ReLU  (1, 8, 6, 6)  1
    """
    refuse_unfit(model)
    kinds = as_kinds(kinds)
    with recording(model, kinds) as recorder:
        run_once(model, example)
        hidden = unseen(model, recorder, kinds)
    return Sites(
        (site_of(call) for call in recorder.calls.values() if issubclass(call.kind, kinds)), hidden
    )


def site_of(call: Call) -> Site:
    """The public view of a recorded call."""
    return Site(call.name, call.kind, call.shapes[0], len(call.shapes), call.activation)


@contextmanager
def watch(
    model: nn.Module, kinds: Kinds, on_site: Callable[[str, type[nn.Module], Tensor], None]
) -> Generator[None]:
    """Show ``on_site`` the output of every site while the model runs; nothing in the model is replaced.

    Names are those of :func:`find_sites`. A site that is executed several times in one forward is shown several times.
    The model runs as it is: choose its mode, and whether there are gradients, yourself. A model in which a later layer
    works in place overwrites the tensor after ``on_site`` has seen it, so keep a copy or a statistic, not the tensor.
    Fused transformer layers take their plain path inside.

    Args:
        model: Any module; run it inside the ``with`` block, in this thread.
        kinds: What counts as a site, as for :func:`find_sites`.
        on_site: Called with the site's name, its kind and its output (the first tensor of it, for a layer that
            returns several). What it computes is not taken for a part of the model.

    Raises:
        SurgeryError: As :func:`find_sites`.

    Examples:
        >>> import torch
        >>> block = nn.Sequential(nn.Linear(2, 4), nn.ReLU())
        >>> with watch(block, (nn.ReLU,), lambda name, kind, output: print(name, kind.__name__, tuple(output.shape))):
        ...     _ = block(torch.randn(3, 2))
        1 ReLU (3, 4)
    """

    def show(execution: Execution, output: Any) -> None:
        tensor = output if isinstance(output, Tensor) else first_tensor(output)
        if tensor is not None:
            on_site(execution.site, execution.kind, tensor)

    with intercept(model, kinds, show):
        yield
