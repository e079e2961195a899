"""Bounds computed from the recorded samples of a flow (docs/theory.md, "Certified after training")."""

import numpy as np

from implicit_bias.theory.bounds.base import Bound, decay
from implicit_bias.theory.bounds.before import brace, margins, ordered_singular_values
from implicit_bias.theory.bounds.samples import Samples, certain, moved, summed
from implicit_bias.theory.networks.two_layer import Imbalance
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.trajectory import Trajectory


def certified_curve(problem: Problem, imbalance: Imbalance, run: Trajectory) -> Bound:
    """(T,) L(t) - L* <= exp(-int_0^t rate) (L(0) - L*), the instantaneous rate integrated along a flow.

    Min et al. (2022), Proposition 1, gives the rate at one time. Ours: between two samples the network stays within
    half the root of (elapsed time) x (lost loss) of one of them, so that the rate has a lower bound on the whole
    interval. A bound at every time of the run, not at its samples alone, up to the error of what was recorded.

    Args:
        problem: the reparametrised problem.
        imbalance: of the initial state.
        run: a gradient flow.
    """
    samples = certain(problem, run, _sizes(imbalance, run))
    return _integrated(problem, run, _certified_brace(problem, imbalance, run, samples))


def restarted_margin(problem: Problem, imbalance: Imbalance, run: Trajectory) -> Bound:
    """(T,) the bound with margin, its rate renewed by the residual met at every sample (Min et al. 2022, Theorem 3).

    The residual of a flow never grows, so that the margin at a sample holds from there on: a bound at every time.
    """
    samples = certain(problem, run, _sizes(imbalance, run))
    return _integrated(problem, run, brace(imbalance, *_margins(problem, samples)))


def _integrated(problem: Problem, run: Trajectory, least: Array) -> Bound:
    """exp(-int lambda_r(Sigma_x) brace) from the least brace (T - 1,) on each interval."""
    rate = problem.sigma[-1] ** 2 * least
    exponent = np.concatenate([[0.0], np.cumsum(decay(rate, np.diff(run.t)))])
    start = float(run.excess[0])
    return Bound(start * np.exp(-exponent), {"rate > 0": bool(np.any(rate > 0))}, start)


def _certified_brace(problem: Problem, imbalance: Imbalance, run: Trajectory, samples: Samples) -> Array:
    """(T - 1,) lower bound, on each interval, of the brace of the instantaneous rate.

    s_i(U1 V^T) is at least its value at the nearer end less what the product can change over the radius and what is
    rounding, and at least the margin.
    """
    radius, size, noise = _radius(run, samples), samples.size, samples.noise
    left, right = (moved(radius, size[end]) + noise[end] for end in (slice(None, -1), slice(1, None)))
    near = (np.minimum(s[:-1] - left, s[1:] - right) for s in ordered_singular_values(run.product))
    s_m, s_r = (np.maximum(*pair) for pair in zip(near, _margins(problem, samples), strict=True))
    return brace(imbalance, s_m, s_r)


def _margins(problem: Problem, samples: Samples) -> tuple[Array, Array]:
    """Margins (T - 1,) of s_m and s_r from each sample on."""
    return margins(problem, samples.residual[:-1])


def _radius(run: Trajectory, samples: Samples) -> Array:
    """(T - 1,) the state is within this of one of the ends of an interval all the way; infinite on an endless one."""
    return 0.5 * np.sqrt(decay(samples.lost, np.diff(run.t)))


def _sizes(imbalance: Imbalance, run: Trajectory) -> Array:
    """(T,) upper bounds of (||U1||_2^2 + ||V||_2^2)^{1/2}.

    ||U1||_2^2 = lambda_1(Lambda + V^T V) <= [lambda_1(Lambda)]_+ + ||V||_2^2.
    """
    top = imbalance.spread_plus + max(imbalance.lambda_r, 0.0)
    return np.sqrt(top + 2 * np.linalg.norm(run.V, 2, axis=(1, 2)) ** 2)


def path_length(problem: Problem, imbalance: Imbalance, run: Trajectory) -> Array:
    """(T,) upper bound of int_0^t ||diag(sigma) E||_2 ds along a flow, at every time of it (ours).

    On each interval the best of three: the trapezoidal rule with what the force can gain beside it, the state staying
    near the ends; what the lost loss pays for, as the flow spends at least ||F||_F^2 brace / 2 a unit of time; and the
    decay of ||E||_F at the certified rate, which alone reaches t = infinity. Infinite where nothing does.
    """
    dt, samples = np.diff(run.t), certain(problem, run, _sizes(imbalance, run))
    lost, force, sizes = samples.lost, samples.force, samples.size
    least = _certified_brace(problem, imbalance, run, samples)
    rate = 0.5 * problem.sigma[-1] ** 2 * least
    size = problem.sigma[0] * samples.residual[:-1]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        beside = (2 / 3) * (sizes[:-1] + sizes[1:]) * np.sqrt(lost) * (dt / 2) ** 1.5 + lost * dt**2 / 8
        near = 0.5 * dt * (force[:-1] + force[1:]) + problem.sigma[0] ** 2 * beside
        paid = np.sqrt(2 * dt * lost / least)
        span = np.where(rate > 0, -np.expm1(-decay(rate, dt)) / rate, dt)
    far = np.multiply(size, span, out=np.zeros_like(span), where=size > 0)
    return summed(np.fmin(np.fmin(near, paid), far))


def certificate(problem: Problem, imbalance: Imbalance, run: Trajectory, initial: float) -> Bound:
    """(T,) ||[V U2^T; U1 U2^T](t)||_F <= exp(int_0^t ||diag(sigma) E||_2 ds) times its initial value (ours, from 16).

    Holds for any initialisation, by Groenwall's inequality; `initial` is the norm at t = 0.
    """
    if initial == 0:
        return Bound(np.zeros(len(run.t)), {})
    length = path_length(problem, imbalance, run)
    with np.errstate(over="ignore"):
        return Bound(initial * np.exp(length), {})
