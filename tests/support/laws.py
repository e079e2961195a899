"""Problems and runs that the tests of the law share."""

from functools import cache

import numpy as np
from scipy.integrate import solve_ivp

from implicit_bias.theory.law.limit import (
    asymptotic_rate,
    large_width_limit,
)
from implicit_bias.theory.networks.two_layer import reduce_network
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.trajectory import velocity

FALSE_ALARM = 1e-4


@cache
def make_problem(r=3, m=1, D=10, spread=1.0, theta=1.0, seed=0):
    """A problem of rank r whose singular values run from 1 down to 1 / spread."""
    rng = np.random.default_rng([seed, r, m, D])
    return Problem(
        n=r,
        sigma=np.geomspace(1, 1 / spread, r),
        Phi1=np.linalg.qr(rng.standard_normal((D, r)))[0],
        Y_tilde=np.geomspace(1, 1 / spread, r)[:, None] * rng.standard_normal((r, m)) * theta / np.sqrt(r),
        loss_floor=0.0,
    )


def block_scalar(problem, a, b):
    return np.diag(np.sqrt(np.repeat([a, b], [problem.r, problem.m])))


def flow_limit(problem, R0, rtol=1e-9, decay=46.0):
    """R(inf) of the reduced flow: DOP853 for decay e-folds of the slowest error mode."""
    rate = asymptotic_rate(problem, large_width_limit(problem, *scales_of(problem, R0))) / 2
    shape = R0.shape
    solution = solve_ivp(
        lambda _, y: velocity(problem, y.reshape(shape)).ravel(),
        (0, decay / rate), R0.ravel(), method="DOP853", rtol=rtol, atol=rtol * np.abs(R0).max(),
    )  # fmt: skip
    return solution.y[:, -1].reshape(shape)


def scales_of(problem, R0):
    U1, V = R0[: problem.r], R0[problem.r :]
    return np.sum(U1**2) / problem.r, np.sum(V**2) / problem.m


def sampled_run(problem, h, scaling, rng, decay=25.0):
    """(V V^T(inf), U V^T(inf)) of a Gaussian network of width h drawn entry by entry."""
    U = scaling.sigma_U(h) * rng.standard_normal((problem.D, h))
    V = scaling.gain_V * h**-scaling.alpha * rng.standard_normal((problem.m, h))
    state = reduce_network(problem, U, V)
    O = np.linalg.qr(np.vstack([problem.Phi1.T @ U, V]).T)[0]
    R = flow_limit(problem, state.R, decay=decay)
    V_end = R[problem.r :]
    U2 = U @ O - problem.Phi1 @ (problem.Phi1.T @ (U @ O))
    return V_end @ V_end.T, problem.Phi1 @ (R[: problem.r] @ V_end.T) + U2 @ V_end.T


SHAPES = [(3, 1), (4, 2), (2, 3), (1, 1)]


SCALES = [(1.0, 1.0), (9.0, 0.09), (0.09, 9.0), (0.04, 0.04), (1e-9, 1e-9), (1e6, 1e6)]
