"""What is computed once: records of earlier runs are read back where their fingerprint is right.

A record carries the digest of everything that determines it: the data, the point, the parameters its stage depends on,
and the version of the numerics. Whatever else is found in its place is computed again, or refused where it is needed.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kedro.io.core import DatasetError

from implicit_bias.errors import ImplicitBiasError
from implicit_bias.sweeps.fingerprint import digest, numerics
from implicit_bias.sweeps.handover import Loaders, Record, failed, failure_of
from implicit_bias.sweeps.kinds.base import STEPS
from implicit_bias.sweeps.parameters import Engine
from implicit_bias.sweeps.points import require, run_points

if TYPE_CHECKING:
    import pandas as pd

STALE = "is of other parameters, data or numerics: run what makes it again, the pipeline"
MISSING = "holds nothing of this point: run the stage that makes it"
STAMP = "fingerprint"
"""The entry of a record, and the column of a table, that says what it was made of."""

ReadStored = Callable[[str], Any]
"""Reads what earlier runs have left under a key; None if that is nothing."""

logger = logging.getLogger(__name__)


class StaleRecords(ImplicitBiasError, ValueError):
    """What a stage needs was made of other parameters, data or numerics than those of this run."""


@dataclass(frozen=True)
class Stage:
    """Something that is done for every one of many keys, each time with one record as the result.

    Attributes:
        name: what it is called where its progress is shown.
        output: the dataset of its records.
        pipeline: the pipeline that makes them.
        compute: what it does for a key; its module tells the version of the numerics.
        ignores: parameters, beside those that none depends on, that its records do not depend on.
        steps: of a stage of points, those steps of their kind of network that its records depend on.
    """

    name: str
    output: str
    pipeline: str
    compute: Callable[..., Record]
    ignores: frozenset[str] = frozenset()
    steps: tuple[str, ...] = STEPS[:2]

    @cached_property
    def numerics(self) -> str:
        return numerics(self.compute.__module__)

    def fingerprint(self, determinants: Any) -> str:
        """The digest of a record, from everything besides the numerics that determines it; anything `digest` takes."""
        return digest([self.output, self.numerics, determinants])


@dataclass(frozen=True)
class StageTask:
    """One record of a stage.

    Attributes:
        key: the name of the record.
        fingerprint: what it must carry.
        arguments: gives what the stage computes it from; called only if it has to be computed.
    """

    key: str
    fingerprint: str
    arguments: Callable[[], tuple[Any, ...]]


def compute_tasks(
    stage: Stage,
    tasks: Sequence[StageTask],
    stored: Mapping[str, ReadStored],
    engine: Engine,
    usable: Callable[[str, Record], bool] = lambda key, record: True,
    modules: Sequence[str] = (),
) -> Iterator[tuple[str, Record]]:
    """Yield the record of every task: first those that earlier runs have left, then the others as they finish.

    Args:
        stage: what is done.
        tasks: for what; their keys differ.
        stored: dataset -> reader of what earlier runs have left.
        engine: where the tasks are computed; `fresh` leaves nothing to be reused.
        usable: whether a stored record is still good for something; asked of those with the right fingerprint.
        modules: what computes the records, besides the module of the stage.

    Yields:
        key and record; a `Failure` with its fingerprint for what could not be computed.
    """
    missing = []
    for task in tasks:
        record = None if engine.fresh else _stored(stored[stage.output], task, stage)
        if record is not None and usable(task.key, record):
            yield task.key, record
        else:
            missing.append(task)
    if len(missing) < len(tasks):
        logger.info("%s: %d of %d were done before", stage.name, len(tasks) - len(missing), len(tasks))
    stamps = {task.key: task.fingerprint for task in missing}
    calls = ((task.key, task.arguments()) for task in missing)
    for key, record in run_points(stage.compute, calls, len(missing), engine, stage.name, modules):
        yield key, record | {STAMP: stamps[key]}


def _stored(read: ReadStored, task: StageTask, stage: Stage) -> Record | None:
    """The record of a task that an earlier run has left, if there is one and it is not stale, damaged or an error."""
    try:
        record: Record | None = read(task.key)
    except DatasetError as error:
        logger.warning("%s: computed again: %s", stage.name, error)
        return None
    whole = record is not None and failure_of(record) is None and record.get(STAMP) == task.fingerprint
    return record if whole else None


def load(stage: Stage, records: Loaders, key: str, fingerprint: str) -> Record:
    """A record that an earlier stage has made, without its fingerprint.

    Raises:
        NothingOfPoints: there is none.
        StaleRecords: it is of other parameters, data or numerics.
    """
    require([key], records, stage.output, stage.pipeline)
    record = records[key]()
    if record.get(STAMP) != fingerprint:
        raise StaleRecords(f"what {stage.output} holds of {key!r} {STALE} {stage.pipeline}")
    return {name: value for name, value in record.items() if name != STAMP}


def load_or_error(stage: Stage, records: Loaders, key: str, fingerprint: str) -> Record:
    """As `load`, with an error instead of a record that is missing or damaged.

    Raises:
        StaleRecords: it is of other parameters, data or numerics.
    """
    if key not in records:
        return failed(f"{stage.output} {MISSING}")
    try:
        return load(stage, records, key, fingerprint)
    except DatasetError as error:
        return failed(str(error))


def stamp(fingerprint: str) -> str:
    """A fingerprint as a cell of a table, which no reader takes for a number."""
    return f"sha256:{fingerprint}"


def check_table(stage: Stage, table: "pd.DataFrame", fingerprints: Mapping[str, str], column: str = "point") -> None:
    """Refuse a table whose rows are not of the records that there should be.

    Args:
        stage: what has made the records.
        table: one row per record, its key in `column`, its stamp in STAMP.
        fingerprints: key -> fingerprint of every record there may be.
        column: the column of the keys.

    Raises:
        StaleRecords: a row is of another record.
    """
    stamps = table[STAMP] if STAMP in table else [""] * len(table)
    for key, found in zip(table[column], stamps, strict=True):
        if key not in fingerprints or found != stamp(fingerprints[key]):
            raise StaleRecords(
                f"the table of {stage.output} has another record of {key!r} than that of these parameters, data and "
                "numerics: run all of the pipeline again; what is done is not computed again"
            )
