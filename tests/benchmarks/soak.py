"""A sweep of thousands of points, the last beside the first: `make soak`, or `python -m tests.benchmarks.soak`.

Every point is tracked in an MLflow store in SQLite. CPU time is compared, which other work on the machine moves little.
"""

import argparse
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.benchmarks.harness import duration, machine, table
from tests.support.project import make_project
from tests.support.soak import STAGES, health, soak


def costs(samples: dict[str, list[list[float]]]) -> list[tuple[float, float]]:
    """CPU and elapsed seconds a point in each part of the sweep, all stages together.

    Args:
        samples: stage -> rows (points, CPU seconds, elapsed seconds, resident bytes).
    """
    parts = [
        [[(after[i] - before[i]) / (after[0] - before[0]) for i in (1, 2)] for before, after in pairwise(rows)]
        for rows in samples.values()
    ]
    return [(sum(cpu for cpu, _ in part), sum(elapsed for _, elapsed in part)) for part in zip(*parts, strict=True)]


def show(found: dict[str, Any], project: Path) -> None:
    """Print what a soak has found."""
    points, by_part = found["points"], costs(found["samples"])
    print(f"{points:,} points: {duration(found['elapsed'])} elapsed, {duration(found['cpu'])} of CPU time in all.\n")
    first, last = by_part[0], by_part[-1]
    rows = [(name, duration(part[0]), f"{1 / part[1]:.1f}") for name, part in (("first", first), ("last", last))]
    table("tenth | CPU time a point | points a second", [*rows, ("ratio", f"{last[0] / first[0]:.2f}", "")])
    table("CPU time a point in each tenth (ms)", [[" ".join(f"{1000 * cpu:.1f}" for cpu, _ in by_part)]])
    memory = [(stage, *(f"{found['samples'][stage][i][3] / 2**20:.1f}" for i in (0, 2, 5, 10))) for stage in STAGES]
    table("memory (MB) in | first point | a fifth | half | end", memory)
    store = project / "mlflow.db"
    said = health(store)
    table("store |", [*said.items(), ("MB", f"{store.stat().st_size / 1e6:.0f}")])
    written = sorted(path for path in (project / "data/smoke/08_reporting").iterdir() if path.is_file())
    table("file | kB", [(path.name, f"{path.stat().st_size / 1000:,.0f}") for path in written])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak", description=__doc__)
    parser.add_argument("--points", type=int, default=5000, help="a multiple of 500")
    parser.add_argument("--folder", type=Path, help="where to leave the project; by default nothing is left")
    options = parser.parse_args()
    print(f"{machine()}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(options.folder or Path(folder))
        show(soak(project, options.points), project.path)


if __name__ == "__main__":
    main()
