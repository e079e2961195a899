"""A bound that is in the registry is measured, drawn, reported and claimed; none is left out anywhere."""

import re
from pathlib import Path

import numpy as np
import pytest

from implicit_bias.theory.bounds import registry
from implicit_bias.theory.bounds.registry import RUN_BOUNDS, Run, loss_bounds
from implicit_bias.theory.claims.catalogue import catalogue
from implicit_bias.theory.measure import evaluate
from implicit_bias.theory.networks.two_layer import imbalance
from implicit_bias.theory.solvers.descent import gradient_descent
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from tests.support.networks import random_case

ROOT = Path(__file__).parents[3]
CASE = random_case("three outputs")
TIMES = np.linspace(0, 2, 20)[1:]


def runs():
    p, step = CASE.problem, 0.01
    flow = gradient_flow(p, CASE.state, TIMES, Stop(t_max=2.0))
    descent = gradient_descent(p, CASE.state, step, range(1, 50), Stop(t_max=float(p.flow_time(50, step))))
    start = imbalance(CASE.state)
    return Run(p, start, flow), Run(p, start, descent, "descent", float(p.flow_time(1, step)))


@pytest.mark.parametrize("run", runs(), ids=lambda run: run.kind)
def test_every_bound_holds_where_it_is_known(run):
    found = loss_bounds(run)
    computed = {
        n for n, row in RUN_BOUNDS.items() if row.of and row.bounded == "loss" and row.known in ("before", run.kind)
    }
    assert set(found) == computed
    for name, bound in found.items():
        if bound.applies:
            assert np.all(run.trajectory.excess <= bound.value * (1 + 1e-9)), name
    if run.kind == "descent":
        assert found["bound"].unmet == found["margin"].unmet == ["gradient flow"]


def test_of_another_run_nothing_is_certified():
    flow, _ = runs()
    assert set(loss_bounds(Run(flow.problem, flow.imbalance, flow.trajectory, "other"))) == {"bound", "margin"}


def test_curves_and_metrics_have_the_names_of_the_rows():
    for run in runs():
        step = run.step or None
        found = evaluate(run.problem, CASE.state, run.trajectory, 0.5, 0.5, 0.5, 0.05, step=step)
        for name in (*loss_bounds(run), "path"):
            assert name in found.curves
            assert {f"{name}_worst", f"{name}_final", f"met/{name}"} <= found.metrics.keys()


def test_the_pages_name_every_bound():
    for page in ("docs/metrics.md", "docs/theory.md"):
        text = (ROOT / page).read_text("utf-8")
        assert not [name for name in RUN_BOUNDS if name != "local" and f"`{name}`" not in text], page


def test_every_claim_of_a_bound_is_in_the_catalogue_with_its_words():
    claims = {claim.name: claim for claim in catalogue()}
    for row in RUN_BOUNDS.values():
        if row.claim:
            assert (claims[row.claim].statement, claims[row.claim].source) == (row.statement, row.source)


def test_names_are_unlike_and_titles_say_when_a_bound_is_known():
    assert all(name == row.name and re.fullmatch("[a-z]+", name) for name, row in RUN_BOUNDS.items())
    titles = [row.title for row in registry.RUN_BOUNDS.values()]
    assert len(set(titles)) == len(titles)
    assert all(title.startswith(("guaranteed: ", "certified: ")) for title in titles)
