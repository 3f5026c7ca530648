"""Files of a training that can be resumed: there whole or not at all, and known again."""

import hashlib
import os
import pickle
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, final

import torch
from torch import Tensor, nn

from clipact.errors import TrainingError
from clipact.training._labelled import Labelled
from clipact.training._listed import listed

__all__ = ["CheckpointFile", "Identity", "data_digest", "weight_digests"]

Identity: TypeAlias = Mapping[str, Mapping[str, str]]
"""What a training is of: by part (``"weights"``, ``"settings"``) the digest or text of each thing in it."""

_FORMAT: Final = 1


@final
class CheckpointFile:
    """The file of a training.

    Args:
        path: Where; None for no file.
        identity: What the training is of.
    """

    def __init__(self, path: Path | str | None, identity: Identity) -> None:
        self._path = None if path is None else Path(path)
        self._identity = identity

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a state in the place of an earlier one; a crash leaves the one or the other.

        Args:
            state: Tensors, numbers, strings, and lists and dictionaries of these.
        """
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        content = {"format": _FORMAT, "identity": dict(self._identity), "state": dict(state)}
        try:
            torch.save(content, new)
            with new.open("rb+") as file:
                os.fsync(file.fileno())
            new.replace(self._path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise

    def load(self) -> dict[str, Any] | None:
        """The state in the file, on the CPU; None if there is none yet.

        Raises:
            TrainingError: The file is no checkpoint, or that of another training; says what differs.
        """
        if self._path is None or not self._path.exists():
            return None
        try:
            found: Any = torch.load(self._path, map_location="cpu", weights_only=True)
        except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
            raise TrainingError(
                f"{self._path} is no checkpoint that can be read ({type(error).__name__}); name another file, or remove it"
            ) from None
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            raise TrainingError(
                f"{self._path} is not a checkpoint of a threshold training; name another file"
            )
        if differences := list(_differences(found["identity"], self._identity)):
            raise TrainingError(
                f"the checkpoint {self._path} is of another training: {'; '.join(differences)}. Resume with the same model,"
                " data and settings, or name another file"
            )
        return found["state"]


def weight_digests(model: nn.Module) -> dict[str, str]:
    """A digest of every tensor in a model's ``state_dict``."""
    state: Mapping[str, Any] = model.state_dict()
    return {name: _digest([value]) for name, value in state.items() if isinstance(value, Tensor)}


def data_digest(batches: Iterable[Labelled]) -> str:
    """A digest of inputs and labels in their batches."""
    tensors: list[Tensor] = []
    for batch in batches:
        inputs = [batch.inputs] if isinstance(batch.inputs, Tensor) else [*batch.inputs.values()]
        tensors += [each for each in inputs if isinstance(each, Tensor)] + [batch.labels]
    return _digest(tensors)


def _digest(tensors: Iterable[Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b"")
    return digest.hexdigest()[:16]


def _differences(found: Identity, expected: Identity) -> Iterable[str]:
    for part, values in expected.items():
        theirs = found.get(part, {})
        both = [name for name in values if name in theirs and theirs[name] != values[name]]
        gone = [name for name in theirs if name not in values]
        new = [name for name in values if name not in theirs]
        if both and part == "settings":
            yield "; ".join(f"{n} was {theirs[n]} and is {values[n]}" for n in both)
        elif both:
            yield f"the {part} differ in {listed(both)}"
        if gone or new:
            yield f"the {part} are others: {listed(gone or new)} {'is gone' if gone else 'is new'}"
