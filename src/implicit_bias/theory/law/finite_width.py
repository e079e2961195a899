"""V V^T(inf) of networks of finite width, before training (ours). See docs/law.md, section 6."""

from math import ceil

import numpy as np

from implicit_bias.theory.checks import check
from implicit_bias.theory.initialization.gaussian import bartlett_factor
from implicit_bias.theory.law.correction import idle_direction, path_free_correction
from implicit_bias.theory.problem import Array, Problem

NODES = 64
"""Nodes of the quadrature over the spectrum of U1 U1^T(0)."""
RICH = 1e-5
"""Below this quotient of a + b and ||M||_2 the target alone decides V, and its pairs of modes cannot be resolved."""
MOST_STEPS = 60
"""Of the search for the root."""
NARROW, DRAWN, STEPS, KNOTS = 64, 256, 40, 5
"""Where h <= r networks of at most this width and the same proportions, about DRAWN hidden units in all, are settled in
at most so many steps, at so many sizes of the target; in between it is interpolated."""


def mean_gram(problem: Problem, a: float, b: float, h: float) -> Array:
    """(m, m) E V V^T(inf) over Gaussian networks of width h with a = sigma_U^2 h and b = sigma_V^2 h.

    Raises:
        ValueError: a or b is not positive and finite, or h is below 1 or not finite.
    """
    Bt = np.linalg.svd(problem.min_norm_coordinates, full_matrices=problem.m > problem.r)[2]
    return (Bt.T * mean_spectrum(problem, a, b, h)) @ Bt


def mean_spectrum(problem: Problem, a: float, b: float, h: float) -> Array:
    """(m,) eigenvalues of E V V^T(inf), in the order of the right singular vectors of M; see `mean_gram`.

    For h > r the mean field of every mode times what the 1/h correction has beside it; exact to order 1/h but for the
    path. Narrower networks are settled.
    """
    check("a = sigma_U^2 h", a, a > 0, "finite and > 0")
    check("b = sigma_V^2 h", b, b > 0, "finite and > 0")
    h = check("h", h, h >= 1, "finite and >= 1")
    mu = np.linalg.svd(problem.min_norm_coordinates, compute_uv=False)
    modes = np.pad(mu, (0, problem.m - mu.size))
    if h <= problem.r:
        knots = np.linspace(modes[-1], modes[0], KNOTS if modes[0] > modes[-1] else 1)
        return np.interp(modes, knots, [settled(float(each), a, b, problem.r, h) for each in knots])
    v = mean_field(modes, a, b, problem.r, h)
    if a + b < RICH * modes[0]:
        return v
    cosh2 = np.hypot(a + b, 2 * modes) / (a + b)
    beside = path_free_correction(problem, a, b).value - problem.r * float(np.sum(idle_direction(cosh2, a, b)))
    return v * np.exp(beside / (h * np.sum(v)))


def spectrum_of_weights(ratio: float) -> tuple[Array, Array]:
    """Nodes and weights of the Marchenko-Pastur law of ratio in (0, 1), sum of weights 1, mean 1 (1967).

    Gauss quadrature for the weight (1 - y^2)^{1/2}, x = 1 + ratio + 2 ratio^{1/2} y.
    """
    angle = np.arange(1, NODES + 1) * (np.pi / (NODES + 1))
    nodes = (1 - np.sqrt(ratio)) ** 2 + 4 * np.sqrt(ratio) * np.cos(angle / 2) ** 2
    weights = np.sin(angle) ** 2 / nodes
    return nodes, weights / weights.sum()


