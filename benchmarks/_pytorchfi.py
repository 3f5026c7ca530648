"""PyTorchFI 0.6.0 by its `declare_weight_fi` and `declare_neuron_fi`, for `faults.py`.

Its own error models set a random value, or flip a bit of an 8-bit integer; bits of floats are flipped by a function of the
user, which both methods take. Its random location is uniform over layers and knows tensors of two to four dimensions only, so
locations are drawn here, uniform over words. Every fault, or batch of faults, copies the whole model. A model
with neuron faults runs once: the second forward raises an IndexError, hence one declaration for each forward. One declaration may
hold a fault for each sample of the batch, in any layers.
"""

import statistics
from collections import defaultdict

import numpy as np
import torch
from _injectors import RATE, convolutions, draw, mask_of, share_changed, timed, weights
from pytorchfi import core
from torch import nn

NOWHERE = (None, None, None)
KINDS = [nn.Conv2d, nn.BatchNorm2d, nn.Linear]


def injector(model, images, kinds):
    return core.fault_injection(
        model, len(images), list(images.shape[1:]), layer_types=kinds, use_cuda=False
    )


def locations(shapes, places, indices):
    """As keyword arguments: the layer of each fault, and its index along up to four dimensions."""
    full = [
        (*map(int, np.unravel_index(index, shapes[place])), *NOWHERE)[:4]
        for place, index in zip(places, indices, strict=True)
    ]
    k, dim1, dim2, dim3 = (list(column) for column in zip(*full, strict=True))
    return {"layer_num": list(places), "k": k, "dim1": dim1, "dim2": dim2, "dim3": dim3}


def flipping(bits):
    """The user's function: flips the next of these bits in the word at an index."""
    rest = iter(bits)

    def flip(weight, index):
        word = weight[index].reshape(1).view(torch.int32) ^ mask_of(next(rest))
        return word.view(torch.float32).reshape(weight[index].shape)

    return flip


def rate(model, images):
    tool = injector(model, images, KINDS)
    shapes = [tuple(w.shape) for w in weights(model)]

    def trial(number):
        generator = np.random.default_rng(number)
        places, indices, bits = [], [], []
        for place, weight in enumerate(weights(model)):
            total = 32 * weight.numel()
            address = generator.integers(total, size=generator.binomial(total, RATE))
            places += [place] * len(address)
            indices += (address // 32).tolist()
            bits += (address % 32).tolist()
        where = locations(shapes, places, indices)
        tool.declare_weight_fi(function=flipping(bits), **where)(images)

    return timed(trial)


def weight(model, images):
    tool = injector(model, images, KINDS)
    shapes = [tuple(w.shape) for w in weights(model)]
    sizes = [w.numel() for w in weights(model)]

    def run(trials):
        golden = model(images).argmax(1)
        found = []
        for trial in range(trials):
            place, index, bit = draw(sizes, trial)
            where = locations(shapes, [place], [index])
            faulty = tool.declare_weight_fi(function=flipping([bit]), **where)
            found.append(share_changed(faulty(images), golden))
        return statistics.mean(found)

    return run


def activation(model, images):
    tool = injector(model, images, [nn.Conv2d])
    layers, sizes = convolutions(model, images)
    shapes = [tuple(shape[1:]) for shape in tool.output_size]

    def run(trials):
        golden = model(images).argmax(1)
        found = []
        for first in range(0, trials, len(images)):
            drawn = [draw(sizes, first + sample) for sample in range(len(images))]
            faulty = tool.declare_neuron_fi(
                function=hook_for(drawn, len(layers)), **neurons(shapes, drawn)
            )
            found.append(share_changed(faulty(images), golden))
        return statistics.mean(found)

    return run


def neurons(shapes, drawn):
    """The faults as keyword arguments, sample by sample."""
    where = [np.unravel_index(index, shapes[place]) for place, index, _ in drawn]
    dim1, dim2, dim3 = ([int(value) for value in column] for column in zip(*where, strict=True))
    return {
        "batch": list(range(len(drawn))),
        "layer_num": [place for place, _, _ in drawn],
        "dim1": dim1,
        "dim2": dim2,
        "dim3": dim3,
    }


def hook_for(drawn, layers):
    """The user's hook, called for every layer in order: flips the bits of the faults in this one."""
    of_layer = defaultdict(list)
    for sample, (place, index, bit) in enumerate(drawn):
        of_layer[place].append((sample, index, mask_of(bit)))
    order = iter(range(layers))

    def flip(_, __, output):
        words = output.view(len(output), -1).view(torch.int32)
        for sample, index, mask in of_layer[next(order)]:
            words[sample, index] ^= mask

    return flip
