import numpy as np
import pytest

from clipact import faults

from .campaigns import NAMES, classified, flip, result_of


@pytest.fixture(scope="session")
def single():
    """400 single flips of floats: bits 30 that rise are SDC, and every tenth of these fails."""
    generator = np.random.default_rng(0)
    model, trials = faults.BitFlip(count=1), []
    for number in range(400):
        kept = flip(int(generator.integers(32)), float(generator.normal()), NAMES[number % 4])
        bad = (kept.bit == 30 and abs(kept.after) > abs(kept.before)) or np.isnan(kept.after)
        error = (
            "Traceback\n  in x\nRuntimeError: <b>boom</b>\n" if bad and number % 10 == 0 else None
        )
        sdc = 0.5 if bad else 0.0
        trials.append(classified(number, model, sdc, float(sdc > 0.9), [kept], error))
    return result_of(trials, [model])


@pytest.fixture(scope="session")
def rates():
    """30 trials at each of three bit error rates, without kept faults."""
    models = [faults.BitFlip(rate=rate) for rate in (1e-6, 1e-5, 1e-4)]
    trials = [
        classified(
            number, model, sdc=(place * number % 10) / 10, due=float(place == 2 and number == 0)
        )
        for place, model in enumerate(models)
        for number in range(30)
    ]
    return result_of(trials, models)
