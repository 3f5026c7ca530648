"""Train the thresholds of a network with FitAct and ProAct, and see what that buys under bit flips (Q15.16).

    accuracy at bit error rate   1e-5     1e-4    minus "maximum, layer", paired 95 % interval   thresholds
    as trained                  49.9 %   10.0 %
    maximum, layer              98.3 %   82.0 %                                                           4
    maximum, neuron             98.1 %   87.6 %   +5.7 points [+4.5, +7.0] at 1e-4                     2624
    FitAct                      98.1 %   87.7 %   +5.7 points [+4.5, +7.1]                             2624
    ProAct                      98.3 %   85.5 %   +3.6 points [+2.7, +4.5]                               67
    ProAct, relative slope      98.2 %   85.4 %   +3.5 points [+2.7, +4.4]                               67

100 trials; 397 held-out scikit-learn digits; one network; every method with the output guard. Here finer thresholds
help, training them hardly more than that, and ProAct has most of it with few. 27 s of one CPU core, torch 2.14.1.
"""

import time

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

import clipact as ca
from clipact import faults

torch.manual_seed(0)
torch.set_num_threads(1)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1
labels = torch.tensor(digits.target)
train, held_out, test = torch.randperm(len(images)).split([1000, 400, 397])


def batches(part, size):
    return [(images[batch], labels[batch]) for batch in part.split(size)]


# A model you trained; here a small training run stands in for it.
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
    nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
)  # fmt: skip
optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=12 * 16)
for _ in range(12):
    for batch in train[torch.randperm(1000)].split(64):
        loss = F.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
model.eval()

campaign = faults.Campaign(
    model,
    faults.Classification(batches(test, 397)),
    fault=[faults.BitFlip(rate=rate) for rate in (1e-5, 1e-4)],
    target=faults.Weights() | faults.Biases(),
    trials=100,
    format=faults.FixedPoint(bits=32, fraction=16),
)
results = {"as trained": campaign.run(progress=False)}

# Thresholds are trained on the training data and accepted by what they do on data that is in neither of the other parts.
untrained = {
    "maximum, layer": ca.methods.ClipToZero(output_guard=True),
    "maximum, neuron": ca.methods.ClipToZero("neuron", output_guard=True),
}
trained = {
    "FitAct": ca.methods.FitAct(
        descent=ca.training.Descent(rate=1e-3, epochs=20, decoupled=False), output_guard=True
    ),
    "ProAct": ca.methods.ProAct(tolerance=0.01, output_guard=True),
    "ProAct, relative": ca.methods.ProAct(
        tolerance=0.01, slope=ca.methods.RelativeSlope(), output_guard=True
    ),
}
protected = {}
for name, method in {**untrained, **trained}.items():
    began = time.monotonic()
    receipts = [ca.protect(model, method, batches(train, 50), batches(held_out, 400))]
    seconds = time.monotonic() - began
    if name in trained:  # smooth while it was trained, hard when it is deployed
        print(f"\n{name}\n{receipts[0].history}")
        receipts.append(ca.harden_(model))
    count = sum(module.threshold.numel() for _, module in receipts[-1].changes[:4])
    print(f"\n{name}: {count} thresholds in {seconds:.1f} s")
    protected[name] = campaign.run(progress=False)  # the same faults again
    for receipt in reversed(receipts):
        receipt.restore()
print(faults.compare(results | protected))
print(faults.compare(protected))
