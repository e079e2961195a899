"""What a figure of a sweep is: what it needs of the sweep, what draws it, and what is said of it.

The figures of this package are the rows of `implicit_bias.figures.registry`, which is imported when one
is looked up.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from implicit_bias.sweeps.handover import Record
from implicit_bias.sweeps.kinds.registry import SWEEP_KINDS
from implicit_bias.theory.initialization.registry import Law, initialization
from implicit_bias.theory.named import named
from implicit_bias.theory.problem import Array, Problem

if TYPE_CHECKING:
    import pandas as pd

    from implicit_bias.sweeps.parameters import Sweep

REGISTRY = "implicit_bias.figures.registry"


def silent(points: "pd.DataFrame") -> str:
    """What is said of points of which there is nothing to say."""
    return ""


@dataclass(frozen=True)
class Words:
    """What is said of a picture.

    Attributes:
        title: its heading.
        caption: what is drawn.
        finding: what it shows, from one row per point; "" where it shows nothing that can be said in a sentence.
        alt: the same for those who do not see it; by default the finding.
    """

    title: str
    caption: str
    finding: Callable[["pd.DataFrame"], str] = silent
    alt: Callable[["pd.DataFrame"], str] | None = None


@dataclass(frozen=True)
class StudyFigure:
    """One figure of a study.

    Attributes:
        words: what is said of it.
        draw: what the study has found -> matplotlib figure.
    """

    words: Words
    draw: Callable[..., Any]


COMPANION = Words("Companion", "")
"""What is said of a second picture of which nothing is known."""


@dataclass(frozen=True)
class Results:
    """What a figure of a sweep is drawn from.

    Attributes:
        sweep: its parameters.
        table: one row per finished point: its parameters and metrics.
        problems: the data sets of the points, reparametrised.
        evaluation: point -> its metrics and curves, under "metric/<name>" and "curve/<name>".
    """

    sweep: "Sweep"
    table: "pd.DataFrame"
    problems: list[Problem]
    evaluation: Callable[[str], Record]

    @property
    def columns(self) -> dict[str, Array]:
        return columns_of(self.table)


def columns_of(table: "pd.DataFrame") -> dict[str, Array]:
    """A table as one array per column."""
    return {str(name): column.to_numpy() for name, column in table.items()}


DrawFigure = Callable[[Results], Any]


@dataclass(frozen=True)
class SweepFigure:
    """One figure of sweeps.

    Attributes:
        words: what is said of it.
        draw: results -> matplotlib figure.
        kind: of the networks that it compares, a row of SWEEP_KINDS, or "general" of those that have none.
        against: what they are compared at: one exponent alpha, several, or cases.
        initializations: whether a sweep may have several.
        laws: what the law of the distance may be for its initialisations.
        companion: draws a second picture, if there is one.
        companion_words: what is said of that.
        interactive: results -> plotly figure to zoom into; by default the usual one of such networks.
        requires: what else it needs of a sweep: why the sweep has not got it, or "".
        paper: the figure of the paper that is drawn so; "" for none.
    """

    words: Words
    draw: DrawFigure
    kind: str = "two_layer"
    against: Literal["alpha", "alphas", "cases"] = "alpha"
    initializations: bool = False
    laws: frozenset[Law] = frozenset({"exact", "asymptotic", "silent"})
    companion: DrawFigure | None = None
    companion_words: Words = COMPANION
    interactive: DrawFigure | None = None
    requires: Callable[["Sweep"], str] = lambda sweep: ""
    paper: str = ""


def all_figures() -> Mapping[str, SweepFigure]:
    """The figures of this package, by name."""
    rows: Mapping[str, SweepFigure] = import_module(REGISTRY).FIGURES
    return rows


def sweep_figure(name: str) -> SweepFigure:
    """The figure of a name, or of an import path `package.module:object`.

    Raises:
        ValueError: there is none.
    """
    return named("figure", name, all_figures(), SweepFigure)


def known_figure(name: str) -> SweepFigure | None:
    """The figure of a name or an import path; None where there is none, as in runs of other projects."""
    try:
        return sweep_figure(name)
    except ValueError:
        return None


def check_figure(sweep: "Sweep") -> None:
    """Refuse a sweep that its figure cannot draw.

    Raises:
        ValueError: with the first reason.
    """
    for reason in _reasons(sweep, sweep_figure(sweep.figure)):
        raise ValueError(reason)


def _reasons(sweep: "Sweep", figure: SweepFigure) -> Iterator[str]:
    """Why a figure cannot draw a sweep."""
    name = sweep.figure
    if sweep.kind.drawn_as != figure.kind:
        row = SWEEP_KINDS.get(figure.kind)
        drawn = row.description if row else "linear networks of one's own"
        yield (
            f"figure {name} compares {drawn}: {_remedy(sweep, figure)}; {sweep.kind.description} are drawn by figure "
            f"{' or '.join(_names(sweep.kind.drawn_as))}, got {name}"
        )
    if figure.against == "cases" and not sweep.cases:
        yield f"figure {name} compares cases: give cases instead of alpha"
    if figure.against != "cases" and not sweep.alpha:
        yield f"figure {name} is drawn against alpha: give alpha instead of cases"
    if figure.against == "alpha" and len(sweep.alpha) > 1:
        yield f"figure {name} shows one alpha, got {sweep.alpha}{_several(_names(figure.kind, 'alphas'))}"
    if not figure.initializations and len(sweep.initialization) > 1:
        comparing = [each for each in _names(figure.kind) if all_figures()[each].initializations]
        yield f"figure {name} shows one initialization, got {sweep.initialization}{_several(comparing)}"
    if other := [each for each in sweep.initialization if initialization(each).law not in figure.laws]:
        yield (
            f"figure {name} is drawn beside the law of the distance, which must be {' or '.join(sorted(figure.laws))} "
            f"for its initialization and is {initialization(other[0]).law} for {other[0]}"
        )
    if reason := figure.requires(sweep):
        yield f"figure {name}: {reason}"


def _remedy(sweep: "Sweep", figure: SweepFigure) -> str:
    """How a sweep comes to be of the kind that a figure compares."""
    row = SWEEP_KINDS.get(figure.kind)
    if row is None:
        return "set network to one of them"
    if sweep.network is None:
        return row.remedy
    if sweep.kind_by_default == figure.kind:
        return f"leave out network, or set it to {figure.kind}"
    return f"leave out network, and {row.remedy}"


def _several(names: list[str]) -> str:
    """Which figures compare several, as the end of a sentence; nothing where none does."""
    return f": figure {' or '.join(names)} compares several" if names else ""


def _names(kind: str, against: str = "") -> list[str]:
    return [name for name, row in all_figures().items() if row.kind == kind and against in ("", row.against)]
