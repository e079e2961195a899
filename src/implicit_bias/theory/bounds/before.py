"""Bounds known before training, of the paper and of its successors."""

import numpy as np
from numpy.typing import ArrayLike

from implicit_bias.theory.bounds.base import Bound, decay
from implicit_bias.theory.networks.two_layer import Imbalance
from implicit_bias.theory.problem import Array, Problem


def theorem_1(problem: Problem, imbalance: Imbalance, t: ArrayLike, excess0: float) -> Bound:
    """L(t) - L* <= exp(-2 lambda_r(Sigma_x) c t) (L(0) - L*) (paper, eq. 10).

    Args:
        problem: the reparametrised problem.
        imbalance: of the initial state.
        t: (T,) flow times.
        excess0: L(0) - L*.
    """
    rate = 2 * problem.sigma[-1] ** 2 * imbalance.c
    return Bound(excess0 * np.exp(-decay(rate, t)), {"c > 0": imbalance.c > 0}, excess0)


def instantaneous_rate(problem: Problem, imbalance: Imbalance, product: Array) -> Array:
    """Lower bound of -d/dt log(L - L*) for any initialisation, balanced too (Min et al. 2022, Proposition 1).

    Args:
        problem: the reparametrised problem.
        imbalance: of the initial state.
        product: (..., r, m) U1 V^T.

    Returns:
        (...) rates; s_m, s_r are the m-th and r-th singular values of the product, zero beyond its size and where
        they are rounding.
    """
    return problem.sigma[-1] ** 2 * brace(imbalance, *ordered_singular_values(product))


def ordered_singular_values(product: Array) -> tuple[Array, Array]:
    """s_m and s_r (...) of products (..., r, m), zero beyond their size and where they are rounding."""
    s = np.linalg.svd(product, compute_uv=False)
    s = np.where(s > 8 * np.finfo(float).eps * s[..., :1], s, 0.0)
    r, m = product.shape[-2:]
    absent = np.zeros(s.shape[:-1])
    return s[..., m - 1] if m <= r else absent, s[..., r - 1] if r <= m else absent


def brace(imbalance: Imbalance, s_m: Array, s_r: Array) -> Array:
    """-D+ + sqrt((D+ + c)^2 + 4 s_m^2) - D- + sqrt((D- + c)^2 + 4 s_r^2), without cancellation."""
    c = imbalance.c

    def part(spread: float, s: Array) -> Array:
        root = np.sqrt((spread + c) ** 2 + 4 * s**2)
        numerator = c * (2 * spread + c) + 4 * s**2
        return np.divide(numerator, spread + root, out=np.zeros_like(root), where=spread + root > 0)

    return part(imbalance.spread_plus, s_m) + part(imbalance.spread_minus, s_r)


def margin_bound(
    problem: Problem, imbalance: Imbalance, t: ArrayLike, excess0: float, residual_norm: float, t0: float = 0.0
) -> Bound:
    """L(t) - L* <= exp(-lambda_r(Sigma_x) brace (t - t0)) (L(t0) - L*) with margin (Min et al. 2022, Theorem 3).

    The singular values of the product are replaced by the margin [s_i(Y~) - ||E(t0)||_F]_+ / sqrt(lambda_1(Sigma_x));
    where the margin is zero this is Theorem 1. May be restarted at any t0 with the loss and the residual met there.

    Args:
        problem: the reparametrised problem.
        imbalance: of the initial state.
        t: (T,) flow times, at or after t0.
        excess0: L(t0) - L*.
        residual_norm: ||E(t0)||_F.
        t0: restart time.
    """
    rate = problem.sigma[-1] ** 2 * float(brace(imbalance, *margins(problem, np.asarray(residual_norm))))
    elapsed = np.asarray(t, float) - t0
    hypotheses: dict[str, bool | None] = {"t >= t0": bool(np.all(elapsed >= 0)), "rate > 0": bool(rate > 0)}
    stated = np.where(elapsed < 0, np.inf, excess0 * np.exp(-decay(rate, np.maximum(elapsed, 0.0))))
    return Bound(stated, hypotheses, excess0 if hypotheses["t >= t0"] else np.inf)


def margins(problem: Problem, residual_norm: Array) -> tuple[Array, Array]:
    """[s_i(Y~) - ||E||_F]_+ / sigma_1 for i = m and i = r, lower bounds of s_i(U1 V^T), from residual norms (...)."""
    s_m, s_r = (np.maximum(s - residual_norm, 0.0) for s in ordered_singular_values(problem.Y_tilde))
    return s_m / problem.sigma[0], s_r / problem.sigma[0]


def _alpha_hypotheses(problem: Problem, alpha: float) -> dict[str, bool | None]:
    return {"1/4 < alpha <= 1/2": 0.25 < alpha <= 0.5, "D > r": problem.D > problem.r, "h > h0 (not given)": None}


def _deviation(problem: Problem, h: float, alpha: float, delta: float) -> float:
    """(sqrt(m + D) + 1/2 log(2/delta)) / h^{2 alpha - 1/2}, common to (18)-(20)."""
    if not 0 < delta < 1:
        raise ValueError(f"delta must be in (0, 1), got {delta}")
    return float((np.sqrt(problem.m + problem.D) + 0.5 * np.log(2 / delta)) * h ** (0.5 - 2 * alpha))


def lemma_17(problem: Problem, h: float, alpha: float) -> Bound:
    """lambda_r(Lambda(0)) + lambda_m(-Lambda(0)) > h^{1 - 2 alpha} with probability 1 - delta (paper, eq. 17)."""
    return Bound(np.asarray(h ** (1 - 2 * alpha)), _alpha_hypotheses(problem, alpha), -np.inf)


def lemma_18(problem: Problem, h: float, alpha: float, delta: float) -> Bound:
    """||[V(0) U2(0)^T; U1(0) U2(0)^T]||_F <= value with probability 1 - delta (paper, eq. 18)."""
    value = 2 * np.sqrt(problem.k) * _deviation(problem, h, alpha, delta)
    return Bound(np.asarray(value), _alpha_hypotheses(problem, alpha))


def lemma_19(problem: Problem, h: float, alpha: float, delta: float) -> Bound:
    """||U1(0) V(0)^T||_F <= value with probability 1 - delta (paper, eq. 19)."""
    value = 2 * np.sqrt(problem.m) * _deviation(problem, h, alpha, delta)
    return Bound(np.asarray(value), _alpha_hypotheses(problem, alpha))


def theorem_2(problem: Problem, h: float, alpha: float, delta: float) -> Bound:
    """||U(inf) V(inf)^T - Theta^||_2 <= C^{1/h^{1-2 alpha}} times (18), with probability 1 - delta (paper, eq. 20).

    C = exp(1 + sqrt(lambda_1(Sigma_x)) / lambda_r(Sigma_x) ||Y||_F). Holds in Frobenius norm too (footnote 1).
    """
    log_C = 1 + problem.sigma[0] / problem.sigma[-1] ** 2 * problem.y_norm
    with np.errstate(over="ignore"):
        value = np.exp(log_C * h ** (2 * alpha - 1)) * lemma_18(problem, h, alpha, delta).stated
    return Bound(value, _alpha_hypotheses(problem, alpha))
