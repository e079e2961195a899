"""Bounds that a run certifies of itself, from what was recorded of it (docs/theory.md, "Certified after training")."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from implicit_bias.theory.bounds.before import Bound, brace, decay, margins, ordered_singular_values
from implicit_bias.theory.bounds.samples import EPS, Samples, certain
from implicit_bias.theory.networks.two_layer import Imbalance, State
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.trajectory import Trajectory, residual

Flags = NDArray[np.bool_]


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
    left, right = (_moved(radius, size[end]) + noise[end] for end in (slice(None, -1), slice(1, None)))
    near = (np.minimum(s[:-1] - left, s[1:] - right) for s in ordered_singular_values(run.product))
    s_m, s_r = (np.maximum(*pair) for pair in zip(near, _margins(problem, samples), strict=True))
    return brace(imbalance, s_m, s_r)


def _moved(radius: Array, size: Array) -> Array:
    """The most that U1 V^T can change over a radius from a state of this size."""
    return decay(radius, size) + 0.5 * radius**2


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
    return _summed(np.fmin(np.fmin(near, paid), far))


def _summed(lengths: Array) -> Array:
    """(T,) sums of lengths (T - 1,) from the start, rounded upwards."""
    return (1 + (lengths.size + 16) * EPS) * np.concatenate([[0.0], np.cumsum(lengths)])


def certificate(problem: Problem, imbalance: Imbalance, run: Trajectory, initial: float) -> Bound:
    """(T,) ||[V U2^T; U1 U2^T](t)||_F <= exp(int_0^t ||diag(sigma) E||_2 ds) times its initial value (ours, from 16).

    Holds for any initialisation, by Groenwall's inequality; `initial` is the norm at t = 0.
    """
    if initial == 0:
        return Bound(np.zeros(len(run.t)), {})
    length = path_length(problem, imbalance, run)
    with np.errstate(over="ignore"):
        return Bound(initial * np.exp(length), {})


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
        stated = initial * np.exp(_summed(np.where(count > 1, length, step * force[:-1])))
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
    moved = [_moved(radius, size) for size in (samples.size[:-1], samples.size[1:])]
    within = [
        descent_factor(
            problem,
            np.maximum(np.sqrt(low[end]) - radius, 0.0) ** 2,
            (np.sqrt(high[end]) + radius) ** 2,
            product[end] + far,
            np.minimum(gradient[end] + problem.sigma[0] ** 2 * far, problem.sigma[0] * samples.residual[:-1]),
            step,
        )
        for end, far in zip((slice(None, -1), slice(1, None)), moved, strict=True)
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
