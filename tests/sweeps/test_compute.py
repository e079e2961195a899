"""Resuming: what determines a record is in its fingerprint, and only records with the right one are reused."""

import logging
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kedro.io.core import DatasetError

from implicit_bias.pipelines.evaluation import EVALUATION, evaluate_points
from implicit_bias.pipelines.initialization import INITIALIZATION
from implicit_bias.pipelines.training import TRAINING
from implicit_bias.sweeps.compute import Stage, StaleRecords
from implicit_bias.sweeps.fingerprint import _code, digest, numerics, reached
from implicit_bias.sweeps.kinds.base import step_modules
from implicit_bias.sweeps.manifest import data_sets, sweep_params
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.sweeps.records import NOT_RESULTS, POINTS_SAY, compute_points, point_fingerprint, settings_of
from implicit_bias.theory import Problem, draw_data, reparametrize

STAGES = (INITIALIZATION, TRAINING, EVALUATION)
SWEEP: dict[str, Any] = {
    "title": "Widths",
    "figure": "width",
    "problem": "line",
    "widths": [20, 40],
    "seeds": [0, 1],
    "alpha": [0.5],
    "step_size": 0.005,
    "curve_points": 12,
    "workers": 1,
}
CHANGED: dict[str, Any] = {
    "title": "Other",
    "figure": "alpha",
    "problem": "other",
    "redraw_data": True,
    "widths": [20, 41],
    "seeds": [0, 2],
    "alpha": [0.4],
    "cases": {"pairs": [[0.1, 0.1]]},
    "initialization": "uniform",
    "density": 0.2,
    "sampler": "dense",
    "solvers": ["gradient_descent"],
    "step_size": 0.004,
    "stop": {"tolerance": 1e-7},
    "flow_tolerance": 1e-7,
    "curve_points": 13,
    "delta": 0.1,
    "point_figures": False,
    "seed": 1,
    "workers": 2,
    "fresh": True,
}
FIRST = {"title", "figure", "workers", "fresh", "widths", "seeds"}
"""Changes that leave the first point of the sweep as it is."""
AFTER = {
    "initial_states": {"step_size", "stop", "flow_tolerance", "curve_points", "delta", "point_figures"},
    "trajectories": {"delta", "point_figures"},
    "evaluations": set(),
}
"""Parameters that come into play after a stage."""


def sweep(**changes: Any) -> Sweep:
    return Sweep(**SWEEP | changes)


@pytest.fixture(scope="module")
def problem() -> dict[str, Any]:
    X, Y, _ = draw_data(6, 20, 2, np.random.default_rng(0))
    return vars(reparametrize(X, Y))


# What a fingerprint covers


@pytest.mark.parametrize("name", CHANGED)
def test_a_fingerprint_changes_with_what_its_stage_depends_on(name: str) -> None:
    changes = {name: CHANGED[name]} | ({"alpha": [], "figure": "imbalance"} if name == "cases" else {})
    before, after = sweep(), sweep(**changes)
    for stage in STAGES:
        prints = [point_fingerprint(stage, each.points()[0], "data", settings_of(each)) for each in (before, after)]
        same = name in FIRST | AFTER[stage.output] or name == "redraw_data"  # draw 0 is that of seed 0
        assert (prints[0] == prints[1]) == same, stage.output


def test_a_fingerprint_changes_with_point_data_and_numerics() -> None:
    base = sweep()
    first, second, *_ = base.points()
    for stage in STAGES:
        prints = {
            point_fingerprint(stage, first, "data", settings_of(base)),
            point_fingerprint(stage, second, "data", settings_of(base)),
        }
        prints.add(point_fingerprint(stage, first, "other data", settings_of(base)))
        other = replace(stage)
        vars(other)["numerics"] = "another version"
        prints.add(point_fingerprint(other, first, "data", settings_of(base)))
        assert len(prints) == 4


