"""What stands in for forwards: one that records, one that plays back."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, final

import torch
from torch import Tensor, nn

from clipact.training._prefix._tape import Key, Leaf, Outcome, Tape, UnfitError

__all__ = ["Player", "Recorder", "Switch"]

Run = Callable[[], Any]


@final
class _Stack:
    """The calls at work."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self._made: list[int] = []

    def open(self) -> Key:
        """A call begins."""
        key: Key = ()
        if self.keys:
            key = (*self.keys[-1], self._made[-1])
            self._made[-1] += 1
        self.keys.append(key)
        self._made.append(0)
        return key

    def close(self) -> None:
        """The innermost call has ended."""
        self.keys.pop()
        self._made.pop()


@final
class Recorder:
    """Runs everything, and notes what is returned before the first of some modules is called.

    Args:
        sites: These modules, by ``id``.
        volatile: Values that are overwritten later in the forward, of which copies are noted.
    """

    def __init__(self, sites: AbstractSet[int], volatile: AbstractSet[Leaf]) -> None:
        self.tape = Tape()
        self._sites, self._volatile = sites, volatile
        self._stack = _Stack()
        self._versions: dict[Leaf, tuple[Tensor, int]] = {}

    def __call__(self, module: nn.Module, run: Run) -> Any:
        """See :class:`Switch`."""
        if self.tape.spine:
            return run()
        key = self._stack.open()
        self.tape.modules[key] = id(module)
        if id(module) in self._sites:
            self.tape.spine = tuple(self._stack.keys)
        try:
            value = run()
        finally:
            self._stack.close()
        if not self.tape.spine:
            self._note(key, value)
        return value

    def overwritten(self) -> set[Leaf]:
        """Values that were changed after they had been noted, apart from those of which copies were."""
        return {
            leaf
            for leaf, (tensor, version) in self._versions.items()
            if leaf[0] in self.tape.outcomes
            and leaf not in self._volatile
            and tensor._version != version  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - torch has no public name
        }

    def _note(self, key: Key, value: Any) -> None:
        outcomes = self.tape.outcomes
        for inner in [other for other in outcomes if other[: len(key)] == key]:
            del outcomes[inner]
        outcomes[key] = outcome = Outcome(value)
        for leaf, tensor in outcome.tensors(key).items():
            self._versions[leaf] = (tensor, tensor._version)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as above
            if leaf in self._volatile:
                outcome.leaves[leaf[1]] = tensor.clone()


@final
class Player:
    """Returns what was noted, and runs the rest.

    Args:
        tape: What was noted.
        volatile: Values that are handed out as copies, since they will be overwritten.
    """

    def __init__(self, tape: Tape, volatile: AbstractSet[Leaf]) -> None:
        self._tape, self._volatile = tape, volatile
        self._stack = _Stack()
        self._past = False

    def __call__(self, module: nn.Module, run: Run) -> Any:
        """See :class:`Switch`.

        Raises:
            UnfitError: The code takes another course than it did.
        """
        if self._past:
            return run()
        key = self._stack.open()
        try:
            if self._tape.modules.get(key) != id(module):
                raise UnfitError("the model does not make the same calls each time")
            if key in self._tape.outcomes:
                return self._value(key)
            self._past = key == self._tape.spine[-1]
            return run()
        finally:
            self._stack.close()

    def _value(self, key: Key) -> Any:
        outcome = self._tape.outcomes[key]
        again = [leaf for leaf in outcome.tensors(key) if leaf in self._volatile]
        if not again:
            return outcome.value()
        kept = list(outcome.leaves)
        try:
            for _, place in again:
                outcome.leaves[place] = torch.clone(kept[place])
            return outcome.value()
        finally:
            outcome.leaves = kept


@final
class Switch:
    """Sends the forwards of a model to a recorder or player while it is told to, and lets them run otherwise."""

    def __init__(self) -> None:
        self._actor: Recorder | Player | None = None

    def through(self, actor: Recorder | Player, run: Run) -> Any:
        """What ``run`` returns while forwards go to this actor."""
        self._actor = actor
        try:
            return run()
        finally:
            self._actor = None

    def __call__(
        self,
        module: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """See :class:`~clipact.training._prefix._interpose.Actor`."""
        if self._actor is None:
            return forward(*args, **kwargs)
        return self._actor(module, lambda: forward(*args, **kwargs))
