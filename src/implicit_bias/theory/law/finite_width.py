"""V V^T(inf) of networks of finite width, before training (ours). See docs/law.md, section 6."""

from math import ceil

import numpy as np

from implicit_bias.theory.checks import check
from implicit_bias.theory.initialization.gaussian import bartlett_factor
from implicit_bias.theory.law.correction import idle_direction, path_free_correction
from implicit_bias.theory.law.roots import roots
from implicit_bias.theory.problem import Array, Problem

NODES = 64
"""Nodes of the quadrature over the spectrum of U1 U1^T(0)."""
RICH = 1e-5
"""Below this quotient of a + b and ||M||_2 the target alone decides V, and its pairs of modes cannot be resolved."""
EPS = float(np.finfo(float).eps)
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
        return np.interp(modes, knots, settled(knots, a, b, problem.r, h))
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
    lam, b1 = a / T * x, b / T
    w = ratio * np.stack([w, w * lam, w * lam**2], axis=1)
    target = (np.asarray(mu, float) / T) ** 2 / ratio

    def at(rho: Array) -> tuple[Array, Array, Array, Array]:
        """(q,) each: 1 / cosh(theta)^2, the two sums over the spectrum that `miss` needs, and the gain of |v|^2 / T."""
        d = 1 / (lam + rho[:, None])
        first, second = d @ w, d**2 @ w
        missed, seen, twice = target * second[:, 0], b1 * second[:, 1], b1 * second[:, 2]
        return np.maximum(1 - seen, 0) / (1 + missed), b1 * first[:, 1], twice, target * second[:, 1]

    def miss(rho: Array) -> Array:
        inverse, along, twice, grown = at(rho)
        s = np.sqrt(inverse)
        return (1 + s) * (b1 - rho * s) - (2 + s) * along + inverse * grown + twice

    high = 2 * (1 + np.sqrt(np.asarray(mu, float) / T))
    while np.any(short := miss(high) > 0):
        high = np.where(short, 2 * high, high)
    rho = roots(miss, np.zeros_like(high), high)
    inverse, _, _, grown = at(rho)
    kept = b1 * ((1 - ratio) + (rho[:, None] / (lam + rho[:, None])) ** 2 @ w[:, 0])
    return np.asarray(T * (kept / inverse + grown), float)


def settled(mu: Array, a: float, b: float, r: int, h: float) -> Array:
    """(q,) mean |v|^2 of networks of one output v that are moved to U1 v = mu_i e_1 in a straight line.

    Each step solves d |v|^2 + U1 U1^T d = missing product and moves by exp [[0, d], [d^T, 0]], which keeps Lambda. The
    networks come from a fixed seed; wide ones are replaced by narrower ones of the same proportions.
    """
    width = ceil(min(h, NARROW))
    rest = ceil(width * r / h) - 1
    rng = np.random.default_rng(0)
    U1, v = [], []
    for _ in range(max(DRAWN // width, 4)):
        hidden = bartlett_factor(width, rest, rng).T if rest else np.empty((0, width))
        U1.append(np.sqrt(a / width) * np.vstack([rng.standard_normal((1, width)), hidden]))
        drawn = rng.standard_normal(width)
        v.append(np.sqrt(b) * drawn / np.linalg.norm(drawn))
    ends = _settle(np.tile(U1, (len(mu), 1, 1)), np.tile(v, (len(mu), 1)), np.repeat(mu, len(v)))
    return np.asarray(ends.reshape(len(mu), -1).mean(axis=1), float)


def _settle(U1: Array, v: Array, mu: Array) -> Array:
    """(N,) |v|^2 where each U1 v has come to mu e_1; U1 (N, k, w), v (N, w)."""
    ends, target = np.empty(len(v)), np.zeros(U1.shape[:2])
    target[:, 0] = mu
    left = np.arange(len(v))
    for _ in range(STEPS):
        size = np.sum(v**2, axis=1)
        ends[left] = size
        moving = size > EPS * np.sum(U1**2, axis=(1, 2))  # no v != 0 meets target 0 where U1 has more rows than columns
        left, U1, v, target, size = left[moving], U1[moving], v[moving], target[moving], size[moving]
        gram = U1 @ U1.transpose(0, 2, 1) + size[:, None, None] * np.eye(U1.shape[1])
        move = np.linalg.solve(gram, (target - np.einsum("nkw,nw->nk", U1, v))[:, :, None])[:, :, 0]
        angle = np.linalg.norm(move, axis=1)
        moving = angle > 1e-6
        if not moving.any():
            break
        left, U1, v, target = left[moving], U1[moving], v[moving], target[moving]
        n, angle = move[moving] / angle[moving, None], np.minimum(angle[moving], 0.5)[:, None]
        seen = np.einsum("nk,nkw->nw", n, U1)
        U1 = U1 + n[:, :, None] * (2 * np.sinh(angle / 2) ** 2 * seen + np.sinh(angle) * v)[:, None, :]
        v = np.cosh(angle) * v + np.sinh(angle) * seen
    else:
        ends[left] = np.sum(v**2, axis=1)
    return ends
