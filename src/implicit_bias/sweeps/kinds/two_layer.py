"""Sweeps of the paper's network: one hidden layer, linear.

The flow adds at most `STEPS` steps, each of `OVERHEAD` seconds and of one eigendecomposition (r, r) for the kernel of
every output and one for the state. Gradient descent adds its iterations, as many as the rate at the start and at the
end asks for.
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from implicit_bias.sweeps.kinds.base import Seconds, SweepKind, refuse_activations_only, timed
from implicit_bias.sweeps.metrics import TWO_LAYER, with_bounds
from implicit_bias.theory.bounds.before import theorem_2
from implicit_bias.theory.experiment import estimate_horizon, train
from implicit_bias.theory.initialization.gaussian import scaled, standard_normal
from implicit_bias.theory.law.distance import Scaling
from implicit_bias.theory.law.prediction import predict_band
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.descent import DivergenceError
from implicit_bias.theory.solvers.registry import solver
from implicit_bias.theory.solvers.stopping import Stop

if TYPE_CHECKING:
    from implicit_bias.sweeps.parameters import Point, Sweep

STEPS = 60
OVERHEAD = 1e-3
TRIAL = 50
"""Iterations of gradient descent that are timed."""
QUICK = 0.1
"""Seconds below which a trial is mostly the cost of starting it: then the difference to a longer one counts."""


class TwoLayerSweep(SweepKind):
    """A sweep of two-layer linear networks."""

    name = "two_layer"
    steps = "implicit_bias.pipelines.kinds.two_layer"
    remedy = "leave out depths and activations"
    asks_law = True
    metrics = with_bounds(TWO_LAYER, "bound", "margin", "certified", "restart", "stepwise", "path")

    def check(self, sweep: "Sweep") -> None:
        refuse_activations_only(sweep)
        if sweep.depths != [2]:
            raise ValueError(f"network two_layer has one hidden layer: leave out depths, got {sweep.depths}")

    def doubts(self, sweep: "Sweep") -> list[str]:
        return [
            f"alpha = {alpha:g} is outside (1/4, 1/2]: Lemma 1 and Theorem 2 do not cover it"
            for alpha in sweep.alpha
            if not 0.25 < alpha <= 0.5
        ]

    def seconds(self, problem: Problem, sweep: "Sweep", rows: Mapping[str, Any]) -> Seconds:
        matrix = np.diag(np.arange(1.0, problem.r + 1)) + 1.0 / problem.r
        flow = STEPS * (OVERHEAD + (1 + problem.m) * timed(np.linalg.eigh, matrix))
        descents: dict[int, float] = {}

        def of(point: "Point") -> float:
            if solver(point.solver).kind == "flow":
                return flow
            if point.width not in descents:
                descents[point.width] = _descent(problem, sweep, point)
            return descents[point.width]

        return of

    def lines(self, problem: Problem, rows: Mapping[str, Any], sweep: "Sweep") -> list[str]:
        widths = sorted({point.width for point in sweep.points()})
        narrow = [h for h in widths if h < problem.k]
        lines = [
            f"Theorem 1, a rate c above 0 at h ≥ r + m = {problem.k}: "
            + (f"not guaranteed at h = {', '.join(map(str, narrow))}" if narrow else "yes")
        ]
        for alpha in sweep.alpha:
            met = theorem_2(problem, widths[-1], alpha, sweep.delta).hypotheses
            said = ", ".join(f"{name} {'yes' if held else 'no'}" for name, held in met.items() if held is not None)
            lines.append(f"Lemma 1 and Theorem 2 at alpha = {alpha:g}: {said}")
            if sweep.law_is_exact and problem.D > problem.r:
                ends = dict.fromkeys((widths[0], widths[-1]))
                rms = {h: predict_band(problem, *Scaling(alpha).gram(h), float(h), sweep.delta)[0] for h in ends}
                said = ", ".join(f"{rms[h]:.3g} at h = {h:,}" for h in ends)
                lines.append(f"distance to the min-norm solution by the law: {said}")
        return lines


def _descent(problem: Problem, sweep: "Sweep", point: "Point") -> float:
    """Seconds of a run of gradient descent."""
    rng = np.random.default_rng(sweep.seed)
    state = scaled(standard_normal(problem, point.width, rng, "bartlett"), point.sigma_u, point.sigma_v)
    t_max = float(problem.flow_time(sweep.stop.max_iterations, sweep.step_size))
    stop = Stop(excess=(sweep.stop.tolerance or 0.0) * problem.n / 2, t_max=t_max)
    step = float(problem.flow_time(1, sweep.step_size))
    iterations = min(estimate_horizon(problem, state, stop) / step, sweep.stop.max_iterations)

    def timed(count: int) -> float:
        start = time.process_time()
        train(problem, state, "gradient_descent", sweep.step_size, Stop(t_max=count * step), points=5, tol=1e-6)
        return time.process_time() - start

    try:
        timed(1)  # what is made once
        few = timed(TRIAL)
        each = few / TRIAL if few > QUICK else (timed(21 * TRIAL) - few) / (20 * TRIAL)
    except DivergenceError:
        return 0.0
    return iterations * max(each, 0.0)
