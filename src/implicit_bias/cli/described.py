"""What `check` says of data, of sweeps on them and of what a run will take, line by line."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from implicit_bias.sweeps.cost import Cost
    from implicit_bias.sweeps.data import OwnData, Reparametrization
    from implicit_bias.sweeps.handover import DataFields
    from implicit_bias.sweeps.parameters import Sweep
    from implicit_bias.theory.problem import Problem

MB = 1e6


def data_lines(
    names: Mapping[str, str], own_data: "OwnData", record: "DataFields", targets: tuple[str, ...]
) -> list[str]:
    from implicit_bias.own_data.tables import column_names

    done = [f"{name} centred" for name, center in (("X", own_data.center_x), ("Y", own_data.center_y)) if center]
    scales = (("X", own_data.scale_x), ("Y", own_data.scale_y))
    done += [f"{name} scaled by {scale}" for name, scale in scales if scale != "none"]
    tables = ", ".join(f"{argument} from {dataset!r}" for argument, dataset in names.items())
    return [
        f"data: {tables}; {', '.join(done) or 'as they are'}; {len(record['X_test'])} test rows",
        f"targets: {column_names(targets)}",
    ]


def problem_lines(problem: "Problem", record: "DataFields", rule: "Reparametrization") -> list[str]:
    import numpy as np

    from implicit_bias.theory.problem import rank_cut

    X = record["X"]
    sigma = np.linalg.svd(X, compute_uv=False)
    svd = rank_cut(X.shape, sigma[0])
    cut = rank_cut(X.shape, sigma[0], rule.rank_rtol, record["rounding"])
    words = (
        "rank_rtol"
        if rule.rank_rtol is not None
        else "rounding of the data"
        if cut > svd
        else "max(n, D) × machine epsilon"
    )
    chosen = f"rank = {rule.rank}" if rule.rank is not None else f"σᵢ > {cut / sigma[0]:.2g} σ₁ ({words})"
    rest = f", the next one is {sigma[problem.r] / sigma[0]:.2g} σ₁" if problem.r < sigma.size else ""
    floor = 2 * problem.loss_floor / problem.y_norm**2
    beyond = f"{100 * floor:.2g} %" if floor > (max(X.shape) * np.finfo(float).eps) ** 2 else "nothing"
    return [
        f"n = {problem.n}, D = {problem.D}, m = {problem.m}, r = {problem.r}, cond Σx = {problem.cond:.4g}",
        f"rank rule: {chosen}; the smallest kept is {sigma[problem.r - 1] / sigma[0]:.2g} σ₁{rest}",
        f"‖Θ̂‖_F = {np.linalg.norm(problem.min_norm_coordinates):.4g}; {beyond} of ‖Y‖² is out of reach",
    ]


def sweep_lines(problem: "Problem", record: "DataFields", sweep: "Sweep") -> tuple[list[str], "Cost"]:
    """Lines on a sweep over a data set, and what it will cost.

    Raises:
        ValueError: networks with activations have no test rows.
    """
    from joblib import cpu_count

    from implicit_bias.sweeps.cost import estimate_cost

    points, processes = len(sweep.points()), cpu_count() if sweep.workers == -1 else sweep.workers
    busy = min(processes, points)
    lines = sweep.kind.lines(problem, record, sweep)
    cost = estimate_cost(problem, sweep, processes, record)
    said = (
        f"{points} points, about {_duration(cost.seconds)} in {busy} process{'es' if busy > 1 else ''}, "
        f"{cost.memory / MB:,.0f} MB of memory, {cost.disk / MB:,.1f} MB on disk"
    )
    return [*lines, said], cost


def run_line(problem: "Problem", record: "DataFields", reading: float, costs: Sequence["Cost"]) -> str:
    """What the whole run will take, with the start of Kedro, MLflow and a new database, and `reading` in seconds."""
    from implicit_bias.sweeps.cost import START
    from implicit_bias.sweeps.disk import DATABASE, data_bytes

    seconds = START + reading + sum(cost.seconds for cost in costs)
    disk = DATABASE + data_bytes(problem, len(record["X_test"])) + sum(cost.disk for cost in costs)
    return f"the whole run: about {_duration(seconds)} on an idle machine, {disk / MB:,.1f} MB on disk"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
