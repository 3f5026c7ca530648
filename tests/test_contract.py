"""The public contract, as a user types it."""

import pytest
import torch
import torchvision

import clipact as ca
from clipact import faults


@pytest.fixture
def model():
    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=10).eval()


@pytest.fixture
def images():
    return torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_replace(model, images):
    logits = model(images)
    sites = ca.find_sites(model, images[:2])
    assert len(sites) == 17
    assert [site.name for site in sites][:3] == ["relu", "layer1.0.relu", "layer1.0.relu_2"]
    receipt = ca.replace_activations(
        model,
        lambda site: ca.nn.SaturatedReLU(0.0),
        example=images[:2],
        where=ca.where.named("layer4*"),
    )
    assert [site.name for site, _ in receipt.changes] == [
        s.name for s in sites if s.name.startswith("layer4")
    ]
    assert list(ca.thresholds(model)) == [f"{site.name}.threshold" for site, _ in receipt.changes]
    assert not torch.equal(model(images), logits)
    receipt.restore()
    assert torch.equal(model(images), logits)


def test_calibrate_and_protect(model, images):
    batches = [images[:4], images[4:]]
    profile = ca.calibrate(model, batches)
    assert profile["layer1.0.relu"].maximum("neuron").shape == (64, 8, 8)
    logits = model(images)
    for method in (ca.methods.Ranger(), ca.methods.ClipToZero()):
        receipt = ca.protect(model, method, batches, progress=False)
        assert torch.equal(model(images), logits)
        receipt.restore()


def test_inject(model, images):
    logits = model(images)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with faults.inject(model, faults.BitFlip(rate=1e-5), faults.Weights(), seed=0) as record:
        assert not torch.equal(model(images), logits)
        assert len(record.to_pandas()) == len(record) > 2000
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_protected_model_meets_the_same_faults(model, images):
    labels = model(images).argmax(1)
    plans = {"plain": None, "protected": ca.methods.ClipToZero()}
    results, drawn = {}, {}
    for name, method in plans.items():
        if method:
            ca.protect(model, method, images, progress=False)
        with faults.inject(model, faults.BitFlip(rate=1e-6), faults.Weights(), seed=3) as record:
            drawn[name] = {(fault.tensor, fault.index, fault.bit) for fault in record}
        campaign = faults.Campaign(
            model,
            faults.Classification([(images, labels)]),
            fault=faults.BitFlip(rate=1e-6),
            target=faults.Weights(),
            trials=6,
        )
        results[name] = campaign.run(progress=False)
    assert drawn["plain"] == drawn["protected"]
    rows = results["plain"].to_pandas()
    assert {"trial", "fault", "accuracy", "sdc", "due", "seconds"} <= set(rows.columns)
    flips = [result.to_pandas()["flips"].tolist() for result in results.values()]
    assert flips[0] == flips[1]
    assert "protected" in str(faults.compare(results))
    assert ca.report.accuracy_vs_ber(results).axes


def test_the_words_of_faults():
    models = [
        faults.BitFlip(count=1),
        faults.StuckAt(1, rate=1e-6),
        faults.Burst(bits=4, rate=1e-6),
        faults.RandomValue(-1.0, 1.0, count=1),
    ]
    assert [str(each).split("(")[0] for each in models] == [
        "BitFlip",
        "StuckAt",
        "Burst",
        "RandomValue",
    ]
    where = ca.where.named("layer4*")
    targets = [
        faults.Weights(where=where),
        faults.Buffers(),
        faults.Thresholds(),
        faults.Activations(),
        faults.Inputs(),
        faults.Weights() | faults.Biases(),
    ]
    assert all(isinstance(target, faults.Target) for target in targets)
    formats = [faults.Native(), faults.FixedPoint(bits=32, fraction=16), faults.Int8()]
    assert all(isinstance(each, faults.Format) for each in formats)


def test_campaign(model, images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loader = [(images, model(images).argmax(1))]
    campaign = faults.Campaign(
        model,
        faults.Classification(loader),
        fault=faults.BitFlip(rate=1e-6),
        target=faults.Weights(),
        trials=4,
        seed=0,
    )
    result = campaign.run(store="run.sqlite", executor=None, progress=True, replay=True, verify=0.0)
    assert (tmp_path / "run.sqlite").is_file()
    columns = ["trial", "fault", "accuracy", "sdc", "due", "seconds"]
    assert list(result.to_pandas().columns)[:6] == columns
    assert "BitFlip(rate=1e-06)" in str(result.summary())
    assert ca.report.accuracy_vs_ber([result]).axes
    assert result.to_parquet("run.parquet").is_file()
    assert isinstance(faults.executors.processes(2), faults.executors.Executor)
    assert callable(faults.executors.ray)


def test_sample_size():
    assert faults.sample_size(10**9, margin=0.01, confidence=0.95) == 9604


def test_train_thresholds():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)
    ).eval()  # fmt: skip
    images = torch.randn(240, 6)
    labels = model(images).argmax(1)
    train, validate = [(images[:120], labels[:120])], [(images[120:], labels[120:])]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for method in (ca.methods.FTClipAct(), ca.methods.FitAct(), ca.methods.ProAct()):
        receipt = ca.protect(model, method, train, validate, progress=False)
        assert len(receipt.history) > 0
        names = list(ca.thresholds(model))
        if not isinstance(method, ca.methods.FTClipAct):
            assert ca.thresholds(model)[names[-1]].shape == (16,)
        receipt.restore()
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    receipt = ca.protect(model, ca.methods.Ranger(), train, progress=False)
    stages = [stage.names for stage in ca.training.progressive(ca.thresholds(model))]
    assert stages == [["3.threshold"], ["1.threshold"]]


def test_sparsity():
    torch.manual_seed(0)
    point = ca.sparsity.edge_of_chaos(ca.nn.CReLU, sparsity=0.85, slope=0.75, q_star=1.0)
    assert {"tau", "m", "sigma_w", "sigma_b", "slope", "curvature", "delta"} <= set(dir(point))
    layers = [
        layer
        for _ in range(6)
        for layer in (torch.nn.Linear(200, 200), ca.nn.CReLU(point.tau, point.m))
    ]
    net, x = torch.nn.Sequential(*layers, torch.nn.Linear(200, 10)), torch.randn(64, 200)
    ca.sparsity.init_(net, point, example=x)
    with ca.sparsity.SparsityMeter(net) as meter:
        net(x)
    assert abs(meter.table().sparsity - 0.85) < 0.02
    dense = net(x)
    ca.sparsity.zero_skip_(net, example=x)
    assert torch.allclose(net(x), dense, atol=1e-4)


def test_spiking():
    torch.manual_seed(0)
    model, x = torchvision.models.resnet18(num_classes=10), torch.randn(4, 3, 32, 32)
    y = torch.randint(10, (4,))
    snn = ca.spiking.to_spiking_(model, example=x)
    criterion = torch.nn.CrossEntropyLoss()
    loss = criterion(snn(x), y) + ca.spiking.HoyerRegularizer(snn, 1e-1)()
    loss.backward()
    assert snn.conv1.weight.grad is not None
    with ca.spiking.SpikeMeter(snn) as meter:
        snn(x)
    assert len(meter.table()) == 17
    assert 0 < meter.table().rate < 1
    report = ca.spiking.energy_report(snn, x)
    assert report.layers[0].macs > 0 == report.layers[0].acs
    assert any(layer.acs > 0 == layer.macs for layer in report.layers)
