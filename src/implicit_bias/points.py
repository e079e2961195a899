"""Running the points of a sweep: in processes, as they finish, with progress shown and failures kept apart."""

import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from joblib import Parallel, cpu_count, delayed, parallel_config
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from threadpoolctl import threadpool_limits

Record = dict[str, Any]
Loaders = dict[str, Callable[[], Record]]
"""A partitioned dataset as Kedro hands it to a node: name -> loader."""

logger = logging.getLogger(__name__)


def run_points(
    function: Callable[..., Record], tasks: Iterable[tuple[str, tuple[Any, ...]]], total: int, workers: int, label: str
) -> Iterator[tuple[str, Record]]:
    """Yield (key, function(*arguments)) of every (key, arguments), each as soon as it is done.

    One BLAS thread a process, so that results do not depend on the number of workers. A point that raises gives the
    record {"error": message} and takes no other with it.

    Args:
        function: what is done for a point; importable, since it runs in another process.
        tasks: keys with arguments.
        total: how many tasks there are.
        workers: processes; -1 for one for each core, 1 for none beside this one.
        label: what the progress bar says.
    """
    processes = min(cpu_count() if workers == -1 else workers, total)
    calls = (delayed(_guarded)(function, key, arguments) for key, arguments in tasks)
    with _progress() as progress:
        bar = progress.add_task(label, total=total)
        for key, record in _results(calls, processes):
            if details := record.pop("traceback", None):
                logger.error("%s failed: %s", key, record["error"])
                logger.debug("%s", details)
            progress.advance(bar)
            yield key, record


def _results(calls: Iterable[Any], processes: int) -> Iterator[tuple[str, Record]]:
    if processes <= 1:
        for function, arguments, keywords in calls:
            with threadpool_limits(1):
                result = function(*arguments, **keywords)
            yield result
        return
    with parallel_config(backend="loky", inner_max_num_threads=1):
        yield from Parallel(n_jobs=processes, return_as="generator_unordered")(calls)


def _guarded(function: Callable[..., Record], key: str, arguments: tuple[Any, ...]) -> tuple[str, Record]:
    try:
        return key, function(*arguments)
    except Exception as error:
        return key, {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}


def _progress() -> Progress:
    """A live bar with the time left; nothing where the output is not a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, disable=not sys.stderr.isatty(), transient=True)
