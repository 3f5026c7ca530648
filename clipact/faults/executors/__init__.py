"""Where the trials of a campaign run: processes of this machine, any ``concurrent.futures`` executor, a Ray cluster."""

from clipact.faults.executors._executor import Executor, InProcess, Job
from clipact.faults.executors._futures import as_executor, futures
from clipact.faults.executors._processes import processes
from clipact.faults.executors._ray import ray

__all__ = ["Executor", "InProcess", "Job", "as_executor", "futures", "processes", "ray"]
