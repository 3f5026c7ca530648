"""The Hoyer extrema of a neuron over the steps of a sequence, each followed on its own."""

from typing import final

import torch
from torch import Tensor, nn

from clipact.errors import SpikingError
from clipact.functional._hoyer import along
from clipact.nn._hoyer_statistics import Statistic


@final
class StepExtrema(nn.Module):
    """Extrema by step: that at work, and those followed over sequences.

    Args:
        statistic: How an extremum is taken from a batch.
        num_steps: Steps with an extremum of their own; later ones share the last.

    Raises:
        SpikingError: No step, or a statistic without meaning.
    """

    running: Tensor
    batches_seen: Tensor
    current: Tensor

    def __init__(self, statistic: Statistic, num_steps: int) -> None:
        super().__init__()
        statistic.check()
        if not isinstance(num_steps, int) or num_steps < 1:  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not check types
            raise SpikingError(
                f"{statistic.owner} got num_steps={num_steps!r}; a sequence has a whole number of steps, 1 at least"
            )
        self.statistic = statistic
        self.step = 0
        each = (num_steps, statistic.num_features or 1)
        self.register_buffer("running", torch.ones(each))
        self.register_buffer("batches_seen", torch.zeros(each, dtype=torch.int64))
        self.register_buffer("current", torch.ones(each[1]), persistent=False)

    def start(self, step: int) -> None:
        """Go on at this step, with what was followed at the one before, or at the first, until a potential is seen."""
        self.step = step
        self.current = self._followed(max(step - 1, 0)).clone()

    def look(self, mem: Tensor, v_threshold: Tensor) -> None:
        """Take the extremum of this step, from the potential in training, and go on to the next."""
        row = min(self.step, len(self.running) - 1)
        self.current = self._followed(row).clone()
        if self.training:
            self.current = self.statistic.follow(
                mem, v_threshold, self.running[row], self.batches_seen[row]
            )
        self.step += 1

    def place(self, mem: Tensor) -> Tensor:
        """The extremum at work, in the shape in which it broadcasts to the potential."""
        return along(self.current, mem.dim(), self.statistic.channel(mem) or 0)

    def beside(self, v_threshold: Tensor) -> Tensor:
        """What is followed, one row a step, in the shape in which it meets a clip value."""
        return self.running.reshape(*self.running.shape, *(1,) * (v_threshold.dim() - 1))

    def _followed(self, step: int) -> Tensor:
        return self.running[min(step, len(self.running) - 1)]

    def extra_repr(self) -> str:
        """The number of steps."""
        return f"num_steps={len(self.running)}"
