"""The parameters a person sets, validated before any node runs. Unknown keys are refused."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from math import log10, prod
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    RootModel,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from implicit_bias.theory.claims.table import ASYMPTOTIC
from implicit_bias.theory.initialization.gaussian import Sampler
from implicit_bias.theory.initialization.registry import GAUSSIAN, Law, initialization
from implicit_bias.theory.networks.activation.activations import ACTIVATIONS, activation
from implicit_bias.theory.networks.activation.experiment import SOLVERS as ACTIVATION_SOLVERS
from implicit_bias.theory.solvers.registry import solver

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Width = Annotated[int, Field(ge=1, le=2**53)]
Depth = Annotated[int, Field(ge=1, le=64)]
Initialization = Annotated[str, AfterValidator(lambda name: _exists(initialization, name))]
"""A name of theory/initialization/registry.py, or an import path package.module:object."""
Solver = Annotated[str, AfterValidator(lambda name: name if name in ACTIVATION_SOLVERS else _exists(solver, name))]
"""A name of theory/solvers/registry.py, or an import path package.module:object."""
Activation = Annotated[str, AfterValidator(lambda name: _exists(activation, name))]
"""A name of theory/networks/activation/activations.py, or an import path package.module:object."""
Scale = Annotated[
    Literal["none", "columns", "table"],
    Field(description="divide each column by its standard deviation, or the table by the root mean square of its rows"),
]


MOST_VALUES = 100_000
"""Values a list may have."""

MOST_POINTS = 1_000_000
"""Points a sweep may have."""

MOST_DECADES = 100
"""How far initial scales may be from 1."""

MOST_NUMBERS = 2**30
"""Numbers the data sets of one name may hold, 8 bytes each."""

WIDTH_DIGITS = 16
"""Digits of the width in a point's key, enough for any width: keys sort by width, and do not depend on other points."""

BALANCED = "balanced"
"""The case of a balanced start."""

OWN = "own"
"""Name of the data set that is made of the tables X and Y of a project."""


def _expand(value: Any) -> Any:
    """Turn "500:2000:500" and "1 2 5" into lists, so that lists can be given on the command line, too."""
    if isinstance(value, str):
        items: list[Any] = []
        for word in value.split():
            parts = word.split(":")
            if len(parts) == 1:
                items.append(word)
            elif len(parts) in (2, 3) and all(part.isdigit() for part in parts) and all(map(int, parts[2:])):
                start, end, step, *_ = *map(int, parts), 1
                if len(items) + (end - start) // step + 1 > MOST_VALUES:
                    raise ValueError(f"a list may have {MOST_VALUES} values, {word!r} goes beyond that")
                items.extend(range(start, end + 1, step))
            else:
                raise ValueError(f"a range is written start:end or start:end:step in whole numbers, got {word!r}")
        return items
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value


def _words(value: Any) -> Any:
    """Turn "one other" into a list of names."""
    return value.split() if isinstance(value, str) else value


def _exists(find: Callable[[str], Any], name: str) -> str:
    """A name that a registry knows."""
    find(name)
    return name


