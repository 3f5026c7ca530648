"""What `faults.py` compares: clipact, and what one writes without a tool. Each function binds a model and returns a run."""

import copy
import statistics
import time

import numpy as np
import torch
from torch import nn

from clipact import faults

RATE = 1e-5


def weights(model):
    """The weights in clipact's sense: all parameters but biases, in order."""
    return [p for name, p in model.named_parameters() if not name.endswith("bias")]


def draw(sizes, trial):
    """One word and bit, uniform over the words of all tensors together: tensor, flat index, bit."""
    generator = np.random.default_rng(trial)
    ends = np.cumsum(sizes)
    word = int(generator.integers(ends[-1]))
    place = int(np.searchsorted(ends, word, side="right"))
    return place, word - int(ends[place] - sizes[place]), int(generator.integers(32))


def mask_of(bit):
    """An int32 with this bit set."""
    return int(np.uint32(1 << bit).view(np.int32))


def share_changed(output, golden):
    """The silent data corruption of a trial: the share of samples with another top-1 class."""
    return (output.argmax(1) != golden).double().mean().item()


# One trial of weight faults at a bit error rate: a function of the trial number that gives processor seconds.


def timed(call):
    """Processor seconds of a call."""

    def run(trial):
        start = time.process_time()
        call(trial)
        return time.process_time() - start

    return run


def rate_inject(model, images):
    def trial(number):
        with faults.inject(model, faults.BitFlip(rate=RATE), faults.Weights(), trial=number):
            model(images)

    return timed(trial)


def rate_campaign(model, images):
    """Mean from the start of the first trial's inference to that of the last golden run, in a campaign of 40."""
    trials = 40

    def seconds(number):
        starts = []

        def evaluate(net):
            starts.append(time.process_time())
            net(images)
            return 0.0

        faults.Campaign(
            model,
            evaluate,
            fault=faults.BitFlip(rate=RATE),
            target=faults.Weights(),
            trials=trials,
            seed=number,
        ).run(progress=False)
        return (starts[-1] - starts[-1 - trials]) / trials

    return seconds


def rate_copy(model, images):
    """A copy of the model, a binomial number of addresses for each tensor, exclusive or on an integer view."""

    def trial(number):
        generator = np.random.default_rng(number)
        faulty = copy.deepcopy(model)
        for weight in weights(faulty):
            bits = 32 * weight.numel()
            address = generator.integers(bits, size=generator.binomial(bits, RATE))
            words = weight.detach().view(-1).view(torch.int32)
            for word, bit in zip((address // 32).tolist(), (address % 32).tolist(), strict=True):
                words[word] ^= mask_of(bit)
        faulty(images)

    return timed(trial)


def rate_mask(model, images):
    """A random number for each bit of each tensor."""
    ones = torch.tensor([mask_of(bit) for bit in range(32)], dtype=torch.int32)

    def trial(number):
        generator = torch.Generator().manual_seed(number)
        faulty = copy.deepcopy(model)
        for weight in weights(faulty):
            hit = torch.rand(weight.numel(), 32, generator=generator) < RATE
            mask = (hit * ones).sum(1, dtype=torch.int32)
            words = weight.detach().view(-1).view(torch.int32)
            words ^= mask
        faulty(images)

    return timed(trial)


# Single-bit faults: a function of a number of trials that gives the mean share of samples whose class changed.


def clipact(target, *, per_sample=False, replay=True):
    """A campaign as a user writes it, the golden run and every check included."""

    def bind(model, images):
        evaluation = faults.Classification([(images, model(images).argmax(1))])

        def run(trials):
            campaign = faults.Campaign(
                model,
                evaluation,
                fault=faults.BitFlip(count=1),
                target=target,
                trials=trials,
                per_sample=per_sample,
            )
            result = campaign.run(progress=False, replay=replay)
            return float(result.values("sdc", faults.BitFlip(count=1)).mean())

        return run

    return bind


def weight_copy(model, images):
    """A copy of the model for each fault, as PyTorchFI makes, with nothing else around it."""
    sizes = [w.numel() for w in weights(model)]

    def run(trials):
        golden = model(images).argmax(1)
        found = []
        for trial in range(trials):
            place, index, bit = draw(sizes, trial)
            faulty = copy.deepcopy(model)
            weights(faulty)[place].detach().view(-1).view(torch.int32)[index] ^= mask_of(bit)
            found.append(share_changed(faulty(images), golden))
        return statistics.mean(found)

    return run


def weight_in_place(model, images):
    """Flip the bit in place, infer, flip it back: no full inference a fault can cost less."""
    words = [w.detach().view(-1).view(torch.int32) for w in weights(model)]
    sizes = [w.numel() for w in words]

    def run(trials):
        golden = model(images).argmax(1)
        found = []
        for trial in range(trials):
            place, index, bit = draw(sizes, trial)
            words[place][index] ^= mask_of(bit)
            found.append(share_changed(model(images), golden))
            words[place][index] ^= mask_of(bit)
        return statistics.mean(found)

    return run


def convolutions(model, images):
    """The convolutions, and the number of values each gives for one sample."""
    layers, sizes, hooks = [], [], []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            layers.append(module)
            hooks.append(
                module.register_forward_hook(lambda _, __, out: sizes.append(out[0].numel()))
            )
    model(images[:2])
    for hook in hooks:
        hook.remove()
    return layers, sizes


def activation_hook(model, images):
    """A hook that flips the bit in one sample, and one inference of all samples for each fault."""
    layers, sizes = convolutions(model, images)

    def run(trials):
        golden = model(images).argmax(1)
        found = []
        for trial in range(trials):
            place, index, bit = draw(sizes, trial)
            sample = trial % len(images)

            def flip(_, __, output, sample=sample, index=index, bit=bit):
                output[sample].view(-1).view(torch.int32)[index] ^= mask_of(bit)

            hook = layers[place].register_forward_hook(flip)
            found.append(float(model(images)[sample].argmax() != golden[sample]))
            hook.remove()
        return statistics.mean(found)

    return run
