"""Tracking servers that are down, or lost on the way: results are safe in files, and sent later, nothing twice."""

import os
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient

from tests.support.clusters import free_port
from tests.support.project import Project, make_project
from tests.support.servers import mlflow_server

NOBODY = "http://127.0.0.1:9"
QUICK = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}


def configure(project: Project, **changes: Any) -> None:
    path = project.path / "conf/smoke/parameters.yml"
    parameters = yaml.safe_load(path.read_text())
    for name, value in changes.items():
        parameters[name] = parameters.get(name, {}) | value
    path.write_text(yaml.safe_dump(parameters))


def sync(project: Project, **options: Any) -> str:
    return project.kedro("implicit-bias", "sync", "--env=smoke", **options)


def everything(store: str) -> tuple[Counter, dict[str, dict[str, Any]]]:
    """How many runs of each kind and status there are, and what each holds, by the name of its sweep or point."""
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("implicit_bias")
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    kinds = Counter(("child" if "implicit_bias.point" in run.data.tags else "parent", run.info.status) for run in runs)
    held = {
        run.data.tags.get("implicit_bias.point", run.data.tags["implicit_bias.sweep"]): {
            "params": run.data.params,
            "metrics": {name: value for name, value in run.data.metrics.items() if name != "seconds"},
            "curve": len(client.get_metric_history(run.info.run_id, "curve/loss")),
            "artifacts": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
        }
        for run in runs
    }
    assert len(held) == len(runs)
    return kinds, held


@pytest.mark.slow
def test_a_run_without_its_server_is_tracked_by_sync_as_if_it_had_been_there(tmp_path):
    tracked, untracked = make_project(tmp_path / "tracked"), make_project(tmp_path / "untracked")
    tracked.run("--pipelines=width_sweep")
    refused = untracked.run("--pipelines=width_sweep", env=QUICK | {"MLFLOW_TRACKING_URI": NOBODY}, check=False)
    assert f"store {NOBODY} cannot be used" in refused
    assert "tracking.optional: true" in refused
    assert not (untracked.path / "data").exists()
    configure(untracked, tracking={"optional": True})
    output = untracked.run("--pipelines=width_sweep", env=QUICK | {"MLFLOW_TRACKING_URI": NOBODY})
    assert "The run goes on without it" in output
    still = sync(untracked, env=QUICK | {"MLFLOW_TRACKING_URI": NOBODY}, check=False)
    assert "cannot be used" in still
    assert "4 of 4 points" in sync(untracked)
    assert everything(untracked.store) == everything(tracked.store)
    assert "Nothing to send" in sync(untracked)
    assert everything(untracked.store) == everything(tracked.store)


@pytest.mark.slow
def test_a_server_lost_on_the_way_gets_the_rest_later_and_nothing_twice(tmp_path):
    points = {"widths": "20:60:4", "seeds": "0 1"}
    planned = 22
    reference, project = make_project(tmp_path / "reference"), make_project(tmp_path / "project")
    for each in (reference, project):
        configure(each, width_sweep=points)
    reference.run("--pipelines=width_sweep")
    home, port = tmp_path / "server", free_port()
    home.mkdir()
    env = QUICK | {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    with mlflow_server(home, port) as uri:
        run = start(project, env)
        wait_until(lambda: 3 <= len(children(uri)) < planned, run)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert "The MLflow store is lost" in output
    assert "kedro implicit-bias sync --env=smoke" in output
    assert len(list(project.path.glob("data/smoke/07_model_output/width/*.npz"))) == planned
    with mlflow_server(home, port) as uri:
        before = len(children(uri))
        assert 0 < before < planned
        assert f"{planned} of {planned} points" in sync(project, env=env)
        kinds, held = everything(uri)
        assert kinds == {("parent", "FINISHED"): 1, ("child", "FINISHED"): planned}
        assert (kinds, held) == everything(reference.store)
        assert "Nothing to send" in sync(project, env=env)
        assert everything(uri) == (kinds, held)


def children(uri: str) -> list[Any]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("implicit_bias")
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    return [run for run in runs if "implicit_bias.point" in run.data.tags]


def start(project: Project, env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "kedro", "run", "--env=smoke", "--pipelines=width_sweep"],
        cwd=project.path,
        env=os.environ | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until(happened: Any, process: subprocess.Popen[str]) -> None:
    while not happened():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
