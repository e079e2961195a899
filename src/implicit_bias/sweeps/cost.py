"""What a sweep will cost, before it is run: a simple model and the speed of this machine.

A sweep takes about `STAGES` seconds for its figures and records, and `BANDS` predictions of the law per alpha. A point
takes about `POINT` seconds to draw, measure, plot and track, one prediction of the law, and what its kind of network
says of its training. Predictions and training are timed here, in seconds of the processor, so that other work on the
machine does not count. The tables and their SVD need about `COPIES` arrays of X's size, a process `PROCESS`.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from implicit_bias.sweeps.disk import sweep_bytes
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory.law.distance import Scaling
from implicit_bias.theory.law.prediction import predict_band
from implicit_bias.theory.problem import Problem

START = 6.0
"""Seconds to start Kedro and MLflow and to make a new database."""
STAGES = 3.0
BANDS = 32
POINT = 0.2
COPIES = 7
PROCESS = 350e6


@dataclass(frozen=True)
class Cost:
    """About what a sweep needs.

    Attributes:
        seconds: time, with all its workers.
        memory: bytes at once, in all processes.
        disk: bytes of its files and of what MLflow keeps of it.
    """

    seconds: float
    memory: float
    disk: float


def estimate_cost(problem: Problem, sweep: Sweep, processes: int, rows: Mapping[str, Any] | None = None) -> Cost:
    """About what a sweep on a problem will cost.

    Args:
        problem: the reparametrised problem.
        sweep: the validated parameters.
        processes: how many points are computed at once.
        rows: the data set, X (n, D), Y (n, m), X_test (N, D), of networks that need it.
    """
    points, rows = sweep.points(), rows or {}
    busy = min(processes, len(points))
    with threadpool_limits(1):
        training, band = sweep.kind.seconds(problem, sweep, rows), _band(problem, sweep)
        seconds = sum(POINT + band + training(point) for point in points)
    workers = busy * (PROCESS * (busy > 1) + sweep.kind.memory(problem, sweep))
    return Cost(
        STAGES + BANDS * len(sweep.alpha) * band + seconds / busy,
        PROCESS + workers + 8 * COPIES * problem.n * problem.D,
        sweep_bytes(problem, sweep, len(rows.get("X_test", ()))),
    )


def _band(problem: Problem, sweep: Sweep) -> float:
    """Seconds of a prediction of the law, on average of the smallest and the largest width; 0 where none is made."""
    if not sweep.law_is_exact or problem.D == problem.r or not sweep.alpha:
        return 0.0
    widths = (min(sweep.widths), max(sweep.widths))
    start = time.process_time()
    for h in widths:
        predict_band(problem, *Scaling(sweep.alpha[0]).gram(h), float(h), sweep.delta)
    return (time.process_time() - start) / len(widths)
