"""What a SQLite file is told of a point in single statements, where MLflow makes an object per value.

Each function does what `MlflowClient` does, in a tenth of the time, or nothing, which leaves it to MLflow: any store
but a SQLite file, tables that are not those known here, what MLflow would refuse or change. All of them raise
`sqlalchemy.exc.OperationalError` if the database cannot be written: locked, full or gone.
"""

import logging
import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.utils.uri import append_to_uri_path

from implicit_bias.tracking.database import BUSY, sqlite_engine
from implicit_bias.tracking.limits import NAME, NOTE, VALUE
from implicit_bias.tracking.runs import now

logger = logging.getLogger(__name__)

PLAIN = re.compile(r"[\w][\w\-. :]*(/[\w][\w\-. :]*)*")
"""Names that MLflow takes as they are."""
OURS = "mlflow."
"""How the names of tags begin that mean something to MLflow."""
METRIC = ("run_uuid", "key", "value", "timestamp", "step", "is_nan")
"""Columns of both tables of metrics."""
TEXT = ("run_uuid", "key", "value")
"""Columns of the tables of params and of tags."""
ENDING = ("run_uuid", "lifecycle_stage", "status", "end_time")
"""Columns that tell the end of a run."""
RUN = (
    *(*ENDING, "name", "source_type", "source_name", "source_version", "entry_point_name"),
    *("user_id", "start_time", "deleted_time", "artifact_uri", "experiment_id"),
)
"""Columns of the table of runs."""
EXPERIMENT = ("experiment_id", "artifact_location", "lifecycle_stage")
"""Columns that tell where the runs of an experiment are kept."""
USER, RUN_NAME = "mlflow.user", "mlflow.runName"

Found = TypeVar("Found")


def write_run(
    client: MlflowClient, experiment_id: str, started: int, tags: Mapping[str, str], name: str
) -> tuple[str, str] | None:
    """Start a run at a time in ms since the epoch, as `MlflowClient.create_run` does; its name is not among its tags.

    Returns:
        its id and the address of its artifacts; None if it is not there and `create_run` has to do it.
    """
    known = _has("runs", RUN) and _has("tags", TEXT) and _has("experiments", EXPERIMENT, more=True)
    if not known or not name or RUN_NAME in tags:
        return None
    run_id = uuid.uuid4().hex

    def start(connection: sqlalchemy.Connection) -> tuple[str, str] | None:
        mine = "SELECT artifact_location FROM experiments WHERE experiment_id = ? AND lifecycle_stage = 'active'"
        place = connection.exec_driver_sql(mine, (int(experiment_id),)).scalar()
        if not place:
            return None
        artifacts = str(append_to_uri_path(place, run_id, "artifacts"))  # type: ignore[no-untyped-call]
        source = {"source_type": "UNKNOWN", "source_name": "", "source_version": "", "entry_point_name": ""}
        row = source | {
            "run_uuid": run_id,
            "experiment_id": int(experiment_id),
            "name": name,
            "user_id": tags.get(USER, "unknown"),
            "status": "RUNNING",
            "lifecycle_stage": "active",
            "start_time": started,
            "artifact_uri": artifacts,
        }
        _insert(connection, "runs", RUN, [tuple(map(row.get, RUN))])
        _insert(connection, "tags", TEXT, [(run_id, *tag) for tag in {**tags, RUN_NAME: name}.items()])
        return run_id, artifacts

    return _written(client, start)


def write_first(
    client: MlflowClient,
    run_id: str,
    metrics: Sequence[Metric],
    params: Sequence[Param] = (),
    tags: Sequence[RunTag] = (),
    status: str | None = None,
) -> bool:
    """Give a run that has no metrics its first ones, and end it.

    MLflow does so by `log_batch` and by `set_terminated`, which reads all that the run has.

    Args:
        client: the client of the store.
        run_id: the run.
        metrics: distinct in name, step and timestamp.
        params: distinct in name; the run has none of them.
        tags: distinct in name; they take the place of those that the run has.
        status: how the run ends; None if it goes on.

    Returns:
        whether all of it is there; if not, nothing is, and the client has to do it, as of a run that has metrics, or
        one of the params, or is deleted.
    """
    known = all(_has(table, METRIC) for table in ("metrics", "latest_metrics"))
    known = known and all(_has(table, TEXT) for table in ("params", "tags")) and _has("runs", ENDING, more=True)
    if not known or not _as_they_are(metrics, params, tags):
        return False
    rows = [(run_id, each.key, float(each.value), each.timestamp, each.step, False) for each in metrics]
    latest = {row[1]: row for row in sorted(rows, key=lambda row: (row[4], row[3], row[2]))}

    def give(connection: sqlalchemy.Connection) -> bool:
        mine = "SELECT lifecycle_stage FROM runs WHERE run_uuid = ?"
        begun = "SELECT 1 FROM latest_metrics WHERE run_uuid = ? LIMIT 1"
        if connection.exec_driver_sql(mine, (run_id,)).scalar() != "active":
            return False
        if connection.exec_driver_sql(begun, (run_id,)).first():
            return False
        _insert(connection, "metrics", METRIC, rows)
        _insert(connection, "latest_metrics", METRIC, list(latest.values()))
        _insert(connection, "params", TEXT, [(run_id, each.key, each.value) for each in params])
        _insert(connection, "tags", TEXT, [(run_id, each.key, each.value) for each in tags], "INSERT OR REPLACE")
        if status is not None:
            end = "UPDATE runs SET status = ?, end_time = ? WHERE run_uuid = ?"
            connection.exec_driver_sql(end, (status, now(), run_id))
        return True

    return bool(_written(client, give))


@cache
def _has(table: str, columns: tuple[str, ...], more: bool = False) -> bool:
    """Whether a table of MLflow's has those columns; it may have more where none is inserted."""
    try:
        models = import_module("mlflow.store.tracking.dbmodels.models")
        found = set(models.Base.metadata.tables[table].columns.keys())
    except (ImportError, AttributeError, KeyError):
        return False
    return found == set(columns) or (more and found > set(columns))


def _insert(
    connection: sqlalchemy.Connection,
    table: str,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    verb: str = "INSERT",
) -> None:
    if rows:
        places = ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"{verb} INTO {table} ({', '.join(columns)}) VALUES ({places})", list(rows))


def _written(client: MlflowClient, act: Callable[[sqlalchemy.Connection], Found]) -> Found | None:
    """What is done in one transaction; None, and nothing is done, where the store or the database refuses it.

    It waits for a lock as long as those of MLflow's own.
    """
    engine = sqlite_engine(client)
    if engine is None:
        return None
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {1000 * BUSY:.0f}")
            return act(connection)
    except sqlalchemy.exc.OperationalError:  # MLflow would wait as long and fail as well
        raise
    except (sqlalchemy.exc.SQLAlchemyError, UnicodeError) as error:
        logger.debug("left to MLflow: %s", error)
        return None


def _as_they_are(metrics: Iterable[Metric], params: Sequence[Param], tags: Sequence[RunTag]) -> bool:
    """Whether MLflow would keep all of it as it is."""
    names = {each.key for entries in (metrics, params, tags) for each in entries}
    return (
        all(len(name) <= NAME and PLAIN.fullmatch(name) for name in names)
        and not any(each.key.startswith(OURS) for each in tags)
        and all(len(each.value) <= most for entries, most in ((params, VALUE), (tags, NOTE)) for each in entries)
        and all(
            math.isfinite(each.value) and 0 <= each.timestamp < 2**63 and -(2**63) <= each.step < 2**63
            for each in metrics
        )
    )
