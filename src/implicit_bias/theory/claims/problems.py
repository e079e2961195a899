"""Random problems, and every deterministic claim checked on one of them."""

import numpy as np

from implicit_bias.theory import experiment
from implicit_bias.theory.claims import bias
from implicit_bias.theory.claims import imbalance as claims
from implicit_bias.theory.claims.check import SLACK, Check, worst
from implicit_bias.theory.claims.degenerate import KINDS, degenerate
from implicit_bias.theory.claims.depth import deep_claims, has_deep, no_deep_claims
from implicit_bias.theory.claims.network import (
    Network,
    balanced,
    end_to_end_orthogonal,
    flow,
    hidden_directions,
    in_invariant_set,
    lift,
    make_network,
)
from implicit_bias.theory.initialization import gaussian as initialization
from implicit_bias.theory.kernel import kernel_range
from implicit_bias.theory.networks.two_layer import Imbalance, State, imbalance
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.stopping import TOLERANCE, Stop
from implicit_bias.theory.solvers.trajectory import Trajectory, excess_loss, residual
from implicit_bias.theory.synthetic import draw_data

POINTS = 18
"""Samples of a trajectory, about."""
FLOW = 1e-9
"""Tolerance of the flow: a tenth of the error of E that the claims allow for, `claims.RESOLUTION`."""
SINGULAR = 1e-6
"""Relative size of s_m(U1 V^T) down to which M of the balanced start counts as singular."""
SHORT = 15.0
"""Length of a short run in units of 1 / lambda_max(K(0))."""


def draw_network(rng: np.random.Generator) -> Network:
    """A random problem and network: n, D, m, rank, h, conditioning, noise, scales of both layers.

    One width in eight is below r + m, where c needs its brackets and may be 0.
    """
    n, D, m = (int(rng.integers(low, high)) for low, high in ((1, 8), (2, 12), (1, 4)))
    rank = int(rng.integers(1, min(n, D) + 1))
    narrow = rng.random() < 1 / 8
    h = int(rng.integers(1, rank + m) if narrow else rank + m + rng.integers(0, 10))
    cond = 10 ** rng.uniform(0, 2.5) if rank > 1 else 1.0
    noise_std = 10 ** rng.uniform(-3, 0)
    sigma_u, sigma_v = 10 ** rng.uniform(-1, 0.1, 2)
    return random_network((n, D, m, rank, h), cond, noise_std, sigma_u, sigma_v, rng)


def random_network(
    sizes: tuple[int, int, int, int, int],
    cond: float,
    noise_std: float,
    sigma_u: float,
    sigma_v: float,
    rng: np.random.Generator,
) -> Network:
    """A random network of sizes (n, D, m, rank, h) on random data of a geometric spectrum, teacher entries N(0, 1)."""
    n, D, m, rank, h = sizes
    X, Y, _ = draw_data(n, D, m, rng, "geometric", cond, rank, theta_std=1.0, noise_std=noise_std)
    return make_network(X, Y, sigma_u * rng.standard_normal((D, h)), sigma_v * rng.standard_normal((m, h)))


def train(problem: Problem, state: State, periods: float = np.inf, points: int = POINTS) -> Trajectory:
    """Train until E is 1e-9 of the products it is made of, for as long as Theorem 1 allows.

    Where c = 0 and it allows for ever: for 300 / lambda_max(K(0)); in any case no longer than `periods` of these.
    """
    size = problem.sigma[0] * np.sum(state.R**2) + np.linalg.norm(problem.Y_tilde)
    target, c = 0.5 * (1e-9 * float(size)) ** 2, imbalance(state).c
    needed = max(np.log(excess_loss(problem, state.R) / target), 1.0)
    period = 1 / kernel_range(problem, state.R)[1]
    t_max = 1.01 * needed / (2 * problem.sigma[-1] ** 2 * c) if c > 0 else 300 * period
    stop = Stop(excess=target, stationary=FLOW, t_max=min(t_max, periods * period))
    with np.errstate(over="ignore", invalid="ignore"):  # a first explicit step may be far too long: it is refused
        return experiment.train(problem, state, "gradient_flow", 1.0, stop, points, FLOW)[0]


def _short_time(problem: Problem, state: State) -> float:
    """2 / lambda_max(K(0)), or the time in which errors can grow by e^2 if that is shorter.

    Errors grow by exp(int ||diag(sigma) E||) at most; a balanced start may lie on the way to the saddle U = V = 0,
    where nothing else bounds how much rounding matters.
    """
    force = float(problem.sigma[0] * np.linalg.norm(residual(problem, state.R)))
    return min(2 / kernel_range(problem, state.R)[1], 2 / force)


def check_problem(rng: np.random.Generator, deep: bool = True) -> dict[str, Check]:
    """Draw one problem and check every deterministic claim on it; one run in four is followed to its end."""
    network = draw_network(rng)
    return check_network(network, np.inf if rng.random() < 0.25 else SHORT, rng, deep)


