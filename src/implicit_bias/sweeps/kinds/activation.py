"""Sweeps of networks of one hidden layer with an activation.

A point takes about `GRADIENTS` gradients; one is timed here for each activation, at the largest width.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from implicit_bias.sweeps.handover import Params
from implicit_bias.sweeps.kinds.base import Seconds, SweepKind, refuse_other_starts, timed
from implicit_bias.sweeps.metrics import ACTIVATION
from implicit_bias.theory.networks.activation import Model, activation, read_points
from implicit_bias.theory.networks.activation.experiment import SOLVERS
from implicit_bias.theory.networks.activation.samples import Samples
from implicit_bias.theory.problem import Problem

if TYPE_CHECKING:
    from implicit_bias.sweeps.parameters import Point, Sweep

GRADIENTS = 200
ARRAYS = 16
"""Arrays of the size of a gradient that the explicit integrator keeps."""


class ActivationSweep(SweepKind):
    """A sweep over activations."""

    name = "activation"
    steps = "implicit_bias.pipelines.kinds.activation"
    remedy = "give activations"
    reads_rows = True
    metrics = ACTIVATION
    silent = "networks with activations have a law given the run, none before training"
    told = (
        "At the test rows, `frozen_deviation` is the deviation of the predictions from the mean of the frozen law, "
        "`frozen_rms` what the law says of it, `kernel_distance` the distance to the kernel predictor; the artifacts "
        "hold the figures."
    )

    def check(self, sweep: "Sweep") -> None:
        if not sweep.activations:
            raise ValueError("network activation needs an activation: give activations")
        if sweep.depths != [2]:
            raise ValueError(f"networks with activations have one hidden layer: leave out depths, got {sweep.depths}")
        refuse_other_starts(sweep, "networks with activations start from gaussian entries")
        if other := [name for name in sweep.solvers if name not in SOLVERS]:
            known = ", ".join(SOLVERS)
            raise ValueError(f"solvers: networks with activations are trained by {known}, got {other[0]}")
        if sweep.redraw_data:
            raise ValueError("networks with activations are compared at the same test rows: leave out redraw_data")

    def doubts_of_data(self, name: str, problem: Problem, rows: Mapping[str, Any], sweep: "Sweep") -> list[str]:
        if not len(rows.get("X_test", ())):
            raise ValueError(
                f"{name} has no test rows, at which networks with activations are compared: set held_out of the data "
                "set, or give a table X_test"
            )
        unfrozen = f"{name} has D = r = {problem.D}: training sees all of U, and no part of it stays Gaussian"
        return [unfrozen] if problem.D == problem.r else []

    def trained(self, sweep: "Sweep") -> str:
        return f"activations {sweep.activations}"

    def told_of(self, point: "Point", sweep: "Sweep") -> Params:
        return {"activation": point.activation, "kink_tolerance": sweep.kink_tolerance}

    def describe(self, point: "Point", sweep: "Sweep", metrics: str) -> str:
        drawn = ". The artifact curves.svg shows its predictions and the frozen law" if sweep.point_figures else ""
        return (
            f"Width {point.width:,}, activation {point.activation}, σ_U = {point.sigma_u:.3g}, "
            f"σ_V = {point.sigma_v:.3g}, seed {point.seed}, trained by {point.solver.replace('_', ' ')} on "
            f"{point.problem}. `frozen_deviation` is the deviation of its predictions from the mean of the frozen law "
            f"at the test rows{drawn}."
        )

    def compared(self, sweep: "Sweep") -> tuple[list[str], list[str], str]:
        return ["frozen_deviation", "kernel_distance", "loss"], ["activation", "width"], "imbalance_U"

    def numbers(self, problem: Problem, h: int, tests: int) -> int:
        return (2 * problem.k + tests) * h

    def seconds(self, problem: Problem, sweep: "Sweep", rows: Mapping[str, Any]) -> Seconds:
        widest, samples = max(sweep.widths), Samples(problem, Z=rows["X"] @ problem.Phi1, Y=rows["Y"])
        gradient = {name: _gradient(Model(samples, activation(name)), widest) for name in sweep.activations}
        return lambda point: GRADIENTS * gradient[str(point.activation)] * point.width / widest

    def memory(self, problem: Problem, sweep: "Sweep") -> float:
        return 8.0 * ARRAYS * (problem.n + problem.m) * max(sweep.widths)

    def lines(self, problem: Problem, rows: Mapping[str, Any], sweep: "Sweep") -> list[str]:
        self.doubts_of_data("its data set", problem, rows, sweep)
        norms = read_points(problem, rows["X_test"])
        unseen = np.sqrt(np.mean(norms.unseen_norms**2) / np.mean(norms.squared_norms))
        size = float(np.sqrt(np.mean(np.sum(np.square(rows["X"]), axis=1))))
        points = sorted(sweep.points(), key=lambda point: point.width)
        sizes = ", ".join(f"{size * point.sigma_u:.3g} at h = {point.width:,}" for point in (points[0], points[-1]))
        return [
            f"activations {', '.join(sweep.activations)}; preactivations at the start, root mean square: {sizes}",
            f"{len(rows['X_test'])} test rows, of which training does not see {100 * unseen:.3g} % of the norm",
        ]


def _gradient(model: Model, h: int) -> float:
    """Seconds of a gradient at width h."""
    R = np.random.default_rng(0).standard_normal((model.samples.problem.k, h))
    return timed(lambda: model.lift(model.motion_at(R).G))
