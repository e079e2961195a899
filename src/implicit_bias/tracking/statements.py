"""What a SQLite file is told of a point in single statements, where MLflow makes an object per value.

Each function does what one of `MlflowClient` does, in a tenth of the time, or nothing, which leaves it to MLflow: any
store but a SQLite file, tables that are not those known here, what MLflow would refuse or change. All of them raise
`sqlalchemy.exc.OperationalError` if the database cannot be written: locked, full or gone.
"""

import logging
import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeVar

import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.utils.uri import append_to_uri_path

from implicit_bias.tracking.database import BUSY, sqlite_engine
from implicit_bias.tracking.limits import VALUE
from implicit_bias.tracking.runs import now

logger = logging.getLogger(__name__)

NAME = re.compile(r"[\w][\w\-. :]*(/[\w][\w\-. :]*)*")
"""Names that MLflow takes as they are."""
LONGEST = 250
"""Characters of a name."""
METRIC = {"key", "value", "timestamp", "step", "is_nan", "run_uuid"}
"""Columns of both tables of metrics."""
TEXT = {"key", "value", "run_uuid"}
"""Columns of the tables of params and of tags."""
ENDING = {"run_uuid", "lifecycle_stage", "status", "end_time"}
"""Columns that tell the end of a run."""
RUN = ENDING | {
    "name",
    "source_type",
    "source_name",
    "source_version",
    "entry_point_name",
    "user_id",
    "start_time",
    "deleted_time",
    "artifact_uri",
    "experiment_id",
}
"""Columns of the table of runs."""
EXPERIMENT = {"experiment_id", "artifact_location", "lifecycle_stage"}
"""Columns that tell where the runs of an experiment are kept."""
USER, RUN_NAME = "mlflow.user", "mlflow.runName"

Found = TypeVar("Found")


def write_run(
    client: MlflowClient, experiment_id: str, started: int, tags: Mapping[str, str], name: str
) -> tuple[str, str] | None:
    """Start a run, as `MlflowClient.create_run` does.

    Args:
        client: the client of the store.
        experiment_id: the experiment that it is in.
        started: when, in milliseconds since the epoch.
        tags: its tags; its name is not among them.
        name: its name.

    Returns:
        its id and the address of its artifacts; None if it is not there and `create_run` has to do it.
    """
    engine, experiments = sqlite_engine(client), _table("SqlExperiment", EXPERIMENT, more=True)
    runs, told = _table("SqlRun", RUN), _table("SqlTag", TEXT)
    if engine is None or experiments is None or runs is None or told is None or not name or RUN_NAME in tags:
        return None
    run_id = uuid.uuid4().hex

    def start(connection: sqlalchemy.Connection) -> tuple[str, str] | None:
        mine = experiments.c.experiment_id == int(experiment_id), experiments.c.lifecycle_stage == "active"
        place = connection.execute(sqlalchemy.select(experiments.c.artifact_location).where(*mine)).scalar()
        if not place:
            return None
        artifacts = str(append_to_uri_path(place, run_id, "artifacts"))  # type: ignore[no-untyped-call]
        row = {
            "run_uuid": run_id,
            "experiment_id": int(experiment_id),
            "name": name,
            "user_id": tags.get(USER, "unknown"),
            "status": "RUNNING",
            "lifecycle_stage": "active",
            "start_time": started,
            "artifact_uri": artifacts,
            "source_type": "UNKNOWN",
            "source_name": "",
            "source_version": "",
            "entry_point_name": "",
        }
        connection.execute(sqlalchemy.insert(runs), row)
        connection.execute(sqlalchemy.insert(told), _texts(run_id, {**tags, RUN_NAME: name}.items()))
        return run_id, artifacts

    return _written(engine, start)


