"""Disks that are full or read-only, really: small file systems in a mount namespace of the run's own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from implicit_bias.sweeps.datasets import ArrayDataset
from tests.support.project import Project, make_project

pytestmark = pytest.mark.slow

POINTS = 20
SCRIPT = 'mount -t tmpfs -o "$1" tmpfs "$2" || exit 99; shift 2; "$@"; code=$?; cp -r "$FOLDER" "$COPY"; exit $code'


def make(folder: Path) -> Project:
    project = make_project(folder)
    path = project.path / "conf/smoke/parameters.yml"
    parameters = yaml.safe_load(path.read_text())
    parameters["width_sweep"] |= {"widths": "20:110:10", "seeds": "0 1"}
    path.write_text(yaml.safe_dump(parameters))
    return project


def run_on(options: str, project: Project, folder: str) -> tuple[int, str]:
    """Run the sweep with a file system of its own on a folder, and leave there what it has left.

    Returns:
        exit code, and everything it printed: no traceback.
    """
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("no mount namespaces here")
    where, copy = project.path / folder, project.path / "copy"
    where.mkdir(parents=True)
    command = [sys.executable, "-m", "kedro", "run", "--env=smoke", "--pipelines=width_sweep"]
    result = subprocess.run(
        ["unshare", "-rm", "sh", "-c", SCRIPT, "sh", options, str(where), *command],
        cwd=project.path,
        env=os.environ | {"FOLDER": str(where), "COPY": str(copy), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    if result.returncode == 99:
        pytest.skip("no file systems may be mounted here")
    where.rmdir()
    copy.rename(where)
    output = result.stdout + result.stderr
    assert "Traceback" not in output
    return result.returncode, output


def children(project: Project) -> list:
    client = MlflowClient(project.store)
    experiment = client.get_experiment_by_name("implicit_bias")
    runs = client.search_runs([experiment.experiment_id])
    return [run for run in runs if "implicit_bias.point" in run.data.tags]


def test_a_full_disk_keeps_what_is_done_and_the_next_run_does_the_rest(tmp_path):
    project = make(tmp_path)
    code, output = run_on("size=250k", project, "data")
    assert code == 1, output
    assert "No space left on device" in output
    partitions = list((project.path / "data").rglob("*width=*.npz"))
    assert partitions
    for file in partitions:
        ArrayDataset(filepath=str(file)).load()
    assert not list((project.path / "data").rglob("*.tmp"))
    output = project.run("--pipelines=width_sweep")
    assert "were done before" in output
    assert len(list(project.path.glob("data/smoke/07_model_output/width/*.npz"))) == POINTS


def test_a_read_only_folder_is_said_at_the_first_file(tmp_path):
    project = make(tmp_path)
    code, output = run_on("ro", project, "data")
    assert code == 1, output
    assert "Read-only file system" in output


def test_a_quota_on_artifacts_costs_no_point_and_sync_sends_the_rest(tmp_path):
    project = make(tmp_path)
    code, output = run_on("size=100k", project, "mlruns")
    assert code == 0, output
    assert "The MLflow store is lost" in output
    assert "No space left on device" in output
    assert len(list(project.path.glob("data/smoke/07_model_output/width/*.npz"))) == POINTS
    assert f"{POINTS} of {POINTS} points" in project.kedro("implicit-bias", "sync", "--env=smoke")
    found = children(project)
    assert [run.info.status for run in found] == ["FINISHED"] * POINTS
    client = MlflowClient(project.store)
    assert all([file.path for file in client.list_artifacts(run.info.run_id)] == ["curves.svg"] for run in found)
