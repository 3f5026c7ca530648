import pytest
import torch
import torch.nn.functional as F
from torch import nn

from clipact.errors import SurgeryError
from clipact.surgery import ACTIVATIONS, find_sites

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


def names(sites):
    return [site.name for site in sites]


def test_every_spelling_of_a_functional_call_is_found(models):
    sites = find_sites(models.Functional(), X)
    assert [(site.name, site.kind) for site in sites] == [
        ("relu", nn.ReLU),
        ("relu_2", nn.ReLU),
        ("relu_3", nn.ReLU),
        ("gelu", nn.GELU),
        ("leaky_relu", nn.LeakyReLU),
        ("hardswish", nn.Hardswish),
        ("silu", nn.SiLU),
    ]
    assert sites[3].activation.approximate == "tanh"
    assert sites[4].activation.negative_slope == 0.2
    assert all(site.shape == (3, 6) and site.calls == 1 for site in sites)


@pytest.mark.parametrize(
    ("function", "module"),
    [
        (lambda x: F.leaky_relu(x, 0.3), nn.LeakyReLU(0.3)),
        (lambda x: F.elu(input=x, alpha=2.0), nn.ELU(2.0)),
        (lambda x: F.hardtanh(x, -0.1, 0.2), nn.Hardtanh(-0.1, 0.2)),
        (lambda x: F.softplus(x, beta=2.0), nn.Softplus(2.0)),
        (lambda x: F.softmax(x, -1), nn.Softmax(-1)),
        (lambda x: x.softmax(dim=0), nn.Softmax(0)),
        (lambda x: F.threshold(x, 0.1, 3.0), nn.Threshold(0.1, 3.0)),
        (lambda x: F.prelu(x, torch.tensor([0.7])), nn.PReLU(init=0.7)),
        (lambda x: torch.celu(x, 0.5), nn.CELU(0.5)),
        (lambda x: x.sigmoid(), nn.Sigmoid()),
    ],
)
def test_functional_calls_have_a_module_that_does_the_same(function, module):
    class Calls(nn.Module):
        def forward(self, x):
            return function(x)

    (site,) = find_sites(Calls(), X, kinds=(type(module),))
    assert torch.equal(site.activation(X), function(X))
    assert torch.equal(site.activation(X), module(X))


def test_a_module_called_several_times_is_several_sites(models):
    assert names(find_sites(models.Shared(), X)) == ["relu", "relu_2", "relu_3"]


def test_one_object_at_two_places_is_two_sites_and_stays_one_object():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(6, 6), relu, nn.Linear(6, 6), relu)
    assert names(find_sites(model, X)) == ["1", "3"]
    assert model[1] is model[3] is relu


def test_a_site_in_a_shared_container_is_one_site_with_several_calls(models):
    sites = find_sites(models.Twice(models.Shared()), X)
    assert [(site.name, site.calls) for site in sites] == [
        ("block.relu", 2),
        ("block.relu_2", 2),
        ("block.relu_3", 2),
    ]


def test_functional_names_avoid_what_the_container_has():
    class Clash(nn.Module):
        relu_2 = 1

        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()

        @property
        def gelu(self):
            raise AssertionError("properties are not run")

        def forward(self, x):
            return F.gelu(self.relu(F.relu(x)))

    assert names(find_sites(Clash(), X)) == ["relu_3", "relu", "gelu_2"]


def test_calls_inside_an_activation_are_its_own_business(models):
    class Custom(nn.Module):
        def forward(self, x):
            return F.relu(x) * 2

    model = nn.Sequential(nn.Linear(6, 6), Custom())
    assert names(find_sites(model, X)) == ["1.relu"]
    assert names(find_sites(model, X, kinds=(*ACTIVATIONS, Custom))) == ["1"]


def test_function_in_an_attribute_is_named_after_it(models):
    sites = find_sites(models.Stored(), X)
    assert [(site.name, site.kind) for site in sites] == [("act", nn.GELU)]


def test_layer_outputs_on_request(models):
    sites = find_sites(models.Twice(models.Shared()), X, kinds=(nn.Linear,))
    assert [(site.name, site.calls, type(site.activation)) for site in sites] == [
        ("block.linear", 4, nn.Identity)
    ]


def test_bounded_activations_only_on_request():
    model = nn.Sequential(nn.Linear(6, 6), nn.Sigmoid())
    assert names(find_sites(model, X)) == []
    assert names(find_sites(model, X, kinds=(nn.Sigmoid,))) == ["1"]


def test_example_as_tuple_and_mapping(models):
    model = models.Optional()
    assert (
        names(find_sites(model, (X, X)))
        == names(find_sites(model, {"x": X, "times": 2}))
        == ["relu"]
    )


def test_says_what_it_cannot_see():
    class Formula(nn.Module):
        def forward(self, x):
            return 0.5 * x * (1 + torch.tanh(x))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(6, 6)
            self.formula = Formula()
            self.idle = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
            self.unused = nn.Linear(6, 6)
            self.script = torch.jit.trace(nn.Linear(6, 6), X)

        def forward(self, x):
            return self.script(self.formula(self.gru(x)[0]))

    assert find_sites(Model(), X).unseen == [
        "script (TopLevelTracedModule) is a script module, which cannot be looked into",
        "idle (Sequential) never ran in the example",
        "gru (GRU) has its tanh and sigmoid built in; pass its class in kinds to have its output",
        "formula (Formula) may be an activation; if so, pass kinds=(Formula,)",
    ]


def test_table(models):
    sites = find_sites(nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.GRU(6, 6)), X)
    assert str(sites).splitlines() == [
        "site  kind  shape   calls",
        "1     ReLU  (3, 6)  1",
        "not seen: 2 (GRU) has its tanh and sigmoid built in; pass its class in kinds to have its output",
    ]


def test_meta_device():
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
    assert names(find_sites(model, X.to("meta"))) == ["1"]


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda m: torch.compile(m, backend="eager"), "the model is compiled"),
        (lambda m: nn.Sequential(torch.compile(m, backend="eager")), "0 is compiled"),
        (lambda m: (m.compile(backend="eager"), m)[1], "the model is compiled"),
        (lambda m: torch.jit.trace(m, X), "script module"),
        (
            lambda m: nn.Sequential(m, nn.LazyLinear(2)),
            "1 .LazyLinear. has parameters without a shape",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_refuses_models_it_cannot_work_on(wrap, message):
    with pytest.raises(SurgeryError, match=message):
        find_sites(wrap(nn.Sequential(nn.Linear(6, 6), nn.ReLU())), X)


def test_wrong_arguments_give_the_models_own_error(models, snapshot):
    model = models.Shared()
    before = snapshot(model)
    with pytest.raises(TypeError, match="positional argument"):
        find_sites(model, ())
    before.assert_same()
