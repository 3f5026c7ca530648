"""Thresholds that decide how a neural network behaves, and the fault injection that measures what they buy.

Three things to do: *replace* activations in a model, set (or train) their *thresholds*, *measure* what faults then do.

Names load what they need when they are first used, so that ``clipact --help`` does not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from clipact._version import __version__

if TYPE_CHECKING:
    from clipact import (
        errors,
        faults,
        functional,
        integrations,
        methods,
        nn,
        report,
        schedules,
        sparsity,
        spiking,
        training,
        where,
    )
    from clipact.calibration import (
        Granularity,
        OnOutOfRange,
        Profile,
        RangeDetector,
        SiteProfile,
        calibrate,
    )
    from clipact.methods import protect
    from clipact.surgery import (
        ACTIVATIONS,
        LAYERS,
        Receipt,
        Site,
        Sites,
        find_sites,
        guard_output,
        harden_,
        replace_activations,
        thresholds,
    )

__all__ = [
    "ACTIVATIONS",
    "LAYERS",
    "Granularity",
    "OnOutOfRange",
    "Profile",
    "RangeDetector",
    "Receipt",
    "Site",
    "SiteProfile",
    "Sites",
    "__version__",
    "calibrate",
    "errors",
    "faults",
    "find_sites",
    "functional",
    "guard_output",
    "harden_",
    "integrations",
    "methods",
    "nn",
    "protect",
    "replace_activations",
    "report",
    "schedules",
    "sparsity",
    "spiking",
    "thresholds",
    "training",
    "where",
]

_PACKAGES = (
    "errors",
    "faults",
    "functional",
    "integrations",
    "methods",
    "nn",
    "report",
    "schedules",
    "sparsity",
    "spiking",
    "training",
    "where",
)
_CALIBRATION = (
    "Granularity",
    "OnOutOfRange",
    "Profile",
    "RangeDetector",
    "SiteProfile",
    "calibrate",
)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'clipact' has no attribute {name!r}")
    if name in _PACKAGES:
        return import_module(f"clipact.{name}")
    home = "calibration" if name in _CALIBRATION else "methods" if name == "protect" else "surgery"
    return getattr(import_module(f"clipact.{home}"), name)


def __dir__() -> list[str]:
    return __all__
