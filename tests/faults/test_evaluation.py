import pytest

from clipact.errors import CampaignError
from clipact.faults import BitFlip, Campaign, Weights

FAULT = BitFlip(rate=1e-2)


def test_callables_give_a_number_or_names(model):
    def norm(net):
        assert not net.training
        return {"norm": net[4].weight.nan_to_num().abs().clamp(max=9.0).mean(), "one": True}

    result = Campaign(model, norm, fault=FAULT, target=Weights(), trials=3).run(progress=False)
    assert list(result.to_pandas().columns) == [
        "trial",
        "fault",
        "norm",
        "one",
        "seconds",
        "flips",
        "error",
    ]
    assert model.training
    assert len({t.metrics["norm"] for t in result.trials}) == 3
    plain = Campaign(model, lambda _: 0.5, fault=FAULT, target=Weights(), trials=2).run(
        progress=False
    )
    assert plain.golden == {"value": 0.5}


@pytest.mark.parametrize(
    ("evaluate", "message"),
    [
        (lambda _: "good", "gave a str for 'value'"),
        (lambda _: {"seconds": 1.0}, "columns of the result"),
        (lambda net: {"a": 1.0} if net[0].weight.isfinite().all() else {"b": 1.0}, "same names"),
    ],
)
def test_callables_that_give_something_else(model, evaluate, message):
    with pytest.raises(CampaignError, match=message):
        Campaign(model, evaluate, fault=BitFlip(rate=0.5), target=Weights(), trials=3).run(
            progress=False
        )
