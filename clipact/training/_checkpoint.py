"""Files of a training that can be resumed: there whole or not at all, and known again."""

import hashlib
import os
import secrets
import zipfile
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
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
_SHUFFLED: Final = (
    " (a loader that shuffles or augments by chance gives others each time: seed it, or let it do neither, since the order of"
    " the batches is drawn here)"
)


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

        Raises:
            TrainingError: It cannot be written; an earlier state is still there.
        """
        if self._path is None:
            return
        content = {"format": _FORMAT, "identity": dict(self._identity), "state": dict(state)}
        with _written(self._path) as new:
            torch.save(content, new)
            with new.open("rb+") as file:
                os.fsync(file.fileno())
            new.replace(self._path)

    def load(self) -> dict[str, Any] | None:
        """The state in the file, on the CPU; None if there is none yet, but one can be written.

        Raises:
            TrainingError: The file is no checkpoint, is damaged, cannot be written, or is that of another training; says
                what differs.
        """
        if self._path is None:
            return None
        if not self._path.exists():
            with _written(self._path) as new:
                new.touch()
            return None
        found = _read(self._path)
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


@contextmanager
def _written(path: Path) -> Generator[Path]:
    """A new file beside this one, which is gone afterwards unless it was moved.

    Raises:
        TrainingError: It cannot be written.
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield new
    except (OSError, RuntimeError) as error:  # RuntimeError is what torch.save() makes of the other
        raise TrainingError(
            f"the checkpoint {path} cannot be written ({error}); name a file where there is room and permission for one"
        ) from error
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)


def _read(path: Path) -> Any:
    """What was saved.

    Raises:
        TrainingError: It cannot be read, or is not to the last bit what was written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load() does not compare the checksums
        found: Any = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of damaged files, nearly anything can come
        damaged, found = type(error).__name__, None
    if damaged:
        raise TrainingError(
            f"{path} is no checkpoint that can be read ({damaged}); name another file, or remove it"
        )
    return found


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
            yield f"the {part} differ in {listed(both)}" + (_SHUFFLED if part == "data" else "")
        if gone:
            yield f"of the {part}, {listed(gone)} {'is' if len(gone) == 1 else 'are'} gone"
        if new:
            yield f"of the {part}, {listed(new)} {'is' if len(new) == 1 else 'are'} new"
