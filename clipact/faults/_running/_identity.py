"""What a campaign measures, so that a store knows it again."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from clipact.faults._results._summary import Estimator
from clipact.faults._running._session import Session
from clipact.faults._running._spec import Spec
from clipact.faults._store import Identity


def identity(model: nn.Module, session: Session, spec: Spec) -> Identity:
    """What this campaign measures."""
    golden, surface = session.golden, session.surface
    dtypes = {str(p.dtype).removeprefix("torch.") for p in model.parameters()}
    lifetime = spec.lifetime.value + (", one sample a trial" if spec.per_sample else "")
    return Identity(
        weights=model_digest(model),
        data=golden.data,
        faults=spec.faults,
        target=str(spec.target),
        format=spec.format,
        seed=spec.seed,
        trials=spec.trials,
        population=surface.bits,
        golden=golden.metrics,
        dtype=", ".join(sorted(dtypes)),
        lifetime=lifetime,
        sampling=str(spec.sampling),
        tensors=tuple(space.name for space in surface.spaces),
        estimators=tuple(_estimators(session)),
    )


def _estimators(session: Session) -> Iterator[Estimator]:
    """What weighs the trials, without the number of trials, which may grow."""
    for sampler in session.samplers:
        if sampler.estimator is not None:
            yield sampler.estimator.of_campaign(0)


def model_digest(model: nn.Module) -> str:
    """SHA-256 of every parameter and buffer by name, type, shape and bits, and of what else its ``state_dict`` holds."""
    digest = hashlib.sha256()
    state: Mapping[str, Any] = model.state_dict(keep_vars=True)
    held = {name for name, value in state.items() if isinstance(value, Tensor)}
    left_out = [(name, b) for name, b in model.named_buffers() if name not in held]
    for name, value in (*state.items(), *left_out):
        for part in _parts(value):
            digest.update(f"{name}:".encode())
            digest.update(part)
    return digest.hexdigest()


def _parts(given: Any) -> Iterator[bytes]:
    """A value's bits; of what has none, its text."""
    value: Any = given
    if isinstance(value, tuple | list):
        for part in value:
            yield from _parts(part)
    elif not isinstance(value, Tensor):
        yield repr(value).encode()
    elif hasattr(value, "__tensor_flatten__"):
        names, context = value.__tensor_flatten__()  # pyright: ignore[reportAttributeAccessIssue] - looked for above
        yield repr(context).encode()
        for name in names:
            yield from _parts(getattr(value, name))
    else:
        yield from _tensor(value.detach())


def _tensor(tensor: Tensor) -> Iterator[bytes]:
    yield f"{tensor.dtype} {tuple(tensor.shape)}".encode()
    if tensor.is_quantized:
        yield f"{tensor.qscheme()}".encode()
        scales = (
            [tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()]
            if tensor.qscheme()
            in {torch.per_channel_affine, torch.per_channel_affine_float_qparams}
            else [torch.tensor([tensor.q_scale(), tensor.q_zero_point()], dtype=torch.float64)]
        )
        for scale in scales:
            yield from _tensor(scale)
        tensor = tensor.int_repr()
    if tensor.device.type == "meta":
        return
    dense = tensor if tensor.layout is torch.strided else tensor.to_dense()
    plain = dense.cpu().resolve_conj().resolve_neg().contiguous().view(-1)
    yield plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b""
