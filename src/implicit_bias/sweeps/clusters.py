"""Dask: how a cluster is reached, what its workers have, how calls are handed out, how workers die."""

import atexit
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from joblib import cpu_count

from implicit_bias.errors import ImplicitBiasError
from implicit_bias.sweeps.calls import WINDOW, WINDOW_BYTES, BatchSize, Call, batch_on_worker, window

SAME = ("kedro-implicit-bias", "numpy", "scipy")
"""Packages whose versions decide a result to the last bit."""

PATIENCE = 10
"""Seconds to wait for a cluster."""

BATCH = 0.1
"""Seconds that a batch of calls should take."""

AHEAD = 2
"""Batches per worker that are handed out: one is computed, the other one is there when it is done."""

LONG = 4
"""Times that after which a batch ends early."""

LOOK = 10
"""Seconds between looks at whether a cluster has workers."""

GONE = "backend dask: the scheduler has gone; finished points are kept"

DISTRIBUTED = "distributed"
"""What Dask's clusters need to be there."""

logger = logging.getLogger(__name__)


class EngineError(ImplicitBiasError, RuntimeError):
    """The engine asked for cannot be used."""


class Cluster:
    """A Dask cluster that answers.

    Calls go out in batches that take about `BATCH` seconds by what the ones before them took, so that handing them out
    costs little where they are short. A batch whose calls turn out longer ends early, and its rest goes out again.

    Attributes:
        deaths: what is raised for a batch whose worker died.

    Args:
        client: a distributed.Client.
    """

    def __init__(self, client: Any) -> None:
        from distributed.scheduler import KilledWorker

        self.deaths: tuple[type[Exception], ...] = (KilledWorker,)
        self._client = client

    @property
    def closed(self) -> bool:
        """Whether it is of no more use, as when its scheduler has ended."""
        return self._client.status in ("closing", "closed")

    def results(self, function: Callable[..., Any], calls: Iterator[Call]) -> Iterator[tuple[str, Any]]:
        """Keys and results of calls as they are done; at most WINDOW per worker are there or on their way.

        Raises:
            EngineError: the scheduler has ended.
        """
        from distributed import as_completed

        size, done = BatchSize(BATCH, WINDOW // AHEAD), as_completed(loop=self._client.loop, with_results=True)
        looked, room = -float("inf"), AHEAD
        running, again = dict[Any, list[Call]](), deque[Call]()
        try:
            while True:
                if time.monotonic() > looked + LOOK:  # workers come and go
                    looked = time.monotonic()
                    room = AHEAD * max(sum(self._asked(self._client.ncores).values()), 1)
                while len(running) < room:
                    batch = window(chain(_emptied(again), calls), size.calls, most_bytes=WINDOW_BYTES / room)
                    if not batch:
                        break
                    task = partial(batch_on_worker, function, batch, LONG * BATCH)
                    future = self._asked(partial(self._client.submit, task, pure=False))
                    running[future] = batch
                    done.add(future)
                if not running:
                    return
                future, found = next(done)
                if isinstance(found, BaseException):  # what raises is raised by `next`
                    raise EngineError(GONE)
                results, seconds = found
                size.measured(len(results), seconds)
                again.extend(running.pop(future)[len(results) :])
                yield from results
        finally:
            if running and self._client.status == "running":
                self._client.cancel(list(running))

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """What the scheduler answers.

        Raises:
            EngineError: it has ended.
        """
        try:
            return ask()
        except (OSError, RuntimeError) as error:  # distributed's own errors of connections are such
            raise EngineError(GONE) from error


def _emptied(calls: deque[Call]) -> Iterator[Call]:
    """Calls, taken away one by one."""
    while calls:
        yield calls.popleft()


def connect(backend: str, address: str | None, workers: int) -> Cluster:
    """The cluster at an address; one on this machine without it. It is kept until this process ends.

    Args:
        backend: dask.
        address: tcp://host:port of a Dask scheduler.
        workers: processes of a cluster on this machine; -1 for one for each core.

    Raises:
        EngineError: its package is missing, nothing answers, or its workers differ from this process.
    """
    if find_spec(DISTRIBUTED) is None:
        raise EngineError(
            f"backend {backend} needs the package {DISTRIBUTED}: pip install 'kedro-implicit-bias[{backend}]'"
        )
    where = address or "this machine"
    try:
        if address:
            _knock(address)
        processes = cpu_count() if workers == -1 else workers
        if _dask(address, processes).closed:
            _dask.cache_clear()
        return _dask(address, processes)
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, EngineError):
            raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise EngineError(f"backend {backend}: {where} cannot be used: {reason}") from error


def _knock(address: str) -> None:
    """Connect once, where there is a port: the client of a cluster tries for minutes."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.port:
        socket.create_connection((parts.hostname or "", parts.port), timeout=PATIENCE).close()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


@cache
def _dask(address: str | None, workers: int) -> Cluster:
    from distributed import Client, LocalCluster

    if address is None:
        local = LocalCluster(n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
        atexit.register(local.close)
        address = local.scheduler_address
    client = Client(address, timeout=PATIENCE, set_as_default=False)
    atexit.register(client.close)
    client.wait_for_workers(1, timeout=PATIENCE)
    for name in SAME:
        here = _version(name)
        for worker, found in client.run(version, name, on_error="return").items():
            there = "" if isinstance(found, Exception) else found
            if there != here:
                raise EngineError(f"worker {worker} has {name} {there or 'not installed'}, this process has {here}")
    threading.Thread(target=_watch, args=(client, address), daemon=True).start()
    return Cluster(client)


def _watch(client: Any, address: str, look: float = LOOK) -> None:
    """Say that a cluster has lost its last worker, for which the scheduler waits in silence, and that it has one
    again."""
    gone = False
    while client.status != "closed":
        try:
            empty = client.status != "running" or not client.ncores()
        except Exception:  # of a scheduler that ends
            empty = True
        if empty and not gone and client.status == "running":
            logger.warning("backend dask: %s has no worker left, the run waits for one; Ctrl-C ends it", address)
            logger.warning("  Finished points are kept: the same command computes the others")
        elif gone and not empty:
            logger.warning("backend dask: %s has workers again", address)
        gone = empty
        time.sleep(look)
