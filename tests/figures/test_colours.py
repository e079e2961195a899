"""The figures can be read with any colour vision, simulated for protanopes, deuteranopes and tritanopes."""

import re
from itertools import combinations, pairwise
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import implicit_bias.figures
from implicit_bias.figures import interactive, palette, style
from implicit_bias.figures.imbalance import RATIOS
from tests.support.colours import LEAST, PALETTE
from tests.support.vision import DEFICIENCIES, difference, lab, least_difference, linear_rgb

ORDERED = (8, 12, 20)  # more colours than the palette has


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [  # Sharma, Wu and Dalal (2005), table 1
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1, 2), (50, 0, 0), 2.3669),
        ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_difference_is_that_of_the_reference(first, second, expected):
    assert difference(np.array(first, float), np.array(second, float)) == pytest.approx(expected, abs=5e-5)


def test_simulated_vision_keeps_greys_and_confuses_what_it_should():
    for matrix in DEFICIENCIES.values():
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=2e-6)
    np.testing.assert_allclose(lab("white"), [100, 0, 0], atol=1e-2)
    red, green = "#b04040", "#607030"
    assert difference(lab(red), lab(green)) > 30
    assert difference(lab(red, "deuteranopia"), lab(green, "deuteranopia")) < LEAST


@pytest.mark.parametrize(("first", "second"), list(combinations(PALETTE, 2)))
def test_any_two_colours_of_the_palette_differ(first, second):
    assert least_difference(first, second) >= LEAST


@pytest.mark.parametrize("colour", PALETTE)
def test_every_colour_differs_from_the_page_and_from_bands(colour):
    assert least_difference(colour, "white") >= LEAST
    assert least_difference(colour, palette.LIGHT) >= LEAST


def test_figures_draw_with_colours_of_the_palette_alone():
    known = {*PALETTE, palette.LIGHT, interactive.NEUTRAL, "#8C8C8C"}  # the last is the middle of RATIOS
    for file in Path(implicit_bias.figures.__file__).parent.glob("*.py"):
        for colour in re.findall(r"#[0-9A-Fa-f]{6}\b|(?<=color=\")[a-z:]+(?=\")", file.read_text("utf-8")):
            assert colour in {*known, "white", "none"}, f"{file.name}: {colour}"


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("count", ORDERED)
def test_longer_scales_keep_their_order_by_lightness(count, deficiency):
    lightness = [lab(colour, deficiency)[0] for colour in style.colours(count)]
    assert all(first < second for first, second in pairwise(lightness))


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_the_two_sides_of_the_ratios_differ(deficiency):
    low, middle, high = (lab(matplotlib.colors.to_hex(RATIOS(x)), deficiency) for x in (0.0, 0.5, 1.0))
    assert min(difference(low, middle), difference(middle, high), difference(low, high)) >= LEAST


def test_grey_text_has_the_contrast_of_wcag_aa():
    luminance = linear_rgb(style.GREY) @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (luminance + 0.05) >= 4.5
