"""Where points are computed: this process, processes of this machine, a Dask cluster, through joblib.

Whatever the engine, a call has one BLAS thread, so that its result does not depend on where it runs; results stream
back in windows, so that memory is bounded; and a worker process that dies takes no call with it.
"""

import logging
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.parallel import mp as multiprocessing
from threadpoolctl import threadpool_limits

from implicit_bias.errors import ImplicitBiasError
from implicit_bias.sweeps.clusters import Cluster, connect
from implicit_bias.sweeps.parameters import Engine

WINDOW = 32
"""Calls handed out at a time, a worker."""

TRIES = 3
"""How often a call is tried by itself, if its worker dies."""

LOOK = 1.0
"""Seconds between looks of a worker process at whether its main process lives."""

Calls = Mapping[str, tuple[Any, ...]]
"""Key -> the arguments of a call."""

logger = logging.getLogger(__name__)


class WorkerDied(ImplicitBiasError, RuntimeError):
    """A worker process ended before it gave its result."""


def check_engine(engine: Engine) -> None:
    """Refuse an engine that cannot be used, before anything is computed.

    Raises:
        EngineError: its package is missing, no cluster answers, or workers have other versions than this process.
    """
    if engine.backend != "loky":
        connect(engine.backend, engine.address, engine.workers)


def compute(
    function: Callable[..., Any],
    calls: Iterable[tuple[str, tuple[Any, ...]]],
    failed: Callable[[str], Any],
    engine: Engine,
    total: int,
) -> Iterator[tuple[str, Any]]:
    """Yield (key, function(*arguments)) of every (key, arguments), each once, as they are done.

    Args:
        function: importable, since it may run on another machine; what it raises is raised here.
        calls: keys, all different, with arguments.
        failed: the result of a call whose worker died whenever it was tried, given what happened.
        engine: where the calls run.
        total: how many calls there are.
    """
    if engine.backend == "loky":
        processes = min(cpu_count() if engine.workers == -1 else engine.workers, total)
        if processes > 1 and multiprocessing is None:
            logger.warning("There is no multiprocessing here: the points are computed in this process, one by one")
            processes = 1
        if processes <= 1:
            yield from _here(function, calls)
            return
        options = {"backend": "loky", "inner_max_num_threads": 1, "initializer": _follow, "initargs": (os.getpid(),)}
        cluster = Cluster(processes, options, deaths=(BrokenProcessPool,))
    else:
        cluster = connect(engine.backend, engine.address, engine.workers)
    calls, size = iter(calls), WINDOW * cluster.processes
    left: dict[str, tuple[Any, ...]] = {}
    while True:
        try:
            with _pool(cluster) as pool:
                while left := dict(islice(calls, size)):
                    for key, result in _run(pool, cluster, function, dict(left)):
                        del left[key]
                        yield key, result
            return
        except WorkerDied:
            logger.warning("A worker process died: %d unfinished calls are handed out again", len(left))
            yield from _by_halves(cluster, function, left, failed)


def _here(function: Callable[..., Any], calls: Iterable[tuple[str, tuple[Any, ...]]]) -> Iterator[tuple[str, Any]]:
    for key, arguments in calls:
        with threadpool_limits(1):
            result = function(*arguments)
        yield key, result


def _by_halves(
    cluster: Cluster, function: Callable[..., Any], window: Calls, failed: Callable[[str], Any], tries: int = TRIES
) -> Iterator[tuple[str, Any]]:
    """The results of what a dying worker has left, by halves of halves, until a call that kills workers is alone."""
    items = list(window.items())
    middle = len(items) // 2
    for half in filter(None, (dict(items[:middle]), dict(items[middle:]))):
        left = dict(half)
        try:
            with _pool(cluster) as pool:
                for key, result in _run(pool, cluster, function, half):
                    del left[key]
                    yield key, result
        except WorkerDied as death:
            alone = len(left) == 1
            if alone and tries == 1:
                yield next(iter(left)), failed(f"its worker process died each of {TRIES} times ({death})")
            else:
                yield from _by_halves(cluster, function, left, failed, tries - alone)


def _pool(cluster: Cluster) -> Parallel:
    with parallel_config(n_jobs=max(cluster.processes, 2), **cluster.options):  # with one job joblib stays here
        return Parallel(return_as="generator_unordered")


def _run(pool: Parallel, cluster: Cluster, function: Callable[..., Any], window: Calls) -> Iterator[tuple[str, Any]]:
    tasks = [delayed(_on_worker)(function, key, arguments) for key, arguments in window.items()]
    try:
        results = (result for result in pool(tasks))
        try:
            for result in results:  # noqa: UP028 `yield from` would close them first
                yield result
        finally:
            with warnings.catch_warnings(action="ignore"):  # joblib's advice to whoever stops early
                results.close()
    except cluster.deaths as error:
        raise WorkerDied(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}") from error


def _on_worker(function: Callable[..., Any], key: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    _one_thread()
    return key, function(*map(_aligned, arguments))


def _aligned(value: Any) -> Any:
    """Arrays at odd addresses, as in a frame off the network, are copied: NumPy rounds their products otherwise."""
    if isinstance(value, dict):
        return {name: _aligned(each) for name, each in value.items()}
    return value.copy() if isinstance(value, np.ndarray) and not value.flags.aligned else value


def _follow(main: int) -> None:
    """End this worker process soon after the main process, however that ends; Ctrl-C is the main process's to hear."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_after, args=(main,), daemon=True).start()


def _end_after(main: int) -> None:
    while os.getppid() == main:
        time.sleep(LOOK)
    os._exit(1)


@cache
def _one_thread() -> None:
    """Keep the BLAS of this worker process to one thread, for good: other threads of it may be computing, too."""
    threadpool_limits(1)