def mean_field(mu: Array, a: float, b: float, r: int, h: float) -> Array:
    """(q,) |v|^2 at the end of one output v whose target is mu (q,), r and h large in fixed proportion r / h < 1.

    A boost moves U1 V^T to its end along n ~ (U1 U1^T + rho)^{-1} (M - cosh(theta) U1 V^T). By the isotropy of U1 and
    V only the spectrum of U1 U1^T is left, and one equation for rho.
    """
    T, ratio = a + b, r / h
    x, w = spectrum_of_weights(ratio)
    lam, w, b1, target = a / T * x, ratio * w, b / T, (np.asarray(mu, float)[:, None] / T) ** 2 / ratio

    def at(rho: Array) -> tuple[Array, Array, Array, Array]:
        """(q,) cosh^2, what `rho` misses by, and the two parts of |v|^2."""
        d = 1 / (lam + rho[:, None])
        Z, Q, B = b1 * (d @ (w * lam)), b1 * (d**2 @ (w * lam)), b1 * (d**2 @ (w * lam**2))
        P, grown = np.sum(target * w * d**2, axis=1), np.sum(target * w * lam * d**2, axis=1)
        c2 = 1 + (P + Q) / np.where(Q < 1, 1 - Q, 1.0)
        c = np.sqrt(c2)
        miss = (c + 1) * (c * b1 - rho) - c * (2 * c + 1) * Z + grown + c2 * B
        kept = b1 * ((1 - ratio) + (rho[:, None] * d) ** 2 @ w)
        return np.where(Q < 1, miss, np.inf), c2, kept, grown

    low, high = np.zeros(len(target)), 2 * (1 + np.sqrt(np.asarray(mu, float) / T))
    while np.any((miss := at(high)[0]) > 0):
        high = np.where(miss > 0, 2 * high, high)
    f_low, f_high = at(low)[0], miss
    for _ in range(MOST_STEPS):  # regula falsi (Illinois), bisection where a value is infinite
        with np.errstate(invalid="ignore"):
            share = f_low / (f_low - f_high)
        middle = low + np.where(np.isfinite(share), share, 0.5) * (high - low)
        miss, c2, kept, grown = at(middle)
        if np.all((np.abs(high - low) <= 1e-14 * high) | (np.abs(middle - high) <= 1e-15 * high) | (miss == 0)):
            break
        above = miss > 0
        f_low, f_high = np.where(above, miss, f_low / 2), np.where(above, f_high / 2, miss)
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray(T * (c2 * kept + grown), float)


def settled(mu: float, a: float, b: float, r: int, h: float) -> float:
    """Mean |v|^2 of networks of one output v that are moved to U1 v = mu e_1 in a straight line.

    Each step solves d |v|^2 + U1 U1^T d = missing product and moves by exp [[0, d], [d^T, 0]], which keeps Lambda. The
    networks come from a fixed seed; wide ones are replaced by narrower ones of the same proportions.
    """
    width = ceil(min(h, NARROW))
    rest = ceil(width * r / h) - 1
    rng = np.random.default_rng(0)
    ends = []
    for _ in range(max(DRAWN // width, 4)):
        hidden = bartlett_factor(width, rest, rng).T if rest else np.empty((0, width))
        U1 = np.sqrt(a / width) * np.vstack([rng.standard_normal((1, width)), hidden])
        v = rng.standard_normal(width)
        ends.append(_settle(U1, np.sqrt(b) * v / np.linalg.norm(v), mu))
    return float(np.mean(ends))


def _settle(U1: Array, v: Array, mu: float) -> float:
    """|v|^2 where U1 v has come to mu e_1."""
    target = mu * np.eye(len(U1))[0]
    for _ in range(STEPS):
        if v @ v <= np.finfo(float).eps * np.sum(U1**2):  # no v != 0 meets target 0 where U1 has more rows than columns
            break
        move = np.linalg.solve(U1 @ U1.T + (v @ v) * np.eye(len(U1)), target - U1 @ v)
        angle = float(np.linalg.norm(move))
        if not angle > 1e-6:
            break
        n, angle = move / angle, min(angle, 0.5)
        seen = n @ U1
        U1 = U1 + np.outer(n, 2 * np.sinh(angle / 2) ** 2 * seen + np.sinh(angle) * v)
        v = np.cosh(angle) * v + np.sinh(angle) * seen
    return float(v @ v)
