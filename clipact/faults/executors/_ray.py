"""A Ray cluster, or a Ray of this machine alone."""

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final, final

from clipact.errors import CampaignError, MissingExtraError
from clipact.faults.executors._executor import Executor, Job, Outcome, Task, named
from clipact.faults.executors._worker import issue, outcome, perform

_AHEAD: Final = 2  # tasks a worker, so that none waits for the next


def ray(
    workers: int | None = None,
    *,
    address: str | None = None,
    cpus: float = 1.0,
    gpus: float = 0.0,
    retries: int = 3,
) -> Executor:
    """Run a campaign as tasks of Ray, which gives the task of a worker that dies to another.

    It uses the Ray that the program has connected to; else the cluster at ``address`` or ``RAY_ADDRESS``; else it starts one
    on this machine, without dashboard, and stops it at the end. Workers must be able to import clipact and to
    read the folder of the model.

    Args:
        workers: How many tasks run at a time; as many as there are cores (and GPUs) for if None.
        address: Of a cluster, such as ``"auto"``.
        cpus: Cores of a task; torch uses as many threads.
        gpus: GPUs of a task, or a fraction of one, so that several tasks share it.
        retries: How often Ray gives a task to another worker; -1 for no limit.

    Raises:
        MissingExtraError: Ray is not installed.
        CampaignError: ``workers``, ``cpus``, ``gpus`` or ``retries`` is too small.
    """
    engine = _import_ray()
    if (workers is not None and workers < 1) or cpus <= 0 or gpus < 0 or retries < -1:
        raise CampaignError(
            f"ray() got workers={workers}, cpus={cpus}, gpus={gpus}, retries={retries}; give 1 worker or more, some part of"
            " a core, and no negative number of GPUs or retries (-1: no limit)"
        )
    return _Ray(engine, workers, address, _Share(cpus, gpus, retries))


@final
@dataclass(frozen=True)
class _Share:
    cpus: float
    gpus: float
    retries: int

    def places(self, resources: dict[str, float]) -> int:
        """For how many tasks there is room."""
        room = resources.get("CPU", 0.0) / self.cpus
        if self.gpus:
            room = min(room, resources.get("GPU", 0.0) / self.gpus)
        return int(room)


@final
@dataclass(frozen=True, repr=False)
class _Ray(Executor):
    engine: Any
    workers: int | None
    address: str | None
    share: _Share

    def run(
        self, job: Job[Task, Outcome], tasks: Iterable[Task]
    ) -> Generator[tuple[Task, Outcome]]:
        supply = iter(tasks)
        first = list(islice(supply, 1))
        if not first:  # nothing to start a Ray for
            return
        with self._connected() as window:
            threads = max(1, int(self.share.cpus))
            ticket = self.engine.put(issue(job, threads))
            remote = self.engine.remote(
                num_cpus=self.share.cpus, num_gpus=self.share.gpus, max_retries=self.share.retries
            )(perform)
            yield from self._stream(
                lambda task: remote.remote(ticket, task), chain(first, supply), window
            )

    def _stream(
        self, submit: Callable[[Any], Any], supply: Iterable[Any], window: int
    ) -> Generator[tuple[Any, Any]]:
        flying: dict[Any, Any] = {}
        try:
            while True:
                for task in supply:
                    flying[submit(task)] = task
                    if len(flying) >= window:
                        break
                if not flying:
                    return
                done, _ = self.engine.wait(list(flying), num_returns=1)
                task = flying.pop(done[0])
                yield task, outcome(task, self._reply(task, done[0]))
        finally:
            for reference in flying:
                self.engine.cancel(reference, force=True)

    def _reply(self, task: Any, reference: Any) -> Any:
        try:
            return self.engine.get(reference)
        except Exception as error:
            raise CampaignError(
                f"Ray did not run {named(task)}, after {self.share.retries} retries where a worker died: {error}"
            ) from error

    @contextmanager
    def _connected(self) -> Generator[int]:
        """Connect, unless the program has; gives how many tasks to hand over at once."""
        mine = not self.engine.is_initialized()
        if mine:
            self._connect()
        try:
            places = self.share.places(self.engine.cluster_resources())
            if not places:
                raise CampaignError(
                    f"Ray has {self.engine.cluster_resources()}, which is not enough for one task of cpus={self.share.cpus},"
                    f" gpus={self.share.gpus}"
                )
            yield _AHEAD * places if self.workers is None else self.workers
        finally:
            if mine:
                self.engine.shutdown()

    def _connect(self) -> None:
        quiet: dict[str, Any] = {"include_dashboard": False, "logging_level": "warning"}
        if self.address is not None or "RAY_ADDRESS" in os.environ:
            self.engine.init(address=self.address, logging_level="warning")
        elif self.workers is None:
            self.engine.init(address="local", **quiet)
        else:
            cores = max(1, round(self.workers * self.share.cpus))
            self.engine.init(address="local", num_cpus=cores, **quiet)

    def __repr__(self) -> str:
        return "ray()" if self.workers is None else f"ray({self.workers})"


def _import_ray() -> Any:
    try:
        import ray as engine  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        raise MissingExtraError("executors.ray() needs Ray: pip install 'clipact[ray]'") from None
    return engine
