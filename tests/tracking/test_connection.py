"""Which errors mean that the store is away, and which blame what it was given: each is caused for real."""

import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from implicit_bias.tracking.connection import impatient, is_outage
from tests.support.clusters import free_port

Act = Callable[[MlflowClient, str], Any]


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one run in it."""
    path = tmp_path_factory.mktemp("new") / "mlflow.db"
    client = MlflowClient(f"sqlite:///{path}")
    client.create_run(client.create_experiment("tests", (path.parent / "mlruns").as_uri()))
    return path


@pytest.fixture
def database(new: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(new, tmp_path))


def error_of(database: Path, act: Act) -> Exception:
    client = MlflowClient(f"sqlite:///{database}")
    (run,) = client.search_runs([client.get_experiment_by_name("tests").experiment_id])
    with pytest.raises(Exception) as caught:  # noqa: PT011 which one is what is asked
        act(client, run.info.run_id)
    return caught.value


def log(client: MlflowClient, run_id: str) -> None:
    client.log_batch(run_id, [Metric("distance", 1.0, 0, 0)])


def test_a_database_that_is_no_longer_one(database: Path) -> None:
    def spoil(client: MlflowClient, run_id: str) -> None:
        database.write_bytes(b"no database at all" * 1000)
        log(client, run_id)

    assert is_outage(error_of(database, spoil))


@pytest.mark.slow  # for as long as MLflow waits for it
def test_a_database_that_another_process_keeps_locked(database: Path) -> None:
    def wait(client: MlflowClient, run_id: str) -> None:
        with sqlite3.connect(database, isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            log(client, run_id)

    assert is_outage(error_of(database, wait))


def test_tables_that_are_gone(database: Path) -> None:
    def drop(client: MlflowClient, run_id: str) -> None:
        with sqlite3.connect(database) as other:
            other.execute("DROP TABLE metrics")
        log(client, run_id)

    assert is_outage(error_of(database, drop))


@pytest.mark.parametrize(
    "act",
    [
        lambda client, run_id: client.log_batch(run_id, [Metric("a name: not allowed?", 1.0, 0, 0)]),
        lambda client, run_id: [client.log_batch(run_id, params=[Param("p", value)]) for value in "ab"],
        lambda client, run_id: (client.delete_run(run_id), log(client, run_id)),
        lambda client, run_id: client.log_batch("0" * 32, [Metric("distance", 1.0, 0, 0)]),
        lambda client, run_id: client.log_batch(run_id, [Metric("distance", object(), 0, 0)]),
        lambda client, run_id: client.log_batch(run_id, [None]),
        lambda client, run_id: client.log_artifact(run_id, "no such file"),
        lambda client, run_id: {}["missing"],
    ],
    ids=["name", "changed", "deleted", "no such run", "no number", "no metric", "no file", "bug"],
)
def test_what_was_given_is_at_fault(database: Path, act: Act) -> None:
    assert not is_outage(error_of(database, act))


def answering(status: int, text: str) -> Iterator[str]:
    """The address of a server that says the same to everybody."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


BAD = '{"error_code": "INVALID_PARAMETER_VALUE", "message": "a name"}'
AWAY = '{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"}'


@pytest.mark.parametrize(
    ("status", "text", "outage"),
    [
        (500, "", True),
        (502, "<html>", True),
        (503, AWAY, True),
        (401, "", True),
        (403, "", True),
        (429, "", True),
        (200, "<html>", True),
        (400, BAD, False),
        (404, '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "gone"}', False),
    ],
)
def test_what_a_server_answers(status: int, text: str, outage: bool) -> None:
    for address in answering(status, text):
        with impatient(), pytest.raises(Exception) as caught:  # noqa: PT011
            log(MlflowClient(address), "0" * 32)
        assert is_outage(caught.value) is outage


def test_nobody_answers() -> None:
    with impatient(), pytest.raises(Exception) as caught:  # noqa: PT011
        log(MlflowClient(f"http://127.0.0.1:{free_port()}"), "0" * 32)
    assert is_outage(caught.value)


def test_no_room_for_artifacts(tmp_path: Path, database: Path) -> None:
    """A folder that cannot be made, for the sake of a file in its place."""

    def send(client: MlflowClient, run_id: str) -> None:
        run = client.get_run(run_id)
        place = Path(run.info.artifact_uri.removeprefix("file://"))
        shutil.rmtree(place.parent, ignore_errors=True)
        place.parent.parent.mkdir(exist_ok=True)
        place.parent.touch()
        client.log_artifact(run_id, __file__)

    assert is_outage(error_of(database, send))


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
