"""Which tensors code looks at."""

from collections.abc import Mapping
from typing import Any, final

from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from clipact.training._prefix._tape import Leaf

__all__ = ["LookedAt"]


@final
class LookedAt(TorchDispatchMode):
    """While active, notes which of some tensors (or views of them) any operation is given.

    Args:
        tensors: Those of interest.

    Attributes:
        used: Those that were given to an operation.
    """

    def __init__(self, tensors: Mapping[Leaf, Tensor]) -> None:
        super().__init__()
        self.used: set[Leaf] = set()
        self._leaves: dict[int, list[Leaf]] = {}
        for leaf, tensor in tensors.items():
            self._leaves.setdefault(_memory(tensor), []).append(leaf)

    def note(self, value: Any) -> None:
        """Take all tensors in a value for looked at."""
        for each in pytree.tree_leaves(value):
            if isinstance(each, Tensor):
                self.used.update(self._leaves.get(_memory(each), ()))

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        del types
        self.note((args, kwargs))
        return func(*args, **(kwargs or {}))


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
