"""Weights that torch.ao's quantised modules hold packed, out of reach: unpacked, changed and packed again."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast, final

import torch
from torch import Tensor, nn

from clipact.faults._memory._held import Held
from clipact.faults._memory._home import Home

_WRAPPER: Final = "_packed_params"
_RECURRENT: Final = "_all_weight_values"


class _Packing(ABC):
    """How one object is unpacked to tensors, and packed again.

    Attributes:
        names: Of the tensors, as attributes of the module that owns them.
    """

    names: tuple[str, ...]

    @abstractmethod
    def unpack(self) -> Sequence[Tensor | None]:
        """The tensors that the module has packed now."""

    @abstractmethod
    def pack(self, tensors: Sequence[Tensor | None]) -> None:
        """Have the module hold these."""


@final
class _Affine(_Packing):
    """A weight and a bias: linear layers and convolutions."""

    names = ("weight", "bias")

    def __init__(self, module: Any) -> None:
        self._module = module

    def unpack(self) -> Sequence[Tensor | None]:
        return self._module._weight_bias()  # noqa: SLF001 - torch.ao's own way

    def pack(self, tensors: Sequence[Tensor | None]) -> None:
        self._module.set_weight_bias(*tensors)


@final
class _Embedding(_Packing):
    """A weight alone."""

    names = ("weight",)

    def __init__(self, module: Any) -> None:
        self._module = module

    def unpack(self) -> Sequence[Tensor | None]:
        return (self._module._weight(),)  # noqa: SLF001 - torch.ao's own way

    def pack(self, tensors: Sequence[Tensor | None]) -> None:
        self._module.set_weight(*tensors)


@final
class _Recurrent(_Packing):
    """One layer and direction of a dynamically quantised GRU or LSTM: two linear layers in one object."""

    def __init__(self, module: Any, suffix: str) -> None:
        self._module = module
        self.names = tuple(
            f"{what}_{where}_{suffix}" for where in ("ih", "hh") for what in ("weight", "bias")
        )

    def unpack(self) -> Sequence[Tensor | None]:
        return [tensor for linear in self._state()[4] for tensor in linear.__getstate__()[0]]

    def pack(self, tensors: Sequence[Tensor | None]) -> None:
        reduced = bool(self._state()[3][0])
        ops = torch.ops.quantized
        linears = [ops.linear_prepack(*tensors[at : at + 2]) for at in (0, 2)]
        biases = tensors[1::2]
        self._module.param = ops.make_quantized_cell_params_dynamic(*linears, *biases, reduced)

    def _state(self) -> Any:
        return self._module.param.__getstate__()[0]


@final
class _Packed(Home):
    """A tensor inside a packed object; ``shadow`` is a copy of it, in which faults are made."""

    def __init__(self, table: dict[str, Any], key: str, packing: _Packing, place: int) -> None:
        self.key = table[key]
        self.memory = id(self.key) + place
        self._table, self._name, self._packing, self._place = table, key, packing, place
        self.shadow = _own(cast("Tensor", packing.unpack()[place]).detach())

    def changed(self) -> None:
        tensors = list(self._packing.unpack())
        tensors[self._place] = _own(self.shadow)
        self._packing.pack(tensors)

    def restored(self) -> None:
        self._table[self._name] = self.key


def _own(tensor: Tensor) -> Tensor:
    """A copy, since what is unpacked may be what is packed; an embedding is unpacked, and packed, into memory of its own."""
    if tensor.is_quantized and tensor.qscheme() is torch.per_channel_affine_float_qparams:
        return tensor
    return tensor.clone(memory_format=torch.preserve_format)


def packed(path: str, module: nn.Module, modules: dict[str, nn.Module]) -> Iterator[Held]:
    """What a module holds packed, under the names that its unquantised form has.

    Args:
        path: The module's path.
        module: The module.
        modules: Every module by path.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return  # the object that it holds is itself; its parameters are plain
    table = module.__dict__
    for key in [key for key, value in table.items() if isinstance(value, torch.ScriptObject)]:
        owner, packing = _packing(path, module, modules)
        problem = None if packing else "is packed in a way that cannot be taken apart"
        if getattr(module, "dtype", None) is torch.float16:
            problem = "is packed in float16, where not every bit pattern can be written"
        if packing is None or problem:
            nothing = torch.empty(0)
            yield Held(f"{owner}.{key}".lstrip("."), owner, nothing, id(table[key]), None, problem)
            continue
        for place, tensor in enumerate(packing.unpack()):
            if tensor is not None:
                home = _Packed(table, key, packing, place)
                name = f"{owner}.{packing.names[place]}".lstrip(".")
                yield Held(name, owner, home.shadow, (id(home.key), place), home)


def _packing(path: str, module: Any, modules: dict[str, nn.Module]) -> tuple[str, _Packing | None]:
    """Path of the module that owns what ``module`` holds packed, and how that is unpacked."""
    parent, _, leaf = path.rpartition(".")
    owner = parent if leaf == _WRAPPER else path
    if hasattr(module, "set_weight_bias"):
        return owner, _Affine(module)
    if hasattr(module, "set_weight"):
        return owner, _Embedding(module)
    recurrent, _, table = parent.rpartition(".")
    if table == _RECURRENT:
        whole: Any = modules[recurrent]
        if whole.dtype is torch.qint8:
            layer, direction = divmod(int(leaf), 2 if whole.bidirectional else 1)
            suffix = f"l{layer}{'_reverse' if direction else ''}"
            return recurrent, _Recurrent(module, suffix)
        return recurrent, None
    return owner, None
