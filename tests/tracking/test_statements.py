"""What is written by statements is as MLflow writes it, or left to MLflow."""

import math
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from implicit_bias.tracking.statements import write_first, write_run

NAMES = st.sampled_from(["loss", "curve/excess", "met/bound", "a b", "bound_final"])
VALUES = st.floats(allow_nan=False, allow_infinity=False, width=64)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    client = MlflowClient(f"sqlite:///{path}")
    return client, client.create_experiment("metrics"), path


def rows(path, run_id):
    """Both tables' rows of a run."""
    with closing(sqlite3.connect(path)) as connection:
        return [
            sorted(
                connection.execute(
                    f"SELECT key, value, timestamp, step, is_nan FROM {table} WHERE run_uuid = ?", (run_id,)
                )
            )
            for table in ("metrics", "latest_metrics")
        ]


def params_of(client, run_id):
    return client.get_run(run_id).data.params


def run_rows(path, run_id):
    """The row of a run with the names of its columns, without what tells it from others, and its tags."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        (row,) = connection.execute("SELECT * FROM runs WHERE run_uuid = ?", (run_id,)).fetchall()
        tags = connection.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run_id,)).fetchall()
    return {**row, "run_uuid": "", "artifact_uri": row["artifact_uri"].replace(run_id, "")}, sorted(map(tuple, tags))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=100)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["mlflow.user", "mlflow.parentRunId", "point", "ü"]), TEXTS), TEXTS)
def test_a_run_starts_as_by_mlflow(database, tags, name):
    client, experiment, path = database
    made = write_run(client, experiment, 5, tags, name)
    assert (made is None) == (not name)  # MLflow thinks of one
    if made is not None:
        ours, address = made
        info = client.create_run(experiment, 5, tags, name).info
        assert run_rows(path, ours) == run_rows(path, info.run_id)
        assert address.replace(ours, "") == info.artifact_uri.replace(info.run_id, "")
        assert client.get_run(ours).info.artifact_uri == address


def test_runs_that_mlflow_would_refuse_or_name_otherwise_are_left_to_it(database):
    client, _, path = database
    deleted = client.create_experiment("deleted")
    client.delete_experiment(deleted)
    there = client.create_experiment("there")
    for experiment, tags in (
        (deleted, {}),
        ("12345", {}),
        (there, {"mlflow.runName": "other"}),
        (there, {"a": "\ud800"}),
    ):
        assert write_run(client, experiment, 5, tags, "name") is None
        with closing(sqlite3.connect(path)) as connection:
            assert not connection.execute("SELECT 1 FROM runs WHERE experiment_id = ?", (experiment,)).fetchall()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.tuples(NAMES, st.integers(0, 2**62)), VALUES, min_size=1, max_size=20),
    st.dictionaries(NAMES, st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=500), max_size=4),
)
def test_both_ways_leave_the_same_rows(database, values, texts):
    client, experiment, path = database
    metrics = [Metric(name, value, 7, step) for (name, step), value in values.items()]
    params = [Param(name, text) for name, text in texts.items()]
    ours, theirs = (client.create_run(experiment).info.run_id for _ in range(2))
    assert write_first(client, ours, metrics, params)
    client.log_batch(theirs, metrics, params)
    assert rows(path, ours) == rows(path, theirs)
    assert client.get_run(ours).data.metrics == client.get_run(theirs).data.metrics
    assert params_of(client, ours) == params_of(client, theirs) == texts


@pytest.mark.parametrize(
    "metric",
    [
        Metric("nan", math.nan, 0, 0),
        Metric("infinite", math.inf, 0, 0),
        Metric("what?", 1.0, 0, 0),
        Metric("a//b", 1.0, 0, 0),
        Metric("../up", 1.0, 0, 0),
        Metric("long" * 70, 1.0, 0, 0),
        Metric("early", 1.0, -5, 0),
        Metric("late", 1.0, 0, 2**63),
    ],
)
def test_what_mlflow_refuses_or_changes_is_left_to_it(database, metric):
    client, experiment, path = database
    run_id = client.create_run(experiment).info.run_id
    assert not write_first(client, run_id, [Metric("loss", 1.0, 0, 0), metric])
    assert rows(path, run_id) == [[], []]


def test_runs_that_have_metrics_or_are_deleted_are_left_to_mlflow(database):
    client, experiment, path = database
    begun, deleted = (client.create_run(experiment).info.run_id for _ in range(2))
    client.log_metric(begun, "loss", 3.0)
    client.delete_run(deleted)
    for run_id in (begun, deleted, "0" * 32):
        before = rows(path, run_id)
        assert not write_first(client, run_id, [Metric("distance", 1.0, 0, 0)])
        assert rows(path, run_id) == before


def test_params_that_a_run_has_or_mlflow_would_change_are_left_to_it(database):
    client, experiment, path = database
    run_id = client.create_run(experiment).info.run_id
    client.log_param(run_id, "width", "10")
    for params in ([Param("width", "20")], [Param("what?", "1")], [Param("long", "x" * 501)], [Param("a", "1")] * 2):
        assert not write_first(client, run_id, [Metric("loss", 1.0, 0, 0)], params)
        assert rows(path, run_id) == [[], []]
        assert params_of(client, run_id) == {"width": "10"}


def test_a_batch_is_written_whole_or_not_at_all(database):
    client, experiment, path = database
    run_id = client.create_run(experiment).info.run_id
    before = dict(client.get_run(run_id).info), client.get_run(run_id).data.tags
    same, tag = Metric("loss", 1.0, 0, 0), RunTag("ours", "told")
    assert not write_first(client, run_id, [Metric("distance", 1.0, 0, 0), same, same], (), [tag], "FINISHED")
    assert not write_first(client, run_id, [same], [Param("a", "1")] * 2, [tag], "FINISHED")
    assert rows(path, run_id) == [[], []]
    assert (dict(client.get_run(run_id).info), client.get_run(run_id).data.tags) == before


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, TEXTS, max_size=4), st.dictionaries(NAMES, TEXTS, max_size=4))
def test_tags_are_as_by_mlflow(database, before, given_now):
    client, experiment, _ = database
    ours, theirs = (client.create_run(experiment, tags=before).info.run_id for _ in range(2))
    tags = [RunTag(name, text) for name, text in given_now.items()]
    assert write_first(client, ours, [Metric("loss", 1.0, 0, 0)], (), tags)
    client.log_batch(theirs, tags=tags)
    mine, other = ({**client.get_run(run_id).data.tags, "mlflow.runName": ""} for run_id in (ours, theirs))
    assert mine == other


@pytest.mark.parametrize("tag", [RunTag("mlflow.runName", "a"), RunTag("a", "x" * 5001), RunTag("what?", "a")])
def test_tags_that_mlflow_heeds_refuses_or_may_cut_are_left_to_it(database, tag):
    client, experiment, path = database
    run_id = client.create_run(experiment).info.run_id
    assert not write_first(client, run_id, [Metric("loss", 1.0, 0, 0)], (), [tag])
    assert rows(path, run_id) == [[], []]


def test_tables_that_are_not_known_are_left_to_mlflow(database, monkeypatch):
    client, experiment, _ = database
    run_id = client.create_run(experiment).info.run_id
    monkeypatch.setattr("implicit_bias.tracking.statements.METRIC", ("key", "value"))
    assert not write_first(client, run_id, [Metric("loss", 1.0, 0, 0)])
    monkeypatch.setattr("implicit_bias.tracking.statements.RUN", ("run_uuid", "name"))
    assert write_run(client, experiment, 5, {}, "name") is None


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_a_run_ends_as_by_mlflow(database, status):
    client, experiment, _ = database
    ours, theirs = (client.create_run(experiment, start_time=5).info.run_id for _ in range(2))
    assert write_first(client, ours, [], status=status)
    client.set_terminated(theirs, status)
    mine, other = (dict(client.get_run(run_id).info) for run_id in (ours, theirs))
    assert 0 <= other["end_time"] - mine["end_time"] < 60_000
    own = {"run_id", "run_name", "artifact_uri", "end_time"}
    assert {name: mine[name] for name in mine if name not in own} == {
        name: other[name] for name in other if name not in own
    }


def test_a_run_that_is_deleted_or_not_there_is_not_ended(database):
    client, experiment, _ = database
    run_id = client.create_run(experiment).info.run_id
    client.delete_run(run_id)
    assert not write_first(client, run_id, [], status="FINISHED")
    assert not write_first(client, "0" * 32, [], status="FINISHED")
    assert client.get_run(run_id).info.status == "RUNNING"


def test_other_stores_are_left_to_mlflow(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("no database to write")

    monkeypatch.setattr(sqlalchemy.Engine, "begin", refuse)
    client = MlflowClient("http://127.0.0.1:9")
    assert not write_first(client, "0" * 32, [Metric("loss", 1.0, 0, 0)])
    assert write_run(client, "0", 5, {}, "name") is None


def test_a_fresh_connection_waits_for_a_lock_as_long_as_those_of_mlflow(database):
    client, experiment, _ = database
    run_id = client.create_run(experiment).info.run_id
    client._tracking_client.store.engine.dispose()
    waited = []

    def note(connection, cursor, statement, *_):
        if statement.startswith(("INSERT", "UPDATE")):
            waited.append(connection.exec_driver_sql("PRAGMA busy_timeout").scalar())

    engine = client._tracking_client.store.engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    try:
        assert write_first(client, run_id, [Metric("loss", 1.0, 0, 0)], status="FINISHED")
    finally:
        sqlalchemy.event.remove(engine, "before_cursor_execute", note)
    assert len(waited) >= 3
    assert set(waited) == {20_000}
