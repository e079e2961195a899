"""Runs that are killed, at random moments and at chosen ones, and damaged files: the next run mends it all."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from implicit_bias.tracking.store import Store
from implicit_bias.tracking.tags import POINT
from tests.support.kills import MOMENTS
from tests.support.project import Project, make_project

ROUNDS, KILLS = 10, 3
FOLDERS = ("05_model_input/width", "06_models/width", "07_model_output/width", "08_reporting/width_points")
ACTIVATIONS = (
    "run",
    "--env=activations",
    "--pipelines=width_sweep",
    "--params=data.gaussian.n=6,data.gaussian.D=20,data.gaussian.held_out=5,width_sweep.curve_points=8,"
    "width_sweep.widths=60 400,width_sweep.seeds=0:1,width_sweep.workers=1",
)


Killed = tuple[str, list[Project]]
"""What the killing process said, and the projects: one whose run was never killed, then the others."""


@pytest.fixture(scope="module", params=["random", "moments"])
def rounds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    return kill(tmp_path_factory.mktemp(request.param), request.param)


def kill(folder: Path, how: str) -> Killed:
    Store("sqlite:///mlflow.db", folder)
    count, numbers = (ROUNDS, ["0", str(KILLS)]) if how == "random" else (2, [])
    projects = [make_project(folder / f"{i}") for i in range(count + 1)]
    for project in projects:
        shutil.copy(folder / "mlflow.db", project.path)
    command = [sys.executable, "-m", "tests.support.kills", how, *numbers, *(str(each.path) for each in projects)]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3000)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout, projects


def runs_of(project: Project) -> tuple[list[Run], list[Run]]:
    client = MlflowClient(project.store)
    runs = client.search_runs([client.get_experiment_by_name("implicit_bias").experiment_id])
    return (
        [run for run in runs if "mlflow.parentRunId" not in run.data.tags],
        [run for run in runs if "mlflow.parentRunId" in run.data.tags],
    )


@pytest.mark.slow
def test_the_runs_were_killed(rounds: Killed) -> None:
    said, projects = rounds
    count = Counter(re.findall(r"(SIG\w+) .*: killed", said))
    assert set(count) == {"SIGKILL", "SIGTERM", "SIGINT"}
    assert count.total() == (ROUNDS * KILLS if len(projects) > 3 else len(MOMENTS) + len(MOMENTS) // 2)


@pytest.mark.slow
def test_every_point_is_one_finished_child_of_a_finished_parent(rounds: Killed) -> None:
    """A run that ended before its signal, and the one after it, have a parent each."""
    _, projects = rounds
    reference = {run.data.tags["implicit_bias.point"]: run.data.metrics for run in runs_of(projects[0])[1]}
    assert len(reference) == 6
    for project in projects:
        parents, children = runs_of(project)
        assert {run.info.status for run in (*parents, *children)} == {"FINISHED"}
        for parent in parents:
            mine = [run for run in children if run.data.tags["mlflow.parentRunId"] == parent.info.run_id]
            assert sorted(run.data.tags["implicit_bias.point"] for run in mine) == sorted(reference)
            for run in mine:
                expected = reference[run.data.tags["implicit_bias.point"]]
                assert run.data.metrics.keys() == expected.keys()
                assert all(run.data.metrics[name] == expected[name] for name in expected if name != "seconds")
        assert len(children) == len(parents) * len(reference)


@pytest.mark.slow
def test_results_are_those_of_an_undisturbed_run(rounds: Killed) -> None:
    _, projects = rounds
    reference = projects[0].path / "data" / "smoke"
    for project in projects[1:]:
        data = project.path / "data" / "smoke"
        assert not list(data.rglob(".*.tmp"))
        for folder in FOLDERS:
            names = sorted(path.name for path in (reference / folder).iterdir())
            assert sorted(path.name for path in (data / folder).iterdir()) == names
            assert len(names) == 6
            for name in names:
                same_file(reference / folder / name, data / folder / name)


@pytest.mark.slow
def test_a_sweep_over_activations_is_killed_in_training_and_in_evaluation_and_resumes(tmp_path: Path) -> None:
    """By SIGKILL, twice; the third run finishes what is left, and leaves what an undisturbed one leaves."""
    alone, killed = (make_project(tmp_path / name) for name in ("alone", "killed"))
    alone.kedro(*ACTIVATIONS)
    for stage in ("06_models", "07_model_output"):
        process = subprocess.Popen(
            [sys.executable, "-m", "kedro", *ACTIVATIONS],
            cwd=killed.path,
            env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        records = killed.path / "data/activations" / stage / "width"
        while not list(records.glob("*.npz")):
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert 0 < len(list(records.glob("*.npz"))) < 12
    output = killed.kedro(*ACTIVATIONS)
    assert "train: 12 of 12 were done before" in output
    (count,) = re.findall(r"evaluate: (\d+) of 12 were done before", output)
    assert 0 < int(count) < 12
    for folder in FOLDERS[:3]:
        names = sorted(path.name for path in (alone.path / "data/activations" / folder).iterdir())
        assert len(names) == 12
        for name in names:
            same_file(alone.path / "data/activations" / folder / name, killed.path / "data/activations" / folder / name)
    (parent,), children = runs_of(killed)
    assert {run.info.status for run in (parent, *children)} == {"FINISHED"}
    expected = {run.data.tags[POINT]: run.data.metrics for run in runs_of(alone)[1]}
    assert sorted(run.data.tags[POINT] for run in children) == sorted(expected)
    for run in children:
        metrics = expected[run.data.tags[POINT]]
        assert run.data.metrics.keys() == metrics.keys()
        assert all(run.data.metrics[name] == metrics[name] for name in metrics if name != "seconds")


def same_file(expected: Path, path: Path) -> None:
    """The same bytes, but for how long the training of a point took."""
    if expected.read_bytes() == path.read_bytes():
        return
    with np.load(expected) as before, np.load(path) as after:
        assert before.files == after.files
        for name in set(before.files) - {"metric/seconds"}:
            np.testing.assert_array_equal(before[name], after[name], err_msg=f"{path}: {name}")
