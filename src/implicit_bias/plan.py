"""A sweep written down before it is run: what tracking shows of it and of each of its points."""

import hashlib
from typing import Any

from implicit_bias.parameters import Point, Sweep
from implicit_bias.theory.problem import Problem


def sweep_plan(sweep: Sweep, problems: dict[str, Problem]) -> dict[str, Any]:
    """Title, description, flat parameters, points and data sets of a sweep.

    Args:
        sweep: the validated parameters.
        problems: name -> problem, for every problem that a point names.
    """
    points = sweep.points()
    return {
        "name": sweep.title,
        "description": _description(sweep, problems, len(points)),
        "params": {name: _scalar(value) for name, value in _flatten(sweep.model_dump(exclude={"workers"})).items()},
        "points": {
            point.key: {"name": point.name, "params": _point_params(point, sweep, problems[point.problem])}
            for point in points
        },
        "datasets": [
            {
                "name": name,
                "digest": _digest(problem),
                "profile": {"n": problem.n, "D": problem.D, "m": problem.m, "r": problem.r, "cond": problem.cond},
            }
            for name, problem in problems.items()
        ],
    }


def _point_params(point: Point, sweep: Sweep, problem: Problem) -> dict[str, Any]:
    params = {
        "width": point.width,
        "seed": point.seed,
        "alpha": point.alpha,
        "case": point.case,
        "sigma_u": point.sigma_u,
        "sigma_v": point.sigma_v,
        "solver": point.solver,
        "step_size": sweep.step_size,
        "tolerance": sweep.stop.tolerance,
        "relative": sweep.stop.relative,
        "max_iterations": sweep.stop.max_iterations,
        "stationary": sweep.stop.stationary,
        "flow_tolerance": sweep.flow_tolerance,
        "initialization": sweep.initialization,
        "sampler": sweep.sampler,
        "sweep_seed": sweep.seed,
        "delta": sweep.delta,
        "problem": point.problem,
        "n": problem.n,
        "D": problem.D,
        "m": problem.m,
        "r": problem.r,
    }
    return {name: value for name, value in params.items() if value is not None}


def _description(sweep: Sweep, problems: dict[str, Problem], count: int) -> str:
    rows = [
        f"| {name} | {p.n} | {p.D} | {p.m} | {p.r} | {p.cond:.3g} | {p.averaged(p.loss_floor):.3g} |"
        for name, p in problems.items()
    ]
    limit = f"excess averaged loss {sweep.stop.tolerance:g}" if sweep.stop.tolerance else "stationarity"
    return "\n".join(
        [
            f"**{sweep.title}**: {count} points, solved by {', '.join(sweep.solvers)}, each until {limit} "
            f"or {sweep.stop.max_iterations} iterations of step {sweep.step_size:g}.",
            "",
            "| data | n | D | m | rank r | cond Σx | L̃* |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            "`distance` is ‖UVᵀ − Θ̂‖_F at the end, `law_rms` its prediction before training.",
        ]
    )


def _digest(problem: Problem) -> str:
    """Short digest of everything a run knows of its data."""
    digest = hashlib.sha256()
    for array in (problem.sigma, problem.Phi1, problem.Y_tilde):
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def _flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _scalar(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value
