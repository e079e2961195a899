"""What there is to know of a sweep of one kind of network, besides how its points are computed."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from implicit_bias.sweeps.handover import Params
from implicit_bias.sweeps.metrics import RUN
from implicit_bias.theory.initialization.registry import GAUSSIAN
from implicit_bias.theory.networks.registry import network_kind
from implicit_bias.theory.problem import Problem

if TYPE_CHECKING:
    from implicit_bias.sweeps.parameters import Point, Sweep

STEPS = ("initialize", "train", "evaluate")
"""What is computed of a point by modules of its kind of network, in this order."""

Seconds = Callable[["Point"], float]
"""Point -> about how long it takes to train."""

CURVES = "The artifact curves.svg shows its loss and distance with their bounds"


class SweepKind(ABC):
    """A sweep of one kind of network.

    Attributes:
        name: of the kind: a row of theory/networks/registry.py, or an import path.
        steps: package with the modules `initialize`, `train`, `evaluate` and `results` of its points.
        remedy: how a sweep comes to be of this kind, as an error says it.
        reads_rows: its points need the samples themselves and the test rows, besides the reparametrised problem.
        asks_law: the law of the distance is known before training, and is that of two layers.
        silent: why the law does not answer the questions about held-out rows; "" where it does.
        told: what the metrics of a sweep are, in its description.
        metrics: what each metric of a point is.
    """

    name: str
    steps: ClassVar[str]
    remedy: str
    reads_rows: ClassVar[bool] = False
    asks_law: ClassVar[bool] = False
    metrics: ClassVar[Mapping[str, str]] = RUN
    silent: ClassVar[str] = ""
    told: ClassVar[str] = (
        "`distance` is ‖UVᵀ − Θ̂‖_F at the end, `law_rms` its prediction before training, `imbalance_c` the "
        "initial imbalance; the artifacts hold the figures."
    )

    @property
    def drawn_as(self) -> str:
        """The kind of network that its figures compare, as `SweepFigure.kind` says it."""
        return self.name

    @property
    def description(self) -> str:
        """What such networks are called."""
        return network_kind(self.name).description

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules that compute its points and that its steps do not import by name."""
        return ()

    @abstractmethod
    def check(self, sweep: "Sweep") -> None:
        """Refuse parameters that such a sweep has no use for.

        Raises:
            ValueError: with the first reason.
        """

    def doubts(self, sweep: "Sweep") -> list[str]:
        """Warnings of parameters at which a sweep says little."""
        return []

    def doubts_of_data(self, name: str, problem: Problem, rows: Mapping[str, Any], sweep: "Sweep") -> list[str]:
        """Warnings of data on which a sweep says little.

        Args:
            name: of the data set.
            problem: it, reparametrised.
            rows: its X (n, D), Y (n, m) and, where there are such, its test rows X_test (N, D).
            sweep: the validated parameters.

        Raises:
            ValueError: the sweep cannot be run on it.
        """
        found = all_alike(name, problem)
        if (narrowest := min(sweep.widths)) < (rank := min(problem.r, problem.m)):
            found.append(f"h = {narrowest} < min(r, m) = {rank} of {name}: it cannot fit every Y, may end late")
        return found

    def trained(self, sweep: "Sweep") -> str:
        """The parameters that make a sweep one of this kind."""
        return f"network {self.name}"

    def told_of(self, point: "Point", sweep: "Sweep") -> Params:
        """What is tracked of a point besides what is tracked of every one."""
        return {}

    def describe(self, point: "Point", sweep: "Sweep", metrics: str) -> str:
        """A point in a few sentences; `metrics` says what the metrics of linear networks are."""
        start = "balanced" if point.balanced else point.initialization.replace("_", " ")
        drawn = f". {CURVES}" if sweep.point_figures else ""
        return (
            f"Width {point.width:,}, {start} start with σ_U = {point.sigma_u:.3g}, σ_V = {point.sigma_v:.3g}, "
            f"seed {point.seed}, trained by {point.solver.replace('_', ' ')} on {point.problem}. `distance` is "
            f"‖UVᵀ − Θ̂‖_F at the end{drawn}. {metrics}"
        )

    def compared(self, sweep: "Sweep") -> tuple[list[str], list[str], str]:
        """Results that are compared, what they are drawn against, and the metric that says how the points start."""
        axes = ["sigma_u", "sigma_v"] if sweep.cases else ["width"]
        if len(sweep.alpha) > 1:  # a constant is no axis
            axes = [*axes, "alpha"]
        return ["distance", "iterations" if sweep.stop.tolerance else "loss"], axes, "imbalance_c"

    def numbers(self, problem: Problem, h: int, tests: int) -> int:
        """Numbers in the initial state and in the end of a point of width h, evaluated at `tests` rows."""
        return 2 * problem.k * min(problem.k, h)

    @abstractmethod
    def seconds(self, problem: Problem, sweep: "Sweep", rows: Mapping[str, Any]) -> Seconds:
        """About how long points take to train, from the speed of this machine."""

    def memory(self, problem: Problem, sweep: "Sweep") -> float:
        """Bytes that a point in training needs, where they matter."""
        return 0.0

    @abstractmethod
    def lines(self, problem: Problem, rows: Mapping[str, Any], sweep: "Sweep") -> list[str]:
        """What there is to say of a sweep on data before it is run, line by line."""


def step_modules(kind: SweepKind, steps: tuple[str, ...] = STEPS) -> list[str]:
    """The modules that take these steps of points of a kind."""
    return [f"{kind.steps}.{step}" for step in steps]


def timed(function: Callable[..., object], *arguments: Any) -> float:
    """Seconds of the processor that a call takes on this machine, made once before."""
    function(*arguments)
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def all_alike(name: str, problem: Problem) -> list[str]:
    """The doubt of data on which all solutions are one."""
    return [f"{name} has D = r = {problem.r}: every solution is the min-norm solution"] * (problem.D == problem.r)


def refuse_activations_only(sweep: "Sweep") -> None:
    """Refuse what networks with activations alone have.

    Raises:
        ValueError: the sweep has some of it.
    """
    if sweep.activations:
        raise ValueError(f"activations: network {sweep.kind.name} has none, leave them out, got {sweep.activations}")
    if sweep.sigma_u is not None:
        raise ValueError("sigma_u is for networks with activations: cases set the scales of linear ones")
    if "flow_stabilized" in sweep.solvers:
        raise ValueError("solvers: flow_stabilized is for networks with activations")


def refuse_other_starts(sweep: "Sweep", what: str) -> None:
    """Refuse initialisations that are not Gaussian.

    Raises:
        ValueError: the sweep has one; `what` says of what it is one.
    """
    if sweep.initialization != [GAUSSIAN]:
        raise ValueError(f"{what}, got {sweep.initialization}")
