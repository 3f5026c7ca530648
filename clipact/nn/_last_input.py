"""The last input of a layer, for a loss that looks at it."""

from typing import Any, final

from torch import Tensor


@final
class LastInput:
    """Holds a tensor of the last forward pass; copies and pickles of it are empty, as graphs cannot be copied."""

    __slots__ = ("_value",)

    def __init__(self) -> None:
        self._value: Tensor | None = None

    def keep(self, value: Tensor | None) -> None:
        """Hold this one from now on."""
        self._value = value

    def take(self) -> Tensor | None:
        """What is held, which is then let go."""
        value, self._value = self._value, None
        return value

    def __deepcopy__(self, memo: dict[int, Any]) -> "LastInput":
        return LastInput()

    def __reduce__(self) -> tuple[type["LastInput"], tuple[()]]:
        return LastInput, ()
