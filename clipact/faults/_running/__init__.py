"""How a campaign runs: a session in each process, tasks, rounds, one ledger."""

from clipact.faults._running._run import Run
from clipact.faults._running._spec import Limits, Options, Spec

__all__ = ["Limits", "Options", "Run", "Spec"]
