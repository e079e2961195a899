"""Exact scalings: what a change of units of X, Y, U and V does to every exported function of a run's theory.

Let X -> g X, Y -> g s^2 Y, U -> s U, V -> s V with powers of ten g and s. Then M, U V^T -> s^2, sigma -> g,
E -> g s^2, L -> g^2 s^4, Lambda -> s^2, and flow time t -> t / (g^2 s^2): the orbit is the same.
The table gives the power of g and of
s by which each result is multiplied; every one holds to 1e-9 over twelve decades of either.
"""

from functools import cache

import numpy as np
import pytest

import implicit_bias.theory as ib
from implicit_bias.theory.bounds.descent import descent_bound
from implicit_bias.theory.comparisons.ridge import ridge_path
from implicit_bias.theory.law.correction import marginal_quantile, path_free_correction, trace_deviation
from implicit_bias.theory.law.limit import asymptotic_rate, kernel_change, lazy_distance, rich_distance
from implicit_bias.theory.law.outputs import unseen_spectrum
from implicit_bias.theory.law.prediction import predict_band

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((6, 4)) @ RNG.standard_normal((4, 9)) / 2, RNG.standard_normal((6, 2))
U, V = 0.5 * RNG.standard_normal((9, 20)), 0.6 * RNG.standard_normal((2, 20))
XT = RNG.standard_normal((3, 9))
H = 50.0
TIMES = np.array([0.01, 0.03, 0.1])


class Case:
    """The one problem, in other units."""

    def __init__(self, g, s):
        self.g, self.s, self.a, self.b = g, s, 1.5 * s**2, 0.7 * s**2
        self.p = ib.reparametrize(g * X, g * s**2 * Y)
        self.state = ib.reduce_network(self.p, s * U, s * V)
        self.imbalance = ib.imbalance(self.state)
        self.t = TIMES / (g * s) ** 2
        self.unseen = unseen_spectrum(self.p, g * XT)
        self.scaling = ib.Scaling(0.5, s * np.sqrt(1.5), s * np.sqrt(0.7))
        self.VVt = ib.large_width_limit(self.p, self.a, self.b).VVt
        self.eta = 0.001 / (g * s) ** 2

    def flow(self, state=None):
        return ib.gradient_flow(self.p, state or self.state, self.t[:-1], ib.Stop(t_max=self.t[-1]), "explicit", 1e-10)

    def trained(self, solver):
        stop = ib.Stop(t_max=6 * self.p.flow_time(1, self.eta))
        return ib.train(self.p, self.state, solver, self.eta, stop, 3, 1e-10)[0]

    def descent(self, method=ib.gradient_descent):
        return method(self.p, self.state, self.eta, [1, 2, 3, 5], ib.Stop(t_max=6 * self.p.flow_time(1, self.eta)))

    @property
    def step(self):
        return float(self.p.flow_time(1, self.eta))


def excess0(c):
    return float(0.5 * np.sum((c.p.Y_tilde - c.p.sigma[:, None] * (c.state.U1 @ c.state.V.T)) ** 2))


def ending(c):
    return np.linalg.norm(c.state.R @ c.state.U2.T)


