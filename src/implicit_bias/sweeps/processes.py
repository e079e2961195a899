"""Worker processes of this machine, by joblib: started early where it is known that they will be needed."""

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

from joblib import Parallel, delayed, parallel_config

from implicit_bias.sweeps.calls import WINDOW, Call, on_worker, window
from implicit_bias.sweeps.fingerprint import look_at_sources
from implicit_bias.sweeps.garbage import search_rarely

LOOK = 1.0
"""Seconds between looks of a worker process at whether its main process lives."""


class Processes:
    """Processes of this machine. They are kept, and serve all calls of this process.

    Args:
        processes: how many.
    """

    deaths: tuple[type[Exception], ...] = (BrokenProcessPool,)

    def __init__(self, processes: int) -> None:
        self._processes = processes

    def start(self, modules: Sequence[str]) -> None:
        """Start them, which import modules, without waiting for that; later calls find them there."""
        pool = self._pool()
        with pool, _deaf():
            for _ in range(self._processes):
                pool._backend.submit(partial(import_early, tuple(modules)))

    def results(self, function: Callable[..., Any], calls: Iterator[Call]) -> Iterator[tuple[str, Any]]:
        """Keys and results of calls as they are done, window after window."""
        pool = self._pool()
        with pool:
            while taken := window(calls, WINDOW * self._processes, self._processes):
                results = pool(delayed(on_worker)(function, key, arguments) for key, arguments in taken)
                try:
                    for result in results:  # noqa: UP028 `yield from` would close them first
                        yield result
                finally:
                    with warnings.catch_warnings(action="ignore"):  # joblib's advice to whoever stops early
                        results.close()

    def _pool(self) -> Any:
        options: dict[str, Any] = {"initializer": _follow, "initargs": (os.getpid(),), "inner_max_num_threads": 1}
        with parallel_config("loky", n_jobs=self._processes, **options):
            return Parallel(return_as="generator_unordered")


def import_early(modules: Sequence[str]) -> None:
    """Import modules, and keep the digests of the code that is imported with them."""
    for name in modules:
        import_module(name)
    search_rarely()
    look_at_sources()


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started here do not hear Ctrl-C, not even at first; this one hears it a moment later."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()  # which would lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow(main: int) -> None:
    """End this worker process soon after the main process, however that ends; Ctrl-C is the main process's to hear."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    search_rarely()
    threading.Thread(target=_end_after, args=(main,), daemon=True).start()


def _end_after(main: int) -> None:
    while os.getppid() == main:
        time.sleep(LOOK)
    os._exit(1)