class Watched:
    """A sweep whose attributes are noted when they are read."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep, self.read = sweep, set[str]()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self.sweep, name)


@pytest.mark.parametrize("solver", ["gradient_flow", "gradient_descent"])
def test_no_stage_reads_a_parameter_that_its_fingerprint_leaves_out(problem: dict[str, Any], solver: str) -> None:
    watched = Watched(sweep(solvers=[solver], stop={"max_iterations": 50}))
    point = watched.sweep.points()[0]
    records: list[dict[str, Any]] = []
    for stage in STAGES:
        watched.read.clear()
        records.append(stage.compute(point, watched, problem, *records))
        assert watched.read.isdisjoint(stage.ignores | POINTS_SAY | NOT_RESULTS)


def test_a_digest_tells_arrays_apart() -> None:
    a = np.arange(6.0)
    others = [a.reshape(2, 3), a.astype(np.float32), a.astype(np.int64), a[::-1], np.nextafter(a, 9)]
    assert len({digest({"a": each}) for each in (a, *others)}) == 6
    assert digest({"a": a, "b": 1}) == digest({"b": 1, "a": a.copy(order="F")})
    with pytest.raises(TypeError, match="set has no digest"):
        digest({"a": {1}})


CODE = '''
"""A module."""
from implicit_bias.theory.problem import Problem

def f(x):
    """Twice."""
    return 2 * x
'''


def test_the_version_of_the_numerics_is_that_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))

    def version(name: str, code: str) -> str:
        (tmp_path / f"{name}.py").write_text(code)
        return _code(name)[0]

    original = version("original", CODE)
    assert version("commented", CODE.replace("Twice", "Two times").replace("return", "# so\n    return")) == original
    assert version("another_constant", CODE.replace("2 *", "3 *")) != original
    assert version("another_order", CODE.replace("2 * x", "x * 2")) != original


def test_the_numerics_reach_what_is_imported() -> None:
    kind = sweep().kind
    modules = set(reached(TRAINING.compute.__module__, *step_modules(kind, TRAINING.steps)))
    assert modules >= {
        f"implicit_bias.theory.{name}"
        for name in ("experiment", "solvers.flow", "solvers.exponential", "solvers.descent")
    }
    assert not any("claims" in name or "figures" in name for name in modules)
    assert not any("deep.train" in name or "activation.train" in name for name in modules), "other kinds of networks"
    assert numerics("implicit_bias.pipelines.training") != numerics("implicit_bias.pipelines.evaluation")


def test_the_numerics_of_a_stage_are_also_those_of_the_stages_before_it() -> None:
    """A solver that changes leaves no evaluation, though evaluating needs no solver."""
    kind = sweep().kind
    modules = [set(reached(stage.compute.__module__, *step_modules(kind, stage.steps))) for stage in STAGES]
    for before, after in pairwise(modules):
        assert before < after


# What is reused

calls: list[str] = []


def double(point: Any, sweep: Any, problem: dict[str, Any], *inputs: dict[str, Any]) -> dict[str, Any]:
    calls.append(point.key)
    if inputs and "error" in inputs[0]:
        return inputs[0]
    if point.seed == 99:
        raise FloatingPointError("diverged")
    return {"twice": 2 * point.width}


FAKE = Stage("double", "doubles", "doubling", double, frozenset({"delta"}))


def plan_of(sweep: Sweep, problem: dict[str, Any]) -> dict[str, Any]:
    points: dict[str, Any] = {point.key: {"params": {}} for point in sweep.points()}
    datasets = data_sets({"line-draw=0": Problem(**problem)})
    return {"points": points, "params": sweep_params(sweep), "datasets": datasets}


def checked(record: dict[str, Any]) -> dict[str, Any]:
    """A record without its fingerprint."""
    assert record["fingerprint"]
    return {name: value for name, value in record.items() if name != "fingerprint"}


def run(
    files: dict[str, Any], sweep: Sweep, problem: dict[str, Any], inputs: dict[Stage, Any] | None = None
) -> dict[str, Any]:
    """Compute the points of a sweep over what `files` hold, and keep the results there."""

    def read(key: str) -> Any:
        if files.get(key) == "damaged":
            raise DatasetError(f"{key}.npz is not a readable array file")
        return files.get(key)

    calls.clear()
    plan = plan_of(sweep, problem)
    problems = {"line-draw=0": lambda: problem}
    files |= dict(compute_points(FAKE, sweep, plan, problems, {"doubles": read}, inputs or {}))
    return files


def test_only_what_is_missing_is_computed(problem: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    files = run({}, sweep(), problem)
    keys = list(files)
    assert calls == keys
    assert [files[key]["twice"] for key in keys] == [40, 40, 80, 80]
    again = run(dict(files), sweep(), problem)
    assert calls == []
    assert again == files
    assert "double: 4 of 4 were done before" in caplog.text
    more = run(dict(files), sweep(seeds=[0, 1, 2]), problem)
    assert len(calls) == 2
    assert all("seed=2" in key for key in calls)
    assert more.items() >= files.items()


@pytest.mark.parametrize(
    "change", [{"step_size": 0.004}, {"seed": 3}, {"fresh": True}, {"stop": {"stationary": 1e-12}}]
)
def test_changed_parameters_and_fresh_leave_nothing(problem: dict[str, Any], change: dict[str, Any]) -> None:
    files = run({}, sweep(), problem)
    run(files, sweep(**change), problem)
    assert len(calls) == 4


def test_other_data_leave_nothing(problem: dict[str, Any]) -> None:
    files = run({}, sweep(), problem)
    run(files, sweep(), problem | {"Y_tilde": problem["Y_tilde"] * (1 + 1e-15)})
    assert len(calls) == 4


def test_failed_points_are_tried_again(problem: dict[str, Any]) -> None:
    files = run({}, sweep(seeds=[0, 99]), problem)
    failed = [key for key in files if "seed=99" in key]
    assert all(checked(files[key]) == {"error": "FloatingPointError: diverged"} for key in failed)
    run(files, sweep(seeds=[0, 99]), problem)
    assert calls == failed


def test_damaged_records_are_reported_and_computed_again(
    problem: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    files = run({}, sweep(), problem)
    key = list(files)[2]
    again = run(files | {key: "damaged"}, sweep(), problem)
    assert calls == [key]
    assert again == files
    assert f"double: computed again: {key}.npz is not a readable array file" in caplog.text


def test_points_of_other_sweeps_are_left_alone(problem: dict[str, Any]) -> None:
    files = run({"width=00007": {"twice": 14}}, sweep(), problem)
    assert files["width=00007"] == {"twice": 14}
    assert "width=00007" not in calls


def test_stale_or_damaged_inputs_are_not_used(problem: dict[str, Any]) -> None:
    base = sweep(widths=[20])
    first, second = base.points()
    good = INITIALIZATION.compute(first, base, problem)
    mark = point_fingerprint(INITIALIZATION, first, digest(problem), settings_of(base))

    def damaged() -> None:
        raise DatasetError("b.npz is not a readable array file")

    loaders = {first.key: lambda: good | {"fingerprint": mark}, second.key: damaged}
    files = run({}, base, problem, {INITIALIZATION: loaders})
    assert files[first.key]["twice"] == 40
    assert checked(files[second.key]) == {"error": "b.npz is not a readable array file"}
    with pytest.raises(StaleRecords, match=rf"what initial_states holds of '{first.key}' is of other parameters, data"):
        run({}, sweep(widths=[20], seed=5), problem, {INITIALIZATION: loaders})


def test_a_point_whose_input_is_not_there_fails_alone(problem: dict[str, Any]) -> None:
    """An earlier stage that was broken off has left some of its points only."""
    base = sweep(widths=[20])
    first, second = base.points()
    good = INITIALIZATION.compute(first, base, problem)
    mark = point_fingerprint(INITIALIZATION, first, digest(problem), settings_of(base))
    files = run({}, base, problem, {INITIALIZATION: {first.key: lambda: good | {"fingerprint": mark}}})
    assert files[first.key]["twice"] == 40
    assert checked(files[second.key]) == {
        "error": "initial_states holds nothing of this point: run the stage that makes it"
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"widths": [20]}, "widths was 20 40 and is 20"),
        ({"seed": 7}, "seed was 0 and is 7"),
        ({"seed": 7, "delta": 0.1, "stop": {"tolerance": 1.0, "relative": True}}, "and 1 more"),
    ],
)
def test_a_plan_of_other_parameters_is_refused(problem: dict[str, Any], change: dict[str, Any], said: str) -> None:
    """Otherwise a stage run by itself would leave out points, or take over others, without a word."""
    plan, changed = plan_of(sweep(), problem), sweep(**change)
    records = compute_points(FAKE, changed, plan, {"line-draw=0": lambda: problem}, {"doubles": str}, {})
    with pytest.raises(StaleRecords, match=rf"the plan was made for other parameters, .*{said}: run .* initialization"):
        next(records)


def test_a_plan_of_other_data_is_refused(problem: dict[str, Any]) -> None:
    other = problem | {"Y_tilde": 2 * problem["Y_tilde"]}
    records = compute_points(
        FAKE, sweep(), plan_of(sweep(), problem), {"line-draw=0": lambda: other}, {"doubles": str}, {}
    )
    with pytest.raises(StaleRecords, match="other data than those that 'line-draw=0' has now"):
        next(records)


def test_without_figures_of_points_nothing_else_differs(problem: dict[str, Any]) -> None:
    drawn = sweep(widths=[20], seeds=[0])
    plain = sweep(widths=[20], seeds=[0], point_figures=False)
    (point,) = drawn.points()
    state = INITIALIZATION.compute(point, drawn, problem)
    trajectory = TRAINING.compute(point, drawn, problem, state)
    with_figure, without = (EVALUATION.compute(point, each, problem, state, trajectory) for each in (drawn, plain))
    assert with_figure.keys() - without.keys() == {"figure", "figure_checksum"}
    assert all(np.array_equal(without[name], with_figure[name], equal_nan=name[:6] != "param/") for name in without)


def test_points_are_reused_with_the_figures_they_were_asked_for(problem: dict[str, Any]) -> None:
    files: dict[str, dict[str, Any]] = {name: {} for name in ("states", "trajectories", "evaluations", "figures")}
    problems = {"line-draw=0": lambda: problem}

    def loaders(name: str) -> dict[str, Any]:
        return {key: partial(dict, record) for key, record in files[name].items()}

    def read(name: str, key: str) -> Any:
        found = files[name].get(key)
        return dict(found) if isinstance(found, dict) else found

    def evaluate(wanted: Sweep) -> tuple[int, int]:
        """Evaluate the sweep over what `files` hold; how many records are new, and how many figures there are."""
        before, figures = dict(files["evaluations"]), dict[str, bytes]()
        stored = {"evaluations": partial(read, "evaluations"), "point_figures": partial(read, "figures")}
        states, trajectories = loaders("states"), loaders("trajectories")
        plan = plan_of(wanted, problem)
        for images, records in evaluate_points({}, problems, wanted, plan, stored, states, trajectories):
            figures |= images
            files["evaluations"] |= records
        files["figures"] |= figures
        new = files["evaluations"].keys() - before.keys()
        changed = [key for key in before if before[key]["fingerprint"] != files["evaluations"][key]["fingerprint"]]
        return len(new) + len(changed), len(figures)

    drawn, plain = sweep(), sweep(point_figures=False)
    for stage, name, inputs in (
        (INITIALIZATION, "states", {}),
        (TRAINING, "trajectories", {INITIALIZATION: "states"}),
    ):
        load = {each: loaders(held) for each, held in inputs.items()}
        nothing = {stage.output: lambda key: None}
        files[name] = dict(compute_points(stage, drawn, plan_of(drawn, problem), problems, nothing, load))
    assert evaluate(plain) == (4, 0)
    assert evaluate(plain) == (0, 0)
    assert evaluate(drawn) == (4, 4)
    assert evaluate(drawn) == (0, 4)
