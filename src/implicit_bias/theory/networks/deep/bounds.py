"""Certificates of a run of a deep network, and bounds known from its start (ours, docs/depth.md section 6)."""

import numpy as np

from implicit_bias.theory.bounds.base import Bound, decay
from implicit_bias.theory.networks.deep.dynamics import imbalances
from implicit_bias.theory.networks.deep.record import DeepTrajectory
from implicit_bias.theory.networks.deep.state import DeepState, complement
from implicit_bias.theory.problem import Array, Problem

_RADII = np.geomspace(1e-6, 10.0, 160)


def instantaneous_rates(problem: Problem, run: DeepTrajectory) -> Array:
    """(T,) lower bounds of -d/dt log(L - L*) at the samples: 2 sigma_r^2 sum_l s_r(P_l)^2 s_m(S_l)^2."""
    return 2 * problem.sigma[-1] ** 2 * np.sum((run.head_least * run.tail_least) ** 2, axis=1)


def imbalance_rate(problem: Problem, state: DeepState) -> float:
    """Rate of L - L* that the conserved imbalances guarantee from the start, whatever the targets (ours beyond L = 2).

    One layer: 2 sigma_r^2. Two: 2 sigma_r^2 c (paper, Theorem 1). Three: 2 sigma_r^2 [lambda_r(Lambda_1)]_+
    [lambda_m(-Lambda_2)]_+, as A A^T and W_3^T W_3 are at least that at all times (docs/depth.md section 6). More: 0,
    nothing is proved here. Of a network that is cut off, Lambda_l on explored directions alone: by Cauchy's interlacing
    a lower bound, which grows with the levels.
    """
    size = 2 * float(problem.sigma[-1]) ** 2
    if state.depth == 1:
        return size
    if state.depth > 3:
        return 0.0
    Lambdas = imbalances(state.layers)
    if state.depth == 2:
        return size * (_ordered(Lambdas[0], problem.r) + _ordered(-Lambdas[0], problem.m))
    rows, columns = (complement(directions) for directions in state.open[0])
    first = _ordered(rows.T @ Lambdas[0] @ rows, problem.r)
    last = _ordered(-columns.T @ Lambdas[1] @ columns, problem.m)
    return size * first * last


def _ordered(block: Array, i: int) -> float:
    """[lambda_i]_+ of a symmetric block, eigenvalues decreasing; 0 beyond its size and where it is rounding."""
    if len(block) < i:
        return 0.0
    spectrum = np.linalg.eigvalsh(block)[::-1]
    rounding = 4 * len(block) * np.finfo(float).eps * float(np.max(np.abs(spectrum)))
    return max(float(spectrum[i - 1]) - rounding, 0.0)


def imbalance_bound(problem: Problem, state: DeepState, run: DeepTrajectory) -> Bound:
    """(T,) L(t) - L* <= exp(-`imbalance_rate` t) (L(0) - L*) along a flow from `state`."""
    rate, start = imbalance_rate(problem, state), float(run.excess[0])
    hypotheses: dict[str, bool | None] = {"at most three layers": state.depth <= 3, "rate > 0": rate > 0}
    return Bound(start * np.exp(-decay(rate, run.t)), hypotheses, start)


def _growth(norms: Array, radius: Array) -> Array:
    """(..., L + 1) prod_{j < l} (w_j + radius) - prod_{j < l} w_j for norms (..., L): how far a product can move."""
    one = np.ones((*norms.shape[:-1], 1))
    wide = np.concatenate([one, norms + radius[..., None]], axis=-1)
    return np.cumprod(wide, axis=-1) - np.cumprod(np.concatenate([one, norms], axis=-1), axis=-1)


def _least_kernel(problem: Problem, run: DeepTrajectory, at: slice, radius: Array) -> Array:
    """(...) lower bound of lambda_min(K) of all networks within `radius` (T') of those sampled `at` (T' of them).

    The layers are within the radius together, hence each of them.
    """
    w = run.norms[at]
    head = _growth(w, radius)[..., :-1]
    tail = _growth(w[..., ::-1], radius)[..., :-1][..., ::-1]
    P = np.maximum(run.head_least[at] - head, 0.0)
    S = np.maximum(run.tail_least[at] - tail, 0.0)
    return problem.sigma[-1] ** 2 * np.sum((P * S) ** 2, axis=-1)


def _lost(run: DeepTrajectory) -> Array:
    return np.maximum(run.excess[:-1] - run.excess[1:], 0.0)


