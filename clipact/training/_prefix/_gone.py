"""What stands for a value that was let go of."""

from typing import Any, Self, final

import torch
from torch import Tensor

from clipact.training._prefix._tape import UnfitError

__all__ = ["Gone"]


@final
class Gone(Tensor):
    """A tensor with the shape, strides, dtype and device of another, but without its values.

    It may be asked for these and handed on; any operation on it raises :class:`UnfitError`, so that a model that looks
    at other values than it did when it was tried out is noticed, and runs in full.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # noqa: SLF001 # pyright: ignore[reportPrivateUsage, reportAssignmentType] - torch's own way to have operations reach __torch_dispatch__

    @classmethod
    def like(cls, tensor: Tensor) -> Self:
        """In the place of this tensor."""
        return torch.Tensor._make_wrapper_subclass(  # noqa: SLF001 # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownMemberType] - torch has no public name
            cls,
            tensor.shape,
            strides=tensor.stride(),
            dtype=tensor.dtype,
            device=tensor.device,
        )

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Whatever is asked for, it is not there.

        Raises:
            UnfitError: Always.
        """
        del types, args, kwargs
        raise UnfitError(f"the model looks at other values than before ({func})")
