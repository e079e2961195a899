"""A sweep whose nodes run in processes of their own, as an orchestrator runs them, beside one run of all of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from implicit_bias.pipeline_registry import register_pipelines
from tests.support.project import Project, make_project
from tests.tracking.test_outage import everything

NODES = """
import sys
from pathlib import Path
from tests.support.kills import start, warm
import os

project, *tasks = sys.argv[1:]
warm(Path(project))
for task in tasks:
    part = {"node_names": task.split()} if task else {}
    _, status = os.waitpid(start(Path(project), **part), 0)
    assert os.waitstatus_to_exitcode(status) == 0, (task, Path(project, "runs.log").read_text())
"""


def run(project: Project, *tasks: str) -> None:
    """Run nodes in the order of tasks, each task in a process of its own."""
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, "-c", NODES, str(project.path), *tasks]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def lengths(project: Project) -> dict[str, dict[str, int]]:
    """How many values each metric of each run has."""
    client = MlflowClient(project.store)
    runs = client.search_runs([client.get_experiment_by_name("implicit_bias").experiment_id])
    return {
        run.data.tags.get("implicit_bias.point", "parent"): {
            name: len(client.get_metric_history(run.info.run_id, name)) for name in run.data.metrics
        }
        for run in runs
    }


@pytest.mark.slow
def test_nodes_in_processes_of_their_own_are_one_run(tmp_path: Path) -> None:
    at_once, by_nodes = make_project(tmp_path / "at once"), make_project(tmp_path / "by nodes")
    run(at_once, "")
    run(by_nodes, *(node.name for node in register_pipelines()["width_sweep"].nodes))
    kinds, held = everything(by_nodes.store)
    assert kinds == {("parent", "FINISHED"): 1, ("child", "FINISHED"): 6}
    assert held == everything(at_once.store)[1]
    assert "report.html" in held["width"]["artifacts"]
    assert lengths(by_nodes) == lengths(at_once)
    folders = [each.path / "data/smoke" for each in (at_once, by_nodes)]
    names = [sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*")) for folder in folders]
    assert names[0] == names[1]
