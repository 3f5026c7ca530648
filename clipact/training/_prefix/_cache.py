"""Run a model from the first threshold that trains, with what comes before it out of memory."""

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from clipact.calibration import run
from clipact.training._frozen import training_only
from clipact.training._prefix._actors import Player, Recorder, Switch
from clipact.training._prefix._gone import Gone
from clipact.training._prefix._interpose import interposed
from clipact.training._prefix._looked_at import LookedAt
from clipact.training._prefix._same import close, same
from clipact.training._prefix._tape import Leaf, Tape, UnfitError

__all__ = ["Memory", "Prefix", "prefix_of"]


@final
class Prefix:
    """What a model computes before some thresholds, by batch; made by :func:`prefix_of`.

    The first batch is tried out: which values the rest of the model looks at, which it overwrites, and whether it gives
    the same bits from them. If not, and wherever memory is used up, the model runs in full.

    Args:
        model: Frozen; its forwards go through ``switch``.
        thresholds: Those that train.
        budget: Bytes that may be kept.
        switch: Between the model and its forwards.

    Attributes:
        reason: Why nothing is kept, None if something is (or nothing was tried).
        bytes: What is kept.
    """

    def __init__(
        self, model: nn.Module, thresholds: Iterable[nn.Parameter], budget: int, switch: Switch
    ) -> None:
        self.reason: str | None = None if budget > 0 else "there is no memory for it"
        self.bytes = 0
        self._model, self._thresholds = model, list(thresholds)
        self._budget, self._switch = budget, switch
        ids = {id(threshold) for threshold in self._thresholds}
        self._sites = {
            id(module)
            for module in model.modules()
            if any(id(each) in ids for each in module.parameters(recurse=False))
        }
        self._shape: tuple[Any, ...] | None = None
        self._used: set[Leaf] = set()
        self._volatile: set[Leaf] = set()

    def record(self, inputs: Any) -> tuple[Any, Tape | None]:
        """The model's output, and what of it can be played back (None if it should not be)."""
        if self._shape is None and self.reason is None:
            self._try_out(inputs)
        if self.reason is not None or self.bytes >= self._budget:
            return self.full(inputs), None
        recorder = Recorder(self._sites, self._volatile)
        try:
            output = self._switch.through(recorder, lambda: self.full(inputs))
        except UnfitError:
            return self.full(inputs), None
        tape = recorder.tape
        if tape.shape != self._shape or recorder.overwritten() & self._used:
            return output, None
        size = tape.keep(self._used, Gone.like)
        if self.bytes + size > self._budget:
            self.bytes = self._budget  # full: what follows is computed anew each time
            return output, None
        self.bytes += size
        return output, tape

    def full(self, inputs: Any) -> Any:
        """The model's output, all of it computed."""
        return run(self._model, inputs)

    def play(self, tape: Tape, inputs: Any) -> Any:
        """The model's output from what was recorded for these inputs."""
        return self._switch.through(Player(tape, self._volatile), lambda: self.full(inputs))

    def _try_out(self, inputs: Any) -> None:
        try:
            self._learn(inputs)
        except UnfitError as error:
            self.reason = str(error)
            self._shape = ()

    def _learn(self, inputs: Any) -> None:
        with torch.no_grad():
            first = Recorder(self._sites, frozenset())
            self._switch.through(first, lambda: self.full(inputs))
            if not first.tape.spine:
                raise UnfitError("the thresholds' modules are not called")
            self._volatile = first.overwritten()
            again = self._recorded(inputs)
            with LookedAt(again.tensors()) as looked:  # this spoils what is overwritten
                player = Player(again, frozenset())
                output = self._switch.through(player, lambda: self.full(inputs))
            looked.note(output)
            self._used = looked.used
            self._volatile &= self._used
            tape = self._recorded(inputs)
        self._shape = tape.shape
        tape.keep(self._used, Gone.like)
        self._verify(tape, inputs)

    def _recorded(self, inputs: Any) -> Tape:
        recorder = Recorder(self._sites, self._volatile)
        self._switch.through(recorder, lambda: self.full(inputs))
        overwritten = recorder.overwritten()
        if overwritten & self._used if self._used else overwritten:
            raise UnfitError("the model overwrites other values each time")
        return recorder.tape

    def _verify(self, tape: Tape, inputs: Any) -> None:
        whole = self._probe(lambda: self.full(inputs))
        with suppress(Exception):  # what the model keeps to itself is now that of other inputs
            self.full(pytree.tree_map_only(Tensor, torch.zeros_like, inputs))
        try:
            short = self._probe(lambda: self.play(tape, inputs))
        except Exception as error:  # whatever the model raises
            raise UnfitError(f"from the middle the model raises {error!r}") from None
        if not same(whole[0], short[0]) or not close(whole[1], short[1]):
            raise UnfitError("from the middle the model computes something else")

    def _probe(self, compute: Callable[[], Any]) -> tuple[list[Any], list[Tensor | None]]:
        """The output, and the gradients of its sum for the thresholds."""
        with training_only(self._thresholds):
            leaves = pytree.tree_leaves(compute())
            total = [
                leaf.sum() for leaf in leaves if isinstance(leaf, Tensor) and leaf.requires_grad
            ]
            if not total:
                raise UnfitError("the output does not depend on the thresholds")
            grads = torch.autograd.grad(total, self._thresholds, allow_unused=True)
        return leaves, list(grads)


@final
class Memory:
    """The shortcut through one set of batches; see :class:`~clipact.training._forwards.Shortcut`.

    Args:
        prefix: Of the model.
    """

    def __init__(self, prefix: Prefix) -> None:
        self._prefix = prefix
        self._tapes: dict[int, Tape | None] = {}

    def run(self, place: int, inputs: Any) -> Any:
        """What the model returns for the inputs of this batch, the same each time."""
        if place not in self._tapes:
            output, self._tapes[place] = self._prefix.record(inputs)
            return output
        tape = self._tapes[place]
        if tape is not None:
            try:
                return self._prefix.play(tape, inputs)
            except UnfitError:
                self._tapes[place] = None
        return self._prefix.full(inputs)


@contextmanager
def prefix_of(
    model: nn.Module, thresholds: Iterable[nn.Parameter], budget: int
) -> Generator[Prefix]:
    """What a frozen model computes before these thresholds, kept while the block runs.

    Args:
        model: Everything in it but the thresholds stands still meanwhile, and its inputs are the same each time.
        thresholds: Those that train.
        budget: Bytes that may be kept.
    """
    switch = Switch()
    if any(isinstance(module, nn.DataParallel) for module in model.modules()):
        yield Prefix(model, thresholds, 0, switch)  # replicas would share the stand-ins
        return
    with interposed(model, switch):
        yield Prefix(model, thresholds, budget, switch)
