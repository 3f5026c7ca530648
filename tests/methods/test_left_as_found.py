"""What a method that gives up leaves behind: nothing."""

import pytest
import torch
from torch import nn

import clipact as ca
from clipact.errors import SurgeryError


class Net(nn.Sequential):
    """Runs its children in a forward of its own, so that no guard can be a child of it."""

    def forward(self, x):
        return super().forward(x)


@pytest.mark.parametrize(
    "method",
    [
        ca.methods.Ranger(output_guard=True),
        ca.methods.ClipToMean(),
        ca.methods.FitAct(output_guard=True),
    ],
)
def test_where_no_guard_can_be_put_nothing_is_changed(task, method):
    model = Net(*task.model)
    shown = str(model)
    with pytest.raises(SurgeryError, match="forward of its own"):
        ca.protect(model, method, task.train, task.validate, progress=False)
    assert str(model) == shown
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), task.model.state_dict().values(), strict=True)
    )
