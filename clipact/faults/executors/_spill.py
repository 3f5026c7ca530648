"""Large replies go through files."""

import tempfile
from pathlib import Path
from typing import Any, Final

from clipact.faults.executors._worker import Failure, Ticket, perform

# A pipe takes a message of this size whole or not at all. A worker that is killed half-way through a longer one would leave
# the reader waiting for the rest for ever.
_WHOLE: Final = 3_000


def perform_spilling(folder: Path, ticket: Ticket, task: Any) -> bytes | Failure | Path:
    """Perform a task; a long outcome is put into a file of the folder."""
    reply = perform(ticket, task)
    if isinstance(reply, Failure) or len(reply) <= _WHOLE:
        return reply
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        file.write(reply)
    return Path(file.name)


def fetch(reply: bytes | Failure | Path) -> bytes | Failure:
    """The reply, out of its file if it is in one."""
    if not isinstance(reply, Path):
        return reply
    content = reply.read_bytes()
    reply.unlink()
    return content
