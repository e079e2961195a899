"""Every metric and curve of a point is explained, where it is tracked and in the documentation."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from implicit_bias.pipelines.evaluation import evaluate_point
from implicit_bias.pipelines.initialization import initialize_point
from implicit_bias.pipelines.training import train_point
from implicit_bias.sweeps.handover import problem_fields
from implicit_bias.sweeps.kinds.registry import SWEEP_KINDS
from implicit_bias.sweeps.manifest import sweep_plan
from implicit_bias.sweeps.metrics import RUN
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory import draw_data, reparametrize

PAGE = Path(__file__).parents[2].joinpath("docs/metrics.md").read_text("utf-8")
SWEEPS: dict[str, dict[str, Any]] = {
    "two_layer": {"figure": "width", "solvers": ["gradient_flow", "gradient_descent"]},
    "deep": {"figure": "depth", "depths": [2, 3, 4]},
    "activation": {"figure": "activations", "activations": ["relu", "erf"]},
}
COMMON = {
    "title": "a sweep",
    "problem": "data",
    "widths": [12],
    "seeds": [0],
    "alpha": [0.5],
    "step_size": 0.01,
    "point_figures": False,
}


def test_every_kind_is_looked_at() -> None:
    assert set(SWEEPS) == set(SWEEP_KINDS)


@pytest.mark.parametrize("kind", SWEEPS)
def test_every_metric_of_a_point_is_explained(kind: str) -> None:
    rng = np.random.default_rng(0)
    X, Y = draw_data(4, 9, 2, rng)[:2]
    problem = reparametrize(X, Y)
    rows = {"X": X, "Y": Y, "X_test": rng.standard_normal((3, 9)), "Y_test": rng.standard_normal((3, 2))}
    sweep = Sweep(**COMMON, **SWEEPS[kind], stop={"tolerance": 1e-4, "max_iterations": 200})
    told, found = sweep_plan(sweep, {"data-draw=0": problem}, "numerics")["metrics"], set()
    fields = problem_fields(problem)
    for point in sweep.points():
        more = [rows] if sweep.kind.reads_rows else []
        state = initialize_point(point, sweep, fields, *more)
        trained = train_point(point, sweep, fields, state, *more)
        record = trained | evaluate_point(point, sweep, fields, state, trained, *more)
        found |= {name.removeprefix("metric/") for name in record if name.startswith("metric/")}
        found |= {name for name in record if name.startswith("curve/")} - {"curve/iteration"}
    assert not {re.sub(r"/\d+$", "/LAYER", name) for name in found} - set(told)
    assert len(found) > 10


@pytest.mark.parametrize("name", sorted(set().union(RUN, *(kind.metrics for kind in SWEEP_KINDS.values()))))
def test_what_is_explained_is_in_the_documentation(name: str) -> None:
    plain = re.sub(r"^(met|curve)/|_(worst|final)$|/LAYER$", "", name)
    assert f"`{name}`" in PAGE or f"`{plain}`" in PAGE or f"`{plain}/1`" in PAGE
