import pytest
import torch
from torch import nn

from clipact.errors import FaultError
from clipact.faults import Biases, BitFlip, Buffers, Weights, inject
from clipact.faults._memory import _exclusive, _injected

ALL = Weights() | Biases() | Buffers()


def test_an_interrupt_on_entry_of_undoing_leaves_nothing(model, bits_of, same_bits, monkeypatch):
    before = bits_of(model)
    for module, name in ((_injected, "_undo"), (_exclusive, "_clear")):
        original, calls = getattr(module, name), []

        def interrupted(items, original=original, calls=calls):
            calls.append(items)
            if len(calls) == 1:
                raise KeyboardInterrupt
            original(items)

        with monkeypatch.context() as patched:
            patched.setattr(module, name, interrupted)
            with pytest.raises(KeyboardInterrupt), inject(model, BitFlip(rate=0.1), ALL):
                pass
        assert same_bits(model, before)
        with inject(model, BitFlip(count=1), ALL):
            pass


def test_a_replaced_parameter_is_reported(model):
    with (
        pytest.raises(FaultError, match=r"^4\.weight was replaced inside inject"),
        inject(model, BitFlip(count=1), Weights()),
    ):
        model[4].weight = nn.Parameter(model[4].weight.detach().clone())
    state = {name: value.clone() for name, value in model.state_dict().items()}
    with (
        pytest.raises(FaultError, match=r"0\.weight, 1\.weight, 4\.weight was replaced"),
        inject(model, BitFlip(count=1), Weights()),
    ):
        model.load_state_dict(state, assign=True)


def replace_then_raise(model):
    model[4].weight = nn.Parameter(torch.zeros(5, 288))
    raise ValueError("mine")


def test_a_replaced_parameter_is_a_note_on_another_error(model):
    with (
        pytest.raises(ValueError, match="mine") as caught,
        inject(model, BitFlip(count=1), Weights()),
    ):
        replace_then_raise(model)
    assert "4.weight was replaced" in caught.value.__notes__[0]
