"""Clusters that joblib can hand calls to: how Dask is reached, what its workers have, how workers die."""

import atexit
import logging
import socket
import threading
import time
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from joblib import cpu_count

from implicit_bias.errors import ImplicitBiasError

SAME = ("kedro-implicit-bias", "numpy", "scipy")
"""Packages whose versions decide a result to the last bit."""

PATIENCE = 10
"""Seconds to wait for a cluster."""

RESTART = 120
"""Seconds to wait for a worker in place of the last one that died."""

LOOK = 10
"""Seconds between looks at whether a cluster has workers."""

DISTRIBUTED = "distributed"
"""What Dask's clusters need to be there."""

logger = logging.getLogger(__name__)


class EngineError(ImplicitBiasError, RuntimeError):
    """The engine asked for cannot be used."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers.

    Attributes:
        processes: how many calls it runs at once.
        options: arguments of `joblib.parallel_config`.
        deaths: what is raised for a call whose worker died.
    """

    processes: int
    options: dict[str, Any]
    deaths: tuple[type[Exception], ...]


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
        if address and urlsplit(address if "://" in address else f"//{address}").port:
            _knock(address)
        return _dask(address, cpu_count() if workers == -1 else workers)
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, EngineError):
            raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise EngineError(f"backend {backend}: {where} cannot be used: {reason}") from error


def _knock(address: str) -> None:
    """Connect once: the client of a cluster tries for minutes."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=PATIENCE):
        pass


def _same_versions(worker: str, there: dict[str, str]) -> None:
    for name, found in there.items():
        here = _version(name)
        if found != here:
            raise EngineError(f"worker {worker} has {name} {found or 'not installed'}, this process has {here}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


@cache
def _dask(address: str | None, workers: int) -> Cluster:
    from distributed import Client, LocalCluster
    from distributed.scheduler import KilledWorker
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):  # type: ignore[misc]
        """joblib's own, mended.

        That one never tells of a task that was given up: whoever waits for it would wait for ever. And where it finds a
        single worker it leaves the calls to this process, whose death would be the end.
        """

        def effective_n_jobs(self, n_jobs: int) -> int:
            return max(super().effective_n_jobs(n_jobs), 2)

        def submit(self, func: Any, callback: Any = None) -> Any:
            future = super().submit(func, callback)
            future.add_done_callback(lambda done: callback(done) if done.exception() and callback else None)
            return future

        def retrieve_result_callback(self, out: Any) -> Any:
            return super().retrieve_result_callback(out.result() if hasattr(out, "result") else out)

    if address is None:
        local = LocalCluster(n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
        atexit.register(local.close)
        address = local.scheduler_address
    client = Client(address, timeout=PATIENCE, set_as_default=False)
    atexit.register(client.close)
    client.wait_for_workers(1, timeout=PATIENCE)
    for name in SAME:
        for worker, found in client.run(version, name, on_error="return").items():
            _same_versions(worker, {name: "" if isinstance(found, Exception) else found})
    threading.Thread(target=_watch, args=(client, address), daemon=True).start()
    return Cluster(
        sum(client.ncores().values()),
        {"backend": Backend(client=client, wait_for_workers_timeout=RESTART)},
        (KilledWorker,),
    )


def _watch(client: Any, address: str, look: float = LOOK) -> None:
    """Say that a cluster has lost its last worker, for which the scheduler waits in silence, and that it has one
    again."""
    gone = False
    while client.status != "closed":
        try:
            empty = client.status != "running" or not client.ncores()
        except Exception:  # of a scheduler that ends
            empty = True
        if empty and not gone and client.status != "closed":
            logger.warning("backend dask: %s has no worker left, the run waits for one; Ctrl-C ends it", address)
            logger.warning("  Finished points are kept: the same command computes the others")
        elif gone and not empty:
            logger.warning("backend dask: %s has workers again", address)
        gone = empty
        time.sleep(look)
