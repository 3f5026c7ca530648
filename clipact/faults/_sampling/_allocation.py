"""How many trials each stratum has."""

from enum import Enum

import numpy as np

from clipact.faults._results._kept import Integers, Numbers

_DEFENCE = 0.1
_HALVINGS = 200


class Allocation(Enum):
    r"""How the trials are shared among the strata.

    ``PROPORTIONAL`` goes by size, :math:`n_h \propto N_h`, and is never worse than uniform sampling but for rounding.
    ``NEYMAN`` first runs a pilot, proportional too, and gives the rest by size times deviation,
    :math:`n_h \propto N_h s_h` (Neyman, "On the two different aspects of the representative method", 1934), which needs the
    fewest trials if the deviations are right. The pilot's are smoothed, since a stratum in which three trials found nothing is
    not one without failures: each counts one more trial or two like those of its family, and each family such as those of all
    strata. A tenth of the rest goes by size alone, so that no stratum that the pilot misjudged can spoil the estimate.
    """

    PROPORTIONAL = "proportional"
    NEYMAN = "Neyman"


def apportion(total: int, weights: Numbers, least: Integers, most: Integers) -> Integers:
    """Whole numbers in proportion to weights, within limits, by largest remainders.

    Args:
        total: Their sum; less if ``most`` does not allow it.
        weights: At least 0, with a positive sum.
        least: Lower limits; 0 if the total does not allow them.
        most: Upper limits, not below the lower ones.
    """
    if total >= int(most.sum()):
        return most.copy()
    if total < int(least.sum()):
        least = np.zeros_like(least)
    low, high = 0.0, 2.0 * max(total, 1) / float(weights[weights > 0.0].min())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if float(np.clip(middle * weights, least, most).sum()) < total:
            low = middle
        else:
            high = middle
    ideal = np.clip(high * weights, least, most)
    numbers = np.floor(ideal).astype(np.int64)
    missing = total - int(numbers.sum())
    remainders = np.where(numbers < most, ideal - numbers, -1.0)
    numbers[np.argsort(-remainders, kind="stable")[: max(missing, 0)]] += 1
    return numbers


def neyman_weights(sizes: Numbers, deviations: Numbers) -> Numbers:
    """Weights by size times deviation, a tenth of them by size alone; they come to 1.

    Args:
        sizes: Of the strata; they come to 1.
        deviations: Of the metric within each stratum.
    """
    products = sizes * deviations
    if not products.sum() > 0.0:
        return sizes
    return (1.0 - _DEFENCE) * products / products.sum() + _DEFENCE * sizes
