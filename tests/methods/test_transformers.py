"""Which layers of transformers are protected: all outputs of layers, and what a fused attention lets out."""

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

import clipact as ca
from clipact import faults

transformers = pytest.importorskip("transformers")

# a fused attention rounds otherwise than the plain one that calibration sees, so the largest value may be exceeded
METHODS = [
    ca.methods.Ranger(margin=1.001),
    ca.methods.ClipToZero(margin=1.001),
    ca.methods.ClipToMean(margin=1.001),
]


def vision():
    torch.manual_seed(0)
    model = VisionTransformer(
        image_size=16,
        patch_size=4,
        num_layers=2,
        num_heads=2,
        hidden_dim=32,
        mlp_dim=64,
        num_classes=5,
    )
    nn.init.normal_(model.heads.head.weight)  # torchvision leaves it at 0
    return model.eval()


def hugging_face(attention):
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=16, patch_size=4,
        num_labels=5, attn_implementation=attention,
    )  # fmt: skip
    return transformers.ViTForImageClassification(config).eval()


def bert():
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        num_labels=3,
    )
    return transformers.BertForSequenceClassification(config).eval()


def layers(model):
    """Names of all layers that own a weight."""
    kinds = (nn.Linear, nn.Conv2d, nn.LayerNorm, nn.Embedding)
    return {name for name, module in model.named_modules() if isinstance(module, kinds)}


IMAGES = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(1))
TOKENS = torch.randint(0, 50, (8, 6), generator=torch.Generator().manual_seed(1))
MODELS = {
    "torchvision": (vision, IMAGES),
    "sdpa": (lambda: hugging_face("sdpa"), {"pixel_values": IMAGES}),
    "eager": (lambda: hugging_face("eager"), {"pixel_values": IMAGES}),
    "bert": (bert, {"input_ids": TOKENS}),
}


def output(model, batch):
    with torch.no_grad():
        return model(batch) if isinstance(batch, torch.Tensor) else model(**batch).logits


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_with_a_weight_is_a_site(name):
    make, batch = MODELS[name]
    model = make()
    sites = {site.name for site in ca.find_sites(model, batch, kinds=ca.LAYERS)}
    missing = layers(model) - sites
    # the output of a fused attention is that of its out_proj; its in_proj is no module
    attention = {
        name for name, module in model.named_modules() if isinstance(module, nn.MultiheadAttention)
    }
    assert missing == {f"{name}.out_proj" for name in attention}
    assert attention <= sites


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
@pytest.mark.parametrize("name", MODELS)
def test_on_the_calibration_data_nothing_changes_and_restore_undoes(name, method):
    make, batch = MODELS[name]
    model = make()
    before, keys = output(model, batch), list(model.state_dict())
    receipt = ca.protect(model, method, batch, kinds=ca.LAYERS, progress=False)
    torch.testing.assert_close(output(model, batch), before, rtol=1e-5, atol=1e-6)
    receipt.restore()
    assert list(model.state_dict()) == keys


@pytest.mark.parametrize("name", ["torchvision", "sdpa"])
def test_a_fault_inside_attention_is_caught_where_it_leaves(name):
    make, batch = MODELS[name]
    model = make()
    healthy = output(model, batch)
    ca.protect(model, ca.methods.ClipToMean(), batch, kinds=ca.LAYERS, progress=False)
    value = next(
        parameter
        for key, parameter in model.named_parameters()
        if key.endswith(("in_proj_weight", "v_proj.weight"))
    )
    with torch.no_grad():
        value[-1, 0] = 1e9
    found = output(model, batch)
    assert found.isfinite().all()
    assert (found - healthy).abs().max() < 10 * healthy.abs().max()


def test_only_activations_leave_the_rest_of_a_transformer_open():
    spread = {}
    for kinds in (ca.ACTIVATIONS, ca.LAYERS):
        model = vision()
        healthy = output(model, IMAGES)
        ca.protect(model, ca.methods.ClipToZero(), IMAGES, kinds=kinds, progress=False)
        found = []
        for trial in range(10):
            with faults.inject(
                model,
                faults.BitFlip(rate=1e-4),
                faults.Weights(),
                trial=trial,
                format=faults.FixedPoint(32, 16),
            ):
                found.append((output(model, IMAGES) - healthy).abs().mean().item())
        spread[kinds] = sum(found) / len(found)
    assert spread[ca.LAYERS] < 0.1 * spread[ca.ACTIVATIONS]


@pytest.mark.parametrize("name", ["torchvision", "sdpa"])
def test_methods_that_search_take_transformers(name):
    make, batch = MODELS[name]
    model = make()
    train = IMAGES[1:] if isinstance(batch, torch.Tensor) else {"pixel_values": IMAGES[1:]}
    labels = output(model, batch).argmax(1)
    held_out = [(batch, labels) if isinstance(batch, torch.Tensor) else {**batch, "labels": labels}]
    method = ca.methods.FaultTuned(budget=0.2, rates=(3e-5,), trials=3)
    receipt = ca.protect(model, method, train, held_out, kinds=ca.LAYERS, progress=False)
    accepted = [row["under_faults"] for row in receipt.history if row["accepted"]]
    assert accepted == sorted(set(accepted))
    assert (output(model, batch).argmax(1) == labels).float().mean() >= 0.8
