"""How a long command behaves in a terminal and in a batch job."""

import logging
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def foreground() -> Generator[None]:
    """For the length of a block: what a scheduler's SIGTERM ends, ends as with Ctrl-C; progress is logged where no bar is.

    Lines of progress go to standard error with their time where that is no terminal.
    """
    logger = logging.getLogger("clipact")
    handler, level = logging.StreamHandler(sys.stderr), logger.level
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        signal.signal(signal.SIGTERM, before)