class Model(BaseModel):
    """Base of all parameters: unknown keys are refused, with the one that was meant; values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="wrap")
    @classmethod
    def _name_what_was_meant(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            faults = error.errors()
            raise ValidationError.from_exception_data(
                error.title, [_with_meant(each, cls) for each in faults]
            ) from None


def _with_meant(fault: ErrorDetails, model: type[BaseModel]) -> InitErrorDetails:
    """A fault as it was found; that of an unknown key of a model says which one is like it."""
    text, location = fault["msg"], fault["loc"]
    if fault["type"] == "extra_forbidden" and len(location) == 1:
        close = get_close_matches(str(location[0]), model.model_fields, n=1)
        text += f" (did you mean {close[0]}?)" if close else ""
    kind = PydanticCustomError(fault["type"], text)
    return InitErrorDetails(type=kind, loc=location, input=fault["input"])


class Engine(Model):
    """Where the points are computed, and whether those that are done are computed again."""

    workers: int = Field(-1, description="worker processes; -1 means one for each core, 1 none beside the main one")
    backend: Literal["loky", "dask", "ray"] = Field("loky", description="processes of this machine, or a cluster")
    address: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="tcp://host:port of a Dask scheduler, host:port or ray://host:port of a Ray cluster; "
        "by default a cluster of that kind is started on this machine",
    )
    fresh: bool = Field(False, description="compute everything again, and start a new tracked run")

    @model_validator(mode="after")
    def _engine_exists(self) -> Self:
        if self.workers == 0 or self.workers < -1:
            raise ValueError(f"workers must be -1 or at least 1, got {self.workers}")
        if self.address and self.backend == "loky":
            raise ValueError(f"address is that of a cluster: set backend to dask or ray, or leave {self.address!r} out")
        return self


class DataSet(Model):
    """One synthetic data set: X (n, D), Y = X Theta + noise (n, m)."""

    n: Count = 100
    D: Count = 400
    m: Count = 1
    rank: Count | None = Field(None, description="rank of X; by default min(n, D)")
    spectrum: Literal["gaussian", "whitened", "geometric"] = "gaussian"
    cond: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0
    theta_std: NonNegative | None = Field(None, description="standard deviation of Theta's entries; by default D^-1/2")
    noise_std: NonNegative = 0.01
    held_out: Annotated[int, Field(ge=0)] = Field(
        0, description="test rows N(0, I / D) drawn beside X; of every spectrum before it is replaced"
    )
    draws: Count = Field(1, description="independent data sets drawn")
    seed: Seed = 0

    @model_validator(mode="after")
    def _rank_fits(self) -> Self:
        if self.rank is not None and self.rank > min(self.n, self.D):
            raise ValueError(f"rank must be at most min(n, D) = {min(self.n, self.D)}, got {self.rank}")
        numbers = self.draws * (self.n + self.held_out) * (self.D + self.m)
        if numbers > MOST_NUMBERS:
            raise ValueError(
                f"n = {self.n}, D = {self.D}, m = {self.m}, held_out = {self.held_out} and draws = {self.draws} make "
                f"{numbers} numbers, more than {MOST_NUMBERS}"
            )
        return self


class DataSets(RootModel[dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")], DataSet]]):
    """The data sets to draw, by name."""

    model_config = ConfigDict(frozen=True)


Names = Annotated[list[str], BeforeValidator(lambda value: _texts(value))]
Name = Annotated[str, BeforeValidator(lambda value: _text(value))]


def _texts(value: Any) -> Any:
    """Names of columns; numbers are names, too, and one name is a list of one."""
    return [_text(each) for each in (value if isinstance(value, list | tuple) else [value])]


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class OwnData(Model):
    """How tables X and Y become a data set: the columns that are used, and what is done to their numbers."""

    columns: Names | None = Field(None, description="columns of X, names or patterns like nm_*; by default all")
    drop: Names = Field([], description="columns of X and of Y to leave out, names or patterns")
    targets: Names | None = Field(None, description="columns of Y, names or patterns; by default all")
    labels: Name | None = Field(None, description="column of every table that names its rows; neither input nor target")
    center_x: bool = Field(False, description="subtract the mean of each column of X")
    center_y: bool = Field(False, description="subtract the mean of each target")
    scale_x: Scale = "none"
    scale_y: Scale = "none"
    targets_in_x: Literal["refuse", "allow"] = Field("refuse", description="whether a column of X may equal a target")
    held_out: Annotated[int, Field(ge=0)] = Field(0, description="rows, drawn at random, kept out of training")
    seed: Seed = Field(0, description="selects the rows held out")


class Reparametrization(Model):
    """How the data are reparametrised."""

    rank_rtol: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None,
        description="singular values above rank_rtol * sigma_1 count; by default max(n, D) * eps, or the rounding of "
        "the data where that is larger",
    )
    rank: Count | None = Field(None, description="the rank itself, whatever the spectrum")

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.rank is not None and self.rank_rtol is not None:
            raise ValueError(f"give either rank or rank_rtol, got {self.rank} and {self.rank_rtol}")
        return self


class Stopping(Model):
    """When a run ends, in the units of the averaged loss and of gradient-descent iterations."""

    tolerance: Positive | None = Field(None, description="excess averaged loss at which a run ends")
    relative: bool = Field(False, description="the tolerance is a fraction of the initial excess loss")
    max_iterations: Count = 10_000_000
    stationary: Positive = Field(1e-13, description="speed, relative to the initial one, at which a run has ended")


class Cases(Model):
    """Initial scales (sigma_U, sigma_V) to compare: pairs, or ratios sigma_U / sigma_V at a fixed product."""

    pairs: list[tuple[Positive, Positive]] = []
    product: Positive | None = None
    ratios: list[Positive] = []
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
    activation: str | None = None

    @property
    def law(self) -> Law:
        """What the law of the distance is for its initial weights."""
        return "silent" if self.case == BALANCED else initialization(self.initialization).law


class Sweep(Engine):
    """A sweep over widths, initial scales, seeds and solvers; every combination is one point."""

    title: str
    figure: Literal["width", "wide", "alpha", "imbalance", "universality", "depth", "activations"] = Field(
        description="what is drawn against what"
    )
    problem: str = Field(OWN, description="name of a data set; by default the one made of the tables X and Y")
    redraw_data: bool = Field(
        False, description="run with seed s uses draw s of the data set; otherwise all use draw 0"
    )
    widths: Annotated[list[Width], BeforeValidator(_expand), Field(min_length=1)]
    depths: Annotated[list[Depth], BeforeValidator(_expand), Field(min_length=1)] = Field(
        [2], description="numbers L of layers of linear networks; the paper's has 2"
    )
    inner_layers: Literal["gaussian", "orthogonal"] = Field(
        "gaussian", description="of the layers between the first and the last one"
    )
    inner_gain: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        1.0,
        description="inner layers have entries N(0, inner_gain^2 / h), or are inner_gain times orthogonal",
    )
    leak_tol: Annotated[float, Field(gt=0, le=1)] = Field(
        1e-6,
        description="largest leak out of the reduction of a deep network; about the relative error of its distance",
    )
    most_weights: Count = Field(1_500_000, description="weights that the reduction of a deep network may have")
    activations: Annotated[list[Activation], BeforeValidator(_words)] = Field(
        [],
        description=f"activations of the hidden layer, of {', '.join(ACTIVATIONS)}, or import paths "
        "package.module:object; none for the paper's network",
    )
    seeds: Annotated[list[Seed], BeforeValidator(_expand), Field(min_length=1)]
    alpha: Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], BeforeValidator(_expand)] = []
    sigma_u: Positive | None = Field(
        None,
        description="of networks with activations, the scale of U(0) at every width; by default h^-alpha, as V(0)'s",
    )
    cases: Cases | None = None
    initialization: Annotated[list[Initialization], BeforeValidator(_words), Field(min_length=1)] = [GAUSSIAN]
    density: Annotated[float, Field(gt=0, le=1)] = Field(0.1, description="of sparse entries, the part that is not 0")
    sampler: Sampler = "auto"
    solvers: Annotated[list[Solver], BeforeValidator(_words), Field(min_length=1)] = ["gradient_flow"]
    step_size: Positive = Field(
        description="step eta on the averaged loss; for the flow, the unit of its iteration axis"
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="of the solvers momentum and nesterov")
    stop: Stopping = Stopping()
    flow_tolerance: Annotated[float, Field(ge=1e-13, lt=1)] = Field(1e-8, description="local error of the flow")
    kink_tolerance: Annotated[float, Field(ge=1e-13, lt=1)] = Field(
        1e-4, description="the same where the activation has kinks, at which the cost grows like its inverse"
    )
    curve_points: Annotated[int, Field(ge=3, le=1000)] = 60
    delta: Annotated[float, Field(gt=0, lt=1)] = Field(0.05, description="failure probability of the random bounds")
    point_figures: bool = Field(True, description="draw a figure of every point; thousands of them take long to make")
    seed: Seed = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("widths", "depths", "activations", "seeds", "alpha", "solvers", "initialization"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} must differ from each other, got {values}")
        self._activations_fit()
        if (self.kind == "deep") != (self.figure == "depth"):
            raise ValueError(
                f"figure depth and depths other than 2 go together, got figure {self.figure} and depths {self.depths}"
            )
        if self.kind == "deep" and self.initialization != [GAUSSIAN]:
            raise ValueError(f"the first and the last layer of deep networks are gaussian, got {self.initialization}")
        if bool(self.alpha) == bool(self.cases):
            raise ValueError("give either alpha or cases: both set the scales of U(0) and V(0)")
        if self.figure != "imbalance" and not self.alpha:
            raise ValueError(f"figure {self.figure} is drawn against alpha: give alpha instead of cases")
        if self.figure in ("width", "wide", "universality", "depth", "activations") and len(self.alpha) > 1:
            raise ValueError(f"figure {self.figure} shows one alpha, got {self.alpha}: figure alpha compares several")
        if self.figure != "universality" and len(self.initialization) > 1:
            raise ValueError(f"figure {self.figure} shows one initialization: figure universality compares several")
        rows = {name: initialization(name) for name in self.initialization}
        if self.figure == "universality" and (silent := [name for name, row in rows.items() if row.law == "silent"]):
            raise ValueError(f"figure universality compares with the law, which says nothing of {', '.join(silent)}")
        if self.cases and self.cases.balanced and not all(row.balances for row in rows.values()):
            raise ValueError("a balanced initialisation is not orthogonal: set cases.balanced to false")
        if self.figure == "imbalance" and not self.cases:
            raise ValueError("figure imbalance compares cases: give cases instead of alpha")
        if self.figure in ("wide", "alpha") and not self.law_is_exact:
            raise ValueError(f"figure {self.figure} is drawn beside the law, which needs initialization {GAUSSIAN}")
        for alpha in self.alpha:
            if abs(alpha) * log10(max(self.widths)) > MOST_DECADES:
                raise ValueError(
                    f"h^-alpha must be within 1e±{MOST_DECADES}, alpha = {alpha} at h = {max(self.widths)}"
                )
        lists: list[list[Any]] = [self.widths, self.seeds, self._initial_scales(), self.solvers, self.initialization]
        lists += [self.depths, self.activations or [None]]
        count = prod(map(len, lists))
        if count > MOST_POINTS:
            raise ValueError(f"a sweep may have {MOST_POINTS} points, widths, seeds and the others make {count}")
        return self

    def _activations_fit(self) -> None:
        if not self.activations:
            if self.figure == "activations":
                raise ValueError("figure activations compares networks with activations: give activations")
            if self.sigma_u is not None:
                raise ValueError("sigma_u is for networks with activations: cases set the scales of linear ones")
            if "flow_stabilized" in self.solvers:
                raise ValueError("solvers: flow_stabilized is for networks with activations")
            return
        if self.figure != "activations":
            raise ValueError(f"networks with activations are drawn by figure activations, got {self.figure}")
        if self.depths != [2]:
            raise ValueError(f"networks with activations have one hidden layer: leave out depths, got {self.depths}")
        if self.initialization != [GAUSSIAN]:
            raise ValueError(f"networks with activations start from gaussian entries, got {self.initialization}")
        if other := [name for name in self.solvers if name not in ACTIVATION_SOLVERS]:
            known = ", ".join(ACTIVATION_SOLVERS)
            raise ValueError(f"solvers: networks with activations are trained by {known}, got {other[0]}")
        if self.redraw_data:
            raise ValueError("networks with activations are compared at the same test rows: leave out redraw_data")

    @property
    def kind(self) -> str:
        """What is trained: "two_layer", the paper's network; "deep", linear ones of any depth; or "activation"."""
        if self.activations:
            return "activation"
        return "two_layer" if self.depths == [2] else "deep"

    @property
    def reads_rows(self) -> bool:
        """Whether the networks need the samples themselves and the test rows, beside the reparametrised problem."""
        return self.kind == "activation"

    @property
    def law_is_exact(self) -> bool:
        """Whether the law of the distance is exact for every initialisation of the sweep."""
        return all(initialization(name).law == "exact" for name in self.initialization)

    def points(self) -> list[Point]:
        """Every point of the sweep, in a fixed order."""
        activations: list[str | None] = [*self.activations] or [None]
        return [
            Point(
                key=f"width={h:0{WIDTH_DIGITS}d}-{label}{_more(initialization, depth, phi)}-seed={seed}-{_key(solver)}",
                problem=f"{self.problem}-draw={seed if self.redraw_data else 0}",
                width=h,
                seed=seed,
                solver=solver,
                initialization=initialization,
                depth=depth,
                activation=phi,
                **scales(h),
            )
            for depth in self.depths
            for phi in activations
            for h in self.widths
            for label, scales in self._initial_scales()
            for initialization in self.initialization
            for seed in self.seeds
            for solver in self.solvers
        ]

    def _initial_scales(self) -> list[tuple[str, Callable[[int], dict[str, Any]]]]:
        """Of each initialisation its part of a key, and its part of a Point, given the width."""
        if self.cases is None:
            fixed = "" if self.sigma_u is None else f"-sigma_u={self.sigma_u}"
            return [(f"alpha={alpha}{fixed}", partial(_power_scales, alpha, self.sigma_u)) for alpha in self.alpha]
        pairs = self.cases.scales()
        named = [(str(number), pair) for number, pair in enumerate(pairs, start=1)]
        if self.cases.balanced:
            named.append((BALANCED, pairs[0]))
        return [(_scales_label(case, *pair), partial(_case_scales, case, pair)) for case, pair in named]


