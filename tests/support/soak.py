"""A long sweep of small points in one process, watched: `python -m tests.support.soak PROJECT POINTS REPORT [again]`.

Points have no figures, and are computed in the main process: what the report holds is what one process does for each.
They have many curve points: a process that kept their records would grow by some 60 kB with each. With `again`, only
the first point of a stage is computed, and its record stands for all: what is left is the bookkeeping. Then the same
run is given once more, which reads all of it back.
"""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

from kedro.framework.hooks import hook_impl
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from implicit_bias.sweeps.handover import Record
from tests.support.project import REPOSITORY, Project

STAGES = ("initial_states", "trajectories", "evaluations")
PARTS = 10
"""Each stage is looked at so many times, after equal numbers of points."""
SEEDS = 50
"""Seeds a width."""
PAGE = os.sysconf("SC_PAGE_SIZE")


class Watch:
    """Notes CPU time, elapsed time and memory of this process at the first point of each stage, then at every part.

    Attributes:
        samples: stage -> a row (points, CPU seconds, elapsed seconds, resident bytes) for each look.
        nodes: node -> elapsed seconds, and resident bytes at its end.
    """

    def __init__(self, points: int) -> None:
        self.nodes: dict[str, tuple[float, int]] = {}
        self._begun = 0.0
        self.samples: dict[str, list[tuple[int, float, float, int]]] = {stage: [] for stage in STAGES}
        self._every = points // PARTS
        self._seen = dict.fromkeys(STAGES, 0)

    @hook_impl(trylast=True)
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        stage = dataset_name.rpartition(".")[2]
        if stage in STAGES:
            self._seen[stage] += len(data)
            if self._seen[stage] == 1 or self._seen[stage] % self._every == 0:
                self.samples[stage].append((self._seen[stage], time.process_time(), time.perf_counter(), resident()))

    @hook_impl
    def before_node_run(self) -> None:
        self._begun = time.perf_counter()

    @hook_impl
    def after_node_run(self, node: Any) -> None:
        self.nodes[node.name.rpartition(".")[2]] = time.perf_counter() - self._begun, resident()


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def first_for_all(
    function: Callable[..., Record], tasks: Iterable[tuple[str, tuple[Any, ...]]], *_: Any
) -> Iterator[tuple[str, Record]]:
    """As `run_points`, with the record of the first point for all others, whose arguments are read all the same."""
    record: Record = {}
    for key, arguments in tasks:
        record = record or function(*arguments)
        yield key, dict(record)


def run(project: Path, points: int, again: bool = False) -> dict[str, Any]:
    """Run a sweep of so many points, SEEDS for each width, and return what the watch has seen.

    Args:
        project: where.
        points: how many.
        again: whether the record of the first point stands for all, and the run is given twice.
    """
    sweep = {
        "widths": f"500:{500 * (points // SEEDS)}:500",
        "seeds": f"0:{SEEDS - 1}",
        "sampler": "bartlett",  # which costs the same at every width
        "workers": 1,
        "step_size": 0.5,
        "curve_points": 100,
        "point_figures": False,
    }
    os.chdir(project)
    bootstrap_project(project)

    def once() -> dict[str, Any]:
        watch = Watch(points)
        with KedroSession.create(project, env="smoke", runtime_params={"width_sweep": sweep}) as session:
            session._hook_manager.register(watch)
            started, cpu = time.perf_counter(), time.process_time()
            session.run(pipeline_names=["width_sweep"])
            elapsed, used = time.perf_counter() - started, time.process_time() - cpu
        seen = {"elapsed": elapsed, "cpu": used, "samples": watch.samples, "nodes": watch.nodes}
        return seen | {"resident": resident()}

    if not again:
        return {"points": points} | once()
    with patch("implicit_bias.sweeps.compute.run_points", first_for_all):
        return {"points": points} | once() | {"again": once(), "pages": pages(project / "mlflow.db")}


def pages(store: Path) -> dict[str, float]:
    """Seconds that MLflow takes for what its pages ask for first."""
    from mlflow import MlflowClient

    from implicit_bias.tracking.tags import CHILD_OF, PARENTS

    client = MlflowClient(f"sqlite:///{store}")
    (experiment,) = (each.experiment_id for each in client.search_experiments() if each.name != "Default")
    parent = client.search_runs([experiment], PARENTS, max_results=1)[0].info.run_id
    children = f"{CHILD_OF} = '{parent}'"
    child = client.search_runs([experiment], children, max_results=1)[0].info.run_id
    asked: dict[str, Callable[[], Any]] = {
        "newest 100 runs": lambda: client.search_runs([experiment], max_results=100),
        "newest 100 points": lambda: client.search_runs([experiment], children, max_results=100),
        "100 points by distance": lambda: client.search_runs(
            [experiment], children, max_results=100, order_by=["metrics.distance DESC"]
        ),
        "one run": lambda: client.get_run(parent),
        "one curve": lambda: client.get_metric_history(child, "curve/loss"),
    }
    took = {}
    for name, ask in asked.items():
        begun = time.perf_counter()
        ask()
        took[name] = time.perf_counter() - begun
    return took


def soak(project: Project, points: int, again: bool = False) -> dict[str, Any]:
    """What `run` reports from a process of its own."""
    report = project.path / "soak.json"
    command = [sys.executable, "-m", "tests.support.soak", str(project.path), str(points), str(report)]
    command += ["again"] if again else []
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "KEDRO_"))}
    environment = kept | {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stdout + result.stderr)
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def health(store: Path) -> dict[str, Any]:
    """What a store in SQLite says of itself: its integrity, its runs by status, how many points they are of."""
    children = "SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId'"
    by_status = "SELECT status, count(*) FROM runs WHERE run_uuid {} (" + children + ") GROUP BY status"
    with closing(sqlite3.connect(store)) as connection:

        def value(query: str) -> Any:
            return connection.execute(query).fetchone()[0]

        return {
            "integrity": value("PRAGMA integrity_check"),
            "parents": dict(connection.execute(by_status.format("NOT IN"))),
            "children": dict(connection.execute(by_status.format("IN"))),
            "parents of children": value("SELECT count(DISTINCT value) FROM tags WHERE key = 'mlflow.parentRunId'"),
            "points": value(
                f"SELECT count(DISTINCT value) FROM tags WHERE key = 'implicit_bias.point' AND run_uuid IN ({children})"
            ),
            "metrics": value("SELECT count(*) FROM metrics"),
        }


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(
        json.dumps(run(Path(sys.argv[1]).absolute(), int(sys.argv[2]), sys.argv[4:] == ["again"]))
    )
