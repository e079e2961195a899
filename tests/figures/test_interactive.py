"""The figures to zoom into show what the others show, and stay light."""

import json
from typing import Any

import numpy as np
import pytest

from implicit_bias.figures.interactive import GRID, MOST_RUNS, NEUTRAL, interactive_cases, interactive_widths

MEGABYTE = 1_000_000


def law(*alphas: float) -> dict[str, Any]:
    width = np.array([100.0, 1000.0, 10000.0])
    columns: dict[str, list[float]] = {name: [] for name in ("alpha", "delta", "width", "rms", "lower", "upper")}
    for alpha in alphas:
        for h in width:
            for name, value in zip(columns, (alpha, 0.05, h, h**-alpha, 0.9 * h**-alpha, 1.1 * h**-alpha), strict=True):
                columns[name].append(value)
    return {name: np.array(values) for name, values in columns.items()}


def runs(count: int, alphas: tuple[float, ...] = (0.5,)) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    width = rng.integers(100, 10000, count)
    distance = rng.uniform(0.1, 1, count)
    measured = {"width": width, "distance": distance, "iterations": rng.uniform(1, 9, count), "thm2": 100 * distance}
    return measured | {"seed": np.arange(count), "alpha": np.resize(alphas, count)}


def named(figure: Any, name: str) -> list[Any]:
    return [trace for trace in figure.data if trace.name == name]


def test_every_run_is_shown_beside_the_law() -> None:
    points = runs(50)
    figure = interactive_widths(points, law(0.5))
    distances, iterations = named(figure, "runs")
    assert list(distances.x) == points["width"].tolist()
    np.testing.assert_allclose(distances.y, points["distance"], rtol=1e-5)
    np.testing.assert_allclose(iterations.y, points["iterations"], rtol=1e-5)
    assert distances.text[7] == "seed 7"
    upper, lower, rms = named(figure, "law, 95 % band")
    np.testing.assert_allclose([upper.y, rms.y, lower.y], [f * law(0.5)["rms"] for f in (1.1, 1, 0.9)], rtol=1e-5)
    assert lower.fill == "tonexty"
    (bound,) = named(figure, "guaranteed (Theorem 2)")
    assert bound.visible == "legendonly"
    assert len(bound.x) == len(np.unique(points["width"]))


def test_each_alpha_has_its_runs_and_its_law() -> None:
    figure = interactive_widths(runs(60, (0.3, 0.5)), law(0.3, 0.5))
    for alpha in (0.3, 0.5):
        assert len(named(figure, f"runs, α = {alpha:g}")[0].x) == 30
        assert len(named(figure, f"law, 95 % band, α = {alpha:g}")) == 3


def test_where_no_law_holds_there_is_none() -> None:
    figure = interactive_widths(runs(10), law())
    assert not [trace for trace in figure.data if trace.name.startswith("law, 90")]


def test_cases_have_their_bounds_and_labels_without_formulas() -> None:
    iteration = np.array([0.0, 10.0, 100.0])
    cases = [
        {
            "label": r"case 1: $\sigma_U=0.1$, $c=6$",
            "iteration": iteration,
            "loss": [1, 0.1, 0],
            "bound": [1, 0.5, 0.2],
        },
        {"label": "balanced, $c=0$", "iteration": iteration, "loss": [1, 0.9, 0.8], "certified": [1, 1, 1]},
    ]
    points = {"case": np.array(["1", "balanced"]), "distance": np.array([1.0, 2.0]), "rate": np.array([3.0, np.nan])}
    figure = interactive_cases(cases, points)
    (loss,) = named(figure, "case 1: σ_U=0.1, c=6")
    assert list(loss.y) == [1.0, 0.1, None]  # zero has no place on a logarithmic axis
    assert named(figure, "case 1: σ_U=0.1, c=6, guaranteed (Theorem 1)")[0].line.dash == "dash"
    assert named(figure, "balanced, c=0, certified after training")[0].line.dash == "dot"
    assert [trace.line.dash for trace in figure.data if trace.showlegend is not False and not trace.legendgroup] == [
        "dash",
        "dot",
    ]  # each dash is named once
    assert named(figure, "case 1")[0].y == (3.0,)
    assert named(figure, "balanced")[0].y == (None,)


def contrast(colour: str, background: str) -> float:
    """Of WCAG 2.2, 1.4.11: at least 3 for what a figure shows."""

    def luminance(code: str) -> float:
        channels = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    light, dark = sorted((luminance(colour), luminance(background)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_lines_show_on_the_dark_background_of_kedro_viz() -> None:
    figure = interactive_widths(runs(20), law(0.5))
    axes = figure.layout.xaxis, figure.layout.xaxis2, figure.layout.yaxis, figure.layout.yaxis2
    drawn = {trace.marker.color or trace.line.color for trace in figure.data} - {None}
    drawn |= {colour for axis in axes for colour in (axis.linecolor, axis.tickcolor)}
    assert min(contrast(colour, "#111111") for colour in drawn) > 3
    assert contrast(NEUTRAL, "#FFFFFF") > 3
    assert {axis.gridcolor for axis in axes} == {GRID}


@pytest.mark.parametrize("count", [MOST_RUNS, 50 * MOST_RUNS])
def test_figures_stay_light(count: int) -> None:
    figure = interactive_widths(runs(count), law(0.5))
    assert len(named(figure, "runs")[0].x) == MOST_RUNS
    text = figure.to_json()
    assert len(text) < MEGABYTE
    assert json.loads(text)["data"]
    assert "http" not in text