def local_kernel(problem: Problem, run: DeepTrajectory) -> tuple[Array, Array]:
    """(T,) lower bound of lambda_min(K) from each sample on, and how far the network then moves at most (ours).

    A flow with lambda_min(K) >= lambda in a ball of radius R loses its loss so fast that its path is no longer than
    (2 (L - L*) / lambda)^(1/2). If that is at most R it never leaves the ball. 0 and infinity where no R will do.
    """
    least, far = np.zeros(run.t.size), np.full(run.t.size, np.inf)
    for radius in _RADII[::-1]:
        kernel = _least_kernel(problem, run, slice(None), np.full(run.t.size, radius))
        with np.errstate(divide="ignore", invalid="ignore"):
            path = np.where(run.excess > 0, np.sqrt(2 * run.excess / kernel), 0.0)
        stays = (path <= radius) & (kernel > 0)
        least, far = np.where(stays, kernel, least), np.where(stays, path, far)
    return least, far


def _certified_kernel(problem: Problem, run: DeepTrajectory) -> Array:
    """(T - 1,) lower bound of lambda_min(K) on each interval: near one of its ends, or in a ball it cannot leave."""
    radius = 0.5 * np.sqrt(decay(_lost(run), np.diff(run.t)))
    finite = np.isfinite(radius)
    safe = np.where(finite, radius, 0.0)
    near = np.minimum(
        _least_kernel(problem, run, slice(None, -1), safe), _least_kernel(problem, run, slice(1, None), safe)
    )
    return np.maximum(np.where(finite, near, 0.0), local_kernel(problem, run)[0][:-1])


def certified_curve(problem: Problem, run: DeepTrajectory) -> Bound:
    """(T,) L(t) - L* <= exp(-int_0^t 2 lambda_min(K)) (L(0) - L*) along a flow, from its record (ours).

    -d/dt (L - L*) = <E, K E> >= 2 lambda_min(K) (L - L*). Between two samples the network stays within half the root of
    (elapsed time) x (lost loss) of one of them: a bound at every time, up to the leak and the error of the record.
    """
    rate = 2 * _certified_kernel(problem, run)
    exponent = np.concatenate([[0.0], np.cumsum(decay(rate, np.diff(run.t)))])
    start = float(run.excess[0])
    return Bound(start * np.exp(-exponent), {"rate > 0": bool(np.any(rate > 0))}, start)


def local_bound(problem: Problem, run: DeepTrajectory) -> Bound:
    """(T,) L(t) - L* <= exp(-2 lambda t) (L(0) - L*), known at the start alone: it uses the first sample (ours).

    lambda bounds the kernel in a ball that the flow cannot leave (`local_kernel`); any widths, any depth, but the start
    must be near enough to a solution for its kernel.
    """
    least, start = float(local_kernel(problem, run)[0][0]), float(run.excess[0])
    return Bound(start * np.exp(-decay(2 * least, run.t)), {"a ball holds the run": least > 0}, start)


def path_certificate(problem: Problem, run: DeepTrajectory, initial: float, frozen: float) -> Bound:
    """(T,) ||B M(t)||_F <= ||B M(0)||_F + ||B||_2 int_0^t ||M'||_F ds along a flow, any initialisation (ours).

    On an interval the layers move by at most (elapsed time x lost loss)^(1/2), or by what the loss pays for,
    (2 / lambda_min K)^(1/2) times the loss of (L - L*)^(1/2); M = W_2 ... W_L moves by at most that times
    (sum_l prod_{j != l} ||W_j||^2)^(1/2).

    Args:
        problem: the reparametrised problem.
        run: a gradient flow.
        initial: ||B M(0)||_F.
        frozen: ||B||_2.
    """
    if run.norms.shape[1] == 1:
        return Bound(np.full(run.t.size, initial), {})
    dt, lost, kernel = np.diff(run.t), _lost(run), _certified_kernel(problem, run)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        spent = np.sqrt(decay(lost, dt))
        paid = np.sqrt(2 / kernel) * (np.sqrt(run.excess[:-1]) - np.sqrt(run.excess[1:]))
        length = np.where(lost > 0, np.fmin(spent, np.where(kernel > 0, paid, np.inf)), 0.0)
        w = np.minimum(run.norms[:-1], run.norms[1:])[:, 1:] + length[:, None]
        others = [np.prod(np.delete(w, l, axis=1), axis=1) for l in range(w.shape[1])]
        gain = np.sqrt(np.sum(np.square(others), axis=0))
        moved = np.multiply(gain, length, out=np.zeros_like(length), where=length > 0)
    stated = initial + frozen * np.concatenate([[0.0], np.cumsum(moved)])
    return Bound(np.where(np.isnan(stated), np.inf, stated), {})
