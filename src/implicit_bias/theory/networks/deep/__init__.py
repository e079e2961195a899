"""Deep linear networks of any depth and width: exact reduction, training, law and bounds (docs/depth.md)."""

from implicit_bias.theory.networks.deep.descent import DeepDescent, deep_descent, largest_deep_step
from implicit_bias.theory.networks.deep.evaluation import evaluate_deep
from implicit_bias.theory.networks.deep.experiment import LevelBudgetError, train_deep
from implicit_bias.theory.networks.deep.flow import deep_flow
from implicit_bias.theory.networks.deep.law import (
    SimulatedDistance,
    deep_width_for_distance,
    end_gram,
    limit_const,
    simulate_distance,
)
from implicit_bias.theory.networks.deep.record import DeepTrajectory, LeakError
from implicit_bias.theory.networks.deep.starts import (
    DeepScaling,
    gaussian_deep,
    infinite_deep,
    orthogonal_deep,
    reduce_deep,
    unfold,
)
from implicit_bias.theory.networks.deep.state import DeepState, balanced_deep
from implicit_bias.theory.networks.deep.unfolding import Fixed, Unfolding

__all__ = [
    "DeepDescent",
    "DeepScaling",
    "DeepState",
    "DeepTrajectory",
    "Fixed",
    "LeakError",
    "LevelBudgetError",
    "SimulatedDistance",
    "Unfolding",
    "balanced_deep",
    "deep_descent",
    "deep_flow",
    "deep_width_for_distance",
    "end_gram",
    "evaluate_deep",
    "gaussian_deep",
    "infinite_deep",
    "largest_deep_step",
    "limit_const",
    "orthogonal_deep",
    "reduce_deep",
    "simulate_distance",
    "train_deep",
    "unfold",
]
