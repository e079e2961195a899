"""Running the points of a sweep: in processes, as they finish, with progress shown and failures kept apart."""

import logging
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from implicit_bias.errors import ImplicitBiasError
from implicit_bias.sweeps.fingerprint import reached, sources
from implicit_bias.sweeps.handover import Record, failed, failure, failure_of
from implicit_bias.sweeps.parameters import Engine
from implicit_bias.sweeps.workers import compute

logger = logging.getLogger(__name__)


class OtherCode(ImplicitBiasError, RuntimeError):
    """A worker has imported other code than the process that hands out the points."""


class NothingOfPoints(ImplicitBiasError, RuntimeError):
    """A stage needs what an earlier one has not made of all points."""


def require(names: Iterable[str], loaders: Container[str], dataset: str, stage: str) -> None:
    """Refuse to go on without what an earlier stage makes.

    Args:
        names: the points, or problems, that are needed.
        loaders: what there is.
        dataset: what it is called.
        stage: the pipeline that makes it.

    Raises:
        NothingOfPoints: some are missing.
    """
    wanted = list(names)
    if missing := [name for name in wanted if name not in loaders]:
        raise NothingOfPoints(
            f"{dataset} has nothing of {len(missing)} of {len(wanted)}, such as {missing[0]!r}: run what makes it, "
            f"the pipeline {stage}, or all of it again; what is done is not computed again"
        )


def run_points(
    function: Callable[..., Record],
    tasks: Iterable[tuple[str, tuple[Any, ...]]],
    total: int,
    engine: Engine,
    label: str,
    more: Sequence[str] = (),
) -> Iterator[tuple[str, Record]]:
    """Yield (key, function(*arguments)) of every (key, arguments), each as soon as it is done.

    Results do not depend on the engine. A point that raises, or whose worker dies whenever it is tried, gives the
    record a `Failure` and takes no other with it; so does one whose worker has imported other code than this process.

    Args:
        function: what is done for a point; importable, since it runs in another process.
        tasks: keys with arguments.
        total: how many tasks there are.
        engine: where the points are computed.
        label: what the progress bar says.
        more: modules that it calls without importing them by name.
    """
    modules = reached(function.__module__, *more)
    code = sources(modules)
    calls = ((key, (function, modules, code, *arguments)) for key, arguments in tasks)
    with _progress() as progress:
        bar = progress.add_task(label, total=total)
        for key, record in compute(_guarded, calls, failed, engine, total):
            if details := record.pop("traceback", None):
                logger.error("%s failed: %s", key, failure_of(record))
                logger.debug("%s", details)
            progress.advance(bar)
            yield key, record


def _guarded(function: Callable[..., Record], modules: tuple[str, ...], code: str, *arguments: Any) -> Record:
    """The record of a point; of one that could not be computed before, and is among the arguments, that failure."""
    for each in arguments:
        if isinstance(each, dict) and failure_of(each) is not None:
            return each
    try:
        if sources(modules) != code:
            raise OtherCode(
                "its worker has imported other code than this process, as happens where files change during a run or a "
                "cluster has started before they did: restart the cluster, if there is one, and run it again"
            )
        return function(*arguments)
    except Exception as error:
        return failure(error)


def _progress() -> Progress:
    """A live bar with the time left; nothing where the output is not a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, disable=not sys.stderr.isatty(), transient=True)
