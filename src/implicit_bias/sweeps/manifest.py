"""A sweep written down before it is run: what tracking shows of it and of each of its points."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from implicit_bias.sweeps.compute import StaleRecords
from implicit_bias.sweeps.fields import numeral
from implicit_bias.sweeps.fingerprint import digest
from implicit_bias.sweeps.handover import Compare, Params, Plan, PlannedData, PlannedPoint
from implicit_bias.sweeps.parameters import HANDLING, Point, Sweep
from implicit_bias.theory.initialization.registry import initialization
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.registry import solver

STEPS_PER_DECADE = 6
"""How densely curves are tracked, at steps that all points share."""


DIGEST = 16
"""Characters of the digest of a problem that a plan has."""

SHORTEST_RANGE = 4
"""Whole numbers in equal steps that are written as a range."""

METRICS = (
    "`law_rms` and `law_bound` are its root mean square and its bound by the law before training, `loss` the averaged "
    "loss, `iterations` the length of the run in steps of descent, `rate` the decay of the loss at the end. Of a bound "
    "NAME of the loss, `NAME_worst` is the largest ratio of loss to bound, at most 1, and `met/NAME` says whether its "
    "hypotheses hold. `seconds` is the time of training; the duration that MLflow shows includes waiting for other "
    "points. The artifact metrics.csv of the sweep says what every metric is."
)
"""What else a point's metrics are, in its description."""

SHOWN = 3
"""Parameters that a refusal names."""


def sweep_plan(
    sweep: Sweep,
    problems: dict[str, Problem],
    numerics: str,
    data: Mapping[str, Any] | None = None,
    rows: Mapping[str, str] | None = None,
) -> Plan:
    """Title, description, flat parameters, points and data sets of a sweep.

    Args:
        sweep: the validated parameters.
        problems: name -> problem, for every problem that a point names.
        numerics: version of the code that computes the points.
        data: how the data were drawn, or the tables of one's own prepared: what is tracked of it, by name.
        rows: name -> digest of the samples and test rows of each data set, for networks that need them.
    """
    compare = _compare(sweep)

    def planned(point: Point) -> PlannedPoint:
        group: Params = {"group": _name(point, sweep, seed=False)} if "group" in compare["group_by"] else {}
        params = group | _point_params(point, sweep, problems[point.problem])
        described = sweep.kind.describe(point, sweep, METRICS)
        return {"name": _name(point, sweep), "description": described, "params": params}

    points = {point.key: planned(point) for point in sweep.points()}
    return {
        "name": sweep.title,
        "description": _description(sweep, problems, len(points)),
        "params": sweep_params(sweep) | written(data or {}),
        "points": points,
        "metrics": dict(sweep.kind.metrics),
        "report": "sweep",
        "numerics": numerics,
        "fresh": sweep.fresh,
        "compare": compare,
        "steps_per_decade": STEPS_PER_DECADE,
        "datasets": [_with_rows(each, rows) for each in data_sets(problems)],
    }


def _with_rows(planned: PlannedData, rows: Mapping[str, str] | None) -> PlannedData:
    return {**planned, "rows": rows[planned["name"]]} if rows else planned


def sweep_params(sweep: BaseModel) -> Params:
    """The parameters of a sweep, or of a study, as its plan has them: those that say what is computed."""
    return written(sweep.model_dump(exclude=set(HANDLING)))


def check_plan(plan: Plan, params: Mapping[str, Any], data: Mapping[str, str], pipeline: str) -> None:
    """Refuse a plan that was made for other parameters or other data.

    Args:
        plan: the plan.
        params: what it should have, as `sweep_params` gives it.
        data: name -> digest of the problems it should be for.
        pipeline: the pipeline that makes it.

    Raises:
        StaleRecords: it is another one.
    """
    planned = plan["params"]
    changed = [
        f"{name} was {planned.get(name)} and is {value}" for name, value in params.items() if planned.get(name) != value
    ]
    if changed:
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        raise StaleRecords(
            f"the plan was made for other parameters, {', '.join(changed[:SHOWN])}{more}: "
            f"run what makes it again, the pipeline {pipeline}"
        )
    digests = {each["name"]: each["digest"] for each in plan.get("datasets", ())}
    if other := [name for name, found in data.items() if digests.get(name) != found[:DIGEST]]:
        raise StaleRecords(
            f"the plan was made for other data than those that {other[0]!r} has now: "
            f"run what makes it again, the pipeline {pipeline}"
        )