def _more(initialization: str, depth: int, activation: str | None) -> str:
    """Part of a point's key; that of the paper's network with Gaussian entries is empty."""
    parts = {
        _key(initialization): initialization != GAUSSIAN,
        f"depth={depth}": depth != 2,
        _key(activation or ""): bool(activation),
    }
    return "".join(f"-{part}" for part, told in parts.items() if told)


def _key(name: str) -> str:
    """A name, or an import path, as part of the name of a file."""
    return name.replace(":", ".")


def _scales_label(case: str, sigma_u: float, sigma_v: float) -> str:
    """Part of a point's key; the number of a case depends on the others, and is none."""
    return f"sigma_u={sigma_u}-sigma_v={sigma_v}{f'-{BALANCED}' if case == BALANCED else ''}"


def _power_scales(alpha: float, sigma_u: float | None, h: int) -> dict[str, Any]:
    power = float(h) ** -alpha
    return {"alpha": alpha, "sigma_u": power if sigma_u is None else sigma_u, "sigma_v": power}


def _case_scales(case: str, pair: tuple[float, float], _: int) -> dict[str, Any]:
    return {"case": case, "sigma_u": pair[0], "sigma_v": pair[1]}


class DescentStudy(Engine):
    """Gradient descent beside the flow, from initial scales of several ratios at a fixed product."""

    title: str
    problem: str = Field(description="name of a data set")
    width: Width = 500
    product: Positive = Field(description="sigma_U sigma_V")
    ratios: Annotated[list[Positive], BeforeValidator(_expand), Field(min_length=1)] = Field(
        description="sigma_U / sigma_V"
    )
    balanced: bool = Field(True, description="add the balanced initialisation with the end-to-end matrix of ratio 1")
    depth: Annotated[float, Field(ge=1e-24, lt=1e-6)] = Field(
        1e-16, description="excess loss, relative to the initial one, at which a descent has arrived"
    )
    max_iterations: Count = Field(20_000, description="a step that takes more does not arrive")
    first_step: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5,
        description="largest step of the gap, as a fraction of n / lambda_max of the kernel at the start or the end",
    )
    halvings: Annotated[int, Field(ge=1, le=12)] = Field(5, description="how often that step is halved")
    smallest: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="smallest step of the scan, as a fraction of the largest that arrives"
    )
    scan: Annotated[int, Field(ge=2, le=1000)] = Field(40, description="steps of the scan")
    seed: Seed = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.ratios)) < len(self.ratios):
            raise ValueError(f"ratios must differ from each other, got {self.ratios}")
        return self

    def points(self) -> dict[str, tuple[float, float]]:
        """Name of each start -> its (sigma_U, sigma_V)."""
        named = {f"ratio={_shortest(ratio)}": ratio for ratio in self.ratios}
        named |= {BALANCED: 1.0} if self.balanced else {}
        return {key: ((self.product * ratio) ** 0.5, (self.product / ratio) ** 0.5) for key, ratio in named.items()}


