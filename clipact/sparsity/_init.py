"""Initialise a network at the edge of chaos."""

import warnings
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import nn

from clipact.errors import StabilityWarning
from clipact.sparsity._init_plan import Planned, kind_of, make_plan
from clipact.sparsity._init_work import Work
from clipact.sparsity._initialisation import Initialisation
from clipact.sparsity._network import Network, read_network
from clipact.sparsity._point import EdgeOfChaos
from clipact.sparsity._weights import Gaussian, WeightDistribution
from clipact.surgery import Example, run_once

__all__ = ["init_"]

_FAR = 2.0  # times q*, above or below
_STREAM = 0x5EED_0F_ED6E


def init_(
    net: nn.Module,
    point: EdgeOfChaos,
    *,
    example: Example,
    weights: WeightDistribution | None = None,
    exact: bool = True,
    seed: int | torch.Generator = 0,
) -> Initialisation:
    r"""Draw the weights and biases of a network anew, at the edge of chaos, in place.

    A layer that reads what an activation gave gets weights of variance :math:`\sigma_w^2/\text{fan-in}`. Any other, the
    first layer above all, but also one behind an average pooling, gets the variance
    :math:`(q^* - \sigma_b^2)/(\text{fan-in} \cdot \text{mean square of its input})`, measured on the example with the
    layers before it already set: so that :math:`q = q^*` from the first activation on. Biases have variance
    :math:`\sigma_b^2`. The last layer is treated like the others: outputs start with variance near :math:`q^*`.

    In layers of finite width the variance strays, and in a deep network that adds up. With ``exact``, weights and biases
    of each layer that an activation reads are then multiplied by one factor near 1, so that its output has mean square
    :math:`q^*` on the example. Inputs that were not in the example follow closely.

    The theory covers plain networks of :class:`torch.nn.Linear` and convolutions with one kind of activation. Where
    signals are added or multiplied (residual streams, attention), where weights are shared or parametrised, it does not,
    and such a network is refused by name. Layers that normalise set the variance by themselves: with them, a warning.

    Args:
        net: Its activations must have the point's ``tau`` and ``m``: build them with ``point.activation()``.
        point: From :func:`edge_of_chaos` or :func:`edge_of_chaos_of`.
        example: A typical batch, as for :func:`clipact.find_sites`; of inputs scaled like those of the training. Its mean
            square over the batch counts, so that inputs should not differ much in their own.
        weights: :class:`Gaussian` (the default), :class:`Orthogonal` or :class:`DeltaOrthogonal`.
        exact: Correct for finite width; without it, weights are drawn as the paper draws them, and left so.
        seed: A seed, or a generator to draw from. Weights are drawn in float32 on the generator's device, so that the same
            seed gives the same network everywhere.

    Returns:
        What was set, layer by layer; print it.

    Raises:
        SparsityError: The network is refused, or the example is all zeros or not finite; nothing was changed.
        SurgeryError: As :func:`clipact.find_sites`.

    Warns:
        StabilityWarning: The network normalises, or the variance before an activation was far from ``q_star``.

    Note:
        The paper has no correction for finite width.

    References:
        Price, Daultry Ball, Lam, Jones, Tanner, *Deep Neural Network Initialization with Sparsity Inducing Activations*,
        ICLR 2024, arXiv 2402.16184.

    Examples:
        >>> import clipact as ca
        >>> point = ca.sparsity.edge_of_chaos(ca.nn.CReLU, 0.85)
        >>> net = nn.Sequential(nn.Linear(64, 256), point.activation(), nn.Linear(256, 256), point.activation())
        >>> print(init_(net, point, example=torch.ones(8, 64) / 2))
        layer    kind  fan-in  sigma_w  sigma_b     scale  input's mean square  factor
        ------------------------------------------------------------------------------
        0      Linear      64   1.2924   0.7632  measured                 0.25  ...
        2      Linear     256   2.6753   0.7632     point              0.0...  ...
    """
    kind = kind_of(point)
    network = read_network(net, example, kinds=() if kind is None else (kind,))
    plan = make_plan(network, point)
    generator = seed if isinstance(seed, torch.Generator) else _generator(seed)
    work = Work(point, weights or Gaussian(), generator, exact=exact)
    with _as_before_on_error(plan), ExitStack() as hooks:
        for planned in plan:
            set_ = partial(work.set, planned)
            before = planned.module.register_forward_pre_hook(set_, with_kwargs=True)
            after = planned.module.register_forward_hook(partial(work.correct, planned))
            hooks.callback(before.remove)
            hooks.callback(after.remove)
        run_once(net, example)
    _warn(network, work)
    return Initialisation(tuple(work.done.values()), point, exact=exact)


def _generator(seed: int) -> torch.Generator:
    """Not the stream of ``torch.manual_seed(seed)``, from which the example may be drawn: it would equal the weights."""
    return torch.Generator().manual_seed(_STREAM + seed)


@contextmanager
def _as_before_on_error(plan: list[Planned]) -> Generator[None]:
    kept = [
        (parameter, parameter.detach().clone())
        for planned in plan
        for parameter in planned.module.parameters(recurse=False)
    ]
    try:
        yield
    except BaseException:
        with torch.no_grad():
            for parameter, values in kept:
                parameter.copy_(values)
        raise


def _warn(network: Network, work: Work) -> None:
    if network.norms:
        first, more = network.norms[0], len(network.norms) - 1
        warnings.warn(
            f"{first.name!r} ({first.kind.__name__}){f' and {more} more layers' if more else ''} normalise the signal, so that the "
            "edge of chaos does not apply: the weights are set, but it is the normalisation that decides variance and sparsity",
            StabilityWarning,
            stacklevel=3,
        )
        return
    q = work.point.q_star
    for name, found in work.variances.items():
        if not q / _FAR <= found <= q * _FAR:
            warnings.warn(
                f"behind {name!r} the variance {'was' if work.exact else 'is'} {found:.3g} instead of {q:.3g}: something between the "
                "layers changes it, or they are too narrow for the theory; look at check_(net, example)",
                StabilityWarning,
                stacklevel=3,
            )
            return
