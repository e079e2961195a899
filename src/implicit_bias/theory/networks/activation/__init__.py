"""One hidden layer with an activation: training, the frozen law, kernels, and one point of a sweep."""

from implicit_bias.theory.networks.activation.activations import ACTIVATIONS, Activation, activation, own_activation
from implicit_bias.theory.networks.activation.experiment import draw_network, measure, reduce_network, train
from implicit_bias.theory.networks.activation.frozen import deviation_law, frozen_law, prediction_band
from implicit_bias.theory.networks.activation.network import Model
from implicit_bias.theory.networks.activation.points import read_points
from implicit_bias.theory.networks.activation.samples import read_samples

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Model",
    "activation",
    "deviation_law",
    "draw_network",
    "frozen_law",
    "measure",
    "own_activation",
    "prediction_band",
    "read_points",
    "read_samples",
    "reduce_network",
    "train",
]
