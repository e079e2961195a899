"""SQLite stores: whole or not there, whenever the process that makes them dies, and one file when nobody writes."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from implicit_bias.tracking.database import damage, mend
from implicit_bias.tracking.reader import Reader
from implicit_bias.tracking.records import TrackingError
from implicit_bias.tracking.store import Store, absolute
from tests.support.tracking import KEYS, complete, plan

MAKE = """
import sys
from pathlib import Path
from implicit_bias.tracking.store import Store
print("ready", flush=True)
Store("sqlite:///mlflow.db", Path(sys.argv[1]))
"""
HALFWAY = """
import os, sqlite3, sys
from pathlib import Path
import sqlalchemy
from mlflow import MlflowClient
left = int(sys.argv[2])

@sqlalchemy.event.listens_for(sqlalchemy.Engine, "before_cursor_execute")
def die(*_):
    global left
    left -= 1
    if left < 0:
        os._exit(9)

MlflowClient(f"sqlite:///{sys.argv[1]}/mlflow.db").search_experiments()
"""


def is_usable(folder: Path) -> bool:
    sweep = Store("sqlite:///mlflow.db", folder).open(plan())
    complete(sweep)
    return sweep.close() == "FINISHED"


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.8, 1.5, 2.5])
def test_a_process_killed_while_it_makes_a_store_leaves_none_or_a_whole_one(tmp_path: Path, seconds: float) -> None:
    process = subprocess.Popen([sys.executable, "-c", MAKE, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(seconds)
    process.kill()
    process.communicate()
    assert is_usable(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"mlflow.db", "mlflow.db.lock", "mlruns"}


@pytest.mark.slow
@pytest.mark.parametrize("statements", [40, 150, 400, 700])
def test_a_store_that_was_left_half_made_is_mended(tmp_path: Path, statements: int) -> None:
    subprocess.run([sys.executable, "-c", HALFWAY, str(tmp_path), str(statements)], check=False)
    assert is_usable(tmp_path)


def test_what_holds_anything_is_not_made_anew(store: Store, project: Path, tmp_path: Path) -> None:
    store.open(plan())
    before = (project / "mlflow.db").read_bytes()
    assert not mend(store.uri)
    assert (project / "mlflow.db").read_bytes() == before
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE mine (a)")
    assert not mend(f"sqlite:///{foreign}")
    assert foreign.exists()


@pytest.mark.parametrize("damage", ["text", "cut", "page"])
def test_a_damaged_database_is_named_with_the_way_out(store: Store, project: Path, damage: str) -> None:
    sweep = store.open(plan())
    complete(sweep)
    sweep.close()
    path = project / "mlflow.db"
    content = path.read_bytes()
    size = int.from_bytes(content[16:18], "big")
    damaged = {"text": b"no database " * 999, "cut": content[: 3 * len(content) // 4 // size * size], "page": content}
    path.write_bytes(damaged[damage] if damage != "page" else content[:-size] + b"\xff" * size)
    with pytest.raises(TrackingError, match=rf"is damaged .*: move {path} away and run again"):
        Store("sqlite:///mlflow.db", project)
    path.rename(project / "away.db")
    assert is_usable(project)


def test_an_archive_that_cannot_be_written_is_read_and_left_as_it_is(
    store: Store, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = store.open(plan())
    complete(sweep)
    sweep.close()
    (project / "mlflow.db.lock").unlink()
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    monkeypatch.setattr(os, "access", lambda *_: False)
    reader = Reader("sqlite:///mlflow.db", project, "tests")
    (parent,) = reader.parents()
    assert len(reader.children(parent)) == len(KEYS)
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def journal(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def test_a_database_of_the_project_has_one_writer_and_is_one_file_afterwards(store: Store, project: Path) -> None:
    database = project / "mlflow.db"
    with store.writing():
        sweep = store.open(plan())
        complete(sweep)
        sweep.close()
        assert journal(database) == "wal"
    assert journal(database) == "delete"
    assert not list(project.glob("mlflow.db-*"))
    shutil.copy(database, project / "copy.db")
    copy = Store("sqlite:///copy.db", project)
    assert copy.client.get_run(sweep.run_id).info.status == "FINISHED"


def test_a_database_of_others_is_left_as_it_is(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shared = Store(f"sqlite:///{project}/mlflow.db", other)
    with shared.writing():
        shared.open(plan())
        assert journal(project / "mlflow.db") == "delete"


@pytest.mark.parametrize("name", ["a*b", "per%20cent", "[brackets]", "back\\slash", "a b#c", "what?"])
def test_a_project_may_have_any_name(fresh_database: Path, tmp_path: Path, name: str, monkeypatch) -> None:
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(fresh_database, folder)
    monkeypatch.chdir(folder)
    assert is_usable(folder)
    assert {path.name for path in folder.iterdir()} <= {"mlflow.db", "mlflow.db.lock", "mlruns"}
    if "?" in name:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(TrackingError, match="question mark"):
            absolute("sqlite:///mlflow.db", folder)


def test_a_row_that_breaks_a_rule_does_not_make_a_file_damaged(store: Store, project: Path) -> None:
    path = project / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE foreign_table (age INTEGER CHECK (age > 0))")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("INSERT INTO foreign_table VALUES (-1)")
        connection.commit()
    assert damage(store.uri) == ""
