"""The parameters of a sweep, validated before any node runs, and its points. Unknown keys are refused."""

from dataclasses import dataclass
from functools import partial
from math import log10, prod
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from implicit_bias.sweeps.data import OWN
from implicit_bias.sweeps.fields import (
    Count,
    Depth,
    NonNegative,
    Parameters,
    Positive,
    Seed,
    Share,
    Tolerance,
    Values,
    Width,
    checked_name,
    expand,
    words,
)
from implicit_bias.sweeps.figure import check_figure, sweep_figure
from implicit_bias.sweeps.kinds.base import SweepKind
from implicit_bias.sweeps.kinds.registry import sweep_kind
from implicit_bias.theory.initialization.gaussian import Sampler
from implicit_bias.theory.initialization.registry import GAUSSIAN, Law, initialization
from implicit_bias.theory.networks.activation.activations import ACTIVATIONS, activation
from implicit_bias.theory.networks.activation.experiment import SOLVERS as ACTIVATION_SOLVERS
from implicit_bias.theory.networks.registry import network_kind
from implicit_bias.theory.solvers.registry import solver

InitializationName = Annotated[str, AfterValidator(partial(checked_name, initialization))]
"""A name of theory/initialization/registry.py, or an import path package.module:object."""
SolverName = Annotated[
    str, AfterValidator(lambda name: name if name in ACTIVATION_SOLVERS else checked_name(solver, name))
]
"""A name of theory/solvers/registry.py, or an import path package.module:object."""
ActivationName = Annotated[str, AfterValidator(partial(checked_name, activation))]
"""A name of theory/networks/activation/activations.py, or an import path package.module:object."""
NetworkName = Annotated[str, AfterValidator(partial(checked_name, network_kind))]
"""A name of theory/networks/registry.py, or an import path package.module:object."""
FigureName = Annotated[str, AfterValidator(partial(checked_name, sweep_figure))]
"""A name of figures/registry.py, or an import path package.module:object."""
MOST_POINTS = 1_000_000
"""Points a sweep may have."""
MOST_DECADES = 100
"""How far initial scales may be from 1."""
WIDTH_DIGITS = 16
"""Digits of the width in a point's key, enough for any width: keys sort by width, and do not depend on other points."""
BALANCED = "balanced"
"""The case of a balanced start."""


class Engine(Parameters):
    """Where the points are computed, and whether those that are done are computed again."""

    workers: int = Field(-1, description="worker processes; -1 means one per core, 1 none besides the main process")
    backend: Literal["loky", "dask"] = Field("loky", description="processes of this machine, or a cluster")
    address: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="tcp://host:port of a Dask scheduler; by default a cluster is started on this machine"
    )
    fresh: bool = Field(False, description="compute everything again, and start a new tracked run")

    @model_validator(mode="after")
    def _engine_exists(self) -> Self:
        if self.workers == 0 or self.workers < -1:
            raise ValueError(f"workers must be -1 or at least 1, got {self.workers}")
        if self.address and self.backend == "loky":
            raise ValueError(f"address is that of a cluster: set backend to dask, or leave {self.address!r} out")
        return self


class Drawn(Parameters):
    """How figures are drawn."""

    figure_style: Literal["screen", "paper"] = Field(
        "screen", description="paper: one column wide, with a PDF of each figure in the folder paper"
    )


HANDLING = frozenset({*Engine.model_fields, *Drawn.model_fields})
"""Parameters that say how a sweep is computed and drawn, and not what."""


class Stopping(Parameters):
    """When a run ends, in the units of the averaged loss and of gradient-descent iterations."""

    tolerance: Positive | None = Field(None, description="excess averaged loss at which a run ends")
    relative: bool = Field(False, description="the tolerance is a fraction of the initial excess loss")
    max_iterations: Count = 10_000_000
    stationary: Positive = Field(1e-13, description="speed, relative to the initial one, at which a run has ended")


class Cases(Parameters):
    """Initial scales (sigma_U, sigma_V) to compare: pairs, or ratios sigma_U / sigma_V at a fixed product."""

    pairs: list[tuple[Positive, Positive]] = Field([], description="(sigma_U, sigma_V)")
    product: Positive | None = Field(None, description="sigma_U sigma_V of the ratios")
    ratios: list[Positive] = Field([], description="sigma_U / sigma_V")
    balanced: bool = Field(True, description="add the balanced initialisation with the first case's end-to-end matrix")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.ratios) != (self.product is not None):
            raise ValueError("ratios and product go together: give both or neither")
        if not self.scales():
            raise ValueError("give at least one of pairs, or ratios with their product")
        if len(set(self.scales())) < len(self.scales()):
            raise ValueError(
                f"initial scales must differ from each other, pairs, ratios and product give {self.scales()}"
            )
        for sigmas in self.scales():
            if not all(0 < sigma < float("inf") for sigma in sigmas):
                raise ValueError(f"sigma_U and sigma_V must be positive and finite, product and ratios give {sigmas}")
        return self

    def scales(self) -> list[tuple[float, float]]:
        """All (sigma_U, sigma_V), pairs first."""
        product = self.product or 1.0
        return self.pairs + [((product * ratio) ** 0.5, (product / ratio) ** 0.5) for ratio in self.ratios]


