"""The programs of all containers that a plan rewrites."""

from torch import nn

from clipact.surgery._plan import Plan
from clipact.surgery._program import Program
from clipact.surgery._record import Recorder
from clipact.surgery._recording import unshared
from clipact.surgery._rewrite import rewrite
from clipact.surgery._trace import UntraceableError

__all__ = ["Programs", "make_programs"]

Programs = dict[str, tuple[Program, Program]]


def make_programs(
    model: nn.Module, recorder: Recorder, plan: Plan, kinds: tuple[type, ...]
) -> tuple[Programs, dict[str, str]]:
    """Programs by container, for eval and training mode, and the reasons for those that cannot be rewritten."""
    programs: Programs = {}
    reasons: dict[str, str] = {}
    with unshared(model, kinds):
        for path, targets in plan.targets.items():
            container = model.get_submodule(path)
            try:
                programs[path] = rewrite(path, container, recorder, targets, kinds)
            except UntraceableError as error:
                reasons[path] = f"{path or 'the model'} ({type(container).__name__}): {error}"
    return programs, reasons
