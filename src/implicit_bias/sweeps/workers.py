"""Where points are computed: this process, processes of this machine by joblib, a Dask cluster.

Whatever the engine, a call has one BLAS thread, so that its result does not depend on where it runs; results stream
back while few calls are handed out, so that memory is bounded; and a worker process that dies takes no call with it.
"""

import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from typing import Any, Protocol

from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.parallel import mp as multiprocessing
from threadpoolctl import ThreadpoolController

from implicit_bias.errors import ImplicitBiasError
from implicit_bias.sweeps.calls import WINDOW, Call, on_worker, window
from implicit_bias.sweeps.clusters import connect
from implicit_bias.sweeps.parameters import Engine

TRIES = 3
"""How often a call is tried by itself, if its worker dies."""

LOOK = 1.0
"""Seconds between looks of a worker process at whether its main process lives."""

logger = logging.getLogger(__name__)


class Hands(Protocol):
    """Worker processes.

    Attributes:
        deaths: what is raised for a call whose process ended.
    """

    deaths: tuple[type[Exception], ...]

    def results(self, function: Callable[..., Any], calls: Iterator[Call]) -> Iterator[tuple[str, Any]]:
        """Keys and results of calls as they are done, few of which are taken before there is room for them."""
        ...


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
    calls: Iterable[Call],
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
        hands: Hands = Processes(processes)
    else:
        hands = connect(engine.backend, engine.address, engine.workers)
    calls, left = iter(calls), dict[str, tuple[Any, ...]]()
    while True:
        try:
            yield from _results(hands, function, calls, left)
            return
        except WorkerDied:
            logger.warning("A worker process died: %d unfinished calls are handed out again", len(left))
            yield from _by_halves(hands, function, left, failed)
            left.clear()


def _here(function: Callable[..., Any], calls: Iterable[Call]) -> Iterator[tuple[str, Any]]:
    for key, arguments in calls:
        with _libraries(len(sys.modules)).limit(limits=1):
            result = function(*arguments)
        yield key, result


@lru_cache(1)
def _libraries(modules: int) -> ThreadpoolController:
    """The numerical libraries of this process; looking for them takes milliseconds, and is done when it has imported
    more modules."""
    return ThreadpoolController()


def _results(
    hands: Hands, function: Callable[..., Any], calls: Iterator[Call], left: dict[str, tuple[Any, ...]]
) -> Iterator[tuple[str, Any]]:
    """Keys and results of calls; `left` holds those that have been handed out and have not come back.

    Raises:
        WorkerDied: the process of a call has ended.
    """

    def taken() -> Iterator[Call]:
        for key, arguments in calls:
            left[key] = arguments
            yield key, arguments

    try:
        for key, result in hands.results(function, taken()):
            del left[key]
            yield key, result
    except hands.deaths as error:
        raise WorkerDied(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}") from error


def _by_halves(
    hands: Hands,
    function: Callable[..., Any],
    unfinished: Mapping[str, tuple[Any, ...]],
    failed: Callable[[str], Any],
    tries: int = TRIES,
) -> Iterator[tuple[str, Any]]:
    """The results of what a dying worker has left, by halves of halves, until a call that kills workers is alone."""
    items = list(unfinished.items())
    middle = len(items) // 2
    for half in filter(None, (items[:middle], items[middle:])):
        calls, left = iter(half), dict[str, tuple[Any, ...]]()
        try:
            yield from _results(hands, function, calls, left)
        except WorkerDied as death:
            left |= dict(calls)
            alone = len(left) == 1
            if alone and tries == 1:
                yield next(iter(left)), failed(f"its worker process died each of {TRIES} times ({death})")
            else:
                yield from _by_halves(hands, function, left, failed, tries - alone)


class Processes:
    """Processes of this machine, through joblib.

    Args:
        processes: how many.
    """

    deaths: tuple[type[Exception], ...] = (BrokenProcessPool,)

    def __init__(self, processes: int) -> None:
        self._processes = processes

    def results(self, function: Callable[..., Any], calls: Iterator[Call]) -> Iterator[tuple[str, Any]]:
        """Keys and results of calls as they are done, window after window."""
        options: dict[str, Any] = {"initializer": _follow, "initargs": (os.getpid(),), "inner_max_num_threads": 1}
        with parallel_config("loky", n_jobs=self._processes, **options):
            pool = Parallel(return_as="generator_unordered")
        with pool:
            while taken := window(calls, WINDOW * self._processes, self._processes):
                results = pool(delayed(on_worker)(function, key, arguments) for key, arguments in taken)
                try:
                    for result in results:  # noqa: UP028 `yield from` would close them first
                        yield result
                finally:
                    with warnings.catch_warnings(action="ignore"):  # joblib's advice to whoever stops early
                        results.close()


def _follow(main: int) -> None:
    """End this worker process soon after the main process, however that ends; Ctrl-C is the main process's to hear."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_after, args=(main,), daemon=True).start()


def _end_after(main: int) -> None:
    while os.getppid() == main:
        time.sleep(LOOK)
    os._exit(1)