@dataclass(frozen=True)
class Point:
    """One training run of a sweep.

    Attributes:
        key: name of its partition, unique in the sweep; it depends on the point alone.
        problem: name of its data set.
        width: hidden width h.
        seed: selects the draw of U0, V0.
        sigma_u: scale of U(0).
        sigma_v: scale of V(0).
        solver: name of the solver.
        initialization: law of the entries of U0, V0, or what a Gaussian draw is projected on.
        alpha: the scales are h^-alpha; None where a case gives them.
        case: name of the case; None where alpha gives the scales.
        depth: number L of layers; the paper's network has 2.
        inner_gain: gain of the layers between the first and the last one; 1 where there are none.
        activation: of the hidden layer; None for linear networks.
    """

    key: str
    problem: str
    width: int
    seed: int
    sigma_u: float
    sigma_v: float
    solver: str
    initialization: str = GAUSSIAN
    alpha: float | None = None
    case: str | None = None
    depth: int = 2
    inner_gain: float = 1.0
    activation: str | None = None

    @property
    def balanced(self) -> bool:
        """Whether it starts from the balanced network."""
        return self.case == BALANCED

    @property
    def gram(self) -> tuple[float, float]:
        """(a, b) = (sigma_U^2 h, sigma_V^2 h)."""
        return self.sigma_u**2 * self.width, self.sigma_v**2 * self.width

    @property
    def law(self) -> Law:
        """What the law of the distance is for its initial weights."""
        return "silent" if self.balanced else initialization(self.initialization).law


