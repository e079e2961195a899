"""Sweeps on clusters of processes: the same bytes as in one process, and a worker that is killed costs no point."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mlflow import MlflowClient

from implicit_bias.sweeps.clusters import EngineError
from implicit_bias.sweeps.parameters import Engine
from implicit_bias.sweeps.workers import TRIES, compute
from tests.support.clusters import dask_cluster
from tests.support.project import Project, make_project

pytestmark = pytest.mark.slow

POINTS = 22
SWEEP = {"widths": "20:120:10", "seeds": "0 1", "solvers": ["gradient_descent"], "step_size": 0.002}


def make_slow_project(folder: Path, **engine: Any) -> Project:
    """A project whose points take long enough to be interrupted."""
    project = make_project(folder)
    path = project.path / "conf/smoke/parameters.yml"
    parameters = yaml.safe_load(path.read_text())
    parameters["width_sweep"] |= SWEEP | engine
    path.write_text(yaml.safe_dump(parameters))
    return project


@pytest.fixture(scope="module")
def serial(tmp_path_factory) -> Project:
    project = make_slow_project(tmp_path_factory.mktemp("serial"), workers=1)
    project.run("--pipelines=width_sweep")
    return project


def assert_same(project: Project, serial: Project) -> None:
    """Every point is there once, with the serial bytes, and is one finished child of one finished parent."""
    for stage in ("05_model_input", "06_models", "07_model_output"):
        folder = Path("data/smoke", stage, "width")
        names = sorted(file.name for file in (serial.path / folder).iterdir())
        assert names == sorted(file.name for file in (project.path / folder).iterdir())
        assert len(names) == POINTS
        for name in names:
            with np.load(serial.path / folder / name) as one, np.load(project.path / folder / name) as other:
                assert one.files == other.files
                for array in set(one.files) - {"metric/seconds"}:
                    np.testing.assert_array_equal(one[array], other[array], err_msg=f"{name} {array}")
    client = MlflowClient(project.store)
    experiment = client.get_experiment_by_name("implicit_bias")
    runs = client.search_runs([experiment.experiment_id])
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(runs) == len(children) + 1
    assert len(children) == len({run.data.tags["implicit_bias.point"] for run in children}) == POINTS
    assert {run.info.status for run in runs} == {"FINISHED"}


def when(happened: Callable[[], Any], process: subprocess.Popen) -> Any:
    """Wait until something has happened in a run."""
    while not (what := happened()):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    return what


def kill(worker: int, project: Project) -> None:
    os.kill(worker, signal.SIGKILL)
    assert len(list((project.path / "data/smoke/07_model_output/width").glob("*.npz"))) < POINTS


def start(project: Project) -> subprocess.Popen:
    env = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "kedro", "run", "--env=smoke", "--pipelines=width_sweep"],
        cwd=project.path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_sweep_on_dask_survives_a_killed_worker(serial, tmp_path):
    distributed = pytest.importorskip("distributed")
    with dask_cluster(tmp_path / "cluster") as address:
        with distributed.Client(address, set_as_default=False) as client:
            files = client.run(lambda: __import__("implicit_bias").__file__)
            assert all(Path(file).is_relative_to(tmp_path / "cluster/site-packages") for file in files.values())
            victim = next(iter(client.run(os.getpid).values()))
        project = make_slow_project(tmp_path / "project", backend="dask", address=address)
        process = start(project)
        when(lambda: any(project.path.glob("data/smoke/06_models/width/*.npz")), process)
        kill(victim, project)
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert_same(project, serial)


def test_a_call_that_dask_gives_up_is_tried_alone_and_fails(tmp_path):
    pytest.importorskip("distributed")
    with dask_cluster(tmp_path, allowed_failures=0) as address:
        engine = Engine(backend="dask", address=address)
        calls = ((str(number), (number,)) for number in (-1, 2, 3))
        results = dict(compute(_kill_below_zero(), calls, str, engine, 3))
    assert results.pop("-1").startswith(f"its worker process died each of {TRIES} times (KilledWorker")
    assert results == {"2": 4, "3": 9}


def test_a_cluster_whose_scheduler_ends_is_an_error_that_says_so(tmp_path):
    distributed = pytest.importorskip("distributed")
    with dask_cluster(tmp_path) as address:
        with distributed.Client(address, set_as_default=False) as client:
            scheduler = client.run_on_scheduler(os.getpid)
        engine = Engine(backend="dask", address=address)
        results = compute(_wait_for_ever_from_one(), ((str(number), (number,)) for number in range(9)), str, engine, 9)
        assert next(results) == ("0", 0)
        os.kill(scheduler, signal.SIGKILL)
        with pytest.raises(EngineError, match="the scheduler has gone"):
            list(results)
    with dask_cluster(tmp_path / "again", port=int(address.rpartition(":")[2])):
        assert dict(compute(_wait_for_ever_from_one(), [("0", (0,))], str, engine, 1)) == {"0": 0}


def _wait_for_ever_from_one():
    def function(number: int) -> int:  # by value: workers have no tests
        import time

        while number:
            time.sleep(1)
        return number

    return function


def _kill_below_zero():
    def function(number: int) -> int:  # by value: workers have no tests
        import os
        import signal

        if number < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return number**2

    return function