def _shortest(value: float) -> str:
    """The shortest text that is this number and no other."""
    return repr(value).removesuffix(".0")


class Verification(Engine):
    """How many random problems and seeds the claims are checked on."""

    problems: Annotated[int, Field(ge=1, le=10**7)] = Field(
        2000, description="random problems for the deterministic claims"
    )
    seeds: Annotated[int, Field(ge=3, le=10**6)] = Field(30, description="data sets for the random claims")
    draws: Count = Field(25, description="networks drawn for each data set, width and alpha")
    widths: Annotated[list[Width], BeforeValidator(_expand), Field(min_length=1)]
    alphas: Annotated[list[Annotated[float, Field(ge=0, le=0.5)]], BeforeValidator(_expand), Field(min_length=1)]
    delta: Annotated[float, Field(gt=0, lt=1)] = 0.05
    seed: Seed = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.widths != sorted(set(self.widths)) or sum(h >= ASYMPTOTIC for h in self.widths) < 2:
            raise ValueError(f"widths must increase, two of them from {ASYMPTOTIC} on, got {self.widths}")
        if not any(alpha > 0.25 for alpha in self.alphas) or len(set(self.alphas)) < len(self.alphas):
            raise ValueError(f"alphas must differ from each other, one of them above 1/4, got {self.alphas}")
        return self