class Sweep(Drawn, Engine):
    """A sweep over widths, initial scales, seeds and solvers; every combination is one point."""

    title: str
    figure: FigureName = Field(description="what is drawn against what")
    problem: str = Field(OWN, description="name of a data set; by default the one made of the tables X and Y")
    redraw_data: bool = Field(
        False, description="run with seed s uses draw s of the data set; otherwise all use draw 0"
    )
    network: NetworkName | None = Field(None, description="kind of network; by default what depths and activations say")
    widths: Values[Width]
    depths: Values[Depth] = Field([2], description="numbers L of layers of linear networks; the paper's has 2")
    inner_layers: Literal["gaussian", "orthogonal"] = Field(
        "gaussian", description="of the layers between the first and the last one"
    )
    inner_gain: Values[NonNegative] = Field(
        [1.0], description="gains: inner layers have entries N(0, inner_gain^2 / h), or are inner_gain times orthogonal"
    )
    leak_tol: Annotated[float, Field(gt=0, le=1)] = Field(
        1e-6,
        description="largest leak out of the reduction of a deep network; about the relative error of its distance",
    )
    most_weights: Count = Field(1_500_000, description="weights that the reduction of a deep network may have")
    activations: Annotated[list[ActivationName], BeforeValidator(words)] = Field(
        [],
        description=f"activations of the hidden layer, of {', '.join(ACTIVATIONS)}, or import paths "
        "package.module:object; none for the paper's network",
    )
    seeds: Values[Seed]
    alpha: Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], BeforeValidator(expand)] = Field(
        [], description="exponents: the initial scales are h^-alpha"
    )
    sigma_u: Positive | None = Field(
        None,
        description="of networks with activations, the scale of U(0) at every width; by default h^-alpha, as V(0)'s",
    )
    cases: Cases | None = None
    initialization: Annotated[list[InitializationName], BeforeValidator(words), Field(min_length=1)] = Field([GAUSSIAN])
    density: Annotated[float, Field(gt=0, le=1)] = Field(0.1, description="of sparse entries, the part that is not 0")
    sampler: Sampler = "auto"
    solvers: Annotated[list[SolverName], BeforeValidator(words), Field(min_length=1)] = Field(["gradient_flow"])
    step_size: Positive = Field(
        description="step eta on the averaged loss; for the flow, the unit of its iteration axis"
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="of the solvers momentum and nesterov")
    stop: Stopping = Stopping()
    flow_tolerance: Tolerance = Field(1e-8, description="local error of the flow")
    kink_tolerance: Tolerance = Field(
        1e-4, description="the same where the activation has kinks, at which the cost grows like its inverse"
    )
    curve_points: Annotated[int, Field(ge=3, le=1000)] = 60
    delta: Share = Field(0.05, description="failure probability of random bounds; bands and quantiles have 1 - delta")
    point_figures: bool = Field(True, description="draw a figure of every point; thousands of them take long to make")
    seed: Seed = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("widths", "depths", "inner_gain", "activations", "seeds", "alpha", "solvers", "initialization"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} must differ from each other, got {values}")
        if bool(self.alpha) == bool(self.cases):
            raise ValueError("give either alpha or cases: both set the scales of U(0) and V(0)")
        if max(self.depths) < 3:
            self._refuse_inner_layers()
        check_figure(self)
        self.kind.check(self)
        if (
            self.cases
            and self.cases.balanced
            and not all(initialization(each).balances for each in self.initialization)
        ):
            raise ValueError("a balanced initialisation is not orthogonal: set cases.balanced to false")
        for alpha in self.alpha:
            if abs(alpha) * log10(max(self.widths)) > MOST_DECADES:
                raise ValueError(
                    f"h^-alpha must be within 1e±{MOST_DECADES}, alpha = {alpha} at h = {max(self.widths)}"
                )
        lists: list[list[Any]] = [self.widths, self.seeds, self._initial_scales(1), self.solvers, self.initialization]
        lists += [self.depths, self.inner_gain, self.activations or [None]]
        count = prod(map(len, lists))
        if count > MOST_POINTS:
            raise ValueError(f"a sweep may have {MOST_POINTS} points, widths, seeds and the others make {count}")
        return self

    def _refuse_inner_layers(self) -> None:
        """Refuse what inner layers alone have."""
        for name in ("inner_gain", "inner_layers"):
            default, value = type(self).model_fields[name].default, getattr(self, name)
            if value != default:
                raise ValueError(
                    f"{name} is of the layers between the first and the last one, of which networks of depth 3 or more "
                    f"have some: leave it out, got {value}"
                )

    @property
    def kind(self) -> SweepKind:
        """What is trained: by default the paper's network, linear ones of any depth, or those with an activation."""
        return sweep_kind(self.network or self.kind_by_default)

    @property
    def kind_by_default(self) -> str:
        """The kind of network that depths and activations say."""
        return "activation" if self.activations else "two_layer" if self.depths == [2] else "deep"

    @property
    def law_is_exact(self) -> bool:
        """Whether the law of the distance is exact for every initialisation of the sweep."""
        return self.kind.asks_law and all(initialization(name).law == "exact" for name in self.initialization)

    def points(self) -> list[Point]:
        """Every point of the sweep, in a fixed order."""
        activations: list[str | None] = [*self.activations] or [None]
        return [
            Point(
                key=f"width={h:0{WIDTH_DIGITS}d}-{label}{_more(initialization, depth, gain, phi)}-seed={seed}-"
                f"{_key(solver)}",
                problem=f"{self.problem}-draw={seed if self.redraw_data else 0}",
                width=h,
                seed=seed,
                solver=solver,
                initialization=initialization,
                depth=depth,
                inner_gain=gain,
                activation=phi,
                **scales,
            )
            for depth in self.depths
            for gain in (self.inner_gain if depth > 2 else [1.0])
            for phi in activations
            for h in self.widths
            for label, scales in self._initial_scales(h)
            for initialization in self.initialization
            for seed in self.seeds
            for solver in self.solvers
        ]

    def _initial_scales(self, h: int) -> list[tuple[str, dict[str, Any]]]:
        """Of each initialisation of width h its part of a key, without the number of a case, and of a Point."""
        if self.cases is None:
            fixed = "" if self.sigma_u is None else f"-sigma_u={self.sigma_u}"
            powers = {alpha: float(h) ** -alpha for alpha in self.alpha}
            return [
                (f"alpha={alpha}{fixed}", {"alpha": alpha, "sigma_u": self.sigma_u or power, "sigma_v": power})
                for alpha, power in powers.items()
            ]
        cases = dict(enumerate(self.cases.scales(), start=1))
        named = {str(number): (*pair, "") for number, pair in cases.items()}
        if self.cases.balanced:
            named[BALANCED] = (*cases[1], f"-{BALANCED}")
        return [
            (f"sigma_u={u}-sigma_v={v}{more}", {"case": case, "sigma_u": u, "sigma_v": v})
            for case, (u, v, more) in named.items()
        ]


def _more(initialization: str, depth: int, inner_gain: float, activation: str | None) -> str:
    """Part of a point's key; that of the paper's network with Gaussian entries is empty."""
    parts = {
        _key(initialization): initialization != GAUSSIAN,
        f"depth={depth}": depth != 2,
        f"inner_gain={inner_gain}": inner_gain != 1,
        _key(activation or ""): bool(activation),
    }
    return "".join(f"-{part}" for part, told in parts.items() if told)


def _key(name: str) -> str:
    """A name, or an import path, as part of the name of a file."""
    return name.replace(":", ".")
