"""Bounds computed from a run of gradient descent (docs/theory.md, "Certified after training")."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from implicit_bias.theory.bounds.base import Bound
from implicit_bias.theory.bounds.samples import EPS, Samples, certain, moved, summed
from implicit_bias.theory.networks.two_layer import State
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.trajectory import Trajectory, residual

Flags = NDArray[np.bool_]


def descent_bound(problem: Problem, run: Trajectory, step: float) -> Bound:
    """(T,) L(k) - L* <= prod_j rho_j (L(0) - L*) along gradient descent (Xu et al. 2023, Lemma 3.1).

    The factors are known at the recorded iterations. Ours: while steps are short enough for the loss to fall, the
    network stays near one of two neighbouring samples (`descent_radius`), and the factors between have an upper bound.
    So it holds at every iteration, recorded or not. Where samples are too far apart to prove that, `samples close
    enough` fails, and the larger factor of two neighbours is stated.

    Args:
        problem: the reparametrised problem.
        run: a gradient descent.
        step: its step on L, 2 eta / n for step eta on the averaged loss.
    """
    low, high, product, gradient, _ = _descent_sizes(problem, run)
    count = _count(run, step)
    at = descent_factor(problem, low, high, product, gradient, step)
    between, close = _factors_between(problem, run, step)
    factor = np.where(close, between, np.maximum(at[:-1], at[1:]))
    with np.errstate(divide="ignore", over="ignore"):
        exponent = np.cumsum(count * np.log(np.where(count > 1, factor, at[:-1])))
        stated = run.excess[0] * np.exp(np.concatenate([[0.0], exponent]))
    admissible, enough = bool(np.all(at[:-1] < 1)), bool(np.all(close | (count <= 1)))
    return Bound(stated, {"step admissible": admissible, "samples close enough": enough})


def descent_certificate(problem: Problem, run: Trajectory, step: float, initial: float) -> Bound:
    """(T,) ||[V U2^T; U1 U2^T](k)||_F <= exp(sum_j step ||diag(sigma) E_j||_2) times its initial value (ours).

    That of a flow (`certificate`) for gradient descent with this step on L; the sum has an upper bound between samples
    that are close enough, as `descent_bound` has. `initial` is the norm at the start.
    """
    if initial == 0:
        return Bound(np.zeros(len(run.t)), {})
    low, high, *_, samples = _descent_sizes(problem, run)
    low, high, force = np.sqrt(low), np.sqrt(high), samples.force
    radius, close = descent_radius(problem, run, samples, step)
    root = np.sqrt(_factors_between(problem, run, step)[0])
    dt, count = np.diff(run.t), _count(run, step)
    first = np.ceil(count / 2)  # iterations counted from the first end; the others lie before the second
    left, right = first / count, (count - first + 1) / count
    beside = (4 / 3) * radius * (high[:-1] * left**1.5 + high[1:] * right**1.5) + radius**2 * (left**2 + right**2)
    least = np.maximum(np.minimum(low[:-1], low[1:]) - radius, 0.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        near = step * (first * force[:-1] + (count - first) * force[1:]) + problem.sigma[0] ** 2 * dt * beside
        paid = 2 * radius / least
        far = problem.sigma[0] * samples.residual[:-1] * step
        far *= np.where(root < 1, (1 - root**count) / (1 - root), count)
        length = np.where(close, np.fmin(np.fmin(near, paid), far), np.inf)
        stated = initial * np.exp(summed(np.where(count > 1, length, step * force[:-1])))
    return Bound(stated, {"samples close enough": bool(np.all(close | (count <= 1)))})


def _count(run: Trajectory, step: float) -> Array:
    """(T - 1,) iterations between samples."""
    return np.maximum(np.rint(np.diff(run.t) / step), 1.0)


def _descent_sizes(problem: Problem, run: Trajectory) -> tuple[Array, Array, Array, Array, Samples]:
    """(T,) lambda_r(U1 U1^T) + lambda_m(V V^T), from below; the sum of the largest, ||U1 V^T||_2, ||diag(sigma) E||_F,
    from above; and what else is certain."""
    c = np.linalg.eigvalsh(run.V @ np.swapaxes(run.V, 1, 2)).clip(min=0.0)
    low, high = run.U1_range[:, 0] + c[:, 0], run.U1_range[:, 1] + c[:, -1]
    rounding = (4 * problem.k + run.V.shape[2]) * EPS * high
    high = high + rounding
    samples = certain(problem, run, np.sqrt(high))
    product = np.linalg.norm(run.product, 2, axis=(1, 2)) + samples.noise
    force = np.linalg.norm(
        problem.sigma[:, None] * (problem.Y_tilde - problem.sigma[:, None] * run.product), axis=(1, 2)
    )
    blurred = samples.force - run.force
    return np.maximum(low - rounding, 0.0), high, product, force + blurred, samples


def _factors_between(problem: Problem, run: Trajectory, step: float) -> tuple[Array, Flags]:
    """(T - 1,) upper bound of the factors of all iterations of an interval, and whether it is proved."""
    low, high, product, gradient, samples = _descent_sizes(problem, run)
    radius, close = descent_radius(problem, run, samples, step)
    far_from = [moved(radius, size) for size in (samples.size[:-1], samples.size[1:])]
    within = [
        descent_factor(
            problem,
            np.maximum(np.sqrt(low[end]) - radius, 0.0) ** 2,
            (np.sqrt(high[end]) + radius) ** 2,
            product[end] + far,
            np.minimum(gradient[end] + problem.sigma[0] ** 2 * far, problem.sigma[0] * samples.residual[:-1]),
            step,
        )
        for end, far in zip((slice(None, -1), slice(1, None)), far_from, strict=True)
    ]
    return np.minimum(np.maximum(*within), 1.0), close


def descent_radius(problem: Problem, run: Trajectory, samples: Samples, step: float) -> tuple[Array, Flags]:
    """(T - 1,) descent is within this of one of the ends of an interval all the way, and whether that is proved (ours).

    A step loses at least (1 - spent) / step times the square of its length; `spent` is bounded on the ball that
    steps with spent <= 1/2 cannot leave.

    Args:
        problem: the reparametrised problem.
        run: a gradient descent.
        samples: upper bounds at its samples.
        step: step on L.
    """
    dt, residual = np.diff(run.t), samples.residual[:-1]
    force = problem.sigma[0] * residual
    size = samples.size[:-1] + np.sqrt(dt) * residual
    spent = 0.5 * step * (force + (problem.sigma[0] * size * (1 + 0.5 * step * force)) ** 2)
    return 0.5 * np.sqrt(dt * samples.lost / (1 - np.minimum(spent, 0.5))), spent <= 0.5


def descent_factor(
    problem: Problem, low: Array, high: Array, product_norm: ArrayLike, gradient_norm: ArrayLike, step: float
) -> Array:
    """rho with L(k+1) - L* <= rho (L(k) - L*) for one descent step (Xu et al. 2023, Lemma 3.1).

    Where rho > 1 the printed formula is not proved; ours has lambda_1(Sigma_x) for lambda_r(Sigma_x) there.

    Args:
        problem: the reparametrised problem.
        low: (...) lambda_r(U1 U1^T) + lambda_m(V V^T).
        high: (...) lambda_1(U1 U1^T) + lambda_1(V V^T).
        product_norm: (...) ||U1 V^T||_2.
        gradient_norm: (...) ||diag(sigma) E||_F.
        step: step on L.
    """
    twist = step * np.multiply(product_norm, gradient_norm)
    bend = step * (twist - low + 0.5 * problem.sigma[0] ** 2 * step * (high + twist) ** 2)
    return 1 + 2 * bend * np.where(bend > 0, problem.sigma[0], problem.sigma[-1]) ** 2


def largest_certified_step(problem: Problem, state: State) -> float:
    """First steps on the averaged loss below this reduce it, by Xu et al. (2023), Lemma 3.1; 0 if none is proved to.

    As a fraction f of the step that is admissible without the twist it solves 1 = f w + f (1 + f q)^2, q <= w, so that
    it lies between 1 / (w + 4) and 1 / (w + 1).
    """
    U1, V = (np.linalg.eigvalsh(A @ A.T).clip(min=0.0) for A in (state.U1, state.V))
    low, high = U1[0] + V[0], U1[-1] + V[-1]
    if low <= 4 * problem.k * EPS * high:
        return 0.0
    force = np.linalg.norm(problem.sigma[:, None] * residual(problem, state.R))
    twist = float(np.linalg.norm(state.U1 @ state.V.T, 2) * force)
    beyond = float(2 * low / (problem.sigma[0] * high) ** 2)
    w, q = beyond * twist / low, beyond * twist / high
    bracket = 1 / (w + 4), 1 / (w + 1)
    fraction = brentq(lambda f: f * w + f * (1 + f * q) ** 2 - 1, *bracket, xtol=EPS * bracket[0], rtol=4 * EPS)
    return float(problem.n / 2 * beyond * fraction)
