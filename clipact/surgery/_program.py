"""The forward of a rewritten container, as source code that can be copied, pickled and compiled."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from types import CodeType
from typing import Any, Final, final

from torch import nn

from clipact.errors import SurgeryError

__all__ = ["Program", "RewrittenForward", "check", "find"]

_REPLICATE: Final = "_replicate_for_data_parallel"


def check(where: str, argument: str, value: Any, expected: Any) -> None:
    """Refuse an argument that differs from the one with which a container was rewritten.

    Raises:
        SurgeryError: It differs.
    """
    if type(value) is not type(expected) or value != expected:
        raise SurgeryError(
            f"{where} was rewritten for an example in which {argument} was {expected!r}, and is now called with "
            f"{type(value).__name__}; restore the receipt and replace again with such an example"
        )


@final
@dataclass(frozen=True)
class Program:
    """Source of a function ``forward(self, ...)`` and what its names stand for.

    Attributes:
        body: The traced computation.
        head: The function with the container's own signature, which checks arguments and calls the body.
        imports: Name in the source -> ``"module"`` or ``"module:qualified.name"``.
        constants: Name in the source -> plain value.
    """

    body: str
    head: str
    imports: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)

    def compile(self) -> Callable[..., Any]:
        """The function."""
        names: dict[str, Any] = {name: find(reference) for name, reference in self.imports.items()}
        names.update(self.constants)
        exec(compile(self.body, "<rewritten by clipact>", "exec"), names)
        names["_body"] = names.pop("forward")
        exec(compile(self.head, "<rewritten by clipact>", "exec"), names)
        return names["forward"]


def find(reference: str) -> Any:
    """The object that a reference ``"module:qualified.name"`` stands for."""
    module, _, name = reference.partition(":")
    return (
        reduce(getattr, name.split("."), importlib.import_module(module))
        if name
        else importlib.import_module(module)
    )


@final
class RewrittenForward:
    """Takes the place of ``forward`` in the ``__dict__`` of a rewritten container; its class stays what it is.

    It runs on its owner, so a copy must have its own: deepcopy and pickle see to that by themselves, replication for
    data parallelism through :meth:`replicate`.

    Args:
        owner: The container.
        evaluating: What runs when the container is in eval mode.
        training: What runs when it is in training mode.
    """

    def __init__(self, owner: nn.Module, evaluating: Program, training: Program) -> None:
        self.__setstate__({"owner": owner, "evaluating": evaluating, "training": training})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        run = self._train if self.owner.training else self._evaluate
        return run(self.owner, *args, **kwargs)

    def replicate(self) -> nn.Module:
        """In the place of ``_replicate_for_data_parallel``: a replica whose forward runs on the replica."""
        original: Any = getattr(type(self.owner), _REPLICATE)
        replica: Any = original(self.owner)
        forward = RewrittenForward(replica, self.evaluating, self.training)
        replica.__dict__["forward"] = forward
        replica.__dict__[_REPLICATE] = forward.replicate
        return replica

    @property
    def __signature__(self) -> inspect.Signature:
        """That of the forward it replaces."""
        whole = inspect.signature(type(self.owner).forward)
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    @property
    def __code__(self) -> CodeType:
        """That of the forward it replaces, which torch.export asks for its place in a file."""
        return type(self.owner).forward.__code__

    def __getstate__(self) -> dict[str, Any]:
        return {"owner": self.owner, "evaluating": self.evaluating, "training": self.training}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.owner: nn.Module = state["owner"]
        self.evaluating: Program = state["evaluating"]
        self.training: Program = state["training"]
        self._evaluate = self.evaluating.compile()
        same = self.training == self.evaluating
        self._train = self._evaluate if same else self.training.compile()
