"""Sweeps of linear networks of any kind, given by their end-to-end matrix.

A point takes about `STEPS` steps of `RATES` velocities and one kernel, and `curve_points` kernels more; both are timed
here at the largest width.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from implicit_bias.sweeps.handover import Params
from implicit_bias.sweeps.kinds.base import (
    Seconds,
    SweepKind,
    all_alike,
    refuse_activations_only,
    refuse_other_starts,
    timed,
)
from implicit_bias.theory.networks import registry
from implicit_bias.theory.networks.general import SOLVERS, LinearNetwork, draw_checked
from implicit_bias.theory.networks.registry import network_kind
from implicit_bias.theory.problem import Problem

if TYPE_CHECKING:
    from implicit_bias.sweeps.parameters import Point, Sweep

GENERAL = "general"
"""What figures of such sweeps compare."""
STEPS = 1000
RATES = 12


class GeneralSweep(SweepKind):
    """A sweep of linear networks of the kind of this name."""

    steps = "implicit_bias.pipelines.kinds.general"
    silent = "the law is asked of two-layer linear networks alone"
    told = (
        "`distance` is ‖Θ − Θ̂‖_F at the end, `imbalance_drift` the change of what the flow conserves; the artifacts "
        "hold the figures."
    )

    def __init__(self, name: str) -> None:
        self.name = name
        if not isinstance(kind := network_kind(name), LinearNetwork):
            raise ValueError(f"network {name!r} must be a LinearNetwork, got {type(kind).__name__}")
        self.network, self.remedy = kind, f"set network to {name}"

    @property
    def drawn_as(self) -> str:
        return GENERAL

    @property
    def modules(self) -> tuple[str, ...]:
        registered = () if ":" in self.name else (registry.__name__,)
        return *registered, *self.network.modules

    def check(self, sweep: "Sweep") -> None:
        if sweep.depths != [2]:
            raise ValueError(f"network {self.name} has no depths: leave out depths, got {sweep.depths}")
        refuse_activations_only(sweep)
        refuse_other_starts(sweep, f"network {self.name} draws its own initial weights: leave out initialization")
        if sweep.cases and sweep.cases.balanced:
            raise ValueError(f"network {self.name} has no balanced start: set cases.balanced to false")
        if other := [name for name in sweep.solvers if name not in SOLVERS]:
            raise ValueError(f"solvers: network {self.name} is trained by {', '.join(SOLVERS)}, got {other[0]}")

    def doubts_of_data(self, name: str, problem: Problem, rows: Mapping[str, Any], sweep: "Sweep") -> list[str]:
        return all_alike(name, problem)

    def told_of(self, point: "Point", sweep: "Sweep") -> Params:
        return {"network": self.name}

    def describe(self, point: "Point", sweep: "Sweep", metrics: str) -> str:
        drawn = ". The artifact curves.svg shows its loss and distance" if sweep.point_figures else ""
        law = (
            " `law_rms_run` and `law_bound_run` are its root mean square and its bound by the law, given the run."
            if self.network.gram
            else ""
        )
        return (
            f"Width {point.width:,}, network {self.name} of the {self.description}, drawn with σ_U = "
            f"{point.sigma_u:.3g}, σ_V = {point.sigma_v:.3g}, seed {point.seed}, trained by "
            f"{point.solver.replace('_', ' ')} on {point.problem}. `distance` is ‖Θ − Θ̂‖_F at the end{drawn}.{law} "
            "`loss` is the averaged loss, `iterations` the length of the run in steps of descent, `rate` the decay of "
            "the loss at the end. The artifact metrics.csv of the sweep says what every metric is."
        )

    def compared(self, sweep: "Sweep") -> tuple[list[str], list[str], str]:
        results, axes, _ = super().compared(sweep)
        return results, axes, "distance_init"

    def seconds(self, problem: Problem, sweep: "Sweep", rows: Mapping[str, Any]) -> Seconds:
        rng = np.random.default_rng(sweep.seed)
        weights = draw_checked(self.name, self.network, problem, max(sweep.widths), rng, 1.0, 1.0)
        velocity, kernel = (timed(each, problem, weights) for each in (self.network.velocity, self.network.kernel))
        return lambda point: STEPS * (RATES * velocity + kernel) + sweep.curve_points * kernel

    def lines(self, problem: Problem, rows: Mapping[str, Any], sweep: "Sweep") -> list[str]:
        return [self.description]
