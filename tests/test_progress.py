import builtins
import io
import logging
import math
import sys
from itertools import pairwise
from statistics import NormalDist, fmean, stdev

import pytest

from clipact import _progress
from clipact._progress import Progress, RunningMean, duration, track
from clipact.faults import wilson


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the test sets."""
    now = [100.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="clipact._progress")
    return caplog


def test_track_gives_every_item():
    assert list(track(range(3), label="x", show=False)) == [0, 1, 2]


def test_a_bar_at_a_terminal(monkeypatch, lines):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("trials", 10, done=2) as progress:
        progress.advance(3, {"sdc": RunningMean(), "replayed": "80 %"})
        progress._bar.refresh()
    shown = terminal.getvalue()
    assert "trials:  20%" in shown
    assert "5/10" in shown
    assert "sdc …, replayed 80 %" in shown
    assert lines.messages == []


def test_lines_in_the_log_where_nobody_looks(monkeypatch, clock, lines):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress("trials", 1000, done=100) as progress:
        for seconds in range(1, 301):
            clock[0] = 100.0 + seconds
            progress.advance(2, {"sdc": f"{seconds} %"})
    assert stream.getvalue() == ""
    assert lines.messages[0] == "trials 120 of 1,000 (12%), 2/s, 7 min 20 s left, sdc 10 %"
    assert lines.messages[-1] == "trials 700 of 1,000 (70%), 2/s, 2 min 30 s left, sdc 300 %"
    waits = [int(line.rpartition("sdc ")[2].split()[0]) for line in lines.messages]
    assert all(later - before >= 10 for before, later in pairwise(waits[:-1]))
    assert len(lines.messages) < 30


def test_no_lines_sooner_than_ten_seconds_but_one_at_the_end(monkeypatch, clock, lines):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Progress("trials", 4) as progress:
        for _ in range(4):
            clock[0] += 2.0
            progress.advance(1)
    assert lines.messages == ["trials 4 of 4 (100%), 2 s each, in 8 s"]


def test_no_tqdm_at_a_terminal_is_the_log(monkeypatch, clock, lines):
    load = builtins.__import__

    def refuse(name, *rest, **named):
        if name.startswith("tqdm"):
            raise ImportError(name)
        return load(name, *rest, **named)

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(builtins, "__import__", refuse)
    with Progress("trials", 4) as progress:
        clock[0] += 20.0
        progress.advance(2)
    assert lines.messages == ["trials 2 of 4 (50%), 10 s each, 20 s left"]
    assert sys.stderr.getvalue() == ""


def test_silence(monkeypatch, clock, lines):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress("trials", 4, show=False) as progress:
        clock[0] += 100.0
        progress.advance(4)
    assert (sys.stderr.getvalue(), lines.messages, progress.done) == ("", [], 4)


def test_values_are_kept_until_there_are_others(clock):
    progress = Progress("trials", 4, show=False)
    progress.advance(1, {"sdc": "1 %"})
    progress.advance(1)
    assert str(progress).endswith("sdc 1 %")


def test_nothing_to_do():
    assert str(Progress("trials", 0)) == "trials 0 of 0"


def test_mean_and_normal_interval():
    values = [3.0, -1.0, 7.5, 2.0, 2.5]
    running = RunningMean()
    for value in values:
        running.add(value)
    half = NormalDist().inv_cdf(0.975) * stdev(values) / math.sqrt(5)
    assert running.mean == pytest.approx(fmean(values))
    assert running.half_width() == pytest.approx(half, rel=1e-6)
    assert str(running) == "2.8 ± 2.7"


def test_a_share_of_zero_is_not_certain():
    running = RunningMean()
    for _ in range(100):
        running.add(0.0)
    assert running.half_width() == pytest.approx(0.0370 / 2, abs=1e-4)  # Wilson at 0 of 100
    assert str(running) == "0.0 % ± 1.8"


def test_of_zeros_and_ones_the_interval_is_wilsons():
    running = RunningMean()
    for number in range(50):
        running.add(float(number % 10 == 0))
    low, high = wilson(5, 50)
    assert running.half_width() == pytest.approx((high - low) / 2, rel=1e-6)


def test_what_is_not_finite_is_counted_apart():
    running = RunningMean()
    for value in (1.5, math.nan, 2.5, math.inf):
        running.add(value)
    assert running.mean == 2.0
    assert str(running).endswith("(2 not finite)")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (59.7, "1 min 0 s"), (3599, "59 min 59 s"), (86_400 * 50, "1,200 h 0 min")],
)
def test_durations(seconds, said):
    assert duration(seconds) == said
