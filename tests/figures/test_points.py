"""The figures of points: small SVG plots that draw the numbers they are given, and survive what a run can be."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from implicit_bias.figures.palette import COLOURS, GREY, LIGHT
from implicit_bias.figures.point import point_figure
from implicit_bias.figures.points import activation_point_figure
from implicit_bias.figures.sketch import Line, Panel, Sketch
from implicit_bias.figures.spans import span

LOSSES = ("excess", "bound", "certified")
SVG = "{http://www.w3.org/2000/svg}"


def record(points: int = 80) -> dict[str, Any]:
    k = np.linspace(0, 67000, points)
    return {
        "curve/iteration": k,
        "curve/excess": 1.1 * np.exp(-18 * k / 67000),
        "curve/bound": 1.1 * np.exp(-9 * k / 67000),
        "curve/certified": 1.1 * np.exp(-14 * k / 67000),
        "curve/distance": np.hypot(0.79, 0.9 * np.exp(-k / 9000)),
        "curve/u2v": 0.79 - 0.03 * np.exp(-k / 9000),
        "metric/law_rms": 0.785,
    }


def predictions(rows: int = 30) -> dict[str, Any]:
    mean = np.linspace(-1, 2, rows)[:, None]
    return {
        "curve/iteration": np.arange(40),
        "curve/excess": np.exp(-np.arange(40)),
        "predictions": mean + 0.1,
        "mean": mean,
        "std": np.full_like(mean, 0.2),
    }


SKETCHES: dict[str, Callable[[], Sketch]] = {
    "point": lambda: point_figure(record()),
    "two samples": lambda: point_figure(record(2)),
    "one sample": lambda: point_figure(record(1)),
    "no bounds": lambda: point_figure(
        {name: value for name, value in record().items() if name not in ("curve/bound", "curve/certified")}
    ),
    "zero loss": lambda: point_figure({**record(), "curve/excess": np.zeros(80)}),
    "infinite bound": lambda: point_figure({**record(), "curve/bound": np.full(80, np.inf)}),
    "activation": lambda: activation_point_figure(predictions()),
    "activation, one row": lambda: activation_point_figure(predictions(1)),
}


@pytest.mark.parametrize("name", SKETCHES)
def test_sketch_is_a_light_picture_with_labelled_axes(name: str) -> None:
    sketch = SKETCHES[name]()
    image = sketch.svg()
    assert len(image) < 20_000
    assert image == SKETCHES[name]().svg()
    root = ET.fromstring(image)
    assert root.find(f"{SVG}title").text == sketch.title
    texts = [element.text for element in root.iter(f"{SVG}text")]
    for panel in sketch.panels:
        assert {panel.xlabel, panel.ylabel, *(line.label for line in panel.lines if line.label)} <= set(texts)
        for axis in (panel.x, panel.y):
            assert np.isfinite([axis.low, axis.high]).all()
            assert axis.low < axis.high
            assert 1 <= len(axis.ticks) == len(axis.labels) <= 9
        assert {line.colour for line in panel.lines} <= {*COLOURS, GREY, LIGHT}
    assert b"nan" not in image


def places(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)]


def test_curves_are_where_the_ticks_say() -> None:
    ticks = [1.0, 10.0, 100.0]
    up, across = span(ticks, log=True), span([0.0, 4.0], log=False)
    panel = Panel([Line([0.0, 2.0, 4.0], ticks, "#0072B2")], across, up, "x", "y")
    root = ET.fromstring(Sketch("a line", [panel]).svg())
    drawn = next(path.get("d") for path in root.iter(f"{SVG}path") if path.get("stroke") == "#0072B2")
    grid = next(path.get("d") for path in root.iter(f"{SVG}path") if path.get("stroke") == LIGHT)
    verticals = [float(x) for x in re.findall(r"M([\d.]+) 0V", grid)]
    levels = [float(y) for y in re.findall(r"M0 ([\d.]+)H", grid)]
    at = dict(zip(across.labels, verticals, strict=True)) | dict(zip(up.labels, levels, strict=True))
    names = [("0", "10⁰" if "10⁰" in at else "1"), ("2", "10¹" if "10¹" in at else "10"), ("4", "10²")]
    assert names[0][1] in at
    assert places(drawn) == [(at[x], at[y if y in at else "100"]) for x, y in names]


def test_gaps_stay_gaps() -> None:
    y = [1.0, 2.0, np.nan, 3.0, -1.0, 4.0, 5.0, 0.0]
    panel = Panel([Line(np.arange(8), y, "#0072B2")], span([0, 7], log=False), span([1, 5], log=True), "x", "y")
    (path,) = (
        path.get("d")
        for path in ET.fromstring(Sketch("gaps", [panel]).svg()).iter(f"{SVG}path")
        if path.get("stroke") == "#0072B2"
    )
    assert re.sub(r"[^ML]", "", path) == "MLMML"


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=30))
def test_any_numbers_give_a_picture(values: list[float]) -> None:
    curve = np.asarray(values)
    lines = [Line(np.arange(curve.size), curve, "#0072B2", "any <&> label", style) for style in ("-", "--", ":", "o")]
    for log in (True, False):
        panel = Panel(lines, span(np.arange(curve.size), log=False), span(curve, log=log), "x", "y")
        image = Sketch("any", [panel]).svg()
        ET.fromstring(image)
        numbers = [float(number) for number in re.findall(r"[ML\"](-?[\d.]+)", image.decode())]
        assert np.isfinite(numbers).all()
        assert b"nan" not in image


def test_point_figure_draws_the_record() -> None:
    given_record = record()
    left, right = point_figure(given_record).panels
    assert [line.style for line in left.lines] == ["-", "--", ":"]
    np.testing.assert_array_equal([line.y for line in left.lines], [given_record[f"curve/{n}"] for n in LOSSES])
    np.testing.assert_array_equal(right.lines[0].y, given_record["curve/distance"])
    np.testing.assert_array_equal(right.lines[1].y, given_record["curve/u2v"])
    np.testing.assert_array_equal(right.lines[2].y, np.full(80, given_record["metric/law_rms"]))


def test_point_figure_draws_every_bound_that_says_something_else() -> None:
    shown = record()
    shown |= {"curve/margin": shown["curve/bound"], "curve/restart": shown["curve/bound"] ** 1.3}
    left, _ = point_figure(shown).panels
    assert [line.label for line in left.lines] == [
        "measured",
        "guaranteed: Theorem 1",
        "certified: rate of the run",
        "certified: restarted margin",
    ]
    descent = {name: value for name, value in record().items() if name != "curve/certified"}
    left, _ = point_figure(descent | {"curve/stepwise": record()["curve/certified"]}).panels
    assert [line.label for line in left.lines] == [
        "measured",
        "guaranteed: Theorem 1 of the flow",
        "certified: step by step",
    ]


@pytest.mark.parametrize(("factor", "drawn_points"), [(2.0, 80), (50.0, 0), (np.inf, 0)])
def test_point_figure_names_a_certificate_that_is_far_above(factor: float, drawn_points: int) -> None:
    shown = record()
    _, right = point_figure(shown | {"curve/path": factor * shown["curve/u2v"]}).panels
    (line,) = (line for line in right.lines if line.label.startswith("certified"))
    assert np.size(line.x) == drawn_points
    assert (":" in line.label) == (drawn_points == 0)
    assert right.y.high < 5


def test_activation_point_figure_draws_the_law() -> None:
    shown = predictions()
    _, right = activation_point_figure(shown).panels
    band, mean, own = right.lines
    np.testing.assert_allclose(np.asarray(band.upper) - np.asarray(band.y), 4 * shown["std"].ravel())
    np.testing.assert_array_equal(mean.y, shown["mean"].ravel())
    np.testing.assert_array_equal(own.y, shown["predictions"].ravel())


def test_a_curve_that_leaves_its_panel_keeps_its_slope() -> None:
    panel = Panel([Line([0.0, 1.0], [0.5, 1000.5], "#0072B2")], span([0.0, 1.0], log=False), span([0, 1]), "x", "y")
    root = ET.fromstring(Sketch("steep", [panel]).svg())
    (path,) = (each.get("d") for each in root.iter(f"{SVG}path") if each.get("stroke") == "#0072B2")
    (x0, y0), (x1, y1) = places(path)
    height = 200 / (panel.y.high - panel.y.low)
    width = 250 / (panel.x.high - panel.x.low)
    assert (y1 - y0) / (x1 - x0) == pytest.approx(-1000 * height / width, rel=1e-3)


def test_a_band_has_no_corner_where_there_is_no_number() -> None:
    line = Line(np.arange(3), [0.0, np.nan, 1.0], LIGHT, "band", upper=[1.0, 2.0, 2.0])
    panel = Panel([line], span([0, 2], log=False), span([0, 2], log=False), "x", "y")
    image = Sketch("band", [panel]).svg()
    assert b"nan" not in image
    (band,) = ET.fromstring(image).iter(f"{SVG}polygon")
    assert len(band.get("points").split()) == 4
