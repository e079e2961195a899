"""What a SQLite file is told of a point in single statements, where MLflow makes an object per value."""

import logging
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from implicit_bias.tracking.database import BUSY, sqlite_engine
from implicit_bias.tracking.limits import VALUE
from implicit_bias.tracking.runs import now

logger = logging.getLogger(__name__)

NAME = re.compile(r"[\w][\w\-. :]*(/[\w][\w\-. :]*)*")
"""Names that MLflow takes as they are."""
LONGEST = 250
"""Characters of a name."""
COLUMNS = {"key", "value", "timestamp", "step", "is_nan", "run_uuid"}
"""What a row of both tables of metrics is."""
PARAM_COLUMNS = {"key", "value", "run_uuid"}
"""What a row of the table of params is."""
RUN_COLUMNS = {"run_uuid", "lifecycle_stage", "status", "end_time"}
"""What the end of a run is told by."""


def write_first(client: MlflowClient, run_id: str, metrics: Sequence[Metric], params: Sequence[Param] = ()) -> bool:
    """Give a run that has no metrics its first ones, as `MlflowClient.log_batch` does in a tenth of the time.

    Args:
        client: the client of the store.
        run_id: the run.
        metrics: distinct in name, step and timestamp.
        params: distinct in name; the run has none of them.

    Returns:
        whether they are there, all of them; if not, none is, and `log_batch` has to do it: of any store but a SQLite
        file, of tables that are not those known here, of a run that has metrics, or one of the params, or is deleted,
        of names or values that MLflow would refuse or change.

    Raises:
        sqlalchemy.exc.OperationalError: the database cannot be written.
    """
    engine = sqlite_engine(client)
    if engine is None or not metrics or not (all(map(_plain, metrics)) and all(map(_plain, params))):
        return False
    try:
        from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun
    except ImportError:
        return False
    each, last, given = SqlMetric.__table__, SqlLatestMetric.__table__, SqlParam.__table__
    known = set(each.columns.keys()) == set(last.columns.keys()) == COLUMNS
    if not known or set(given.columns.keys()) != PARAM_COLUMNS:
        return False
    rows = [_row(run_id, metric) for metric in metrics]
    latest = {row["key"]: row for row in sorted(rows, key=lambda row: (row["step"], row["timestamp"], row["value"]))}
    try:
        with _connected(engine) as connection:
            mine: sqlalchemy.Select[Any] = sqlalchemy.select(SqlRun.lifecycle_stage).where(SqlRun.run_uuid == run_id)
            begun = sqlalchemy.select(last.c.key).where(last.c.run_uuid == run_id).limit(1)
            if connection.execute(mine).scalar() != "active" or connection.execute(begun).first():
                return False
            connection.execute(sqlalchemy.insert(each), rows)
            connection.execute(sqlalchemy.insert(last), list(latest.values()))
            if params:
                entries = [{"run_uuid": run_id, "key": param.key, "value": param.value} for param in params]
                connection.execute(sqlalchemy.insert(given), entries)
    except sqlalchemy.exc.OperationalError:  # locked, full, gone: MLflow would wait as long and fail as well
        raise
    except (sqlalchemy.exc.SQLAlchemyError, UnicodeError) as error:
        logger.debug("left to MLflow: %s", error)
        return False
    return True


def write_end(client: MlflowClient, run_id: str, status: str) -> bool:
    """End a run, as `MlflowClient.set_terminated` does, which reads all that the run has.

    Returns:
        whether it has ended; if not, `set_terminated` has to do it.

    Raises:
        sqlalchemy.exc.OperationalError: the database cannot be written.
    """
    engine = sqlite_engine(client)
    if engine is None:
        return False
    try:
        from mlflow.store.tracking.dbmodels.models import SqlRun
    except ImportError:
        return False
    runs = SqlRun.__table__
    if not RUN_COLUMNS <= set(runs.columns.keys()):
        return False
    mine = sqlalchemy.update(runs).where(runs.c.run_uuid == run_id, runs.c.lifecycle_stage == "active")
    with _connected(engine) as connection:
        return bool(connection.execute(mine.values(status=status, end_time=now())).rowcount)


@contextmanager
def _connected(engine: sqlalchemy.Engine) -> Iterator[sqlalchemy.Connection]:
    """A transaction with the settings that MLflow gives its own: it waits for a lock, and keeps references whole."""
    with engine.begin() as connection:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {1000 * BUSY:.0f}")
        yield connection


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
