"""A tracking server as a group has it: HTTP, basic auth, PostgreSQL, artifacts through the server."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from implicit_bias.tracking.tags import PARENTS
from tests.support.postgres import postgres
from tests.support.project import Project, make_project
from tests.support.servers import mlflow_server

pytestmark = pytest.mark.slow

NAME, PASSWORD, DATABASE_PASSWORD = "somebody", "Tr4cking-s3cret!", "Dat4base-s3cret"
CHILDREN = 500

CLIENT = """
import sys
from pathlib import Path
from implicit_bias.tracking.store import Store
count, name = int(sys.argv[1]), sys.argv[2]
points = {f"p{i:04}": {"params": {"width": i}} for i in range(count)}
plan = {"sweep": name, "experiment": "together", "name": name, "params": {"client": name}, "points": points}
sweep = Store(sys.argv[3], Path.cwd()).open(plan)
for i, key in enumerate(points):
    sweep.log(key, "evaluation", {"metric/distance": i, "curve/loss": [4.0, 2.0, 1.0], "param/stop_reason": "stop"})
print(sweep.close())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("psycopg2")
    pytest.importorskip("flask_wtf")
    folder = tmp_path_factory.mktemp("server")
    (folder / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///auth.db\nauth_cache_ttl_seconds = 600\n"
        f"admin_username = {NAME}\nadmin_password = {PASSWORD}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    env = {"MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"), "MLFLOW_FLASK_SERVER_SECRET_KEY": "any"}
    with (
        postgres(DATABASE_PASSWORD) as database,
        mlflow_server(folder, 0, "--app-name", "basic-auth", store=database, env=env) as uri,
    ):
        yield uri


@pytest.fixture
def signed_in(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    secrets = {"MLFLOW_TRACKING_USERNAME": NAME, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    return secrets


def assert_nowhere(secrets: tuple[str, ...], project: Project, output: str) -> None:
    """No file of the run, but the credentials themselves, and no line of it holds a secret."""
    for secret in secrets:
        assert secret not in output
        for file in project.path.rglob("*"):
            if file.is_file() and file.name != "credentials.yml":
                assert secret.encode() not in file.read_bytes(), file


def assert_tracked(uri: str, experiment: str, secrets: tuple[str, ...], folder: Path) -> None:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    folder.mkdir()
    runs = client.search_runs([found.experiment_id])
    kinds = Counter(("implicit_bias.point" in run.data.tags, run.info.status) for run in runs)
    assert kinds == {(False, "FINISHED"): 1, (True, "FINISHED"): 4}
    for run in runs:
        assert client.list_artifacts(run.info.run_id)
        client.download_artifacts(run.info.run_id, "", str(folder))
        for secret in secrets:
            assert secret not in str(run.to_dictionary()) + str(found)
    for file in folder.rglob("*"):
        assert not file.is_file() or not any(secret.encode() in file.read_bytes() for secret in secrets), file


def with_experiment(project: Project, uri: str, name: str) -> None:
    path = project.path / "conf/smoke/parameters.yml"
    settings = {"tracking": {"uri": uri, "experiment": name}}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | settings))


def test_credentials_of_the_environment_are_used_and_left_nowhere(server, tmp_path, signed_in):
    project = make_project(tmp_path / "project")
    with_experiment(project, server, "environment")
    output = project.run("--pipelines=width_sweep", env=signed_in)
    assert_nowhere((PASSWORD,), project, output)
    assert_tracked(server, "environment", (PASSWORD, DATABASE_PASSWORD), tmp_path / "artifacts")


def test_credentials_of_kedro_are_used_and_left_nowhere(server, tmp_path, signed_in):
    project = make_project(tmp_path / "project")
    with_experiment(project, server, "kedro")
    credentials = project.path / "conf/smoke/credentials.yml"
    credentials.write_text(yaml.safe_dump({"mlflow": {"username": NAME, "password": PASSWORD}}))
    output = project.run("--pipelines=width_sweep")
    assert_nowhere((PASSWORD,), project, output)
    assert_tracked(server, "kedro", (PASSWORD, DATABASE_PASSWORD), tmp_path / "artifacts")


def test_a_wrong_password_is_refused_before_any_work_and_not_shown(server, tmp_path):
    project = make_project(tmp_path)
    with_experiment(project, server, "wrong")
    wrong = {"MLFLOW_TRACKING_USERNAME": NAME, "MLFLOW_TRACKING_PASSWORD": "Wr0ng-s3cret"}
    output = project.run("--pipelines=width_sweep", env=wrong, check=False)
    assert f"store {server} cannot be used" in output
    assert "401" in output
    assert_nowhere(("Wr0ng-s3cret",), project, output)
    assert not (project.path / "data").exists()


def test_two_clients_at_once_lose_nothing(server, tmp_path, signed_in):
    (tmp_path / "client.py").write_text(CLIENT)
    clients = [
        subprocess.Popen(
            [sys.executable, "client.py", str(CHILDREN), name, server],
            cwd=tmp_path,
            env=os.environ | signed_in,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for each in clients:
        output, errors = each.communicate(timeout=1500)
        assert output.strip() == "FINISHED", errors
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("together").experiment_id
    parents = client.search_runs([experiment], PARENTS)
    assert sorted((run.data.tags["implicit_bias.sweep"], run.info.status) for run in parents) == [
        ("one", "FINISHED"), ("two", "FINISHED"),
    ]  # fmt: skip
    for parent in parents:
        children = client.search_runs(
            [experiment], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'", max_results=2000
        )
        assert len(children) == CHILDREN
        assert {run.info.status for run in children} == {"FINISHED"}
        assert {run.data.tags["implicit_bias.point"]: run.data.metrics["distance"] for run in children} == {
            f"p{i:04}": float(i) for i in range(CHILDREN)
        }
        assert all(
            run.data.params == {"width": str(int(run.data.tags["implicit_bias.point"][1:])), "stop_reason": "stop"}
            for run in children
        )
        assert len(client.get_metric_history(children[0].info.run_id, "curve/loss")) == 3