def data_sets(problems: dict[str, Problem]) -> list[PlannedData]:
    """Name, digest and size of each problem, as a plan has them."""
    return [
        {
            "name": name,
            "digest": digest(vars(problem))[:DIGEST],
            "profile": {"n": problem.n, "D": problem.D, "m": problem.m, "r": problem.r, "cond": problem.cond},
        }
        for name, problem in problems.items()
    ]


def _name(point: Point, sweep: Sweep, seed: bool = True) -> str:
    """The name of a point in its sweep, short enough for a column: what it shares with all others is left out."""
    case = {None: "", "balanced": "balanced"}.get(point.case, f"case {point.case}")
    words = {
        "h={width}": len(sweep.widths) > 1 or not case,
        "L={depth}": len(sweep.depths) > 1,
        f"gain={numeral(point.inner_gain)}": len(sweep.inner_gain) > 1 and point.depth > 2,
        "{activation}": len(sweep.activations) > 1,
        case: bool(case),
        f"alpha={numeral(point.alpha or 0.0)}": len(sweep.alpha) > 1,
        "seed={seed}": seed and len(sweep.seeds) > 1,
        point.solver.rpartition("_")[2]: len(sweep.solvers) > 1,
        point.initialization.replace("_", " "): len(sweep.initialization) > 1,
    }
    return " ".join(word.format(**vars(point)) for word, telling in words.items() if telling)


def _compare(sweep: Sweep) -> Compare:
    """How the points are told apart where they are compared: grouped by all but the seed, drawn against the axis."""
    many: dict[str, Sequence[Any]] = {
        "width": sweep.widths,
        "depth": sweep.depths,
        "inner_gain": sweep.inner_gain if max(sweep.depths) > 2 else [],
        "activation": sweep.activations,
        "alpha": sweep.alpha,
        "initialization": sweep.initialization,
        "solver": sweep.solvers,
    }
    varied = [*(["case"] if sweep.cases else []), *(name for name, values in many.items() if len(values) > 1)]
    groups = varied if len(varied) == 1 else ["group"] if varied else ["width"]
    results, axes, start = sweep.kind.compared(sweep)
    axis = start if sweep.cases else "width"
    grouped = groups if len(sweep.seeds) > 1 else []
    return {"group_by": grouped, "results": results, "axis": axis, "axes": axes, "start": start}


def _point_params(point: Point, sweep: Sweep, problem: Problem) -> Params:
    params = {
        "width": point.width,
        **sweep.kind.told_of(point, sweep),
        "seed": point.seed,
        "alpha": point.alpha,
        "case": point.case,
        "sigma_u": point.sigma_u,
        "sigma_v": point.sigma_v,
        "solver": point.solver,
        "step_size": sweep.step_size,
        "momentum": sweep.momentum if solver(point.solver).kind == "other" else None,
        "tolerance": sweep.stop.tolerance,
        "relative": sweep.stop.relative,
        "max_iterations": sweep.stop.max_iterations,
        "stationary": sweep.stop.stationary,
        "flow_tolerance": sweep.flow_tolerance,
        "initialization": point.initialization,
        "density": sweep.density if initialization(point.initialization).dense else None,
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
            sweep.kind.told,
            "",
            *rows,
        ]
    )


def written(settings: Mapping[str, Any], prefix: str = "") -> Params:
    """Nested settings as flat names and texts or numbers, lists as `listed` writes them."""
    flat: Params = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= written(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = listed(value) if isinstance(value, list) else value
    return flat


def listed(values: Sequence[Any]) -> str:
    """A list as it is written in parameters: whole numbers in equal steps as start:end:step, the others one by one."""
    words, i = [], 0
    while i < len(values):
        end = _run_end(values, i)
        if end - i < SHORTEST_RANGE:
            words.append(str(values[i]))
            i += 1
        else:
            step = values[i + 1] - values[i]
            words.append(f"{values[i]}:{values[end - 1]}" + (f":{step}" if step > 1 else ""))
            i = end
    return " ".join(words)


def _run_end(values: Sequence[Any], start: int) -> int:
    """Where the whole numbers end that rise from `start` on in equal steps; `start` itself where there are none."""
    numbers, end = values[start : start + 2], start + 2
    if not all(type(value) is int for value in numbers) or len(numbers) < 2 or numbers[1] <= numbers[0]:
        return start
    while end < len(values) and type(values[end]) is int and values[end] - values[end - 1] == numbers[1] - numbers[0]:
        end += 1
    return end
