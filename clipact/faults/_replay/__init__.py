"""Run of a trial only what its faults reach; golden values stand for the rest."""

from clipact.faults._replay._dirt import Cause
from clipact.faults._replay._record import record
from clipact.faults._replay._recording import Recording
from clipact.faults._replay._replay import Replay

__all__ = ["Cause", "Recording", "Replay", "record"]
