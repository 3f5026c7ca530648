"""See what every site gives while a model runs, and change it."""

from collections.abc import Callable, Generator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

from torch import nn

from clipact.surgery._follow import Arguments, Listener, Run
from clipact.surgery._guard import refuse_unfit
from clipact.surgery._kinds import as_kinds
from clipact.surgery._recording import following
from clipact.surgery._run import plain_attention

__all__ = ["Execution", "OnBegin", "OnOutput", "intercept"]


@final
@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a site.

    Attributes:
        site: The site's name, as :func:`find_sites` gives it; a layer's path for its output.
        kind: The module class, ``nn.ReLU`` also for ``F.relu``.
        number: 0 for the first execution in this forward, 1 for the next, …
        in_place: The call has overwritten its input, which is the output. A model that throws the result away, as
            ``x.relu_()`` by itself does, goes on with the overwritten input whatever is returned for it.
    """

    site: str
    kind: type[nn.Module]
    number: int
    in_place: bool


OnOutput = Callable[[Execution, Any], Any]
OnBegin = Callable[[tuple[Any, ...], dict[str, Any]], Arguments | None]


@final
@dataclass(frozen=True)
class _Interceptor(Listener):
    kinds: tuple[type, ...]
    names: AbstractSet[str] | None
    on_output: OnOutput
    on_begin: OnBegin | None

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments | None:
        return None if self.on_begin is None else self.on_begin(args, kwargs)

    def see(self, run: Run, output: Any) -> Any:
        called = run.called
        if not issubclass(called.kind, self.kinds):
            return None
        if self.names is not None and run.name not in self.names:
            return None
        return self.on_output(Execution(run.name, called.kind, run.number, run.overwrote), output)


@contextmanager
def intercept(
    model: nn.Module,
    kinds: tuple[type[nn.Module], ...],
    on_output: OnOutput,
    *,
    layers: tuple[type[nn.Module], ...] = (),
    names: AbstractSet[str] | None = None,
    on_begin: OnBegin | None = None,
) -> Generator[None]:
    """Hand ``on_output`` what every site gives while the model runs; the model goes on with what comes back.

    A *forward* is a call of the model, or of a part of it, from outside. Executions of a site are counted anew in each
    forward, also after one that raised. Nothing in the model is replaced, and nothing is left in it afterwards. Fused
    transformer layers take their plain path inside.

    Args:
        model: Any module; run it inside the ``with`` block, in this thread.
        kinds: What counts as a site, as for :func:`find_sites`.
        on_output: Called with the execution and its output as it is: a tensor, a tuple, a mapping, a packed sequence.
            Returns what the model is to go on with, or None for the output itself. What it computes is not taken for a
            part of the model.
        layers: Kinds of modules of which the output is a site too: as the module's forward returns it, before other
            hooks (such as output guards) see it. Unlike kinds, what these modules call is looked into.
        names: The only sites that matter, None for all. Fewer cost less.
        on_begin: Called with the arguments at the start of each forward; returns others, or None to leave them.

    Raises:
        SurgeryError: As :func:`find_sites`.

    Examples:
        >>> import torch
        >>> block = nn.Sequential(nn.Linear(2, 4), nn.ReLU())
        >>> with intercept(block, (nn.ReLU,), lambda execution, output: output + 1):
        ...     bool((block(torch.randn(3, 2)) >= 1).all())
        True
    """
    refuse_unfit(model)
    sites = as_kinds(kinds)
    listener = _Interceptor(sites + layers, names, on_output, on_begin)
    with plain_attention(), following(model, sites, listener, layers=layers, names=names):
        yield
