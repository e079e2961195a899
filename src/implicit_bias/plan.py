"""A sweep written down before it is run: what tracking shows of it and of each of its points."""

from collections.abc import Sequence
from typing import Any

from implicit_bias.fingerprints import digest
from implicit_bias.parameters import Engine, Point, Sweep
from implicit_bias.theory.problem import Problem

STEPS_PER_DECADE = 12
"""How densely curves are tracked, at steps that all points share."""


def sweep_plan(
    sweep: Sweep, problems: dict[str, Problem], numerics: str, own_data: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Title, description, flat parameters, points and data sets of a sweep.

    Args:
        sweep: the validated parameters.
        problems: name -> problem, for every problem that a point names.
        numerics: version of the code that computes the points.
        own_data: how the tables of one's own were prepared, if the data were made of such.
    """
    points, compare = sweep.points(), _compare(sweep)
    settings = sweep.model_dump(exclude={*Engine.model_fields, "fresh"}) | ({"own_data": own_data} if own_data else {})
    params = _flatten(settings)
    return {
        "name": sweep.title,
        "description": _description(sweep, problems, len(points)),
        "params": {name: _scalar(value) for name, value in params.items()},
        "points": {
            point.key: {
                "name": _name(point, sweep),
                "description": _point_description(point, sweep),
                "params": ({"group": _name(point, sweep, seed=False)} if "group" in compare["group_by"] else {})
                | _point_params(point, sweep, problems[point.problem]),
            }
            for point in points
        },
        "numerics": numerics,
        "fresh": sweep.fresh,
        "compare": compare,
        "steps_per_decade": STEPS_PER_DECADE,
        "datasets": data_sets(problems),
    }


def data_sets(problems: dict[str, Problem]) -> list[dict[str, Any]]:
    """Name, digest and size of each problem, as a plan has them."""
    return [
        {
            "name": name,
            "digest": digest(vars(problem))[:16],
            "profile": {"n": problem.n, "D": problem.D, "m": problem.m, "r": problem.r, "cond": problem.cond},
        }
        for name, problem in problems.items()
    ]


def _name(point: Point, sweep: Sweep, seed: bool = True) -> str:
    """The name of a point in its sweep, short enough for a column: what it shares with all others is left out."""
    case = {None: "", "balanced": "balanced"}.get(point.case, f"case {point.case}")
    words = {
        "h={width}": len(sweep.widths) > 1 or not case,
        case: bool(case),
        "alpha={alpha:g}": len(sweep.alpha) > 1,
        "seed={seed}": seed and len(sweep.seeds) > 1,
        point.solver.rpartition("_")[2]: len(sweep.solvers) > 1,
        point.initialization.replace("_", " "): len(sweep.initialization) > 1,
    }
    return " ".join(word.format(**vars(point)) for word, telling in words.items() if telling)


def _compare(sweep: Sweep) -> dict[str, Any]:
    """How the points are told apart where they are compared: grouped by all but the seed, drawn against the axis."""
    many: dict[str, Sequence[Any]] = {
        "width": sweep.widths,
        "alpha": sweep.alpha,
        "initialization": sweep.initialization,
        "solver": sweep.solvers,
    }
    varied = [*(["case"] if sweep.cases else []), *(name for name, values in many.items() if len(values) > 1)]
    groups = varied if len(varied) == 1 else ["group"] if varied else ["width"]
    results = ["distance", "iterations" if sweep.stop.tolerance else "loss"]
    axis, axes = ("imbalance_c", ["sigma_u", "sigma_v"]) if sweep.cases else ("width", ["width", "alpha"])
    return {"group_by": groups if len(sweep.seeds) > 1 else [], "results": results, "axis": axis, "axes": axes}


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
        "initialization": point.initialization,
        "density": sweep.density if point.initialization == "sparse" else None,
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
        f"- {name}: n = {p.n}, D = {p.D}, m = {p.m}, rank {p.r}, cond Σx = {p.cond:.3g}, "
        f"smallest averaged loss {p.averaged(p.loss_floor):.3g}"
        for name, p in problems.items()
    ]
    limit = f"excess averaged loss {sweep.stop.tolerance:g}" if sweep.stop.tolerance else "stationarity"
    solvers = " and ".join(solver.replace("_", " ") for solver in sweep.solvers)
    return "\n".join(
        [
            f"**{sweep.title}**: {count} points, trained by {solvers}, each until {limit} "
            f"or {sweep.stop.max_iterations:,} iterations of step {sweep.step_size:g}.",
            "",
            "`distance` is ‖UVᵀ − Θ̂‖_F at the end, `law_rms` its prediction before training, `imbalance_c` the "
            "initial imbalance; the artifacts hold the figures.",
            "",
            *rows,
        ]
    )


def _point_description(point: Point, sweep: Sweep) -> str:
    drawn = "; curves.png, among the artifacts, shows how it came there and what bounds it"
    start = {"balanced": "balanced"}.get(str(point.case), point.initialization.replace("_", " "))
    return (
        f"Width {point.width:,}, {start} start with σ_U = {point.sigma_u:.3g}, σ_V = {point.sigma_v:.3g}, "
        f"seed {point.seed}, trained by {point.solver.replace('_', ' ')} on {point.problem}. `distance` is "
        f"‖UVᵀ − Θ̂‖_F at the end{drawn if sweep.point_figures else ''}."
    )


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
