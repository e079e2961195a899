"""What the steps of a point give, whatever the kind of its network, and where they are found."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import Any, TypeVar

from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.kinds.base import SweepKind, step_modules
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.stopping import Stop

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Trained:
    """A run of T samples.

    Attributes:
        fields: what it is kept as.
        t: (T,) flow times.
        excess: (T,) L - floor.
        stop_reason: why it ended.
        steps: steps of the solver.
        method: name of the method used.
        floor: the part of L that no such network can remove.
        metrics: what else is tracked of it.
    """

    fields: Record
    t: Array
    excess: Array
    stop_reason: str
    steps: int
    method: str
    floor: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """What is measured of a run of T samples.

    Attributes:
        t: (T,) flow times.
        metrics: name -> value.
        curves: name -> (T,) values.
        unmet: bound -> names of its hypotheses that fail, of those of which any does; None where there are no bounds.
        arrays: what else is kept.
    """

    t: Array
    metrics: Mapping[str, float]
    curves: Mapping[str, Array]
    unmet: Mapping[str, list[str]] | None = None
    arrays: Record = field(default_factory=dict)


def step_of(kind: SweepKind, name: str) -> Any:
    """The module of a step of points of a kind."""
    return import_module(step_modules(kind, (name,))[0])


def restored(kind: type[Kept], record: Record) -> Kept:
    """The object of a dataclass, such as a State or a Trajectory, among all that a record holds."""
    return kind(**{each.name: record[each.name] for each in fields(kind)})  # type: ignore[arg-type]


def stop_rule(problem: Problem, initial: float, sweep: Sweep) -> Stop:
    """The sweep's stopping rule in flow time and in the units of L, from the initial excess loss L - L*."""
    rule = sweep.stop
    excess = (rule.tolerance or 0.0) * (initial if rule.relative else problem.n / 2)
    t_max = float(problem.flow_time(rule.max_iterations, sweep.step_size))
    return Stop(excess=excess, stationary=rule.stationary, t_max=t_max)
