"""The golden run of a campaign: measured, watched for values that flow, and recorded for replay."""

from typing import NamedTuple

from torch import nn

from clipact.errors import CampaignError, ClipactError
from clipact.faults._evaluations._evaluation import Evaluation, GoldenRun
from clipact.faults._memory._bound import bind
from clipact.faults._memory._state import Buffers
from clipact.faults._running._spec import Spec
from clipact.faults._surface import Surface
from clipact.faults._values import observe


class Golden(NamedTuple):
    """The fault-free run, and where faults may fall."""

    run: GoldenRun
    surface: Surface


def golden_run(model: nn.Module, evaluation: Evaluation, spec: Spec, buffers: Buffers) -> Golden:
    """Evaluate the fault-free model.

    Raises:
        CampaignError: The evaluation fails.
    """
    bound = bind(spec.target.tensors(model), spec.format)
    found: list[GoldenRun] = []
    with buffers.kept():
        try:
            flow = observe(model, spec.target, lambda: found.append(evaluation.golden(model)))
        except ClipactError:
            raise
        except Exception as error:
            raise CampaignError(
                f"the evaluation failed in the golden run, without faults: {error!r}"
            ) from error
    return Golden(found[0], Surface(model, bound, flow, spec.format))
