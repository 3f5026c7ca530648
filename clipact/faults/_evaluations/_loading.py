"""The batches of a loader: read once and kept where they fit in memory, else read anew and recognised."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from clipact.errors import CampaignError
from clipact.faults._evaluations._batches import checksum, describe, tensors_of

Inputs = Tensor | tuple[Any, ...] | Mapping[str, Any]

KEPT = 2**30  # bytes


class Batch(NamedTuple):
    """Inputs of the model, and the labels if the evaluation has any."""

    inputs: Inputs
    labels: Tensor | None

    @property
    def size(self) -> int:
        """Number of samples: the first axis of the labels, or of the first input tensor."""
        first = next(iter(tensors_of(self.inputs)), None) if self.labels is None else self.labels
        return 0 if first is None or not first.dim() else first.shape[0]


@final
class Batches:
    """Iterate over the same batches as often as wanted.

    They are kept in memory up to a number of bytes, so that a trial does not wait for a loader. What is kept is
    compared once with a second reading; beyond that size every reading is compared with the first. What can be read
    only once (a generator) must fit.

    Args:
        loader: What gives batches.
        split: Takes one apart.
        budget: Bytes to keep.

    Attributes:
        checksums: Of the batches.
        kept: The batches, if they are kept.

    Raises:
        CampaignError: The loader is empty, or a second reading is not the first.
    """

    def __init__(
        self, loader: Iterable[Any], split: Callable[[Any], Batch], budget: int = KEPT
    ) -> None:
        self._loader, self._split = loader, split
        kept: list[Batch] = []
        found: list[int] = []
        size = 0
        for batch in map(split, loader):
            found.append(_checksum(batch))
            size += sum(t.numel() * t.element_size() for t in _tensors(batch))
            if size <= budget:
                kept.append(_copied(batch))
        self.checksums = tuple(found)
        self.kept = tuple(kept) if size <= budget else None
        once = isinstance(loader, Iterator)
        if once and self.kept is None:
            raise CampaignError(
                f"the loader is a {type(loader).__name__}, which can be read once, and holds {size:,} bytes, more than the"
                f" {budget:,} that are kept in memory; give a DataLoader or a list of batches"
            )
        if self.kept is not None and not once:
            for _ in self._read():
                pass

    def __len__(self) -> int:
        return len(self.checksums)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.kept) if self.kept is not None else self._read()

    def __getitem__(self, place: int) -> Batch:
        if self.kept is not None:
            return self.kept[place]
        return next(batch for number, batch in enumerate(self._read()) if number == place)

    def _read(self) -> Iterator[Batch]:
        number = -1
        for number, given in enumerate(self._loader):
            batch = self._split(given)
            if number >= len(self.checksums) or _checksum(batch) != self.checksums[number]:
                raise CampaignError(
                    f"the loader's batch {number} is not that of the golden run; use shuffle=False, turn random augmentation"
                    " off, and give a loader that can be run through again"
                )
            yield batch
        if number + 1 != len(self.checksums):
            raise CampaignError(
                f"the loader gave {number + 1} batches where the golden run had {len(self.checksums)}; give a loader that can"
                " be run through again"
            )


def placed(
    inputs: Inputs, device: torch.device | str | None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A copy of the inputs on a device, as positional and keyword arguments."""
    if isinstance(inputs, Tensor):
        return (inputs.to(device, copy=True),), {}
    if isinstance(inputs, Mapping):
        return (), {name: _placed(value, device) for name, value in inputs.items()}
    return tuple(_placed(value, device) for value in inputs), {}


def split_inputs(batch: Any) -> Batch:
    """The inputs of a batch that may carry more: a tensor, a mapping of keyword arguments, or the first of a tuple.

    Raises:
        CampaignError: It is none of these.
    """
    given: Any = batch[0] if isinstance(batch, tuple | list) and len(batch) else batch
    if isinstance(given, Tensor | Mapping):
        return Batch(given, None)
    raise CampaignError(
        f"a batch is {describe(batch)}, not inputs or (inputs, …) with inputs a tensor or a mapping; give such batches, or a"
        " function evaluate(model) of your own"
    )


def _placed(value: Any, device: torch.device | str | None) -> Any:
    return value.to(device, copy=True) if isinstance(value, Tensor) else value


def _tensors(batch: Batch) -> list[Tensor]:
    labels = [] if batch.labels is None else [batch.labels]
    return [*tensors_of(batch.inputs), *labels]


def _checksum(batch: Batch) -> int:
    return checksum(_tensors(batch))


def _copied(batch: Batch) -> Batch:
    """Loaders may write the next batch over the last one."""
    args, kwargs = placed(batch.inputs, None)
    inputs: Inputs = args[0] if isinstance(batch.inputs, Tensor) else kwargs or args
    labels = None if batch.labels is None else batch.labels.clone()
    return Batch(inputs, labels)
