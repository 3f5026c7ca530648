"""Torch's fused transformer layers, and models in the style of Hugging Face."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from clipact.nn import RangeRestricted, SaturatedReLU
from clipact.surgery import find_sites, guard_output, replace_activations

INF = float("inf")
X = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))


def unlimited(site):
    return RangeRestricted(site.activation, -INF, INF)


@pytest.mark.parametrize("activation", ["relu", "gelu", F.gelu, nn.ReLU(), nn.GELU()])
def test_fast_path_of_an_encoder_layer_does_not_bypass_the_new_activation(activation, snapshot):
    model = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation=activation).eval()
    before = snapshot(model)
    with torch.inference_mode():
        golden = model(X)
        (site,) = find_sites(model, X)
        assert site.name == "activation"
        with replace_activations(model, unlimited, example=X):
            torch.testing.assert_close(model(X), golden)
        with replace_activations(model, lambda _: nn.Threshold(INF, 0.0), example=X):
            assert not torch.allclose(model(X), golden)
        before.assert_same()
        assert torch.equal(model(X), golden)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_of_an_encoder_do_not_bypass_it_either(snapshot):
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    before = snapshot(model)
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    example = {"src": X, "src_key_padding_mask": padding}
    with torch.no_grad():
        golden = model(**example)
        with replace_activations(model, unlimited, example=example) as receipt:
            assert [site.name for site, _ in receipt.changes] == [
                "layers.0.activation",
                "layers.1.activation",
            ]
            torch.testing.assert_close(model(**example)[~padding], golden[~padding])
        with replace_activations(model, lambda _: SaturatedReLU(0.0), example=example):
            assert not torch.allclose(model(**example)[~padding], golden[~padding])
        before.assert_same()
        assert torch.equal(model(**example), golden)


def bert():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=30,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    return transformers.BertForSequenceClassification(config), {
        "input_ids": torch.arange(12).reshape(2, 6)
    }


def vit():
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=16,
        patch_size=8,
    )
    return transformers.ViTForImageClassification(config), {
        "pixel_values": torch.ones(2, 3, 16, 16)
    }


def gpt2():
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=30, n_embd=16, n_layer=2, n_head=2, n_positions=16)
    return transformers.GPT2LMHeadModel(config), {
        "input_ids": torch.arange(12).reshape(2, 6),
        "use_cache": False,
    }


@pytest.mark.parametrize("make", [bert, vit])
def test_hugging_face(make, snapshot):
    torch.manual_seed(0)
    model, example = make()
    model.eval()
    before = snapshot(model)
    with torch.no_grad():
        golden = model(**example).logits
        sites = find_sites(model, example)
        assert [site.kind for site in sites] == [nn.GELU, nn.GELU]
        with replace_activations(model, unlimited, example=example):
            assert torch.equal(model(**example).logits, golden)
        before.assert_same()


def test_hugging_face_activation_written_as_a_formula():
    torch.manual_seed(0)
    model, example = gpt2()
    model.eval()
    sites = find_sites(model, example)
    assert sites == []
    assert "h.0.mlp.act (NewGELUActivation) may be an activation" in str(sites)
    kinds = (type(model.transformer.h[0].mlp.act),)
    with torch.no_grad():
        golden = model(**example).logits
        with replace_activations(model, unlimited, example=example, kinds=kinds) as receipt:
            assert [site.name for site, _ in receipt.changes] == [
                "transformer.h.0.mlp.act",
                "transformer.h.1.mlp.act",
            ]
            assert torch.equal(model(**example).logits, golden)


def test_hugging_face_logits_are_guarded():
    model, example = bert()
    model.eval()
    golden = model(**example)
    receipt = guard_output(model, nn.Threshold(INF, 7.0))
    guarded = model(**example)
    assert type(guarded) is type(golden)
    assert torch.equal(guarded.logits, torch.full_like(golden.logits, 7.0))
    receipt.restore()
    assert torch.equal(model(**example).logits, golden.logits)
