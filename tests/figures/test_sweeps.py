"""The figures draw the numbers they are given, label every axis, and survive what a sweep can throw at them.

Warnings are errors here, so that every figure drawn is also checked to be drawn without any.
"""

from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from implicit_bias.figures.imbalance import imbalance_figure, rate_bias_figure
from implicit_bias.figures.numerals import number
from implicit_bias.figures.scales import scales_cost_figure, scales_figure
from implicit_bias.figures.spans import linear_ticks, log_ticks, span
from implicit_bias.figures.style import colours, group
from implicit_bias.figures.widths import alpha_figure, companion_figure, wide_figure, width_figure
from tests.support.colours import check_colours
from tests.support.pictures import png

CONST = 18.3
STEP, SAMPLES = 5e-4, 100


def law(width: Any) -> dict[str, Any]:
    rms = CONST / np.sqrt(np.asarray(width, float))
    return {"width": width, "rms": rms, "lower": 0.93 * rms, "upper": 1.07 * rms, "delta": np.full(rms.shape, 0.05)}


def runs(widths: Any, count: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    width = np.repeat(np.asarray(widths, float), count)
    distance = CONST / np.sqrt(width) * np.sqrt(rng.chisquare(300, width.size) / 300)
    iterations = 5.7e4 + 5e6 / width + 100 * rng.standard_normal(width.size)
    return {
        "width": width,
        "distance": distance,
        "distance_init": 0.9 * distance,
        "iterations": iterations,
        "law_bound": 1.1 * distance,
        "certificate": 18 * distance,
        "thm2": 1e3 * distance,
    }


def case(rate: float, **more: Any) -> dict[str, Any]:
    iteration = np.linspace(0, 15000, 80)
    loss = 1.2 * np.exp(-rate * iteration)
    return {"label": rf"$c={rate:g}$", "iteration": iteration, "loss": loss, "bound": 1.2 * np.sqrt(loss / 1.2), **more}


def plane(ratios: Any, count: int = 1) -> dict[str, Any]:
    ratio = np.repeat(np.asarray(ratios, float), count)
    c = 6 + 1.6 * np.abs(ratio - 1 / ratio)
    distance = 3.7 - 0.13 * np.log10(ratio)
    return {
        "sigma_u": np.sqrt(0.01 * ratio),
        "sigma_v": np.sqrt(0.01 / ratio),
        "distance": distance + 0.01 * np.arange(ratio.size),
        "rate": 2.2 * c,
        "rate_bound": 2 * c,
    }


def scales(alphas: Any, widths: Any) -> dict[str, Any]:
    alpha, width = (grid.ravel() for grid in np.meshgrid(alphas, np.asarray(widths, float), indexing="ij"))
    lazy, rich = width ** (0.5 - 2 * alpha) * 300**0.5, width**-alpha * 150**0.5
    rms = np.hypot(lazy, rich)
    return {"alpha": alpha, "width": width, "distance": rms, "rms": rms, "lazy": lazy, "rich": rich}


def outer_and_inner(alphas: Any, gains: Any) -> dict[str, Any]:
    """Three runs per alpha at two layers, and per alpha and gain at three; values tell all of them apart."""
    rows = [(2, 1.0, alpha) for alpha in alphas] + [(3, gain, alpha) for gain in gains for alpha in alphas]
    depth, gain, alpha = np.repeat(np.array(rows, float), 3, axis=0).T
    values = 10 * alpha + gain + 5 * (depth - 2)
    columns = dict.fromkeys(("kernel_move", "distance", "tail_rank", "law_rms", "iterations"), values)
    return {"depth": depth, "inner_gain": gain, "alpha": alpha, **columns}


GRID = np.arange(500, 10001, 500)
DECADES = np.logspace(2, 12, 21).round()
SCALES = scales([0.25, 0.5, 0.75], np.logspace(2, 10, 9))

FIGURES: dict[str, Callable[[], Figure]] = {
    "width": lambda: width_figure(runs(GRID, 5), law(GRID)),
    "width, no law": lambda: width_figure(runs(GRID, 5)),
    "width, decades": lambda: width_figure(runs(DECADES, 1), law(DECADES)),
    "width, alpha 1/4": lambda: width_figure(runs(GRID, 2), alpha=0.25),
    "width, one point": lambda: width_figure(runs([500], 1), law([500])),
    "width, no points": lambda: width_figure(runs([], 1)),
    "width, zeros": lambda: width_figure({**runs(DECADES, 2), "distance_init": np.zeros(2 * DECADES.size)}),
    "width, failed runs": lambda: width_figure({**runs(GRID, 2), "distance": np.full(2 * GRID.size, np.nan)}),
    "width, equal iterations": lambda: width_figure({**runs(GRID, 2), "iterations": np.full(2 * GRID.size, 7)}),
    "width, thousands": lambda: width_figure(runs(np.arange(500, 2500), 2), law(GRID)),
    "width, thousands, one run each": lambda: width_figure(runs(np.arange(500, 5500), 1), law(GRID)),
    "wide": lambda: wide_figure(runs(DECADES, 5), law(DECADES)),
    "wide, one point": lambda: wide_figure(runs([1e6], 1), law([1e6])),
    "wide, thousands": lambda: wide_figure(runs(DECADES, 200), law(DECADES)),
    "imbalance": lambda: imbalance_figure([case(1e-3), case(3e-4, certified=case(2e-4)["loss"])], STEP, SAMPLES),
    "imbalance, late end": lambda: imbalance_figure(
        [case(1e-3), case(1e-3) | {"iteration": 100 * case(1e-3)["iteration"]}], STEP, SAMPLES
    ),
    "imbalance, descent": lambda: imbalance_figure([case(1e-3, descent=case(1.1e-3))], STEP, SAMPLES),
    "imbalance, floor": lambda: imbalance_figure(
        [case(1e-3, loss=np.geomspace(1, 1e-30, 80)), case(1e-3, loss=np.zeros(80))], STEP, SAMPLES
    ),
    "imbalance, bounds": lambda: imbalance_figure(
        [case(1e-3, bound=np.full(80, np.inf)), case(1e-4, bound=np.geomspace(1e9, 1e3, 80))], STEP, SAMPLES
    ),
    "companion": lambda: companion_figure(runs(GRID, 5)),
    "companion, far": lambda: companion_figure({**runs(GRID, 5), "thm2": np.full(100, 1e28)}),
    "companion, infinite": lambda: companion_figure(
        {**runs(GRID, 5), "thm2": np.full(100, np.inf), "certificate": np.geomspace(1e40, 1e300, 100)}
    ),
    "companion, one point": lambda: companion_figure(runs([500], 1)),
    "plane": lambda: rate_bias_figure(plane(np.logspace(-2, 2, 9), 3)),
    "plane, many": lambda: rate_bias_figure(plane(np.logspace(-2, 2, 500))),
    "plane, one point": lambda: rate_bias_figure(plane([1.0])),
    "plane, failed run": lambda: rate_bias_figure({**plane([0.1, 1, 10]), "rate": np.array([1, np.nan, 3])}),
    "plane, no rate": lambda: rate_bias_figure({**plane([0.1, 1, 10]), "rate_bound": np.zeros(3)}),
    "alpha": lambda: alpha_figure(SCALES, SCALES),
    "scales": lambda: scales_figure(outer_and_inner([0.3, 0.5, 0.7], [0.3, 1, 3])),
    "scales, gains": lambda: scales_figure(outer_and_inner([0.5], [0.1, 1, 10])),
    "scales, a gain of 0": lambda: scales_figure(outer_and_inner([0.5], [0, 1])),
    "scales, one point": lambda: scales_figure(outer_and_inner([0.5], [])),
    "scales, cost": lambda: scales_cost_figure(outer_and_inner([0.5], [0.1, 1, 10])),
    "alpha, one point": lambda: alpha_figure(scales([0.5], [500]), scales([0.5], [500])),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_labelled_and_light_and_its_colours_differ(name: str) -> None:
    figure = FIGURES[name]()
    check_colours(figure)
    image = png(figure)
    assert image.startswith(b"\x89PNG")
    assert len(image) < 130_000
    for ax in figure.axes:
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        for ticks, limits in ((ax.get_xticks(), ax.get_xlim()), (ax.get_yticks(), ax.get_ylim())):
            assert np.all(np.isfinite(limits))
            assert limits[0] < limits[1]
            assert 1 <= len(ticks) <= 9


@pytest.mark.parametrize("name", ["imbalance", "companion"])
def test_equal_inputs_give_equal_bytes(name: str) -> None:
    image = png(FIGURES[name]())
    assert image == png(FIGURES[name]())
    assert b"Software" not in image


def test_gains_are_drawn_against_themselves_where_alpha_is_one_and_tell_series_apart_where_it_is_not() -> None:
    both = scales_figure(outer_and_inner([0.3, 0.5], [0.3, 1, 3])).axes[0]
    gains = scales_figure(outer_and_inner([0.5], [0.3, 1, 3])).axes[0]
    assert [text.get_text() for text in both.get_legend().get_texts()] == [
        "$L=2$", "$L=3$, $g=0.3$", "$L=3$, $g=1$", "$L=3$, $g=3$",
    ]  # fmt: skip
    assert [text.get_text() for text in gains.get_legend().get_texts()] == ["$L=2$", "$L=3$"]
    two, flat, three, joined = gains.lines
    assert (set(two.get_ydata()), set(flat.get_ydata())) == ({6.0}, {6.0})  # no inner layer, whatever the gain
    np.testing.assert_allclose(three.get_xdata(), np.repeat([0.3, 1, 3], 3))
    np.testing.assert_allclose(joined.get_ydata(), [10.3, 11, 13])


def test_style_stays_inside() -> None:
    before = dict(matplotlib.rcParams)
    png(FIGURES["alpha"]())
    assert dict(matplotlib.rcParams) == before


def test_bars_of_many_widths_become_a_band_and_single_runs_dots() -> None:
    grid, banded, dotted = (
        width_figure(runs(widths, seeds)).axes[2]
        for widths, seeds in ((GRID, 5), (range(100, 200), 5), (range(100, 200), 1))
    )
    assert len(grid.containers) == 1
    assert not banded.containers
    assert not dotted.containers
    (band,) = banded.collections
    points = runs(range(100, 200), 5)
    _, mean, deviation = group(points["width"], points["iterations"])
    corners = band.get_paths()[0].vertices[:, 1]
    assert {corners.min(), corners.max()} == {np.min(mean - deviation), np.max(mean + deviation)}
    (line,) = dotted.get_lines()
    assert line.get_linestyle() == "None"
    assert line.get_xdata().size == 100


def test_group_gives_means_and_standard_deviations() -> None:
    points = runs([700, 500, 900], 4)
    x, mean, deviation = group(points["width"], points["distance"])
    for width, one_mean, one_deviation in zip(x, mean, deviation, strict=True):
        values = points["distance"][points["width"] == width]
        assert one_mean == pytest.approx(values.mean(), rel=1e-14)
        assert one_deviation == pytest.approx(values.std(ddof=1), rel=1e-12)
    assert x.tolist() == [500, 700, 900]


def test_group_skips_what_is_not_finite() -> None:
    x, mean, deviation = group([1, 1, 2, 2, 3], [5, np.nan, 7, 9, np.inf])
    assert (x.tolist(), mean.tolist()) == ([1, 2], [5, 8])
    assert np.isnan(deviation[0])
    assert deviation[1] == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize(
    ("alpha", "power"), [(0.5, -0.5), (0.25, -0.5), (0.75, -1.0)], ids=["paper", "no decay: by 1/sqrt(h)", "rich"]
)
def test_width_figure_draws_means_bars_and_law(alpha: float, power: float) -> None:
    points = runs(GRID, 5)
    left, middle, right = width_figure(points, law(GRID), alpha).axes
    for ax, name, index, exponent in (
        (left, "distance", 0, 1.0),
        (left, "distance_init", 1, 1.0),
        (middle, "distance", 0, power),
        (middle, "distance_init", 1, power),
        (right, "iterations", 0, 1.0),
    ):
        width, mean, deviation = group(points["width"], points[name])
        line, _, (bars,) = ax.containers[index].lines
        np.testing.assert_allclose(line.get_xdata(), width**exponent)
        np.testing.assert_allclose(line.get_ydata(), mean)
        ends = np.array(bars.get_segments())[:, :, 1]
        np.testing.assert_allclose(ends, np.column_stack([mean - deviation, mean + deviation]))
        assert ax.get_ylim()[0] <= ends.min()
        assert ends.max() <= ax.get_ylim()[1]
    np.testing.assert_allclose(drawn(left, "law, 95 % band")[1], law(GRID)["rms"])


def test_wide_ranges_are_logarithmic() -> None:
    assert [ax.get_xscale() for ax in FIGURES["width"]().axes] == ["linear"] * 3
    assert [ax.get_xscale() for ax in FIGURES["width, decades"]().axes] == ["log"] * 3


@pytest.mark.parametrize(("alpha", "slope"), [(0.5, -0.5), (0.3, -0.1), (0.8, -0.8)])
def test_wide_figure_draws_ratio_and_infinite_width_slope(alpha: float, slope: float) -> None:
    points = runs(DECADES, 3)
    left, right = wide_figure(points, law(DECADES), alpha).axes
    (dots,) = (line for line in right.lines if len(line.get_xdata()) == points["width"].size)
    np.testing.assert_allclose(dots.get_ydata(), points["distance"] * np.sqrt(points["width"]) / CONST)
    (line,) = (line for line in left.lines if "slope" in str(line.get_label()))
    x, y = np.log(line.get_data())
    np.testing.assert_allclose(np.diff(y) / np.diff(x), slope)
    assert y[-1] == pytest.approx(np.log(law(DECADES)["rms"][-1]))


def test_imbalance_figure_draws_cases_in_their_colours() -> None:
    cases = [case(1e-3, certified=case(9e-4)["loss"]), case(3e-4)]
    del cases[1]["bound"]
    left, right = imbalance_figure(cases, STEP, SAMPLES).axes
    assert (left.get_yscale(), right.get_yscale()) == ("linear", "log")
    by_style = {line.get_linestyle(): line for line in right.lines if line.get_color() == right.lines[0].get_color()}
    for style, name in (("-", "loss"), ("--", "bound"), (":", "certified")):
        np.testing.assert_array_equal(by_style[style].get_ydata(), cases[0][name])
    assert len(left.lines) == 3
    assert len(right.lines) == 4


def test_imbalance_figure_marks_what_descent_certifies() -> None:
    descent = {**case(1.1e-3), "certified": case(9e-4)["loss"]}
    left, right = imbalance_figure([case(1e-3, descent=descent)], STEP, SAMPLES).axes
    (marks,) = (line for line in right.lines if line.get_marker() == "x")
    np.testing.assert_array_equal(marks.get_ydata(), descent["certified"])
    assert not any(line.get_marker() == "x" for line in left.lines)
    assert "certified, descent" in labels(right)


def test_imbalance_figure_shows_flow_time_above() -> None:
    figure = FIGURES["imbalance"]()
    png(figure)
    for ax in figure.axes:
        (upper,) = ax.child_axes
        np.testing.assert_allclose(upper.get_xlim(), np.multiply(ax.get_xlim(), 2 * STEP / SAMPLES))
        assert "2\\eta k/n" in upper.get_xlabel()


def test_loss_axis_ends_at_rounding_and_ignores_loose_bounds() -> None:
    deep = FIGURES["imbalance, floor"]().axes[1].get_ylim()
    assert 1e-18 < deep[0] < 1e-15
    high = FIGURES["imbalance, bounds"]().axes[1].get_ylim()[1]
    assert high < 10


def test_companion_figure_names_a_bound_that_is_off_the_scale() -> None:
    (near,), (far,) = FIGURES["companion"]().axes, FIGURES["companion, far"]().axes
    assert not any("off the scale" in label for label in labels(near))
    (text,) = (label for label in labels(far) if "off the scale" in label)
    assert "10²⁸" in text
    assert far.get_ylim()[1] < 1e4
    assert "0.4" in companion_figure(runs(GRID, 5), alpha=0.4).axes[0].get_xlabel()
    infinite = labels(FIGURES["companion, infinite"]().axes[0])
    assert sum("off the scale" in label for label in infinite) == 2
    assert any("∞" in label for label in infinite)


def test_rate_bias_figure_draws_means_of_each_ratio() -> None:
    points = plane([0.1, 1, 10], 4)
    (ax,) = FIGURES["plane"]().axes
    assert ax.get_yscale() == "log"
    (ax,) = rate_bias_figure(points).axes
    offsets = np.asarray(ax.collections[-1].get_offsets())
    np.testing.assert_allclose(offsets[:, 0], points["distance"].reshape(3, 4).mean(axis=1))
    np.testing.assert_allclose(offsets[:, 1], points["rate"][::4])
    assert [text.get_text() for text in ax.texts] == ["0.1", "1", "10"]


def test_alpha_figure_draws_limits_where_they_hold() -> None:
    (ax,) = FIGURES["alpha"]().axes
    styles = [line.get_linestyle() for line in ax.lines]
    assert styles.count("--") == 2
    assert styles.count(":") == 2
    assert ["lazy limit", "rich limit"] == labels(ax)[-2:]


@pytest.mark.parametrize("span", [1e-6, 0.01, 0.3, 1, 2.2, 3, 10, 40, 300])
@pytest.mark.parametrize("low", [3e-7, 0.4, 1.0, 734.0])
def test_log_axes_have_a_few_ticks_within_their_limits(low: float, span: float) -> None:
    ticks, texts = log_ticks(low, low * 10**span)
    assert 2 <= len(ticks) == len(texts) <= 9
    assert np.all((low * (1 - 1e-8) <= ticks) & (ticks <= low * 10**span * (1 + 1e-8)))


def test_linear_axes_have_even_ticks_within_their_limits() -> None:
    ticks, texts = linear_ticks(0, 15600)
    assert texts == ["0", "5,000", "10,000", "15,000"]
    np.testing.assert_allclose(ticks, [0, 5000, 10000, 15000])


@given(
    low=st.floats(-1e300, 1e300), length=st.floats(1e-6, 1e6), size=st.floats(1e-290, 1e290), count=st.integers(1, 8)
)
def test_even_ticks_are_few_and_within_any_limits(low: float, length: float, size: float, count: int) -> None:
    high = low + length * max(abs(low), size)
    ticks, texts = linear_ticks(low, high, count)
    assert len(ticks) == len(texts) <= count + 1
    assert all(
        (ticks / 2 >= low / 2 - 1e-6 * (high / 2 - low / 2)) & (ticks / 2 <= high / 2 + 1e-6 * (high / 2 - low / 2))
    )
    np.testing.assert_allclose(np.diff(ticks, 2) / (high / 2 - low / 2), 0, atol=1e-6)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=4), st.sampled_from([True, False, None]))
def test_any_values_have_an_axis_with_ticks_that_differ(values: list[float], log: bool | None) -> None:
    shown = span(values, log=log)
    assert shown.low < shown.high
    assert len(shown.ticks) == len(shown.labels)
    assert len(set(shown.labels)) == len(shown.labels)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.30000000000000004, "0.3"), (67000, "67,000"), (-2.5, "−2.5"), (1e28, "10²⁸"), (4e-8, "4×10⁻⁸")],
)
def test_numbers_are_written_for_people(value: float, text: str) -> None:
    assert number(value) == text
    assert number(np.inf) == "∞"


def labels(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def drawn(ax: Axes, label: str) -> tuple[Any, Any]:
    (line,) = (line for line in ax.lines if line.get_label() == label)
    return line.get_data()


@pytest.mark.parametrize("count", [0, 1, 7, 8, 30])
def test_as_many_colours_as_are_asked_for_all_differ(count: int) -> None:
    assert len(set(colours(count))) == count
