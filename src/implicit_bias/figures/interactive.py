"""The figures to zoom into: pure functions from arrays to plotly figures, with the colours and signs of the others.

Text is plain, since browsers draw no formulas without a library. Colours show on white and on the dark background of
kedro-viz.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from implicit_bias.figures.legends import LOSS_BOUNDS, name_of_law
from implicit_bias.figures.numerals import percent
from implicit_bias.figures.palette import BLACK, GREEN, VERMILLION
from implicit_bias.figures.spans import Array, Table, floats, positive
from implicit_bias.figures.style import colours, group

MOST_RUNS = 4000
"""Runs drawn; of more so many are chosen evenly, which keeps a figure well below a megabyte."""
DISTANCE = "distance to the min-norm solution"
SIGNS = {"alpha": "α", "depth": "L"}
NARROW = 3
"""Decades below which a logarithmic axis also has ticks between powers of ten."""
MOST_POWERS = 8
"""Powers of ten that a logarithmic axis names at the most."""
NEUTRAL = "#808080"
"""Instead of black: contrast 3.9 with white and 4.8 with kedro-viz's dark background."""
GRID = "rgba(128,128,128,0.3)"
SPACING = 0.18
"""Between two panels, relative to the figure; it holds the title of an axis."""
DASHES = {"--": "dash", ":": "dot"}
"""Lines as matplotlib and as plotly names them."""
DISTANCE_BOUNDS = {
    "law_bound": ("dot", NEUTRAL, "law, {level} quantile"),
    "certificate": ("dot", GREEN, "certified from the run"),
    "thm2": ("dash", VERMILLION, "guaranteed (Theorem 2)"),
}


def interactive_widths(points: Table, law: Table, by: str = "alpha") -> go.Figure:
    """Distance and iterations of every run against width, with the law and the bounds that a click in the legend shows.

    Args:
        points: `width`, `distance`, `iterations`, one entry per run; where known `seed`, `alpha`, `law_bound`,
            `certificate`, `thm2`, and `delta`, the probability of a distance above `law_bound`.
        law: `alpha`, `width`, `rms` of the predicted distance, one entry per curve and width; where known, `lower` and
            `upper` of its band and `delta`, the probability outside it.
        by: the column of both that tells curves apart, "alpha" or "depth".
    """
    sign = SIGNS[by]
    figure = make_subplots(1, 2, column_widths=[0.62, 0.38], horizontal_spacing=SPACING)
    runs = _thin({name: np.asarray(column) for name, column in points.items()})
    alphas = floats(runs[by]) if by in runs else np.zeros(len(runs["width"]))
    for alpha, colour in zip(np.unique(alphas), _colours(np.unique(alphas).size), strict=True):
        chosen = alphas == alpha
        of_alpha = {name: column[chosen] for name, column in runs.items()}
        single = len(np.unique(alphas)) == 1
        name = "runs" if single else f"runs, {sign} = {alpha:g}"
        _add_runs(figure, of_alpha, ("distance", "iterations"), name, colour)
        of_value = {name: np.asarray(column)[np.isclose(floats(law[by]), alpha)] for name, column in law.items()}
        _add_law(figure, of_value, NEUTRAL if single else colour, "" if single else f", {sign} = {alpha:g}")
    for bound, (dash, colour, label) in DISTANCE_BOUNDS.items():
        if bound in points:
            at, mean, _ = group(points["width"], points[bound])
            line = {"color": colour, "dash": dash}
            label = label.format(level=percent(1 - floats(points["delta"])[0]) if "delta" in points else "upper")
            figure.add_trace(_line(at, mean, label, line=line, visible="legendonly"), 1, 1)
    figure.update_xaxes(title_text="width h", **_logarithmic(points["width"]))
    if 1 <= _decades(points["width"]) < NARROW:
        figure.update_xaxes(dtick=1, col=2)  # a preview has no room for more
    figure.update_yaxes(title_text=DISTANCE, col=1, **_logarithmic(points["distance"]))
    figure.update_yaxes(title_text="iterations to stop", rangemode="tozero", col=2)
    return _styled(figure)


