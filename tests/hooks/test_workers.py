"""Which runs start their worker processes early: those whose sweep has nothing stored, on processes of this machine."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.io import DataCatalog, MemoryDataset

from implicit_bias.hooks.workers import start_workers
from implicit_bias.pipelines import sweep
from implicit_bias.sweeps.datasets import StoredDataset
from implicit_bias.sweeps.parameters import Sweep
from tests.support.project import REPOSITORY, make_project

BASE = yaml.safe_load((REPOSITORY / "conf/base/parameters.yml").read_text("utf-8"))["width_sweep"]
ARRAYS = "implicit_bias.sweeps.datasets.ArrayDataset"
Started = list[tuple[int, tuple[str, ...]]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """What is started: how many processes, with which modules."""
    calls: Started = []
    monkeypatch.setattr("implicit_bias.sweeps.workers.cpu_count", lambda: 8)
    monkeypatch.setattr(
        "implicit_bias.sweeps.processes.Processes.start",
        lambda self, modules: calls.append((self._processes, tuple(modules))),
    )
    return calls


def catalog(folder: Path, **changes: Any) -> DataCatalog:
    partitions = {name: {"type": ARRAYS, "filepath": f"{folder}/{name}/*.npz"} for name in ("a", "b")}
    return DataCatalog(
        {
            "params:width_sweep": MemoryDataset(Sweep.model_validate(BASE | changes)),
            "width_sweep.stored": StoredDataset(partitions=partitions),
        }
    )


@pytest.mark.parametrize(
    ("changes", "processes"),
    [({}, 8), ({"workers": 3}, 3), ({"widths": 10, "seeds": "0:4"}, 5), ({"seeds": 0, "widths": 10}, None),
     ({"workers": 1}, None), ({"backend": "dask"}, None)],
)  # fmt: skip
def test_as_many_start_as_will_compute(
    tmp_path: Path, started: Started, changes: dict[str, Any], processes: int | None
) -> None:
    start_workers(sweep.create_pipeline("width_sweep"), catalog(tmp_path, **changes))
    assert [count for count, _ in started] == ([] if processes is None else [processes])
    for _, modules in started:
        assert {f"implicit_bias.pipelines.{name}" for name in ("initialization", "training", "evaluation")} <= {
            *modules
        }
        assert "implicit_bias.pipelines.kinds.two_layer.train" in modules


@pytest.mark.parametrize(("changes", "count"), [({}, 0), ({"fresh": True}, 1)])
def test_none_start_where_points_are_stored_unless_they_are_computed_again(
    tmp_path: Path, started: Started, changes: dict[str, Any], count: int
) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/point.npz").touch()
    start_workers(sweep.create_pipeline("width_sweep"), catalog(tmp_path, **changes))
    assert len(started) == count


@pytest.mark.parametrize("stages", [("reporting",), ()])
def test_none_start_for_a_run_that_computes_no_points(
    tmp_path: Path, started: Started, stages: tuple[str, ...]
) -> None:
    pipeline = sweep.create_pipeline("width_sweep", stages) if stages else sum([], start=sweep.Pipeline([]))
    start_workers(pipeline, catalog(tmp_path))
    assert started == []


def group(leader: int) -> list[str]:
    """Commands of the living processes of a group."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [command for number, state, command in rows if int(number) == leader and not state.startswith("Z")]


def heard() -> None:
    """Hear signals as a process that a terminal has started."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_a_run_that_is_ended_while_they_start_leaves_nothing(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """A terminal sends Ctrl-C to all of its processes, a request to end goes to one; the workers are importing."""
    project = make_project(tmp_path)
    command = [sys.executable, "-m", "kedro", "run", "--pipelines=width_sweep", "--params=width_sweep.workers=2"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    environment = os.environ | {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    run = subprocess.Popen(
        command, cwd=project.path, env=environment, start_new_session=True, preexec_fn=heard, **pipes
    )
    until = time.monotonic() + 120
    while sum("popen_loky" in each for each in group(run.pid)) < 2:
        assert run.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    (os.killpg if number == signal.SIGINT else os.kill)(run.pid, number)
    said, _ = run.communicate(timeout=120)
    assert run.returncode == code, said
    assert "Traceback" not in said
    assert "leaked" not in said
    assert not group(run.pid)
    assert not (project.path / "mlflow.db").exists()
    assert not (project.path / "data").exists()