TABLE = {
    "reparametrize": (0, 2, lambda c: c.p.min_norm_solution),
    "reparametrize, loss floor": (2, 4, lambda c: c.p.loss_floor),
    "reduce_network": (0, 2, lambda c: c.state.R @ c.state.R.T),
    "imbalance": (0, 2, lambda c: c.imbalance.c),
    "imbalance_spectrum": (0, 2, lambda c: ib.imbalance_spectrum(c.state)),
    "kernel_range": (2, 2, lambda c: ib.kernel_range(c.p, c.state.R)),
    "balanced": (0, 2, lambda c: ib.balanced(c.p, c.state).R @ ib.balanced(c.p, c.state).R.T),
    "orthogonal_layers": (0, 1, lambda c: ib.orthogonal_layers(c.state).V),
    "end_to_end_orthogonal": (0, 1, lambda c: ib.end_to_end_orthogonal(c.state).U2),
    "instantaneous_rate": (2, 2, lambda c: ib.instantaneous_rate(c.p, c.imbalance, c.state.U1 @ c.state.V.T)),
    "theorem_1": (2, 4, lambda c: ib.theorem_1(c.p, c.imbalance, c.t, excess0(c)).value),
    "margin_bound": (2, 4, lambda c: ib.margin_bound(c.p, c.imbalance, c.t, excess0(c), 0.1 * c.g * c.s**2).value),
    "gradient_flow": (2, 4, lambda c: c.flow().excess),
    "gradient_flow, exponential": (
        0,
        2,
        lambda c: ib.gradient_flow(c.p, c.state, c.t, ib.Stop(), "exponential", 1e-11).product[:-1],
    ),
    "gradient_descent": (2, 4, lambda c: c.descent().excess),
    "momentum_descent": (2, 4, lambda c: c.descent(ib.momentum_descent).excess),
    "train": (0, 2, lambda c: c.trained("gradient_descent").product),
    "largest_step_estimate": (-2, -2, lambda c: ib.largest_step_estimate(c.p, c.state)),
    "largest_certified_step": (-2, -2, lambda c: ib.largest_certified_step(c.p, c.state)),
    "certified_curve": (2, 4, lambda c: ib.certified_curve(c.p, c.imbalance, c.flow()).value),
    "restarted_margin": (2, 4, lambda c: ib.restarted_margin(c.p, c.imbalance, c.flow()).value),
    "certificate": (0, 2, lambda c: ib.certificate(c.p, c.imbalance, c.flow(), ending(c)).value),
    "descent_bound": (2, 4, lambda c: descent_bound(c.p, c.descent(), c.step).stated),
    "descent_certificate": (0, 2, lambda c: ib.descent_certificate(c.p, c.descent(), c.step, ending(c)).stated),
    "linearized_flow": (0, 2, lambda c: ib.linearized_flow(c.p, c.state).product(c.t)),
    "infinite_width_flow": (0, 2, lambda c: ib.infinite_width_flow(c.p, c.a, c.b, c.t, 1e-11).product),
    "ridge_path": (0, 2, lambda c: ridge_path(c.p, [0.3 * c.g**2])),
    "nearest_ridge, gap": (0, 0, lambda c: ib.nearest_ridge(c.p, 0.7 * c.p.min_norm_coordinates[None])[1]),
    "large_width_limit": (0, 2, lambda c: c.VVt),
    "asymptotic_rate": (2, 2, lambda c: asymptotic_rate(c.p, ib.large_width_limit(c.p, c.a, c.b))),
    "kernel_change": (0, 0, lambda c: kernel_change(c.p, ib.large_width_limit(c.p, c.a, c.b))),
    "trace_deviation": (0, 2, lambda c: trace_deviation(c.p, c.a, c.b)),
    "path_free_correction": (0, 2, lambda c: path_free_correction(c.p, c.a, c.b).value),
    "marginal_quantile": (
        0,
        2,
        lambda c: [marginal_quantile(c.p, c.a, c.b, H, path_free_correction(c.p, c.a, c.b), q) for q in (0.03, 0.9)],
    ),
    "distance": (0, 2, lambda c: ib.distance(c.p, c.state, c.flow())),
    "distance_band": (0, 2, lambda c: ib.distance_band(c.p, H, c.scaling)),
    "distance_law": (0, 2, lambda c: ib.distance_law(c.p, c.VVt, c.s).upper(0.05)),
    "lazy_distance": (0, 2, lambda c: lazy_distance(c.p, c.s, c.b)),
    "rich_distance": (0, 2, lambda c: rich_distance(c.p, c.s)),
    "excess_risk_law": (1, 2, lambda c: ib.excess_risk_law(c.p, c.unseen, c.VVt, c.s).quantile(0.3)),
    "prediction_band": (1, 2, lambda c: ib.prediction_band(c.p, c.g * XT, c.VVt, c.s).upper),
    "law_before": (0, 2, lambda c: ib.law_before(c.p, c.a, c.b, H).quantile(0.2)),
    "predict_band": (0, 2, lambda c: predict_band(c.p, c.a, c.b, H, 0.1)),
    "predict_distance, narrow": (0, 2, lambda c: ib.predict_distance(c.p, [3], c.scaling).rms),
    "predict_outputs": (1, 2, lambda c: ib.predict_outputs(c.p, c.g * XT, H, c.scaling).lower),
    "width_for_distance": (0, 0, lambda c: ib.width_for_distance(c.p, 0.1 * c.s**2, 0.05, c.scaling)),
    "width_for_prediction": (
        0,
        0,
        lambda c: ib.width_for_prediction(c.p, c.g * XT, 0.2 * c.g * c.s**2, 0.05, c.scaling),
    ),
    "width_for_risk": (0, 0, lambda c: ib.width_for_risk(c.p, c.unseen, 0.01 * (c.g * c.s**2) ** 2, 0.05, c.scaling)),
    "evaluate": (
        0,
        2,
        lambda c: [ib.evaluate(c.p, c.state, c.flow(), c.s, c.s, None, 0.05).metrics[n] for n in METRICS],
    ),
}


@cache
def in_own_units(name):
    return np.asarray(TABLE[name][2](Case(1.0, 1.0)), float)


METRICS = ("distance", "law_rms", "law_bound", "law_rms_run", "certificate", "imbalance_c")


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize(("g", "s"), [(1e12, 1.0), (1e-12, 1e6), (1.0, 1e-6)])
def test_results_scale_with_the_units(name, g, s):
    power_g, power_s, result = TABLE[name]
    expected = in_own_units(name) * g**power_g * s**power_s
    np.testing.assert_allclose(
        np.asarray(result(Case(g, s)), float), expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max()
    )


UNSCALED = {
    "INITIALIZATIONS", "RUN_BOUNDS", "SOLVERS",  # registries
    "Bound", "Descent", "DivergenceError", "Evaluation", "Imbalance", "Initialization", "Problem", "RunBound",
    "Scaling", "Solver", "State", "Stop", "Trajectory",  # what the functions take and give
    "in_invariant_set", "initial_state", "scaled", "standard_normal", "draw_data",  # draws: their scale is an argument
    "lemma_17", "lemma_18", "lemma_19", "theorem_2", "limit_const",  # of weights whose scale is h^-alpha
}  # fmt: skip
"""Exported names that are no functions of a problem and of weights in units of one's own."""


def test_every_exported_function_is_scaled():
    covered = {name.split(",")[0] for name in TABLE}
    assert not UNSCALED & covered
    assert set(ib.__all__) - UNSCALED <= covered
