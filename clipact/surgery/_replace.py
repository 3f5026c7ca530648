"""Replace activations, and hand back a receipt."""

from torch import nn

from clipact.errors import SelectionError
from clipact.surgery._find import Kinds, site_of
from clipact.surgery._guard import refuse_unfit
from clipact.surgery._kinds import ACTIVATIONS, as_kinds
from clipact.surgery._operation import Operation
from clipact.surgery._receipt import Receipt
from clipact.surgery._recipe import Recipe, new_modules, refuse_class
from clipact.surgery._recording import recording
from clipact.surgery._run import Example, run_once
from clipact.surgery._unseen import unseen
from clipact.where import Where, select

__all__ = ["replace_activations"]


def replace_activations(
    model: nn.Module,
    recipe: Recipe,
    *,
    example: Example,
    where: Where | None = None,
    kinds: Kinds = ACTIVATIONS,
) -> Receipt:
    """Put ``recipe(site)`` at every site, in place.

    A module that is called once is exchanged where it is registered. A container whose own forward calls a function,
    or one module several times, is rewritten: each of these calls gets a child of its own, named as the site. The rest
    of the model, classes, ``state_dict`` keys, hooks, devices, dtypes and modes stay. The example first runs through
    the rewritten model with the original activations, and the output must be the same bit for bit.

    A rewritten forward is fixed to what the example showed: arguments that were not tensors must keep their values
    (checked at every call), and plain attributes of the container are read at replacement, except ``training``.

    Args:
        model: Any module; replace before compiling it or wrapping it for distributed training.
        recipe: Makes the new module for a :class:`Site`. It is asked for all sites before anything is changed. Wrap
            ``site.activation`` to keep what is there (``nn.Identity()`` for a layer's output).
        example: As for :func:`find_sites`.
        where: Which sites; all by default.
        kinds: As for :func:`find_sites`.

    Returns:
        The receipt.

    Raises:
        SelectionError: No site matches.
        ThresholdError: A threshold does not broadcast to its site's shape.
        SurgeryError: A container cannot be rewritten, the recipe gives something unusable, or verification fails. In
            all cases, an exception of the model or the recipe included, the model is left as it was.

    Examples:
        >>> import torch
        >>> from clipact.nn import SaturatedReLU
        >>> model = nn.Sequential(nn.Linear(2, 4), nn.ReLU())
        >>> receipt = replace_activations(model, lambda site: SaturatedReLU(6.0), example=torch.randn(1, 2))
        >>> model[1]
        SaturatedReLU(threshold=6)
        >>> receipt.restore()
        >>> model[1]
        ReLU()
    """
    refuse_unfit(model)
    refuse_class(recipe)
    kinds = as_kinds(kinds)
    output = run_once(model, example)
    with recording(model, kinds) as recorder:
        run_once(model, example)
        hidden = unseen(model, recorder, kinds)
    sites = [site_of(call) for call in recorder.calls.values() if issubclass(call.kind, kinds)]
    if not sites:
        raise SelectionError(
            ". ".join(
                [
                    f"{type(model).__name__} has no site of these kinds; name others in kinds=",
                    *hidden,
                ]
            )
        )
    picked = select(where, sites, what=f"sites of {type(model).__name__}")
    chosen = new_modules(recipe, [(site, recorder.calls[site.name]) for site in picked])
    journal, placed = Operation(model, example, kinds, recorder, output).perform(chosen)
    return Receipt([(site, placed[site.name]) for site in picked], journal)
