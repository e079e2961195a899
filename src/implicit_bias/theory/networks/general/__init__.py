"""Any network that is linear in its input, given by its end-to-end matrix as a function of its weights."""

from implicit_bias.theory.networks.general.check import check_functions, draw_checked
from implicit_bias.theory.networks.general.linear import LinearNetwork, linear_network
from implicit_bias.theory.networks.general.measure import measure_run
from implicit_bias.theory.networks.general.training import SOLVERS, GeneralRun, train_weights

__all__ = [
    "SOLVERS",
    "GeneralRun",
    "LinearNetwork",
    "check_functions",
    "draw_checked",
    "linear_network",
    "measure_run",
    "train_weights",
]
