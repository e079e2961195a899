"""Clusters that joblib can hand calls to: how Dask and Ray are reached, what their workers have, how workers die."""

import atexit
import logging
import os
import socket
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

PACKAGES = {"dask": "distributed", "ray": "ray"}


class EngineError(ImplicitBiasError, RuntimeError):
    """The engine asked for cannot be used."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers.

    Attributes:
        processes: how many calls it runs at once.
        options: arguments of `joblib.parallel_config`.
        streams: whether joblib hands back each result as it is done; lists only otherwise.
        deaths: what is raised for a call whose worker died.
    """

    processes: int
    options: dict[str, Any]
    streams: bool
    deaths: tuple[type[Exception], ...]


def connect(backend: str, address: str | None, workers: int) -> Cluster:
    """The cluster at an address; one on this machine without it. It is kept until this process ends.

    Args:
        backend: dask or ray.
        address: tcp://host:port of a Dask scheduler; host:port or ray://host:port of a Ray cluster, or auto.
        workers: processes of a cluster on this machine; -1 for one for each core.

    Raises:
        EngineError: its package is missing, nothing answers, or its workers differ from this process.
    """
    if find_spec(PACKAGES[backend]) is None:
        raise EngineError(
            f"backend {backend} needs the package {PACKAGES[backend]}: pip install 'kedro-implicit-bias[{backend}]'"
        )
    where = address or "this machine"
    try:
        if address and urlsplit(address if "://" in address else f"//{address}").port:
            _knock(address)
        return {"dask": _dask, "ray": _ray}[backend](address, cpu_count() if workers == -1 else workers)
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, EngineError):
            raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise EngineError(f"backend {backend}: {where} cannot be used: {reason}") from error


def _knock(address: str) -> None:
    """Connect once: the clients of both clusters try for minutes."""
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
    return Cluster(
        sum(client.ncores().values()),
        {"backend": Backend(client=client, wait_for_workers_timeout=RESTART)},
        True,
        (KilledWorker,),
    )


@cache
def _ray(address: str | None, workers: int) -> Cluster:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray.exceptions import RayError, RayTaskError
    from ray.util.joblib import register_ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    if not ray.is_initialized():
        local = {"num_cpus": workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        ray.init(
            **({"address": address} if address else {"address": "local", **local}),
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        atexit.register(ray.shutdown)
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ask = ray.remote(version).options(num_cpus=0, scheduling_strategy=there)
        for name in SAME:
            try:
                found = ray.get(ask.remote(name))
            except RayTaskError:
                found = ""
            _same_versions(node["NodeManagerHostname"], {name: found})
    register_ray()
    logging.getLogger("ray.util.multiprocessing.pool").setLevel(logging.ERROR)  # of arguments that joblib adds
    options = {"backend": "ray", "ray_remote_args": {"max_restarts": 3, "max_task_retries": 3}}
    return Cluster(int(ray.cluster_resources().get("CPU", 1)), options, False, (RayError,))
