"""The points of Figure 1 by gradient descent, one after the other against two worker processes that are warm."""

import os
import time
from typing import Any

import numpy as np

from implicit_bias.pipelines.initialization import initialize_point
from implicit_bias.pipelines.training import train_point
from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.sweeps.points import run_points
from tests.benchmarks.harness import cpu, duration, figure_1_problem, table

WIDTHS = list(range(500, 10_001, 500))


def sweep(seeds: int, workers: int, widths: list[int] = WIDTHS) -> Sweep:
    return Sweep(
        title="Figure 1", figure="width", problem="data", widths=widths, seeds=list(range(seeds)), alpha=[0.5],
        sampler="bartlett", solvers=["gradient_descent"], step_size=5e-3, stop={"tolerance": 1e-8}, workers=workers,
    )  # fmt: skip


def timed(*arguments: Any) -> Record:
    """Train a point, and say what CPU time it took."""
    start = cpu()
    return train_point(*arguments) | {"cpu": cpu() - start}


def run(points: Sweep) -> tuple[dict[str, Record], float, float, float]:
    """Records, elapsed seconds, CPU seconds of the calls and of this process beside them."""
    fields = vars(figure_1_problem())
    tasks = [(point.key, (point, points, fields, initialize_point(point, points, fields))) for point in points.points()]
    start, before = time.perf_counter(), cpu()
    records = dict(run_points(timed, tasks, len(tasks), points, "train"))
    elapsed, main = time.perf_counter() - start, cpu() - before
    calls = sum(record["cpu"] for record in records.values())
    return records, elapsed, calls, main - calls if points.workers == 1 else main


def parallel(quick: bool = False) -> None:
    """Speedup, and that nothing else differs."""
    seeds = 1 if quick else 5
    run(sweep(1, 2, WIDTHS[:4]))  # workers start and import
    one, two = run(sweep(seeds, 1)), run(sweep(seeds, 2))
    assert one[0].keys() == two[0].keys()
    for key, record in one[0].items():
        for name in record.keys() - {"cpu", "metric/seconds"}:
            assert np.array_equal(record[name], two[0][key][name]), f"{key}: {name} depends on the workers"
    rows = (
        (workers, duration(elapsed), duration(calls), duration(main), f"{one[1] / elapsed:.2f}")
        for workers, (_, elapsed, calls, main) in ((1, one), (2, two))
    )
    print(f"{len(one[0])} points of Figure 1 by gradient descent; records are equal to the last bit (asserted).\n")
    table("workers | elapsed | CPU of the points | CPU beside them | speedup", rows)
    print(
        f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores: the speedup is that of an idle machine only on one."
    )
