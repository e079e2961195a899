"""Solutions of the gradient flow that share no code with the integrators under test, and problems to try them on."""

from itertools import dropwhile
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.trajectory import Step


def spectrum_problem(sigma: Array, m: int, seed: int = 0, size: float = 1.0) -> Problem:
    """A problem with the given singular values (r,) and ||Theta^||_F about size sqrt(m)."""
    r = len(sigma)
    M = size * np.random.default_rng(seed).standard_normal((r, m)) / np.sqrt(r)
    return Problem(n=r, sigma=np.asarray(sigma, float), Phi1=np.eye(r), Y_tilde=sigma[:, None] * M, loss_floor=0.0)


def conditioned_problem(r: int, m: int, cond: float, seed: int = 0, size: float = 1.0) -> Problem:
    """A problem whose Sigma_x has a geometric spectrum from 1 down to 1 / cond."""
    return spectrum_problem(np.geomspace(1, cond**-0.5, r), m, seed, size)


def gaussian_state(r: int, m: int, h: int, scale: float | None = None, seed: int = 1) -> Array:
    """(r + m, min(h, r + m)) reduced state of a network with i.i.d. normal entries of standard deviation `scale`
    (None: h^{-1/2})."""
    P = np.random.default_rng(seed).standard_normal((r + m, h)) * (h**-0.5 if scale is None else scale)
    return np.linalg.qr(P.T, mode="r").T


def balanced_state(problem: Problem, size: float, seed: int = 2) -> Array:
    """(r + m, m) state with U1^T U1 = V^T V and U1 V^T = Theta0, a random matrix of the given entry size."""
    Theta0 = size * np.random.default_rng(seed).standard_normal((problem.r, problem.m))
    w, q = np.linalg.eigh(Theta0.T @ Theta0)
    return np.vstack([Theta0 @ (q * w**-0.25) @ q.T, (q * w**0.25) @ q.T])


def states(steps: list[Step], times: Array) -> Array:
    """Dense output (T, k, k') of accepted steps at increasing times."""
    out, rest = [], iter(steps)
    step = next(rest)
    for t in times:
        if step.t1 < t:
            step = next(dropwhile(lambda s, t=t: s.t1 < t, rest))
        out.append(step.at(t))
    return np.array(out)


def losses(problem: Problem, R: Array) -> Array:
    """Excess losses (T,) of states (T, k, k')."""
    E = problem.Y_tilde - problem.sigma[:, None] * (R[:, : problem.r] @ np.swapaxes(R[:, problem.r :], 1, 2))
    return 0.5 * np.sum(E**2, axis=(1, 2))


def tight_flow(problem: Problem, R0: Array, times: Array) -> Array:
    """States (T, k, k') by an explicit Runge-Kutta method at its tightest tolerance; for what is not stiff."""
    r, sigma = problem.r, problem.sigma[:, None]

    def f(_: float, y: Array) -> Array:
        U1, V = np.split(y.reshape(R0.shape), [r])
        F = sigma * (problem.Y_tilde - sigma * (U1 @ V.T))
        return np.vstack([F @ V, F.T @ U1]).ravel()

    atol = 1e-15 * np.max(np.abs(R0))
    run = solve_ivp(f, (0, times[-1]), R0.ravel(), method="DOP853", rtol=1e-12, atol=atol, t_eval=times)
    return run.y.T.reshape(-1, *R0.shape)


def stiff_flow(problem: Problem, R0: Array, times: Array) -> Array:
    """States (T, k, k') by an implicit Runge-Kutta method with the exact Jacobian; for small stiff problems."""
    r, sigma = problem.r, problem.sigma[:, None]

    def f(_: float, y: Array) -> Array:
        U1, V = np.split(y.reshape(R0.shape), [r])
        F = sigma * (problem.Y_tilde - sigma * (U1 @ V.T))
        return np.vstack([F @ V, F.T @ U1]).ravel()

    def jacobian(_: float, y: Array) -> Array:
        U1, V = np.split(y.reshape(R0.shape), [r])
        F = sigma * (problem.Y_tilde - sigma * (U1 @ V.T))
        dU, dV = np.split(np.eye(R0.size).reshape(-1, *R0.shape), [r], axis=1)
        dF = -(sigma**2) * (dU @ V.T + U1 @ np.swapaxes(dV, 1, 2))
        FT, dFT = F.T, np.swapaxes(dF, 1, 2)
        return np.concatenate([dF @ V + F @ dV, dFT @ U1 + FT @ dU], axis=1).reshape(R0.size, R0.size).T

    run = solve_ivp(f, (0, times[-1]), R0.ravel(), method="Radau", rtol=1e-10, atol=1e-13, t_eval=times, jac=jacobian)
    return run.y.T.reshape(-1, *R0.shape)


