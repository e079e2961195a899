"""The mathematics: pure functions on arrays. Needs numpy and scipy only."""

from implicit_bias.theory.bounds.before import (
    Bound,
    instantaneous_rate,
    lemma_17,
    lemma_18,
    lemma_19,
    margin_bound,
    theorem_1,
    theorem_2,
)
from implicit_bias.theory.bounds.certificates import (
    certificate,
    certified_curve,
    descent_bound,
    descent_certificate,
    largest_certified_step,
    restarted_margin,
)
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
from implicit_bias.theory.kernel import kernel_range
from implicit_bias.theory.law.distance import (
    Scaling,
    distance_law,
    excess_risk_law,
    large_width_limit,
    prediction_band,
)
from implicit_bias.theory.law.prediction import (
    law_before,
    predict_distance,
    predict_outputs,
    width_for_distance,
    width_for_prediction,
    width_for_risk,
)
from implicit_bias.theory.measure import Evaluation, evaluate
from implicit_bias.theory.networks.deep.law import limit_const
from implicit_bias.theory.networks.two_layer import Imbalance, State, imbalance, imbalance_spectrum, reduce_network
from implicit_bias.theory.problem import Problem, reparametrize
from implicit_bias.theory.solvers.descent import Descent, DivergenceError, gradient_descent, largest_step_estimate
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.solvers.trajectory import Trajectory
from implicit_bias.theory.synthetic import draw_data

__all__ = [
    "Bound",
    "Descent",
    "DivergenceError",
    "Evaluation",
    "Imbalance",
    "Problem",
    "Scaling",
    "State",
    "Stop",
    "Trajectory",
    "balanced",
    "certificate",
    "certified_curve",
    "descent_bound",
    "descent_certificate",
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
