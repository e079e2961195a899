"""The bounds of a run, each in one row: its name, how it is called, when it is known, and how it is computed.

What is measured, drawn, reported and claimed of a bound is asked of these rows, so that none is left out anywhere. The
name of a row is that of its curve, and its metrics begin with it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from implicit_bias.theory.bounds import before, descent, flow
from implicit_bias.theory.bounds.base import Bound
from implicit_bias.theory.networks.two_layer import Imbalance
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.trajectory import Kind, Trajectory

Known = Literal["before", "flow", "descent"]
"""Before training, for flows alone; or after a flow or a gradient descent, for that run."""
BEFORE: Known = "before"


@dataclass(frozen=True)
class Run:
    """What a bound may be computed from.

    Attributes:
        problem: the reparametrised problem.
        imbalance: of the initial state.
        trajectory: the run.
        kind: whether it is a flow, a gradient descent or another run.
        step: of a gradient descent, on L.
    """

    problem: Problem
    imbalance: Imbalance
    trajectory: Trajectory
    kind: Kind = "flow"
    step: float = 0.0

    @property
    def excess0(self) -> float:
        """L(0) - L*."""
        return float(self.trajectory.excess[0])


@dataclass(frozen=True)
class RunBound:
    """A bound along a run.

    Attributes:
        name: of its curve; its metrics are `<name>_worst`, `<name>_final` and `met/<name>`.
        label: how figures and reports call it.
        known: when, and of which runs.
        statement: what it says.
        source: where it is stated.
        bounded: the excess loss, or the part ||U2 V^T||_F of the distance.
        of: run -> bound (T,); None where the evaluation of a network computes it by itself.
        claim: name of the claim that puts it to random problems; "" for none.
    """

    name: str
    label: str
    known: Known
    statement: str
    source: str
    bounded: Literal["loss", "distance"] = "loss"
    of: Callable[[Run], Bound] | None = None
    claim: str = ""

    @property
    def title(self) -> str:
        """The label, and whether it is guaranteed before training or certified after it."""
        return f"{'guaranteed' if self.known == BEFORE else 'certified'}: {self.label}"


_ROWS = (
    RunBound(
        name="bound",
        label="Theorem 1",
        known="before",
        statement="L(t) − L* ≤ exp(−2 λ_r(Σx) c t)(L(0) − L*)",
        source="Min et al. 2021, Theorem 1 (10)",
        of=lambda run: before.theorem_1(run.problem, run.imbalance, run.trajectory.t, run.excess0),
        claim="thm1",
    ),
    RunBound(
        name="margin",
        label="with margin",
        known="before",
        statement="bound with margin, at t = 0 and restarted midway",
        source="Min et al. 2022, Theorem 3",
        of=lambda run: before.margin_bound(
            run.problem, run.imbalance, run.trajectory.t, run.excess0, np.sqrt(2 * run.excess0)
        ),
        claim="margin",
    ),
    RunBound(
        name="certified",
        label="rate of the run",
        known="flow",
        statement="the rate integrated along a run bounds its loss",
        source="Min et al. 2022, Proposition 1",
        of=lambda run: flow.certified_curve(run.problem, run.imbalance, run.trajectory),
        claim="certified",
    ),
    RunBound(
        name="restart",
        label="restarted margin",
        known="flow",
        statement="bound with margin, restarted at every sample",
        source="Min et al. 2022, Theorem 3",
        of=lambda run: flow.restarted_margin(run.problem, run.imbalance, run.trajectory),
        claim="restart",
    ),
    RunBound(
        name="stepwise",
        label="step by step",
        known="descent",
        statement="L(k) − L* ≤ Π ρ_j (L(0) − L*) along gradient descent",
        source="Xu et al. 2023, Lemma 3.1",
        of=lambda run: descent.descent_bound(run.problem, run.trajectory, run.step),
    ),
    RunBound(
        name="local",
        label="kernel near the start",
        known="before",
        statement="L(t) − L* ≤ exp(−2 λ t)(L(0) − L*), λ ≤ λ_min(K) in a ball that a deep run cannot leave",
        source="ours, docs/depth.md section 6",
    ),
    RunBound(
        name="path",
        label="path of the run",
        known="flow",
        statement="‖[VU2ᵀ; U1U2ᵀ]‖_F ≤ exp(∫‖F‖₂) × its start",
        source="ours, from (16)",
        bounded="distance",
        claim="certificate",
    ),
)

RUN_BOUNDS = {row.name: row for row in _ROWS}
"""Name -> bound along a run; `path` is computed from the start as well as from the run (measure.py)."""


def loss_bounds(run: Run) -> dict[str, Bound]:
    """Name -> bound (T,) on L - L*, of those that are known before training or from a run of this kind.

    Those known before training are statements about the flow: along other runs one of their hypotheses fails.
    """
    found = {}
    for name, row in RUN_BOUNDS.items():
        if row.of and row.bounded == "loss" and row.known in (BEFORE, run.kind):
            bound = row.of(run)
            found[name] = bound.assuming("gradient flow", run.kind == "flow") if row.known == BEFORE else bound
    return found