def interactive_cases(cases: Sequence[Mapping[str, Any]], points: Table) -> go.Figure:
    """Loss of several initialisations with their bounds, and their rates of convergence against their distances.

    Args:
        cases: as `imbalance_figure` takes them.
        points: `case`, `distance`, `rate` of every run.
    """
    figure = make_subplots(1, 2, column_widths=[0.62, 0.38], horizontal_spacing=SPACING)
    for case, colour in zip(cases, _colours(len(cases)), strict=True):
        label = _plain(str(case["label"]))
        shared = {"legendgroup": label}
        figure.add_trace(_line(case["iteration"], case["loss"], label, line={"color": colour}, **shared), 1, 1)
        for name, (style, words) in LOSS_BOUNDS.items():
            if name in case:
                line = {"color": colour, "dash": DASHES[style], "width": 1.2}
                trace = _line(case["iteration"], case[name], f"{label}, {words}", line=line, showlegend=False, **shared)
                figure.add_trace(trace, 1, 1)
    for name, (style, words) in LOSS_BOUNDS.items():
        if any(name in case for case in cases):  # the legend names each dash once
            line = {"color": NEUTRAL, "dash": DASHES[style], "width": 1.2}
            figure.add_trace(_line([np.nan], [np.nan], words, line=line, showlegend=True), 1, 1)
    runs = _thin({name: np.asarray(points[name]) for name in ("case", "distance", "rate")})
    names = list(dict.fromkeys(map(str, runs["case"])))
    for name, colour in zip(names, _colours(len(names)), strict=True):
        chosen = runs["case"].astype(str) == name
        trace = go.Scatter(
            x=_list(runs["distance"][chosen]),
            y=_list(positive(runs["rate"][chosen])),
            mode="markers",
            marker={"color": colour, "size": 8},
            name=f"case {name}" if name.isdigit() else name,
            hovertemplate="%{fullData.name}<br>distance %{x:.4~g}<br>rate %{y:.4~g}<extra></extra>",
            showlegend=False,
        )
        figure.add_trace(trace, 1, 2)
    figure.update_xaxes(title_text="iteration k", col=1)
    losses = [value for case in cases for value in case["loss"]]
    figure.update_yaxes(title_text="excess loss", col=1, **_logarithmic(losses))
    figure.update_xaxes(title_text=DISTANCE, col=2)
    figure.update_yaxes(title_text="rate of convergence of the loss", col=2, **_logarithmic(points["rate"]))
    return _styled(figure)


def interactive_activations(points: Table) -> go.Figure:
    """Deviation from the frozen law's mean with what the law says of it, and distance to the kernel predictor.

    Args:
        points: `activation`, `width`, `seed`, `frozen_rms`, `frozen_deviation`, `kernel_distance`, one entry per run.
    """
    figure, quantities = make_subplots(1, 2, horizontal_spacing=SPACING), ("frozen_deviation", "kernel_distance")
    runs = _thin({name: np.asarray(column) for name, column in points.items()})
    names = runs["activation"].astype(str)
    order = list(dict.fromkeys(names.tolist()))
    for name, colour in zip(order, _colours(len(order)), strict=True):
        mine = names == name
        of_activation = {column: values[mine] for column, values in runs.items()}
        _add_runs(figure, of_activation, quantities, name, colour)
        at, mean, _ = group(
            points["width"], np.where(np.asarray(points["activation"]) == name, points["frozen_rms"], np.nan)
        )
        figure.add_trace(_line(at, mean, f"{name}, frozen law", line={"color": colour}, legendgroup=name), 1, 1)
    figure.update_xaxes(title_text="width h", **_logarithmic(points["width"]))
    titles = "deviation from the mean of the frozen law", "distance to the kernel predictor"
    for column, (quantity, title) in enumerate(zip(quantities, titles, strict=True), start=1):
        figure.update_yaxes(title_text=title, col=column, **_logarithmic(points[quantity]))
    return _styled(figure)


