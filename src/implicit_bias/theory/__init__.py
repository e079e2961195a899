"""The mathematics: pure functions on arrays. Needs numpy and scipy only."""

from implicit_bias.theory.bounds.base import Bound
from implicit_bias.theory.bounds.before import (
    instantaneous_rate,
    lemma_17,
    lemma_18,
    lemma_19,
    margin_bound,
    theorem_1,
    theorem_2,
)
from implicit_bias.theory.bounds.descent import descent_bound, descent_certificate, largest_certified_step
from implicit_bias.theory.bounds.flow import certificate, certified_curve, restarted_margin
from implicit_bias.theory.bounds.registry import RUN_BOUNDS, RunBound
from implicit_bias.theory.comparisons.infinite_width import infinite_width_flow
from implicit_bias.theory.comparisons.linearized import linearized_flow
from implicit_bias.theory.comparisons.ridge import nearest_ridge, ridge_path
from implicit_bias.theory.experiment import train
from implicit_bias.theory.initialization.gaussian import (
    balanced,
    end_to_end_orthogonal,
    in_invariant_set,
    orthogonal_layers,
    scaled,
    standard_normal,
)
from implicit_bias.theory.initialization.registry import INITIALIZATIONS, Initialization, initial_state
from implicit_bias.theory.kernel import kernel_range
from implicit_bias.theory.law.distance import Scaling, distance_law
from implicit_bias.theory.law.limit import large_width_limit
from implicit_bias.theory.law.outputs import excess_risk_law, prediction_band
from implicit_bias.theory.law.prediction import (
    distance_band,
    law_before,
    predict_distance,
    predict_outputs,
    width_for_distance,
    width_for_prediction,
    width_for_risk,
)
from implicit_bias.theory.measure import Evaluation, distance, evaluate
from implicit_bias.theory.networks.deep.law import limit_const
from implicit_bias.theory.networks.two_layer import Imbalance, State, imbalance, imbalance_spectrum, reduce_network
from implicit_bias.theory.problem import Problem, reparametrize
from implicit_bias.theory.solvers.descent import Descent, DivergenceError, gradient_descent, largest_step_estimate
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.momentum import momentum_descent
from implicit_bias.theory.solvers.registry import SOLVERS, Solver
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.solvers.trajectory import Trajectory
from implicit_bias.theory.synthetic import draw_data

__all__ = [
    "INITIALIZATIONS",
    "RUN_BOUNDS",
    "SOLVERS",
    "Bound",
    "Descent",
    "DivergenceError",
    "Evaluation",
    "Imbalance",
    "Initialization",
    "Problem",
    "RunBound",
    "Scaling",
    "Solver",
    "State",
    "Stop",
    "Trajectory",
    "balanced",
    "certificate",
    "certified_curve",
    "descent_bound",
    "descent_certificate",
    "distance",
    "distance_band",
    "distance_law",
    "draw_data",
    "end_to_end_orthogonal",
    "evaluate",
    "excess_risk_law",
    "gradient_descent",
    "gradient_flow",
    "imbalance",
    "imbalance_spectrum",
    "in_invariant_set",
    "infinite_width_flow",
    "initial_state",
    "instantaneous_rate",
    "kernel_range",
    "large_width_limit",
    "largest_certified_step",
    "largest_step_estimate",
    "law_before",
    "lemma_17",
    "lemma_18",
    "lemma_19",
    "limit_const",
    "linearized_flow",
    "margin_bound",
    "momentum_descent",
    "nearest_ridge",
    "orthogonal_layers",
    "predict_distance",
    "predict_outputs",
    "prediction_band",
    "reduce_network",
    "reparametrize",
    "restarted_margin",
    "ridge_path",
    "scaled",
    "standard_normal",
    "theorem_1",
    "theorem_2",
    "train",
    "width_for_distance",
    "width_for_prediction",
    "width_for_risk",
]