def riccati_gram(problem: Problem, R0: Array, t: float) -> Array:
    """R R^T (k, k) at time t for Sigma_x = I and U1^T U1 - V^T V = lam I (a matrix Riccati equation)."""
    r, h = problem.r, R0.shape[1]
    lam = np.trace(R0[:r].T @ R0[:r] - R0[r:].T @ R0[r:]) / h
    generator = np.block([[lam / 2 * np.eye(r), problem.Y_tilde], [problem.Y_tilde.T, -lam / 2 * np.eye(problem.m)]])
    w, Z = np.linalg.eigh(generator)
    rate = np.where(w == 0, 1.0, 2 * w)
    growth = np.where(w == 0, t, np.expm1(2 * w * t) / rate)
    Q, moved = Z.T @ R0, Z @ (np.exp(w * t)[:, None] * (Z.T @ R0))
    return moved @ np.linalg.solve(np.eye(h) + Q.T @ (growth[:, None] * Q), moved.T)


def saxe_mode(s: float, u0: float, v0: float, t: Array) -> Array:
    """a = u v (T,) of u' = (s - u v) v, v' = (s - u v) u with u0 v0 > 0, s > 0 (Saxe et al. 2014)."""
    d, a0 = u0**2 - v0**2, u0 * v0
    if d == 0:
        return s / (1 + (s / a0 - 1) * np.exp(-2 * s * t))
    if d < 0:
        u0, v0, d = v0, u0, -d
    root = np.sqrt(d**2 + 4 * s**2)
    up, down = (-d + root) / (2 * s), (-d - root) / (2 * s)
    ratio = (v0 / u0 - up) / (v0 / u0 - down) * np.exp(-root * t)
    q = (up - ratio * down) / (1 - ratio)
    return d * q / (1 - q**2)


def modes_problem(sigma: Array, s: Array) -> Problem:
    """A problem of r = m modes with singular values sigma (r,) of the data and Phi1^T Theta^ = diag(s), s (r,)."""
    r = len(sigma)
    return Problem(n=r, sigma=sigma, Phi1=np.eye(r), Y_tilde=np.diag(sigma * s), loss_floor=0.0)


def modes_flow(problem: Problem, u0: Array, v0: Array, t: Array) -> Array:
    """U1 V^T (T, r, r) from U1 = diag(u0), V = diag(v0): each mode is one of Saxe's, sigma_i^2 times as fast."""
    s = np.diag(problem.min_norm_coordinates)
    modes = [saxe_mode(s[i], u0[i], v0[i], problem.sigma[i] ** 2 * t) for i in range(len(s))]
    return np.array([np.diag(a) for a in np.transpose(modes)])


def rank_one_flow(sigma: float, y: float, u0: Array, v0: Array, t: Array) -> Array:
    """States (T, 2, h) of u' = sigma (y - sigma u.v) v, v' = sigma (y - sigma u.v) u: one mode of any width (ours).

    [u; v] = exp(x S(1)) [u0; v0], so that 2 u.v = B sinh z, z - z0 = 2 x, B^2 = (|u0|^2 + |v0|^2)^2 - 4 (u0.v0)^2 > 0,
    and w = e^z obeys the Riccati equation w' = c0 w - c1 (w^2 - 1) / 2, c0 = 2 sigma y, c1 = sigma^2 B.
    """
    B = np.sqrt((u0 @ u0 + v0 @ v0) ** 2 - 4 * (u0 @ v0) ** 2)
    z0, c0, c1 = np.arcsinh(2 * (u0 @ v0) / B), 2 * sigma * y, sigma**2 * B
    root = np.hypot(c0, c1)
    up, down = (c0 + root) / c1, (c0 - root) / c1
    ratio = (np.exp(z0) - up) / (np.exp(z0) - down) * np.exp(-root * t)
    x = (np.log((up - ratio * down) / (1 - ratio)) - z0)[:, None] / 2
    return np.stack([np.cosh(x) * u0 + np.sinh(x) * v0, np.sinh(x) * u0 + np.cosh(x) * v0], axis=1)


def rotation(rng: np.random.Generator, n: int) -> Array:
    """(n, n) a random orthogonal matrix."""
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


def modes(values: Any, network: Any) -> tuple[Problem, State]:
    """X = I, Y = diag(values), U1 = V = diag(network): modes that never meet."""
    n = len(values)
    problem = Problem(n=n, sigma=np.ones(n), Phi1=np.eye(n), Y_tilde=np.diag(values), loss_floor=0.0)
    R = np.vstack([np.diag(network), np.diag(network)])
    return problem, State(R=R, U2=np.zeros((0, n)), r=n, h=n)
