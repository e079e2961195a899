"""A long sweep of small points in one process, watched: `python -m tests.support.soak PROJECT POINTS REPORT`.

Points have no figures, and are computed in the main process: what the report holds is what one process does for each.
They have many curve points: a process that kept their records would grow by some 60 kB with each.
"""

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

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
    """

    def __init__(self, points: int) -> None:
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


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def run(project: Path, points: int) -> dict[str, Any]:
    """Run a sweep of so many points, SEEDS for each width, and return what the watch has seen."""
    watch = Watch(points)
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
    with KedroSession.create(project, env="smoke", runtime_params={"width_sweep": sweep}) as session:
        session._hook_manager.register(watch)
        started, cpu = time.perf_counter(), time.process_time()
        session.run(pipeline_names=["width_sweep"])
        elapsed, used = time.perf_counter() - started, time.process_time() - cpu
    return {"points": points, "elapsed": elapsed, "cpu": used, "samples": watch.samples}


def soak(project: Project, points: int) -> dict[str, Any]:
    """What `run` reports from a process of its own."""
    report = project.path / "soak.json"
    command = [sys.executable, "-m", "tests.support.soak", str(project.path), str(points), str(report)]
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
    Path(sys.argv[3]).write_text(json.dumps(run(Path(sys.argv[1]).absolute(), int(sys.argv[2]))))
