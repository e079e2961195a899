"""Bounds of the paper and of its successors: functions of the initial state or of a record, never of a solver."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.state import Imbalance

VANISHED = 1e-6


@dataclass(frozen=True)
class Bound:
    """A guarantee and the hypotheses it rests on.

    Attributes:
        value: the right-hand side; vacuous (infinity, or the initial loss) where a hypothesis leaves nothing to say.
        hypotheses: name -> met; None for what cannot be checked from the data.
    """

    value: Array
    hypotheses: dict[str, bool | None]

    @property
    def applies(self) -> bool:
        """Whether every checkable hypothesis is met."""
        return all(met is None or met for met in self.hypotheses.values())


def theorem_1(problem: Problem, imbalance: Imbalance, t: ArrayLike, excess0: float) -> Bound:
    """L(t) - L* <= exp(-2 lambda_r(Sigma_x) c t) (L(0) - L*) (paper, eq. 10).

    Args:
        problem: the reparametrised problem.
        imbalance: of the initial state.
        t: (T,) flow times.
        excess0: L(0) - L*.
    """
    rate = 2 * problem.sigma[-1] ** 2 * imbalance.c
    return Bound(excess0 * np.exp(-_decay(rate, t)), {"c > 0": imbalance.c > 0})


def _decay(rate: ArrayLike, t: ArrayLike) -> Array:
    """rate * t, and 0 where the rate is 0 even if t is infinite."""
    rate, t = np.broadcast_arrays(np.asarray(rate, float), np.asarray(t, float))
    return np.multiply(rate, t, out=np.zeros(rate.shape), where=rate > 0)


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
    s = np.linalg.svd(product, compute_uv=False)
    s = np.where(s > 8 * np.finfo(float).eps * s[..., :1], s, 0.0)
    r, m = product.shape[-2:]
    absent = np.zeros(s.shape[:-1])
    s_m: Array = s[..., m - 1] if m <= r else absent
    s_r: Array = s[..., r - 1] if r <= m else absent
    return problem.sigma[-1] ** 2 * _brace(imbalance, s_m, s_r)


def _brace(imbalance: Imbalance, s_m: Array, s_r: Array) -> Array:
    """-D+ + sqrt((D+ + c)^2 + 4 s_m^2) - D- + sqrt((D- + c)^2 + 4 s_r^2), without cancellation."""
    c = imbalance.c

    def part(spread: float, s: Array) -> Array:
        root = np.sqrt((spread + c) ** 2 + 4 * s**2)
        numerator = c * (2 * spread + c) + 4 * s**2
        return np.divide(numerator, spread + root, out=np.zeros_like(root), where=spread + root > 0)

    return part(imbalance.spread_plus, s_m) + part(imbalance.spread_minus, s_r)


def certified_curve(problem: Problem, imbalance: Imbalance, t: Array, product: Array, excess0: float) -> Bound:
    """L(t) - L* <= exp(-int_0^t rate) (L(0) - L*), the instantaneous rate integrated along a run (a posteriori).

    The rate is evaluated at the recorded products (T, r, m) and the smaller end of each interval is used.
    """
    rate = instantaneous_rate(problem, imbalance, product)
    pieces = _decay(np.minimum(rate[1:], rate[:-1]), np.diff(t))
    exponent = np.concatenate([[0.0], np.cumsum(pieces)])
    return Bound(excess0 * np.exp(-exponent), {"rate > 0": bool(np.any(rate > 0))})


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
    s = np.linalg.svd(problem.Y_tilde, compute_uv=False)

    def margin(i: int) -> Array:
        value = max(float(s[i - 1]) - residual_norm, 0.0) if i <= s.size else 0.0
        return np.asarray(value / problem.sigma[0])

    rate = problem.sigma[-1] ** 2 * float(_brace(imbalance, margin(problem.m), margin(problem.r)))
    elapsed = np.asarray(t, float) - t0
    hypotheses: dict[str, bool | None] = {"t >= t0": bool(np.all(elapsed >= 0)), "rate > 0": bool(rate > 0)}
    return Bound(excess0 * np.exp(-_decay(rate, np.maximum(elapsed, 0.0))), hypotheses)


def _alpha_hypotheses(problem: Problem, alpha: float) -> dict[str, bool | None]:
    return {"1/4 < alpha <= 1/2": 0.25 < alpha <= 0.5, "D > r": problem.D > problem.r, "h > h0 (not given)": None}


def _deviation(problem: Problem, h: float, alpha: float, delta: float) -> float:
    """(sqrt(m + D) + 1/2 log(2/delta)) / h^{2 alpha - 1/2}, common to (18)-(20)."""
    if not 0 < delta < 1:
        raise ValueError(f"delta must be in (0, 1), got {delta}")
    return float((np.sqrt(problem.m + problem.D) + 0.5 * np.log(2 / delta)) * h ** (0.5 - 2 * alpha))


def lemma_17(problem: Problem, h: float, alpha: float) -> Bound:
    """lambda_r(Lambda(0)) + lambda_m(-Lambda(0)) > h^{1 - 2 alpha} with probability 1 - delta (paper, eq. 17)."""
    return Bound(np.asarray(h ** (1 - 2 * alpha)), _alpha_hypotheses(problem, alpha))


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
        value = np.exp(log_C * h ** (2 * alpha - 1)) * lemma_18(problem, h, alpha, delta).value
    return Bound(value, _alpha_hypotheses(problem, alpha))


def path_length(t: Array, force: Array) -> Array:
    """(T,) int_0^t ||diag(sigma) E||_2 ds by the chord of log force, from above wherever the force is log-convex.

    A last interval up to t = infinity counts as 0 if the samples follow the force down to VANISHED of its start, and as
    infinity otherwise.
    """
    dt, f0, f1 = np.diff(t), force[:-1], force[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        decay = np.log(f0 / f1)
        mean = np.where(np.abs(decay) > 1e-8, (f0 - f1) / decay, 0.5 * (f0 + f1))
    mean = np.where((f0 > 0) & (f1 > 0), mean, 0.5 * (f0 + f1))
    tail = np.where(f0 <= VANISHED * force[0], 0.0, np.inf)
    pieces = np.multiply(mean, np.where(np.isfinite(dt), dt, 1.0))
    pieces = np.where(np.isfinite(dt), pieces, tail)
    return np.concatenate([[0.0], np.cumsum(pieces)])


def certificate(t: Array, force: Array, initial: float) -> Bound:
    """||[V U2^T; U1 U2^T](t)||_F <= exp(int_0^t ||diag(sigma) E||_2 ds) times its initial value (ours, from eq. 16).

    Holds for any initialisation, by Groenwall's inequality. Args: (T,) times and forces of a run, the initial norm.
    """
    if initial == 0:
        return Bound(np.zeros(len(t)), {})
    with np.errstate(over="ignore"):
        return Bound(initial * np.exp(path_length(t, force)), {})
