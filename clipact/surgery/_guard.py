"""Models that cannot be worked on, refused before anything is touched."""

import sys

from torch import jit, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy

from clipact.errors import SurgeryError

__all__ = ["refuse_unfit"]


def refuse_unfit(model: nn.Module) -> None:
    """Refuse what is compiled, scripted, wrapped for distributed training or not initialised.

    Raises:
        SurgeryError: Says which module it is and what to do.
    """
    if isinstance(model, jit.ScriptModule):
        raise SurgeryError(
            "the model is a script module, whose Python is gone; pass the model it was scripted from"
        )
    if isinstance(model, DistributedDataParallel):
        raise SurgeryError(
            "the model is wrapped in DistributedDataParallel; give what is inside (model.module), before wrapping it"
        )
    for path, module in model.named_modules():
        if _is_compiled(module):
            raise SurgeryError(
                f"{path or 'the model'} is compiled; give the model from before torch.compile, and compile afterwards"
            )
        if any(is_lazy(parameter) for parameter in module.parameters(recurse=False)):
            raise SurgeryError(
                f"{path or 'the model'} ({type(module).__name__}) has parameters without a shape; run the model once first"
            )


def _is_compiled(module: nn.Module) -> bool:
    if module.__dict__.get("_compiled_call_impl") is not None:
        return True
    dynamo = sys.modules.get(
        "torch._dynamo.eval_frame"
    )  # loaded if anything is compiled; slow to load otherwise
    return dynamo is not None and isinstance(module, dynamo.OptimizedModule)
