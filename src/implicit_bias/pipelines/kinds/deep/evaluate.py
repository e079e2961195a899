"""Measures a point."""

from dataclasses import dataclass, field
from functools import lru_cache

from implicit_bias.pipelines.kinds.deep.initialize import loaded
from implicit_bias.pipelines.kinds.deep.train import run_of
from implicit_bias.pipelines.kinds.steps import Measured
from implicit_bias.sweeps.fingerprint import digest
from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.parameters import Point, Sweep
from implicit_bias.theory.law.distance import Scaling
from implicit_bias.theory.law.prediction import law_before
from implicit_bias.theory.networks.deep.evaluation import evaluate_deep
from implicit_bias.theory.networks.deep.experiment import LevelBudgetError
from implicit_bias.theory.networks.deep.law import LAW_LEAK, end_gram
from implicit_bias.theory.problem import Array, Problem


def measure(point: Point, sweep: Sweep, problem: Problem, initial: Record, trained: Record) -> Measured:
    state = loaded(trained)
    run = run_of(trained, state)
    gram = _gram_before(point, sweep, problem)
    flow = point.solver != "gradient_descent"
    found = evaluate_deep(problem, state, run, point.sigma_u, sweep.delta, gram, flow=flow)
    metrics = found.metrics | {"certificate": float(found.curves["path"][-1])}
    if point.depth == 2:  # the one depth at which the mean over networks of finite width has a closed form
        before = law_before(problem, *point.gram, point.width)
        metrics |= {"law_rms": before.rms, "law_bound": before.upper(sweep.delta)}
    return Measured(run.t, metrics, found.curves, found.unmet)


def _gram_before(point: Point, sweep: Sweep, problem: Problem) -> Array | None:
    """M^T M of the point's infinitely wide network; None where that is not known."""
    if point.depth > 2 and sweep.inner_layers == "orthogonal":
        return None
    a, b = Scaling(point.alpha or 0.0).gram(point.width)
    named = _Named(digest(vars(problem)), problem)
    return _end(named, point.depth, a, b, point.inner_gain, max(sweep.leak_tol, LAW_LEAK), sweep.most_weights)


@dataclass(frozen=True)
class _Named:
    """A problem that is told from others by its digest."""

    name: str
    problem: Problem = field(compare=False)


@lru_cache(64)
def _end(
    named: _Named, depth: int, a: float, b: float, gain: float, leak_tol: float, most_weights: int
) -> Array | None:
    try:
        return end_gram(named.problem, depth, a, b, gain, leak_tol=leak_tol, most_weights=most_weights)
    except LevelBudgetError:
        return None