def write_first(client: MlflowClient, run_id: str, metrics: Sequence[Metric], params: Sequence[Param] = ()) -> bool:
    """Give a run that has no metrics its first ones, as `MlflowClient.log_batch` does.

    Args:
        client: the client of the store.
        run_id: the run.
        metrics: distinct in name, step and timestamp.
        params: distinct in name; the run has none of them.

    Returns:
        whether they are there, all of them; if not, none is, and `log_batch` has to do it, as of a run that has
        metrics, or one of the params, or is deleted.
    """
    engine, runs, given = sqlite_engine(client), _table("SqlRun", ENDING, more=True), _table("SqlParam", TEXT)
    each, last = _table("SqlMetric", METRIC), _table("SqlLatestMetric", METRIC)
    if engine is None or runs is None or given is None or each is None or last is None:
        return False
    if not metrics or not (all(map(_plain, metrics)) and all(map(_plain, params))):
        return False
    rows = [_row(run_id, metric) for metric in metrics]
    latest = {row["key"]: row for row in sorted(rows, key=lambda row: (row["step"], row["timestamp"], row["value"]))}

    def give(connection: sqlalchemy.Connection) -> bool:
        mine = sqlalchemy.select(runs.c.lifecycle_stage).where(runs.c.run_uuid == run_id)
        begun = sqlalchemy.select(last.c.key).where(last.c.run_uuid == run_id).limit(1)
        if connection.execute(mine).scalar() != "active" or connection.execute(begun).first():
            return False
        connection.execute(sqlalchemy.insert(each), rows)
        connection.execute(sqlalchemy.insert(last), list(latest.values()))
        if params:
            connection.execute(sqlalchemy.insert(given), _texts(run_id, ((each.key, each.value) for each in params)))
        return True

    return bool(_written(engine, give))


def write_end(client: MlflowClient, run_id: str, status: str) -> bool:
    """End a run, as `MlflowClient.set_terminated` does, which reads all that the run has.

    Returns:
        whether it has ended; if not, `set_terminated` has to do it.
    """
    engine, runs = sqlite_engine(client), _table("SqlRun", ENDING, more=True)
    if engine is None or runs is None:
        return False
    mine = sqlalchemy.update(runs).where(runs.c.run_uuid == run_id, runs.c.lifecycle_stage == "active")
    end = mine.values(status=status, end_time=now())
    return bool(_written(engine, lambda connection: connection.execute(end).rowcount))


def _table(model: str, columns: set[str], more: bool = False) -> sqlalchemy.Table | None:
    """A table of MLflow's, None if it has other columns than those; it may have more where none is inserted."""
    try:
        models = import_module("mlflow.store.tracking.dbmodels.models")
    except ImportError:
        return None
    table = getattr(getattr(models, model, None), "__table__", None)
    if not isinstance(table, sqlalchemy.Table):
        return None
    found = set(table.columns.keys())
    return table if found == columns or (more and found > columns) else None


def _written(engine: sqlalchemy.Engine, act: Callable[[sqlalchemy.Connection], Found]) -> Found | None:
    """What is done in one transaction; None, and nothing is done, where the database refuses it.

    It waits for a lock as long as those of MLflow's own.
    """
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {1000 * BUSY:.0f}")
            return act(connection)
    except sqlalchemy.exc.OperationalError:  # MLflow would wait as long and fail as well
        raise
    except (sqlalchemy.exc.SQLAlchemyError, UnicodeError) as error:
        logger.debug("left to MLflow: %s", error)
        return None


def _plain(entry: Metric | Param) -> bool:
    """Whether MLflow would keep a metric or a param as it is."""
    if isinstance(entry, Metric):
        kept = math.isfinite(entry.value) and 0 <= entry.timestamp < 2**63 and -(2**63) <= entry.step < 2**63
    else:
        kept = len(entry.value) <= VALUE
    return kept and len(entry.key) <= LONGEST and bool(NAME.fullmatch(entry.key))


def _row(run_id: str, metric: Metric) -> dict[str, Any]:
    return {
        "run_uuid": run_id,
        "key": metric.key,
        "value": float(metric.value),
        "timestamp": metric.timestamp,
        "step": metric.step,
        "is_nan": False,
    }


def _texts(run_id: str, texts: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"run_uuid": run_id, "key": key, "value": value} for key, value in texts]
