"""What the stages hand on to each other, as it is stored."""

import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, cast

if TYPE_CHECKING:
    from implicit_bias.theory.problem import Array, Problem

Record = dict[str, Any]
"""What a stage has found of a point, flat: its fields as arrays, and what is tracked of it under "metric/<name>",
"curve/<name>" and "param/<name>". Its names are those of the network, of the registries and of what is measured."""

Loaders = dict[str, Callable[[], Record]]
"""A partitioned dataset as Kedro hands it to a node: name -> loader."""


Params = dict[str, str | int | float | bool | None]
"""Parameters as they are tracked: flat names, and texts or numbers."""


class DataFields(TypedDict):
    """A data set: X (n, D), Y (n, m), the held-out rows, and how it was made, as JSON."""

    X: "Array"
    Y: "Array"
    Theta: "NotRequired[Array]"
    X_test: "NotRequired[Array]"
    Y_test: "NotRequired[Array]"
    rounding: NotRequired[float]
    x_shift: "NotRequired[Array]"
    x_size: "NotRequired[Array]"
    y_shift: "NotRequired[Array]"
    y_size: "NotRequired[Array]"
    drawn: NotRequired[str]
    preparation: NotRequired[str]


class ProblemFields(TypedDict):
    """The fields of a `Problem`."""

    n: int
    sigma: "Array"
    Phi1: "Array"
    Y_tilde: "Array"
    loss_floor: float


def problem_fields(problem: "Problem") -> ProblemFields:
    return cast("ProblemFields", dict(vars(problem)))


Data = dict[str, Callable[[], DataFields]]
Problems = dict[str, Callable[[], ProblemFields]]


class Profile(TypedDict):
    """Size, rank and conditioning of a data set."""

    n: int
    D: int
    m: int
    r: int
    cond: float


class PlannedData(TypedDict):
    """A data set of a plan: its name, digests of its problem and of its rows, and its profile."""

    name: str
    digest: str
    profile: Profile
    rows: NotRequired[str]


class NamedProfile(Profile):
    """A data set as the report shows it."""

    name: str


class PlannedPoint(TypedDict):
    """A point of a plan: what it is called, what it is, and its parameters."""

    name: str
    description: NotRequired[str]
    params: Params


class Compare(TypedDict):
    """How the points are told apart where they are compared."""

    group_by: list[str]
    results: list[str]
    axis: str
    axes: list[str]
    start: str


class Plan(TypedDict):
    """A sweep, or a study, before any of it is computed: all that determines it, and what tracking shows of it."""

    name: str
    description: str
    params: Params
    points: dict[str, PlannedPoint]
    metrics: NotRequired[dict[str, str]]
    report: str
    numerics: str
    fresh: bool
    compare: NotRequired[Compare]
    steps_per_decade: NotRequired[int]
    datasets: NotRequired[list[PlannedData]]


class Whereabouts(TypedDict, total=False):
    """Where a sweep is tracked: its run, links by title, and the command that shows them; empty if it is not."""

    name: str
    run_id: str
    links: dict[str, str]
    ui: str


class Failure(TypedDict):
    """What takes the place of a record that could not be computed."""

    error: str
    traceback: NotRequired[str]


def failure(error: Exception) -> Record:
    """The failure that an exception is; called where it is caught."""
    return dict(Failure(error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc()))


def failed(reason: str) -> Record:
    return dict(Failure(error=reason))


def failure_of(record: Mapping[str, Any]) -> str | None:
    """Why there is no record; None of one that could be computed."""
    return str(record["error"]) if "error" in record else None


def entries(record: Mapping[str, Any], *prefixes: str) -> Record:
    """The entries of a record under prefixes, without them."""
    return {name.partition("/")[2]: value for name, value in record.items() if name.startswith(prefixes)}
