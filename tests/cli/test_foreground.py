import io
import logging
import os
import signal
import sys

import pytest

from clipact.cli._foreground import foreground


def test_a_schedulers_end_is_like_ctrl_c_and_only_inside():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), foreground():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_lines_of_the_log_have_their_time(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    logger = logging.getLogger("clipact._progress")
    with foreground():
        logger.info("trials 3 of 4")
    logger.info("not shown")
    line = sys.stderr.getvalue()
    assert line.endswith("trials 3 of 4\n")
    assert line[:4].isdigit()
    assert line.count("\n") == 1
