"""The figures: pure functions from arrays to matplotlib figures. Units and symbols are the paper's."""

from implicit_bias.figures.activations import activation_point_figure, activations_figure, frozen_figure
from implicit_bias.figures.claims import claims_figure
from implicit_bias.figures.depth import depth_figure, laws_of_depths
from implicit_bias.figures.questions import questions_figure
from implicit_bias.figures.scales import scales_cost_figure, scales_figure
from implicit_bias.figures.style import png
from implicit_bias.figures.sweeps import (
    alpha_figure,
    companion_figure,
    imbalance_figure,
    point_figure,
    rate_bias_figure,
    wide_figure,
    width_figure,
)
from implicit_bias.figures.universality import universality_figure

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
