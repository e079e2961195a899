"""SQLite files as stores: made whole or not at all, mended where they were left half made, set up for one writer."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy
from mlflow import MlflowClient

PATIENCE = 120.0
"""Seconds to wait for another process that sets up a database."""
BUSY = 20.0
"""Seconds to wait for a database that another process writes."""
GIVEN = frozenset({"alembic_version", "experiments", "workspaces"})
"""Tables that MLflow fills while it makes them."""
LARGEST_CHECKED = 200e6
"""Bytes of a file up to which its pages are checked at the start of a run: about a second."""
ROWS = ("CHECK constraint failed", "NULL value in")
"""What SQLite says of rows that break a rule, in a file that is sound."""
BESIDE = ("-journal", "-wal", "-shm")
"""Ends of the names of what SQLite keeps beside a database."""


def file_of(uri: str) -> Path | None:
    """The file of a SQLite database, None of any other store."""
    url = sqlalchemy.make_url(uri)
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":", "file:")):
        return None
    return Path(url.database)


def is_archive(uri: str) -> bool:
    """Whether a SQLite database is there whose folder cannot be written: nothing is made or mended beside it."""
    path = file_of(uri)
    return path is not None and path.is_file() and not os.access(path.parent, os.W_OK)


@contextmanager
def one_at_a_time(uri: str) -> Iterator[None]:
    """Wait for other processes that open the same SQLite file: two that set up a new one break each other's work."""
    path = file_of(uri)
    if path is None:
        yield
        return
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock", timeout=PATIENCE):
        yield


def make(uri: str) -> None:
    """Make the tables of a database that is not there under another name, and rename it when they are.

    A process that dies on the way leaves nothing that another one would take for a store.
    """
    path = file_of(uri)
    if path is None or (path.exists() and path.stat().st_size):
        return
    for left in path.parent.iterdir():
        if left.name.startswith(_prefix(path)):
            left.unlink(missing_ok=True)
    new = path.with_name(f"{_prefix(path)}{os.getpid()}")
    _create(sqlalchemy.make_url(uri).set(database=str(new)).render_as_string(hide_password=False))
    with new.open("rb") as file:
        os.fsync(file.fileno())
    for end in BESIDE:  # of a database that was deleted: SQLite would take it for the new one's
        Path(f"{path}{end}").unlink(missing_ok=True)
    new.replace(path)


def mend(uri: str) -> bool:
    """Make a database anew that holds nothing but tables, as a process leaves it that dies while MLflow makes them."""
    path = file_of(uri)
    if path is None or not path.exists() or not _holds_nothing(path):
        return False
    for engine in _engines(uri):
        engine.dispose()
    for each in (path, *(Path(f"{path}{end}") for end in BESIDE)):
        each.unlink(missing_ok=True)
    make(uri)
    return True


def _prefix(path: Path) -> str:
    return f".{path.name}.new-"


def _create(uri: str) -> None:
    """Let MLflow make the tables of a new database, which nobody needs if the machine stops meanwhile."""

    def hasty(connection: Any, _: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=OFF")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", hasty)
    try:
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", hasty)
    for engine in _engines(uri):
        engine.dispose()


def _holds_nothing(path: Path) -> bool:
    """Whether no table of a database has rows but those that MLflow puts there while it makes them."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            if not {"alembic_version", "experiments"} <= {*tables, "alembic_version"}:
                return False  # it is of another program
            filled = [
                name
                for name in tables
                if name not in GIVEN and not name.startswith("sqlite_")
                if connection.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone()
            ]
            others = connection.execute("SELECT 1 FROM experiments WHERE experiment_id != 0 LIMIT 1").fetchone()
        except sqlite3.DatabaseError:
            return False
    return not filled and others is None


def damage(uri: str) -> str:
    """What is wrong with the file of a database, in words that say what to do; "" if it is sound, or no file."""
    path = file_of(uri)
    if path is None or not path.exists() or path.stat().st_size > LARGEST_CHECKED:
        return ""
    try:
        with closing(sqlite3.connect(path, timeout=BUSY)) as connection:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError:  # locked, or not to be read: it may be sound
        return ""
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found == "ok" or found.startswith(ROWS):
        return ""
    for engine in _engines(uri):
        engine.dispose()  # it has the file open that is to be moved
    reason = " ".join(found.split())
    return (
        f"the file is damaged ({reason}): move {path.absolute()} away and run again; "
        f"what is in files is tracked anew, and not computed again"
    )


def probe(uri: str) -> None:
    """Connect to a database and read its list of tables."""
    engine = sqlalchemy.create_engine(sqlalchemy.make_url(uri))
    try:
        sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()


@contextmanager
def one_writer(uri: str, client: MlflowClient) -> Iterator[None]:
    """Write a SQLite file through a log beside it (WAL), which waits for the disk once in a while and not per commit.

    A process that dies loses nothing; a machine that stops may lose the last seconds, and never breaks the file.
    Afterwards the file is whole by itself again, so that it can be copied, or read where nothing can be written.
    Another process that has it open, such as MLflow's pages, keeps the log until it closes it.
    """
    path, engines = file_of(uri), _engines(uri, client)
    if path is None or not engines:
        yield
        return
    for engine in engines:
        engine.dispose()  # connections made before
        sqlalchemy.event.listen(engine, "connect", _normal)
    _journal(path, "WAL")
    try:
        yield
    finally:
        for engine in engines:
            sqlalchemy.event.remove(engine, "connect", _normal)
            engine.dispose()
        _journal(path, "DELETE")


def _normal(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")


def _journal(path: Path, mode: str) -> None:
    """Choose the journal of a database, if no other process is in the way."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=1)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}").fetchone()


def sqlite_engine(client: MlflowClient) -> sqlalchemy.Engine | None:
    """The engine by which a client reaches its SQLite file, None of any other store."""
    if not client.tracking_uri.startswith("sqlite:") or file_of(client.tracking_uri) is None:
        return None
    return next(iter(_engines(client.tracking_uri, client)), None)


def _engines(uri: str, client: MlflowClient | None = None) -> list[sqlalchemy.Engine]:
    """The engines by which MLflow reaches a database; none where a later version keeps them elsewhere."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    cached = getattr(SqlAlchemyStore, "_engine_map", {}) or {}
    store = getattr(getattr(client, "_tracking_client", None), "store", None)
    found = [getattr(store, "engine", None), cached.get(uri)]
    return list({id(each): each for each in found if isinstance(each, sqlalchemy.Engine)}.values())
