"""Objects written for other processes, and read there."""

import hashlib
import warnings
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from clipact.errors import CampaignError
from clipact.faults._shipping._culprits import explain
from clipact.faults._shipping._hints import not_rebuilt_here, unreadable_here
from clipact.faults._shipping._memory import MappedMemory, MemoryWriter, Place
from clipact.faults._shipping._pickling import ShippingPickler, ShippingUnpickler

_MEMORY: Final = "memory"
_OBJECTS: Final = "objects"


@final
@dataclass(frozen=True, eq=False)
class Loaded:
    """Shipped objects in this process.

    Attributes:
        objects: What was shipped.
        memory: What their tensors are in.
    """

    objects: Any
    memory: MappedMemory

    def discard_changes(self) -> None:
        """Put every shipped tensor in main memory, and every large array, back to what it was when shipped.

        This gives back the memory of pages that were written to, which would otherwise grow with every fault. Only on
        Linux; elsewhere, and for tensors on other devices, nothing happens.
        """
        self.memory.discard_changes()


@final
@dataclass(frozen=True)
class Shipped:
    """Plain data that says where the objects are; send it to any process that can read the folder.

    Attributes:
        folder: Where they are.
        digest: SHA-256 of what will be unpickled, so that nothing else is.
        buffers: Where arrays are in the file of memory.
    """

    folder: Path
    digest: str
    buffers: tuple[Place, ...]

    def load(self) -> Loaded:
        """Read the objects; their tensors share memory with every other process that did, until they are changed.

        A change, such as a flipped bit, stays in this process.

        Raises:
            CampaignError: The folder cannot be read from here, is not what was written, or an object cannot be made
                here, such as one of a class that is not found.
        """
        try:
            content = (self.folder / _OBJECTS).read_bytes()
            memory = MappedMemory(self.folder / _MEMORY)
        except OSError as error:
            raise CampaignError(unreadable_here(self.folder, error)) from error
        if hashlib.sha256(content).hexdigest() != self.digest:
            raise CampaignError(
                f"{self.folder} is not as it was written; do not change it during a run"
            )
        try:
            with warnings.catch_warnings():
                # torch's own functions that rebuild tensors use the class it warns of
                warnings.filterwarnings("ignore", "TypedStorage is deprecated")
                objects = ShippingUnpickler(content, memory, list(self.buffers)).load()
        except CampaignError:
            raise
        except Exception as error:
            raise CampaignError(not_rebuilt_here(error)) from error
        return Loaded(objects, memory)


def ship(objects: Any, folder: Path) -> Shipped:
    """Write objects for other processes.

    Everything that pickle can write is: modules with their hooks, modes and parametrisations, evaluations, loaders. The
    bytes of tensors and large arrays are written once each and mapped by whoever loads them, so tensors that share memory still do.

    Args:
        objects: Modules, and anything else, as one object; names in a message begin with its keys or attributes.
        folder: A folder of this program's own, still empty.

    Raises:
        CampaignError: Some of it cannot be pickled; the message names each.

    Examples:
        >>> import torch
        >>> from clipact.faults._shipping import private_folder
        >>> with private_folder() as folder:
        ...     shipped = ship({"model": torch.nn.Linear(2, 2)}, folder)
        ...     loaded = shipped.load()
        >>> loaded.objects["model"]
        Linear(in_features=2, out_features=2, bias=True)
    """
    try:
        with (
            closing(MemoryWriter(folder / _MEMORY)) as memory,
            (folder / _OBJECTS).open("xb") as file,
        ):
            pickler = ShippingPickler(file, memory)
            pickler.dump(objects)
    except OSError as error:
        raise CampaignError(
            f"the model and data could not be written to {folder} ({error}); make room, or give another folder"
        ) from error
    except Exception as error:
        raise CampaignError(explain(objects, error)) from error
    digest = hashlib.sha256((folder / _OBJECTS).read_bytes()).hexdigest()
    return Shipped(folder, digest, tuple(pickler.buffers))
