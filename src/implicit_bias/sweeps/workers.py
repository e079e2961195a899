"""Where points are computed: this process, processes of this machine by joblib, a Dask cluster.

Whatever the engine, a call has one BLAS thread, so that its result does not depend on where it runs; results stream
back while few calls are handed out, so that memory is bounded; and a worker process that dies takes no call with it.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from joblib import cpu_count
from joblib.parallel import mp as multiprocessing

from implicit_bias.errors import ImplicitBiasError
from implicit_bias.sweeps.calls import Call, one_thread
from implicit_bias.sweeps.clusters import connect
from implicit_bias.sweeps.parameters import Engine
from implicit_bias.sweeps.processes import Processes

TRIES = 3
"""How often a call is tried by itself, if its worker dies."""

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


def processes_for(engine: Engine, total: int) -> int:
    """How many processes of this machine compute so many calls; 0 of an engine that computes them elsewhere."""
    if engine.backend != "loky":
        return 0
    return min(cpu_count() if engine.workers == -1 else engine.workers, total)


def start_early(engine: Engine, total: int, modules: Sequence[str]) -> None:
    """Start the worker processes of calls that are still to come, which import modules meanwhile; does not wait."""
    if (processes := processes_for(engine, total)) > 1 and multiprocessing is not None:
        Processes(processes).start(modules)


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
        processes = processes_for(engine, total)
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
        with one_thread():
            result = function(*arguments)
        yield key, result


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
