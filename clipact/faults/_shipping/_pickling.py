"""Pickling in which the bytes of tensors and of large arrays go elsewhere."""

import io
import pickle
from abc import ABC, abstractmethod
from typing import IO, Any, Final, NamedTuple, final

import torch
from torch import UntypedStorage, nn
from torch.nn.utils import parametrize
from torch.storage import TypedStorage

from clipact.errors import CampaignError
from clipact.faults._shipping._hints import not_found_here
from clipact.faults._shipping._memory import MappedMemory, MemoryWriter, Place, storage_bytes
from clipact.faults._shipping._parametrised import reduce_parametrised

_PROTOCOL: Final = 5
_SMALL: Final = 4096  # bytes of an array that stay in the pickle


class StoredTensor(NamedTuple):
    """Takes the place of a tensor's storage in a pickle."""

    place: Place
    device: str
    dtype: torch.dtype


class _Pickler(pickle.Pickler, ABC):
    """Pickles as torch does, and what torch can only copy: several types on one storage, parametrised modules."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, protocol=_PROTOCOL, buffer_callback=self._buffer)

    def persistent_id(self, obj: Any) -> StoredTensor | None:
        """Called by pickle for every object; not None for what is kept elsewhere."""
        if isinstance(obj, TypedStorage):
            # As torch.save does; the public untyped() warns of the class that torch's own tensors still pickle as.
            return self._stored(obj._untyped_storage, obj.dtype)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above
        if isinstance(obj, UntypedStorage):
            return self._stored(obj, torch.uint8)
        return None

    def reducer_override(self, obj: Any) -> Any:
        """Called by pickle for every object that is not of a built-in type."""
        if isinstance(obj, nn.Module) and parametrize.is_parametrized(obj):
            return reduce_parametrised(obj)
        return NotImplemented

    @abstractmethod
    def _stored(self, storage: UntypedStorage, dtype: torch.dtype) -> StoredTensor:
        """Keep a storage elsewhere."""

    @abstractmethod
    def _buffer(self, buffer: pickle.PickleBuffer) -> bool:
        """Keep an array's bytes elsewhere; True leaves them in the pickle."""


@final
class ShippingPickler(_Pickler):
    """Writes every storage, and every large array, once.

    Attributes:
        buffers: Where the arrays went, in order.
    """

    def __init__(self, file: IO[bytes], memory: MemoryWriter) -> None:
        super().__init__(file)
        self.buffers: list[Place] = []
        self._memory = memory
        # With the storage beside its place: an address means this storage only as long as the storage lives.
        self._places: dict[tuple[str, int, int], tuple[Place, UntypedStorage]] = {}

    def _stored(self, storage: UntypedStorage, dtype: torch.dtype) -> StoredTensor:
        device, size = str(storage.device), storage.nbytes()
        key = (device, storage.data_ptr(), size)
        if key not in self._places:
            self._places[key] = self._memory.write(storage_bytes(storage)), storage
        return StoredTensor(self._places[key][0], device, dtype)

    def _buffer(self, buffer: pickle.PickleBuffer) -> bool:
        content = buffer.raw()
        if content.nbytes < _SMALL:
            return True
        self.buffers.append(self._memory.write(content))
        return False


@final
class TrialPickler(_Pickler):
    """Writes nothing; shows whether an object can be pickled."""

    def __init__(self) -> None:
        super().__init__(_Nowhere())

    def _stored(self, storage: UntypedStorage, dtype: torch.dtype) -> StoredTensor:
        return StoredTensor(Place(0, storage.nbytes()), str(storage.device), dtype)

    def _buffer(self, buffer: pickle.PickleBuffer) -> bool:  # noqa: ARG002 - what pickle calls
        return False


@final
class ShippingUnpickler(pickle.Unpickler):
    """Reads what :class:`ShippingPickler` wrote."""

    def __init__(self, content: bytes, memory: MappedMemory, buffers: list[Place]) -> None:
        super().__init__(io.BytesIO(content), buffers=memory.buffers(buffers))
        self._memory = memory
        self._storages: dict[tuple[Place, str], UntypedStorage] = {}

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Called by pickle for every class and function.

        Raises:
            CampaignError: It is not there.
        """
        try:
            return super().find_class(module_name, global_name)
        except (AttributeError, ImportError) as error:
            raise CampaignError(not_found_here(module_name, global_name, error)) from error

    def persistent_load(self, pid: StoredTensor) -> TypedStorage:
        """Called by pickle for what was kept elsewhere; torch makes a tensor from a storage with a type, used or not."""
        key = (pid.place, pid.device)
        if not pid.place.size or key not in self._storages:
            self._storages[key] = _on_device(self._memory.storage(pid.place), pid.device)
        return TypedStorage(wrap_storage=self._storages[key], dtype=pid.dtype, _internal=True)


@final
class _Nowhere(io.BytesIO):
    def write(self, data: Any, /) -> int:
        return memoryview(data).nbytes


def _on_device(storage: UntypedStorage, device: str) -> UntypedStorage:
    if device == "cpu":
        return storage
    held = torch.empty(0, dtype=torch.uint8).set_(storage)
    return held.to(device).untyped_storage()
