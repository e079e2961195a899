"""Two runs at once: one at a time in a folder, any number in a store."""

import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from mlflow import MlflowClient

from implicit_bias.hooks.lock import ExclusiveHooks, FolderInUse, lock
from implicit_bias.hooks.tracking import TrackingHooks
from implicit_bias.tracking.records import TrackingError
from tests.support.project import Project, make_project

HOLD = "import sys, time; from pathlib import Path; from implicit_bias.hooks.lock import lock; "
HOLD += "held = lock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"


def test_a_folder_in_use_is_refused_until_its_process_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FolderInUse, match=re.escape(f"{folder} is in use by another run (process {holder.pid} on")):
            lock(folder)
        lock(tmp_path / "other").release()
        os.kill(holder.pid, signal.SIGKILL)
    lock(folder).release()


def test_a_run_may_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks, catalog = ExclusiveHooks(), DataCatalog.from_config(entries(tmp_path))
    hooks.after_catalog_created(entries(tmp_path))
    command = [sys.executable, "-c", HOLD, str(tmp_path / "plans")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        monkeypatch.setenv("IMPLICIT_BIAS_WAIT", "0.1")
        with pytest.raises(FolderInUse):
            hooks.before_pipeline_run(PIPELINE, catalog)
        monkeypatch.setenv("IMPLICIT_BIAS_WAIT", "600")
        threading.Timer(0.5, holder.kill).start()
        hooks.before_pipeline_run(PIPELINE, catalog)
    hooks.after_pipeline_run()


@pytest.mark.parametrize("given", ["soon", "-1", "nan", "inf", ""])
def test_how_long_a_run_waits_is_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("IMPLICIT_BIAS_WAIT", given)
    hooks, catalog = ExclusiveHooks(), DataCatalog.from_config(entries(tmp_path))
    hooks.after_catalog_created(entries(tmp_path))
    with pytest.raises(ValueError, match=f"IMPLICIT_BIAS_WAIT must be a number of seconds, got '{given}'"):
        hooks.before_pipeline_run(PIPELINE, catalog)
    assert list(tmp_path.iterdir()) == []


def entries(tmp_path: Path) -> dict[str, Any]:
    """A catalog with a sweep, as a project of one's own may have it."""
    plan = {"type": "json.JSONDataset", "filepath": str(tmp_path / "plans" / "plan.json")}
    points = {"type": "partitions.PartitionedDataset", "path": str(tmp_path / "points"), "dataset": "text.TextDataset"}
    return {"plan": plan | {"metadata": {"implicit_bias": {"role": "plan", "sweep": "mine"}}}, "points": points}


PIPELINE = Pipeline(
    [Node(lambda: {}, None, "plan", name="plan"), Node(lambda plan: plan, "plan", "points", name="points")]
)


def test_the_hooks_hold_the_folder_of_a_plan_and_clear_what_a_killed_run_left(tmp_path: Path) -> None:
    first, second = ExclusiveHooks(), ExclusiveHooks()
    catalog = DataCatalog.from_config(entries(tmp_path))
    for hooks in (first, second):
        hooks.after_catalog_created(entries(tmp_path))
    (tmp_path / "points").mkdir()
    leftover, theirs = tmp_path / "points" / f".{uuid.uuid4().hex}.tmp", tmp_path / "points" / ".their.tmp"
    leftover.touch()
    theirs.touch()
    first.before_pipeline_run(PIPELINE, catalog)
    assert not leftover.exists()
    assert theirs.exists()
    with pytest.raises(FolderInUse):
        second.before_pipeline_run(PIPELINE, catalog)
    ending = threading.Thread(target=first.on_pipeline_error)
    ending.start()
    ending.join()
    second.before_pipeline_run(PIPELINE, catalog)
    second.after_pipeline_run()


def test_runs_without_a_sweep_are_left_alone(tmp_path: Path) -> None:
    hooks = ExclusiveHooks()
    hooks.after_catalog_created(entries(tmp_path))
    other = Pipeline([Node(lambda: 1, None, "other", name="other")])
    hooks.before_pipeline_run(other, DataCatalog.from_config(entries(tmp_path)))
    hooks.after_pipeline_run()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("conf_catalog", [None, {"theirs": {"type": "no.such.Dataset", "metadata": {"other": 1}}}])
def test_datasets_of_other_projects_are_not_looked_at(conf_catalog: Any) -> None:
    """None is made, which may take time, or packages that are not there."""
    hooks = ExclusiveHooks()
    hooks.after_catalog_created(conf_catalog)
    hooks.before_pipeline_run(Pipeline([Node(lambda: 1, None, "theirs", name="theirs")]), None)
    hooks.after_pipeline_run()


def test_a_run_that_is_not_tracked_leaves_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    manager = _create_hook_manager()
    for hooks in (TrackingHooks(), ExclusiveHooks()):
        manager.register(hooks)
    catalog = DataCatalog.from_config(entries(tmp_path))
    manager.hook.after_catalog_created(
        catalog=catalog,
        conf_catalog=entries(tmp_path),
        conf_creds={},
        parameters={"params:tracking": {"uri": "http://127.0.0.1:9"}},
        save_version="",
        load_versions={},
    )
    run_params = {"project_path": str(tmp_path)}
    with pytest.raises(TrackingError, match="cannot be used"):
        manager.hook.before_pipeline_run(run_params=run_params, pipeline=PIPELINE, catalog=catalog)
    assert list(tmp_path.iterdir()) == []


def start(project: Project, *arguments: str, store: str | None = None) -> subprocess.Popen[str]:
    environment = {**os.environ, "DO_NOT_TRACK": "1"} | ({"MLFLOW_TRACKING_URI": store} if store else {})
    command = [sys.executable, "-m", "kedro", "run", "--env=smoke", "--pipelines=width_sweep", *arguments]
    return subprocess.Popen(
        command, cwd=project.path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.slow
def test_a_run_in_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    project = make_project(tmp_path / "one")
    held = lock(project.path / "data" / "smoke" / "05_model_input")
    refused, code = (process := start(project)).communicate(timeout=300)[0], process.returncode
    assert code == 1
    assert f"is in use by another run (process {os.getpid()} on" in refused
    assert "Traceback" not in refused
    held.release()
    output = project.run("--pipelines=width_sweep")
    assert "4 of 4 points" in output
    statuses(project.store, {1: 4})


PARTS = ["--nodes=write_report", "--pipelines=data_generation", "--pipelines=verification"]


@pytest.mark.slow
def test_a_run_of_a_part_in_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """What has no sweep of its own writes into the folder of one all the same."""
    project = make_project(tmp_path / "one")
    sections = project.path / "data/smoke/08_reporting/sections"
    sections.mkdir(parents=True)
    for name in ("width", "imbalance"):
        (sections / f"{name}.json").write_text("{}")
    held = lock(project.path / "data/smoke/05_model_input")
    before = sorted(project.path.rglob("*"))
    for part in PARTS:
        refused = project.run(part, check=False)
        assert f"is in use by another run (process {os.getpid()} on" in refused, part
        assert "Traceback" not in refused
    assert [path for path in sorted(project.path.rglob("*")) if "mlflow.db" not in path.name] == before
    held.release()
    assert "done: write_report" in project.run("--nodes=write_report")


INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell
from mlflow import MlflowClient

shell = InteractiveShell.instance()
shell.user_ns.update(Path=Path, interrupt=lambda *_: os.kill(os.getpid(), signal.SIGINT))
shell.run_cell("from kedro.framework.startup import bootstrap_project; bootstrap_project(Path.cwd())")
shell.run_cell("from kedro.framework.session import KedroSession")
shell.run_cell("from implicit_bias.pipelines.kinds.two_layer import train; train.train = interrupt")
shell.run_cell("session = KedroSession.create(Path.cwd(), env='smoke'); session.run(pipeline_names=['width_sweep'])")
runs = MlflowClient("sqlite:///mlflow.db").search_runs(["1"])
print("status", *sorted({run.info.status for run in runs}))
print("another process", os.system(f"{sys.executable} -m kedro run --env=smoke --pipelines=data_generation"))
"""


@pytest.mark.slow
def test_a_run_that_is_interrupted_in_a_notebook_ends_with_its_cell(tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    project = make_project(tmp_path / "one")
    command = [sys.executable, "-c", INTERRUPTED]
    result = subprocess.run(command, cwd=project.path, capture_output=True, text=True, timeout=600, check=False)
    output = result.stdout + result.stderr
    assert "KeyboardInterrupt" in output
    assert "status KILLED" in output
    assert "another process 0" in output


@pytest.mark.slow
def test_two_folders_and_one_new_database(tmp_path: Path) -> None:
    """Both runs make the same SQLite database, and write to it at the same time."""
    store = f"sqlite:///{tmp_path / 'shared.db'}"
    projects = [make_project(tmp_path / name) for name in ("one", "two")]
    for process in [start(project, "--to-nodes=width_sweep.evaluate_points", store=store) for project in projects]:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        assert "4 of 4 points" in output
    statuses(store, {1: 4, 2: 4})


def statuses(store: str, expected: dict[int, int]) -> None:
    """Every parent has that many finished children of its own, and nothing else is there."""
    client = MlflowClient(store)
    runs = client.search_runs([client.get_experiment_by_name("implicit_bias").experiment_id])
    assert all(run.info.status == "FINISHED" for run in runs)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run.data.tags["mlflow.parentRunId"] for run in runs if "mlflow.parentRunId" in run.data.tags]
    counts = [children.count(parent.info.run_id) for parent in parents]
    assert dict(enumerate(sorted(counts), start=1)) == expected
    assert len(runs) == len(parents) + sum(counts)
