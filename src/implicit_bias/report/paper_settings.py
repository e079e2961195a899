"""The settings of the paper's two experiments (Min et al. 2021, Appendix A), and where a run has others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from implicit_bias.sweeps.figure import known_figure


@dataclass(frozen=True)
class Setting:
    """What the paper says of a parameter.

    Attributes:
        paper: its value, in words.
        fits: whether a run's value, as its plan has it, is the paper's.
        telling: whether numbers of a run with another value cannot be compared with the paper's.
    """

    paper: str
    fits: Callable[[str], bool]
    telling: bool = True


def _is(value: Any) -> Setting:
    return Setting(str(value), str(value).__eq__)


def _at_most(limit: float) -> Setting:
    return Setting(f"at most {limit:g}", lambda value: float(value) <= limit)


def _at_least(limit: float) -> Setting:
    return Setting(f"at least {limit:g}", lambda value: float(value) >= limit)


TRAINED_BY_DESCENT = Setting("gradient_descent", lambda value: "gradient_descent" in value.split(), telling=False)
BOTH = {
    "initialization": _is("gaussian"),
    "depths": _is(2),
    "activations": _is(""),
    "solvers": TRAINED_BY_DESCENT,
    "redraw_data": Setting("False", "False".__eq__, telling=False),
    "stop.relative": _is(False),
    "stop.stationary": _at_most(1e-12),
    "flow_tolerance": _at_most(1e-6),
    "data.n": _is(100),
    "data.D": _is(400),
    "data.m": _is(1),
    "data.rank": _is(None),
    "data.theta_std": _is(None),
    "data.noise_std": _is(0.01),
}
SETTINGS: Mapping[str, Mapping[str, Setting]] = {
    "Figure 1": {
        "widths": _is("500:10000:500"),
        "alpha": _is(0.5),
        "cases": _is(None),
        "step_size": _is(0.005),
        "stop.tolerance": _is(1e-8),
        "stop.max_iterations": _at_least(1e6),
        "data.spectrum": _is("gaussian"),
        **BOTH,
    },
    "Figure 2": {
        "widths": _is(500),
        "alpha": _is(""),
        "cases.pairs": _is("(0.1, 0.1) (0.5, 0.02) (0.05, 0.2)"),
        "cases.product": _is(None),
        "cases.ratios": _is(""),
        "cases.balanced": _is(True),
        "step_size": _is(0.0005),
        "stop.tolerance": _is(None),
        "stop.max_iterations": _is(15_000),
        "data.spectrum": _is("whitened"),
        **BOTH,
    },
}
"""Of each figure every parameter that its numbers depend on, as the plan of a sweep has it."""

FREE = frozenset(
    {
        *("network", "momentum", "sigma_u", "kink_tolerance"),
        *("title", "figure", "problem", "density", "sampler", "curve_points", "delta", "point_figures"),
        *("inner_layers", "inner_gain", "leak_tol", "most_weights"),
        *("seed", "seeds", "data.cond", "data.held_out", "data.draws", "data.seed"),
    }
)
"""Parameters that say nothing about the settings: names, draws, what is drawn and measured, and values that do not
come into play."""

RANK = 100
"""Rank of the data of both figures."""


@dataclass(frozen=True)
class Comparison:
    """A sweep compared with the paper.

    Attributes:
        figure: the figure whose numbers it may be compared with, "" if none.
        deviations: the settings in which it differs, one sentence each; why it is not compared, if it is not.
    """

    figure: str
    deviations: list[str]


def beside_paper(params: Mapping[str, str], datasets: Sequence[Mapping[str, Any]]) -> Comparison:
    """Which figure of the paper a sweep repeats, setting by setting.

    Args:
        params: its flat parameters, and those of its data under "data.".
        datasets: `r` of each data set.
    """
    row = known_figure(params.get("figure", ""))
    if row is None or not row.paper:
        return Comparison("", ["Not compared with the paper, which has no such figure."])
    figure = row.paper
    if "data.spectrum" not in params:
        return Comparison("", [f"Not compared with the paper's {figure}: the data are others."])
    settings = SETTINGS[figure]
    other = {
        name: params.get(name, "unknown")
        for name, each in settings.items()
        if name not in params or not each.fits(params[name])
    }
    telling = [_said(name, other[name], settings) for name in other if settings[name].telling]
    if ranks := sorted({entry["r"] for entry in datasets if entry["r"] != RANK}):
        telling.append(f"the rank of X is {ranks[0]}, in the paper {RANK}")
    if telling:
        return Comparison("", [f"Not compared with the paper's {figure}: {'; '.join(telling)}."])
    return Comparison(figure, [f"{_said(name, value, settings)}." for name, value in other.items()])


def _said(name: str, value: str, settings: Mapping[str, Setting]) -> str:
    shown = value if value not in ("", "None") else "none"
    paper = settings[name].paper if settings[name].paper not in ("", "None") else "none"
    return f"{name} is {shown}, in the paper {paper}"
