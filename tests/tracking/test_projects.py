"""Tracking in a project that is not ours, as a process of its own."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.tracking import runs_of

HEADLESS = {"DO_NOT_TRACK": "true", "KEDRO_DISABLE_TELEMETRY": "true", "COLUMNS": "500"}
REGISTRY = """
import os, pathlib, time
from kedro.pipeline import node, pipeline

KEYS = ("a", "b")

def plan():
    return {"name": "sweep", "points": {key: {"params": {"name": key}} for key in KEYS}}

def train(plan):
    for key in KEYS:
        yield {key: {"curve/loss": [2.0, 1.0]}}
        if os.environ.get("HANG"):
            pathlib.Path(os.environ["HANG"]).touch()
            time.sleep(60)

def evaluate(trajectories):
    return {key: {"metric/loss": load()["curve/loss"][-1]} for key, load in trajectories.items()}

def register_pipelines():
    nodes = [
        node(plan, None, "plan"),
        node(train, "plan", "trajectories"),
        node(evaluate, "trajectories", "evaluations"),
    ]
    return {"__default__": pipeline(nodes, namespace="demo")}
"""
CATALOG = """
demo.plan: {type: json.JSONDataset, filepath: data/plan.json, METADATA: {implicit_bias: {role: plan}}}
"{space}.trajectories":
  type: partitions.PartitionedDataset
  path: data/a
  dataset: implicit_bias.sweeps.datasets.ArrayDataset
  METADATA: {implicit_bias: {role: trajectory}}
"{space}.evaluations":
  type: partitions.PartitionedDataset
  path: data/b
  dataset: implicit_bias.sweeps.datasets.ArrayDataset
  METADATA: {implicit_bias: {role: evaluation}}
"""
LOGGING = """
version: 1
disable_existing_loggers: false
handlers: {console: {class: logging.StreamHandler}}
root: {handlers: [console]}
loggers: {implicit_bias: {level: INFO}}
"""
SCRIPT = """
import sys, pathlib
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(pathlib.Path.cwd())
with KedroSession.create() as session:
    session.run()
print("mlflow" if "mlflow" in sys.modules else "no tracking")
"""


@pytest.fixture
def kedro_project(project: Path) -> Path:
    """A project that is not ours, in which this package is merely installed."""
    package = project / "src" / "demo_project"
    package.mkdir(parents=True)
    (project / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "demo_project"\nproject_name = "demo"\nkedro_init_version = "1.7.0"\n'
    )
    for folder in ("base", "local"):
        (project / "conf" / folder).mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "settings.py").touch()
    (project / "conf" / "logging.yml").write_text(LOGGING)
    (package / "pipeline_registry.py").write_text(REGISTRY)
    (project / "conf" / "base" / "catalog.yml").write_text(CATALOG.replace("METADATA", "metadata"))
    return project


def start(project: Path, *command: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *(command or ("-c", SCRIPT))],
        cwd=project,
        env={**os.environ, **HEADLESS, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell has it ignored
    )


def test_what_every_kedro_command_imports_is_cheap() -> None:
    code = (
        "import sys, kedro.framework.hooks; from importlib.metadata import entry_points; before = set(sys.modules); "
        "ours = [each for group in ('kedro.hooks', 'kedro.global_commands') for each in entry_points(group=group) "
        "if each.value.startswith('implicit_bias')]; [each.load() for each in ours]; "
        "print(len(ours), *sorted({name.partition('.')[0] for name in sys.modules.keys() - before}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    number, *imported = result.stdout.split()
    assert int(number) == 4
    assert set(imported) - sys.stdlib_module_names <= {"click", "implicit_bias"}


def test_other_projects_see_nothing(kedro_project: Path) -> None:
    (kedro_project / "conf" / "base" / "catalog.yml").write_text(CATALOG.replace("METADATA: {implicit", "metadata: {x"))
    process = start(kedro_project)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert output.rstrip().endswith("no tracking")
    assert runs_of(kedro_project) == ([], {})


def test_the_kedro_command_is_tracked(kedro_project: Path) -> None:
    process = start(kedro_project, "-m", "kedro", "run")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "MLflow: sweep FINISHED, 2 of 2 points" in output
    assert "alembic" not in output
    (parent,), children = runs_of(kedro_project)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["implicit_bias.sweep"] == "demo"
    assert [child.info.run_name for child in children[parent.info.run_id]] == ["a", "b"]
    assert {path.name for path in kedro_project.iterdir()} - {".viz"} == {
        "conf",
        "data",
        "mlflow.db",
        "mlflow.db.lock",
        "pyproject.toml",
        "src",
    }


@pytest.mark.slow
def test_killed_runs_say_so(kedro_project: Path, tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM close the runs at once; after SIGKILL the next run does."""
    signals = {signal.SIGINT: 1, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}
    processes = {}
    for number in signals:
        copy = tmp_path / number.name
        shutil.copytree(kedro_project, copy)
        processes[number] = copy, start(copy, "-m", "kedro", "run", HANG=str(copy / "ready"))
    for number, (copy, process) in processes.items():
        while not (copy / "ready").exists():
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)
        process.send_signal(number)
    for number, (copy, process) in processes.items():
        output, _ = process.communicate(timeout=120)
        assert process.returncode == signals[number], output
        (parent,), children = runs_of(copy)
        (child,) = children[parent.info.run_id]
        expected = "RUNNING" if number == signal.SIGKILL else "KILLED"
        assert [parent.info.status, child.info.status] == [expected, expected]
    copy, _ = processes[signal.SIGKILL]
    output, _ = start(copy).communicate(timeout=120)
    assert "was killed with its process" in output
    (parent,), children = runs_of(copy)
    assert [run.info.status for run in (parent, *children[parent.info.run_id])] == ["FINISHED"] * 3
