"""Sample sizes and intervals."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipact.errors import FaultError
from clipact.faults._numbers._quantiles import beta_quantile, normal_quantile

_RESAMPLES = 4000
_CELLS = 4_000_000  # of the largest temporary array


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    estimate: float
    low: float
    high: float


def sample_size(
    population: int, *, margin: float = 0.01, confidence: float = 0.95, p: float = 0.5
) -> int:
    r"""How many single faults to inject so that a proportion is known to ± ``margin``.

    .. math:: n = \frac{N}{1 + e^2 \frac{N - 1}{t^2\, p (1 - p)}}

    rounded up, with :math:`N` possible faults, margin :math:`e` and :math:`t` the two-sided normal quantile.

    Note:
        The paper's tables round :math:`t` (2.576 at 99 %); here it is exact, which can change the last digit.

    Args:
        population: Number of faults there are, such as the bits of the target (:func:`population`).
        margin: Half width of the interval.
        confidence: Of the interval, between 0 and 1.
        p: The proportion to expect; 0.5 is the worst case.

    Returns:
        A number of faults, at most ``population``.

    Raises:
        FaultError: An argument is out of range.

    References:
        Leveugle, Calvez, Maistri, Vanhauwaert: "Statistical fault injection: Quantified error and confidence",
        DATE 2009, equation 4.

    Examples:
        >>> sample_size(10**9)
        9604
        >>> sample_size(1000)
        906
    """
    check_confidence(confidence)
    if population < 1:
        raise FaultError(f"population={population}: there must be at least one possible fault")
    for what, value in (("margin", margin), ("p", p)):
        if not 0.0 < value < 1.0:
            raise FaultError(f"{what}={value}: give a number between 0 and 1, both excluded")
    spread = normal_quantile(confidence) ** 2 * p * (1.0 - p)
    return math.ceil(population / (1.0 + margin**2 * (population - 1) / spread))


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    r"""The Wilson score interval of a proportion; sound also for 0 or all of ``n``.

    With :math:`\hat p` the share of successes and :math:`t` the two-sided normal quantile,

    .. math:: \frac{\hat p + \frac{t^2}{2n} \pm t \sqrt{\frac{\hat p (1 - \hat p)}{n} + \frac{t^2}{4 n^2}}}{1 + t^2 / n}

    The ``n`` outcomes must be independent: trials, not the images of one trial, which share its faults.

    Args:
        successes: How many of ``n``.
        n: Number of independent outcomes, at least 1.
        confidence: Of the interval, between 0 and 1.

    Returns:
        Lower and upper end, within 0 and 1.

    Raises:
        FaultError: An argument is out of range.

    References:
        Wilson: "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).

    Examples:
        >>> [round(end, 4) for end in wilson(0, 100)]
        [0.0, 0.037]
    """
    check_confidence(confidence)
    if n < 1 or not 0 <= successes <= n:
        raise FaultError(f"wilson({successes}, {n}): give 0 <= successes <= n and n >= 1")
    low, high = wilson_ends(successes / n, n, normal_quantile(confidence))
    return (0.0 if successes == 0 else low), (1.0 if successes == n else high)


def clopper_pearson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    r"""The exact interval of a proportion: its coverage is never below ``confidence``, and often well above.

    With :math:`k` successes and :math:`\alpha` one minus the confidence, the ends are the quantiles

    .. math:: B_{\alpha / 2}(k, n - k + 1), \quad B_{1 - \alpha / 2}(k + 1, n - k)

    of beta distributions. :func:`wilson` is narrower and covers the truth in ``confidence`` of the cases on average;
    this one is for a bound that must hold, as in a safety case.

    Args:
        successes: How many of ``n``.
        n: Number of independent outcomes, at least 1; as for :func:`wilson`, trials and not the images of one.
        confidence: Of the interval, between 0 and 1.

    Returns:
        Lower and upper end, within 0 and 1.

    Raises:
        FaultError: An argument is out of range.

    References:
        Clopper, Pearson: "The use of confidence or fiducial limits illustrated in the case of the binomial",
        Biometrika 26 (1934).

    Examples:
        >>> [round(end, 4) for end in clopper_pearson(0, 100)]
        [0.0, 0.0362]
    """
    check_confidence(confidence)
    if n < 1 or not 0 <= successes <= n:
        raise FaultError(f"clopper_pearson({successes}, {n}): give 0 <= successes <= n and n >= 1")
    tail, failures = (1.0 - confidence) / 2.0, n - successes
    low = 0.0 if successes == 0 else beta_quantile(tail, successes, failures + 1)
    high = 1.0 if failures == 0 else beta_quantile(1.0 - tail, successes + 1, failures)
    return low, high


def wilson_ends(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Wilson's interval of a share of ``n`` outcomes, which need not be whole, with this two-sided quantile."""
    middle = share + quantile**2 / (2 * n)
    half = quantile * math.sqrt(share * (1.0 - share) / n + quantile**2 / (4 * n**2))
    scale = 1.0 + quantile**2 / n
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def bootstrap_mean(values: npt.NDArray[np.float64], confidence: float = 0.95) -> Interval:
    """The mean and its percentile bootstrap interval over trials, always with the same resamples.

    Values that occur several times are resampled together (their counts are multinomial), which is the same bootstrap
    and quicker for accuracies, of which there are few. Any value that is not finite makes all three numbers NaN.
    """
    check_confidence(confidence)
    if values.size == 0 or not bool(np.isfinite(values).all()):
        return Interval(math.nan, math.nan, math.nan)
    unique, counts = np.unique(values, return_counts=True)
    generator = np.random.Generator(np.random.Philox(key=0))
    share = counts / values.size
    rows = max(1, min(_RESAMPLES, _CELLS // unique.size))
    means: list[npt.NDArray[np.float64]] = []
    for start in range(0, _RESAMPLES, rows):
        drawn = generator.multinomial(values.size, share, size=min(rows, _RESAMPLES - start))
        means.append(drawn @ unique / values.size)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(np.concatenate(means), [tail, 1.0 - tail])
    return Interval(float(values.mean()), float(low), float(high))


def check_confidence(confidence: float) -> None:
    """Refuse what is no confidence.

    Raises:
        FaultError: It is not between 0 and 1.
    """
    if not isinstance(confidence, int | float) or not 0.0 < confidence < 1.0:  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not check types
        raise FaultError(f"confidence={confidence}: give a number between 0 and 1, as 0.95")