def check_network(network: Network, periods: float, rng: np.random.Generator, deep: bool = True) -> dict[str, Check]:
    """Check every deterministic claim on a network, on its run over so many `periods` 1 / lambda_max(K(0)).

    `rng` draws what some claims need besides: mixes of layers, the Q of balanced networks, an exponent, deep networks.
    """
    problem, state = network.problem, network.state
    start = imbalance(state)
    t = _short_time(problem, state)
    trajectory = train(problem, state, periods)
    after = flow(network, t)
    return {
        **_imbalance_claims(network, after, start, trajectory, periods, rng),
        **_bias_claims(network, after, trajectory),
        **_balanced_claims(network, t, rng),
        "ntk": _ntk_claim(network, after, t, rng.uniform(0.25, 0.5)),
        **(deep_claims(network, rng) if deep else no_deep_claims()),
    }


def _imbalance_claims(
    network: Network,
    after: Network,
    start: Imbalance,
    trajectory: Trajectory,
    periods: float,
    rng: np.random.Generator,
) -> dict[str, Check]:
    problem, state = network.problem, network.state
    aligned = claims.align(state, rng.uniform(0.2, 0.95), rng.standard_normal((problem.m, problem.r)))
    restarts = (0, len(trajectory.t) // 2)
    return {
        "conserved": claims.conserved(network, after, trajectory.drift),
        "rank": claims.rank(network),
        **claims.loss_bounds(problem, start, trajectory),
        "thm1_path": claims.path(problem, state, start, trajectory),
        "thm1_wide": claims.no_brackets(network, start),
        "thm1_limit": claims.converges(problem, start, trajectory, periods == np.inf),
        "orthogonal": _orthogonal_claim(state),
        "aligned": claims.unequal_scales(aligned, imbalance(aligned)),
        "rate": worst(*(claims.instantaneous_rate(problem, start, R) for R in (state.R, trajectory.R))),
        "margin": worst(*(claims.margin_bound(problem, start, trajectory, i) for i in restarts)),
    }


def _bias_claims(network: Network, after: Network, trajectory: Trajectory) -> dict[str, Check]:
    converged = trajectory.stop_reason == TOLERANCE
    inside, visible = in_invariant_set(network), end_to_end_orthogonal(network)
    directions = hidden_directions(network)
    end, inside_end, visible_end = (lift(start, trajectory.R, directions) for start in (network, inside, visible))
    inside_after = flow(inside, _short_time(network.problem, network.state))
    theta = network.problem.Phi1 @ (network.U1 @ network.V.T)
    zero = network.with_weights(0 * network.U, 0 * network.V)
    return {
        "eq7": bias.dynamics(network),
        "eq8": bias.loss_split(network),
        "U2": bias.unseen_constant(network, after),
        "eq12": bias.decomposition(network),
        "eq13": bias.visible_limit(end, converged),
        "eq14": bias.limit(network, end, converged),
        "eq15": bias.invariant_set(inside, inside_after),
        "eq16": bias.orthogonality_dynamics(network),
        "prop1": bias.min_norm(inside, inside_end, converged),
        "prop1_half": bias.not_enough(visible, visible_end, converged),
        "regression": bias.regression(network, theta, bias.regression_flow(network, theta)),
        "zero": bias.zero_is_equilibrium(zero),
        "certificate": bias.certificate(network.problem, network.state, trajectory),
    }


def _orthogonal_claim(state: State) -> Check:
    if state.h <= state.r:
        return Check(False, 0.0, SLACK)
    separate = initialization.orthogonal_layers(state)
    return claims.orthogonal_layers(separate, imbalance(separate))


def _balanced_claims(network: Network, t: float, rng: np.random.Generator) -> dict[str, Check]:
    """Two balanced networks of different Q; their certified curve needs no imbalance."""
    problem, m, h = network.problem, network.problem.m, network.state.h
    s = np.linalg.svd(network.state.U1 @ network.state.V.T, compute_uv=False)
    if min(problem.r, h) < m or s[m - 1] <= SINGULAR * s[0]:
        return {name: Check(False, 0.0, SLACK) for name in ("balanced_Q", "balanced")}
    first, second = (balanced(network, orthonormal(h, m, rng)) for _ in range(2))
    trajectory = train(problem, first.state, SHORT)
    return {
        "balanced_Q": bias.same_trajectory(flow(first, t), flow(second, t)),
        "balanced": claims.loss_bounds(problem, imbalance(first.state), trajectory)["certified"],
    }


def orthonormal(rows: int, columns: int, rng: np.random.Generator) -> Array:
    """A random (rows, columns) matrix with orthonormal columns."""
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]


def _ntk_claim(network: Network, after: Network, t: float, alpha: float) -> Check:
    h = network.state.h
    tilde = network.with_weights(h**alpha * network.U, h**alpha * network.V)
    end = flow(tilde, h ** (2 * alpha) * t, bias.ntk_gain(h, network.problem.m, alpha))
    return bias.ntk_scaling(after, end, alpha)


ORDINARY = 3
"""Problems without degeneracy to one of each kind of degeneracy in turn."""


def kind_of(index: int) -> str:
    """The kind of the problem of an index: every fourth is degenerate, the kinds taking turns; "" for the others."""
    turn, place = divmod(index, ORDINARY + 1)
    return KINDS[turn % len(KINDS)] if place == ORDINARY else ""


def check_index(seed: int, index: int) -> dict[str, Check]:
    """Check the problem of an index, drawn from its own stream of `seed`."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, index)))
    kind = kind_of(index)
    deep = has_deep(index)
    return (
        check_network(degenerate(kind, draw_network(rng), rng), SHORT, rng, deep) if kind else check_problem(rng, deep)
    )