def _add_runs(figure: go.Figure, runs: Table, quantities: Sequence[str], name: str, colour: str) -> None:
    """Runs against width, one quantity per panel; the legend, which the first panel fills, hides both."""
    for column, quantity in enumerate(quantities, start=1):
        trace = go.Scatter(
            x=_list(runs["width"]),
            y=_list(positive(runs[quantity])),
            text=[f"seed {seed}" for seed in np.asarray(runs.get("seed", ()))],
            hovertemplate=f"h = %{{x:,}}<br>{quantity} %{{y:.4~g}}<br>%{{text}}<extra></extra>",
            mode="markers",
            marker={"color": colour, "size": 6, "opacity": 0.8},
            name=name,
            legendgroup=name,
            showlegend=column == 1,
        )
        figure.add_trace(trace, 1, column)


def _add_law(figure: go.Figure, law: Table, colour: str, suffix: str) -> None:
    """One curve of the law, with its band where that is known."""
    columns = {name: floats(column) for name, column in law.items()}
    at, rms = columns["width"], columns["rms"]
    if not at.size:
        return
    band = f"{name_of_law(columns)}{suffix}"
    if "lower" in columns:
        edge = {"line": {"width": 0}, "showlegend": False, "hoverinfo": "skip", "legendgroup": band}
        filled = {"fill": "tonexty", "fillcolor": "rgba(120,120,120,0.2)"}
        figure.add_trace(_line(at, columns["upper"], band, **edge), 1, 1)
        figure.add_trace(_line(at, columns["lower"], band, **edge, **filled), 1, 1)
    figure.add_trace(_line(at, rms, band, line={"color": colour, "width": 1.5}, legendgroup=band), 1, 1)


def _line(x: ArrayLike, y: ArrayLike, name: str, **style: Any) -> go.Scatter:
    hover = {} if "hoverinfo" in style else {"hovertemplate": "%{fullData.name}<br>%{x:,} : %{y:.4~g}<extra></extra>"}
    return go.Scatter(x=_list(floats(x)), y=_list(positive(y)), name=name, mode="lines", **hover, **style)


def _styled(figure: go.Figure) -> go.Figure:
    figure.update_layout(
        template="simple_white",
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        margin={"l": 70, "r": 20, "t": 60, "b": 60},
        hovermode="closest",
    )
    text = {"tickfont": {"size": 10}, "title_font": {"size": 11}}  # no axis overlaps the panel beside it in a preview
    lines = {"showgrid": True, "gridcolor": GRID, "linecolor": NEUTRAL, "tickcolor": NEUTRAL}
    figure.update_xaxes(**lines, **text)
    figure.update_yaxes(**lines, **text)
    return figure


def _colours(count: int) -> list[str]:
    return [NEUTRAL if colour == BLACK else colour for colour in colours(count)]


def _logarithmic(values: ArrayLike) -> dict[str, Any]:
    """A logarithmic axis for values; of few decades its ticks are whole numbers, not digits after a power of ten."""
    decades = _decades(values)
    if decades >= NARROW:
        return {"type": "log", "exponentformat": "power", "dtick": int(np.ceil(decades / MOST_POWERS))}
    return {"type": "log", "tickformat": "~g", "dtick": "D2" if decades >= 1 else None}


def _decades(values: ArrayLike) -> float:
    """How many decades positive values span."""
    shown = positive(values)
    shown = shown[np.isfinite(shown)]
    return float(np.ptp(np.log10(shown))) if shown.size else 0.0


def _thin(columns: dict[str, Array]) -> dict[str, Array]:
    count = len(next(iter(columns.values())))
    if count <= MOST_RUNS:
        return columns
    kept = np.linspace(0, count - 1, MOST_RUNS).round().astype(int)
    return {name: column[kept] for name, column in columns.items()}


def _list(values: ArrayLike) -> list[float | None]:
    """Six digits of each value, None for a gap: far shorter in JSON."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in floats(values).ravel()]


def _plain(label: str) -> str:
    """A label without the signs of a formula."""
    return label.replace("$", "").replace(r"\sigma_", "σ_")
