"""The figures: pure functions from arrays to matplotlib figures. Units and symbols are the paper's.

Solid lines and points are measured, dashed lines are guaranteed before training, dotted lines are certified after it,
black lines with a grey band are the law of the min-norm distance with its 90 % band: predicted, not fitted.
Layouts and ticks are fixed in advance, which keeps drawing fast and equal inputs equal to the byte.
"""

from implicit_bias.figures.activations import activation_point_figure, activations_figure, frozen_figure
from implicit_bias.figures.claims import claims_figure
from implicit_bias.figures.depth import depth_figure, laws_of_depths
from implicit_bias.figures.imbalance import imbalance_figure, rate_bias_figure
from implicit_bias.figures.point import point_figure
from implicit_bias.figures.questions import questions_figure
from implicit_bias.figures.scales import scales_cost_figure, scales_figure
from implicit_bias.figures.style import png
from implicit_bias.figures.universality import universality_figure
from implicit_bias.figures.widths import alpha_figure, companion_figure, wide_figure, width_figure

__all__ = [
    "activation_point_figure",
    "activations_figure",
    "alpha_figure",
    "claims_figure",
    "companion_figure",
    "depth_figure",
    "frozen_figure",
    "imbalance_figure",
    "laws_of_depths",
    "png",
    "point_figure",
    "questions_figure",
    "rate_bias_figure",
    "scales_cost_figure",
    "scales_figure",
    "universality_figure",
    "wide_figure",
    "width_figure",
]
