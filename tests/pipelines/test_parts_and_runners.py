"""Parts of a run, runners, sessions and consoles, in the project's own smoke configuration."""

import os
import subprocess
import sys

import pytest
from mlflow import MlflowClient

from tests.support.project import Project, finished_project, make_project

pytestmark = pytest.mark.slow

TWICE = """
import pathlib
from kedro.framework.session import KedroServiceSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import ThreadRunner

bootstrap_project(pathlib.Path.cwd())
with KedroServiceSession.create(env="smoke") as session:
    for seed in (1, 2):
        session.run(
            pipeline_names=["width_sweep"],
            runner=ThreadRunner(),
            runtime_params={"width_sweep": {"seed": seed, "workers": 1}},
        )
"""


def statuses(project: Project) -> list[tuple[str, str]]:
    client = MlflowClient(project.store)
    found = client.get_experiment_by_name("implicit_bias")
    runs = client.search_runs([found.experiment_id], "tags.`implicit_bias.plan` LIKE '%'") if found else []
    return [(str(run.info.run_name), run.info.status) for run in runs]


def test_runners_are_refused_before_any_work(tmp_path) -> None:
    project = make_project(tmp_path / "project")
    for option, advice in (
        ("--runner=ParallelRunner", "use SequentialRunner, the default, or ThreadRunner"),
        ("--async", "leave it out"),
    ):
        said = project.run("--pipelines=width_sweep", option, check=False)
        assert advice in said
        assert "Traceback" not in said
        assert not (project.path / "data").exists()
        assert not (project.path / "mlflow.db").exists()


def test_every_run_of_a_session_is_tracked_in_threads_too(tmp_path) -> None:
    project = make_project(tmp_path / "project")
    result = subprocess.run(
        [sys.executable, "-c", TWICE], cwd=project.path, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert [status for _, status in statuses(project)] == ["FINISHED", "FINISHED"]


def test_parts_of_a_run(tmp_path_factory) -> None:
    project = finished_project(tmp_path_factory, "--pipelines=width_sweep")
    before = statuses(project)
    project.run("--pipelines=width_sweep", "--to-nodes=width_sweep.plan_points")
    assert statuses(project) == before
    project.run("--pipelines=width_sweep", "--from-nodes=width_sweep.initialize_points")
    assert {status for _, status in statuses(project)} == {"FINISHED"}


@pytest.mark.parametrize("encoding", ["cp1252", "gbk"])
def test_any_console_shows_a_run_and_what_is_said_of_it(tmp_path, encoding) -> None:
    project = make_project(tmp_path / "project")
    for command in (
        ("run", "--env=smoke", "--pipelines=width_sweep"),
        ("implicit-bias", "report"),
        ("implicit-bias", "check"),
    ):
        result = subprocess.run(
            [sys.executable, "-m", "kedro", *command],
            cwd=project.path,
            env={**os.environ, "PYTHONIOENCODING": encoding, "DO_NOT_TRACK": "1"},
            capture_output=True,
            timeout=600,
        )
        said = result.stdout + result.stderr
        assert result.returncode == 0, said
        assert b"Traceback" not in said
        assert b"--- Logging error ---" not in said
