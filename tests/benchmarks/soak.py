"""A sweep of thousands of points, the last beside the first: `make soak`, or `python -m tests.benchmarks.soak`.

Every point is tracked in an MLflow store in SQLite. CPU time is compared, which other work on the machine moves little.

With `--bookkeeping` nothing is trained but one point, whose record stands for all, and the sweep is read back by a
second run: what is left is plans, files, tables, figures, the report and the store. It is done for a tenth of the
points, too, and says at how many points each part would go beyond what a person bears.
"""

import argparse
import math
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


LIMITS = {
    "memory": (4e9, "bytes"),
    "store": (100e9, "bytes"),
    "files": (100e9, "bytes"),
    "whole run": (24 * 3600.0, "s"),
    "run again, read back": (3600.0, "s"),
    "step": (600.0, "s"),
    "page": (10.0, "s"),
}
"""What a person bears of each part of the bookkeeping: of the process, on disk, of one node, of a page of MLflow."""


def parts(found: dict[str, Any], project: Path) -> dict[str, tuple[str, float]]:
    """Part of the bookkeeping -> its kind in LIMITS, and its size."""
    files = sum(path.stat().st_size for path in (project / "data").rglob("*") if path.is_file())
    sizes = {
        "memory": ("memory", float(found["resident"])),
        "store": ("store", float((project / "mlflow.db").stat().st_size)),
        "files": ("files", float(files)),
        "whole run": ("whole run", found["elapsed"]),
        "run again, read back": ("run again, read back", found["again"]["elapsed"]),
    }
    steps = {name: ("step", seconds) for name, (seconds, _) in found["nodes"].items() if name not in STREAMED}
    return sizes | steps | {f"MLflow, {name}": ("page", seconds) for name, seconds in found["pages"].items()}


STREAMED = ("initialize_points", "train_points", "evaluate_points")  # whose work is done while they are saved


def bookkeeping(points: int, folder: Path) -> None:
    """Print what the bookkeeping of so many points takes beside that of a tenth, and where it breaks."""
    measured = []
    for count in (points // 10, points):
        project = make_project(folder / str(count))
        found = soak(project, count, again=True)
        by_part = costs(found["samples"])
        print(
            f"{count:,} points: {duration(found['elapsed'])} elapsed, {duration(found['cpu'])} of CPU time, "
            f"{duration(by_part[0][0])} a point in the first tenth, {duration(by_part[-1][0])} in the last",
            flush=True,
        )
        measured.append(parts(found, project.path))
    few, many = measured
    rows = []
    for name, (kind, size) in many.items():
        limit, unit = LIMITS[kind]
        power = max(math.log10(size / few[name][1]), 0.0) if few[name][1] > 0 and size > 0 else 0.0
        where = points * (limit / size) ** (1 / power) if power > 0.05 and size > 0 else math.inf
        shown = (lambda x: f"{x / 1e9:.3g} GB") if unit == "bytes" else duration
        breaks = f"{where:.1g}" if where < 1e9 else "beyond 1e9"
        rows.append((name, shown(few[name][1]), shown(size), f"{power:.2f}", shown(limit), breaks))
    table(f"part | {points // 10:,} points | {points:,} | power | limit | reached at about", rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak", description=__doc__)
    parser.add_argument("--points", type=int, default=5000, help="a multiple of 500, with --bookkeeping of 5,000")
    parser.add_argument("--folder", type=Path, help="where to leave the project; by default nothing is left")
    parser.add_argument("--bookkeeping", action="store_true", help="train one point, whose record stands for all")
    options = parser.parse_args()
    print(f"{machine()}\n", flush=True)
    if options.bookkeeping:
        with tempfile.TemporaryDirectory() as folder:
            bookkeeping(options.points, options.folder or Path(folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(options.folder or Path(folder))
        show(soak(project, options.points), project.path)


if __name__ == "__main__":
    main()
