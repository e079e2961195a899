"""Calls in worker processes: what a worker does with one, or with a batch of them."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController, threadpool_limits

WINDOW = 32
"""Calls handed out at a time, per worker."""

WINDOW_BYTES = 250e6
"""Bytes of the arrays of the calls that are handed out at a time, beyond which no more are taken."""

Call = tuple[str, tuple[Any, ...]]
"""A key, and the arguments of a call."""


def window(calls: Iterator[Call], most: int, least: int = 1, most_bytes: float = WINDOW_BYTES) -> list[Call]:
    """The calls that are handed out next: `most`, fewer but `least` where their arguments are large."""
    taken, size = [], 0.0
    for call in islice(calls, most):
        taken.append(call)
        size += sum(_bytes(each) for each in call[1])
        if size >= most_bytes and len(taken) >= least:
            break
    return taken


def _bytes(value: Any) -> float:
    """Bytes of the arrays of a record; of anything else 0."""
    arrays = value.values() if isinstance(value, dict) else ()
    return float(sum(each.nbytes for each in arrays if isinstance(each, np.ndarray)))


@dataclass
class BatchSize:
    """How many calls a batch should have, by what those before it took.

    Attributes:
        target: seconds that a batch should take.
        most: calls that it may have.
        each: seconds of a call; infinite while nothing is known.
    """

    target: float
    most: int
    each: float = float("inf")

    def measured(self, calls: int, seconds: float) -> None:
        """Learn what a batch took: at once where calls are longer than it seemed, by halves where they are shorter."""
        each = seconds / calls
        self.each = each if self.each == float("inf") or each > self.each else (self.each + each) / 2

    @property
    def calls(self) -> int:
        """The size of the next batch, at least 1."""
        return self.most if self.each * self.most <= self.target else max(int(self.target / self.each), 1)


def one_thread() -> AbstractContextManager[object]:
    """Keep the numerical libraries of this process to one thread: on small matrices more of them only wait."""
    return _libraries(len(sys.modules)).limit(limits=1)


@lru_cache(1)
def _libraries(modules: int) -> ThreadpoolController:
    """The numerical libraries of this process; looking for them takes milliseconds, and is done when it has imported
    more modules."""
    return ThreadpoolController()


def on_worker(function: Callable[..., Any], key: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    """Key and result of a call, by one BLAS thread."""
    _one_thread(len(sys.modules))
    return key, function(*map(_aligned, arguments))


def batch_on_worker(
    function: Callable[..., Any], batch: list[Call], enough: float
) -> tuple[list[tuple[str, Any]], float]:
    """Keys and results of the first calls of a batch, at least one, until `enough` seconds have passed; the seconds."""
    start, results = time.perf_counter(), []
    for key, arguments in batch:
        results.append(on_worker(function, key, arguments))
        if time.perf_counter() - start > enough:
            break
    return results, time.perf_counter() - start


def _aligned(value: Any) -> Any:
    """Arrays at odd addresses, as in a frame off the network, are copied: NumPy rounds their products otherwise."""
    if isinstance(value, dict):
        return {name: _aligned(each) for name, each in value.items()}
    return value.copy() if isinstance(value, np.ndarray) and not value.flags.aligned else value


@lru_cache(1)
def _one_thread(modules: int) -> None:
    """Keep the BLAS of this worker process to one thread, for good: other threads of it may be computing, too.

    It is done again when the process has imported more modules, and a library with them.
    """
    threadpool_limits(1)
