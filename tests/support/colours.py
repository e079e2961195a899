"""Whether the colours of a figure can be told apart with any colour vision."""

from itertools import combinations, pairwise

import matplotlib.colors
from matplotlib.figure import Figure

from implicit_bias.figures import palette
from tests.support.vision import DEFICIENCIES, lab, least_difference

LEAST = 10.0  # CIEDE2000; differences from about 2 on are seen side by side, and lines are thin and apart
PALETTE = [*palette.COLOURS, palette.GREY]


def check_colours(figure: Figure) -> None:
    """Any two colours of lines, as drawn, differ, or are of a scale that is ordered by lightness."""
    lines = [line for ax in figure.axes for line in ax.get_lines()]
    lines += [line for ax in figure.axes if (legend := ax.get_legend()) for line in legend.get_lines()]
    used = {matplotlib.colors.to_hex(line.get_color()).upper() for line in lines} - {"#FFFFFF", palette.LIGHT.upper()}
    assert used
    categories = used & {colour.upper() for colour in PALETTE}
    for first, second in combinations(sorted(categories), 2):
        assert least_difference(first, second) >= LEAST, (first, second)
    scale = sorted(used - categories, key=lambda colour: lab(colour)[0])
    for deficiency in DEFICIENCIES:
        assert all(lab(first, deficiency)[0] < lab(second, deficiency)[0] for first, second in pairwise(scale))
