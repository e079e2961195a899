"""The points of Figure 1 by gradient descent, by one and by two warm processes; what handing out a call costs."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from implicit_bias.pipelines.initialization import initialize_point
from implicit_bias.pipelines.training import train_point
from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Engine, Sweep
from implicit_bias.sweeps.points import run_points
from implicit_bias.sweeps.workers import compute
from tests.benchmarks.harness import cpu, duration, figure_1_problem, installed, table
from tests.support.clusters import dask_cluster

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


CALLS = 800


def busy() -> Callable[[float, Any], Any]:
    """A call that takes so much CPU time and gives back what it is given; by value, since workers have no tests."""

    def spend(seconds: float, record: Any) -> Any:
        import time

        end = time.process_time() + seconds
        while time.process_time() < end:
            pass
        return record

    return spend


def handing_out(engine: Engine, seconds: float, calls: int) -> tuple[float, float]:
    """Elapsed seconds per call, and CPU seconds of this process, of calls with 16 kB each way; workers are warm."""
    function, record = busy(), {"x": np.zeros(2000)}
    for count in (16 * max(engine.workers, 1), calls):
        start, before = time.perf_counter(), cpu()
        made = sum(
            1 for _ in compute(function, ((str(i), (seconds, record)) for i in range(count)), str, engine, count)
        )
        assert made == count
    return (time.perf_counter() - start) / calls, (cpu() - before) / calls


def overhead(quick: bool) -> None:
    """What a call costs beside what it computes, on processes of this machine and on Dask's workers."""
    rows = []
    for workers in (2,) if quick else (2, 4):
        with tempfile.TemporaryDirectory() as folder, dask_cluster(Path(folder) / "cluster", workers) as address:
            engines = {"loky": Engine(workers=workers), "dask": Engine(backend="dask", address=address)}
            for milliseconds in (0, 2, 10, 50):
                for name, engine in engines.items():
                    calls = CALLS // (4 if quick or milliseconds > 10 else 1)
                    elapsed, main = handing_out(engine, milliseconds / 1e3, calls)
                    ideal = milliseconds / 1e3 / min(workers, os.cpu_count() or 1)
                    rows.append((workers, f"{milliseconds} ms", name, *map(duration, (elapsed, elapsed - ideal, main))))
    table(
        "workers | CPU time of a call | engine | elapsed per call | beyond an even share | CPU of the main process",
        rows,
    )


def parallel(quick: bool = False) -> None:
    """Speedup, and that nothing else differs; overheads where Dask is installed."""
    if installed("distributed"):
        overhead(quick)
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
