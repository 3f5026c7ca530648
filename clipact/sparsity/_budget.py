"""What is to have the wanted sparsity."""

from enum import StrEnum

from clipact.errors import SparsityError

__all__ = ["Budget"]


class Budget(StrEnum):
    """What :func:`calibrate_tau` sets, and :func:`hold_sparsity` holds, to the wanted sparsity; plain strings work too."""

    LAYER = "layer"
    """Every activation, and every element of a ``tau`` that has several."""
    GLOBAL = "global"
    """All values of the model together."""

    @classmethod
    def _missing_(cls, value: object) -> "Budget":
        raise SparsityError(f"budget {value!r} asked for; there is 'layer' and 'global'")
