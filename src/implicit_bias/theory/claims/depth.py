"""Claims on networks of more layers (docs/depth.md), against networks that are trained whole."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.integrate import solve_ivp

from implicit_bias.theory.claims.check import INTEGRATED, SLACK, Check, at_most, decays, equal, worst
from implicit_bias.theory.claims.network import Network
from implicit_bias.theory.networks.deep import bounds
from implicit_bias.theory.networks.deep.dynamics import excess_loss, kernel_largest
from implicit_bias.theory.networks.deep.flow import deep_flow
from implicit_bias.theory.networks.deep.record import DeepTrajectory
from implicit_bias.theory.networks.deep.starts import reduce_deep, unfold
from implicit_bias.theory.networks.deep.state import DeepState, Layers, end_to_end
from implicit_bias.theory.networks.two_layer import reduce_network
from implicit_bias.theory.networks.vectors import Shapes, flat
from implicit_bias.theory.problem import Array, Problem
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop

NAMES = ("deep_reduced", "deep_conserved", "deep_frozen", "deep_certified", "deep_bound", "deep_leak", "deep_two")
EVERY, FIRST = 9, 2
"""Of the random problems, those on which a deep network is drawn and trained whole: one in 9, of every kind."""
FLOW = 1e-9
"""Tolerance of the flow."""
LEVELS = 1
"""Levels of the runs that are cut off."""


@dataclass(frozen=True)
class Deep:
    """A network of all its layers on explicit data.

    Attributes:
        X: (n, D) data.
        Y: (n, m) targets.
        layers: W_1 (D, h_1), ..., W_L (h_{L-1}, m).
        problem: the reparametrised problem.
    """

    X: Array
    Y: Array
    layers: Layers
    problem: Problem

    def flow(self, t: float) -> "Deep":
        """The network after flow time t, integrated in all its weights by DOP853."""
        shapes = Shapes(self.layers)

        def rhs(_: float, y: Array) -> Array:
            layers = shapes.weights(y)
            before: list[Array] = [self.X]
            for W in layers[:-1]:
                before.append(before[-1] @ W)
            G = self.Y - before[-1] @ layers[-1]
            moves = []
            for W, forward in zip(reversed(layers), reversed(before), strict=True):
                moves.append((forward.T @ G).ravel())
                G = G @ W.T
            return np.concatenate(moves[::-1])

        start = flat(self.layers)
        y = solve_ivp(rhs, (0, t), start, method="DOP853", rtol=1e-9, atol=1e-10 * np.abs(start).max()).y[:, -1]
        return replace(self, layers=shapes.weights(y))

    @property
    def visible(self) -> Layers:
        """The layers with A = Phi1^T W_1 (r, h_1) in the place of W_1."""
        return (self.problem.Phi1.T @ self.layers[0], *self.layers[1:])

    @property
    def unseen(self) -> Array:
        """(D, h_1) Phi2 B = (I - Phi1 Phi1^T) W_1."""
        return self.layers[0] - self.problem.Phi1 @ self.visible[0]

    @property
    def tail(self) -> Array:
        """(h_1, m) M = W_2 ... W_L."""
        return end_to_end(self.layers[1:], self.problem.m)


def draw_deep(network: Network, rng: np.random.Generator) -> Deep:
    """Two to four layers of widths 1 to 8 on the data of a network, their product about of the size of Theta^."""
    depth = int(rng.integers(2, 5))
    ends = (network.problem.D, *(int(h) for h in rng.integers(1, 9, depth - 1)), network.problem.m)
    root = float(np.linalg.norm(network.problem.min_norm_coordinates)) ** (1 / depth) or 1.0
    gains = root * 10 ** rng.uniform(-0.4, 0.2, depth)
    spread = gains / np.sqrt([ends[1], *ends[1:-1]])
    layers = tuple(s * rng.standard_normal(shape) for s, shape in zip(spread, pairwise(ends), strict=True))
    return Deep(network.X, network.Y, layers, network.problem)


def has_deep(index: int) -> bool:
    """Whether a deep network is drawn on the problem of an index."""
    return index % EVERY == FIRST


def no_deep_claims() -> dict[str, Check]:
    """The claims on deep networks, none of whose hypotheses is met."""
    return dict.fromkeys(NAMES, Check(False, 0.0, SLACK))


def deep_claims(network: Network, rng: np.random.Generator) -> dict[str, Check]:
    """Check the claims on a deep network on the data of this one."""
    deep = draw_deep(network, rng)
    state = reduce_deep(deep.problem, list(deep.layers))
    t = short_time(deep.problem, state.layers)
    run = train(deep.problem, state, t)
    after = deep.flow(t)
    other = replace(deep, layers=(deep.layers[0] + another(deep, rng), *deep.layers[1:]))
    return {
        "deep_reduced": reduced(after, run),
        "deep_conserved": conserved(deep, after, run.drifts),
        "deep_frozen": frozen(deep, after, other.flow(t)),
        "deep_certified": certified(deep.problem, run),
        "deep_bound": guaranteed(deep.problem, state, run),
        "deep_leak": leak(deep),
        "deep_two": two_layers(deep, run, t),
    }


def short_time(problem: Problem, layers: Layers) -> float:
    """2 / lambda_max(K(0)), or the time in which errors can grow by about e^2 if that is shorter."""
    largest, _ = kernel_largest(problem, layers, np.ones((problem.r, problem.m)), rounds=20)
    force = float(problem.sigma[0] * np.sqrt(2 * excess_loss(problem, layers)))
    others = np.sort([float(np.linalg.norm(W, 2)) for W in layers])[2:]
    return 2 / max(largest, force * float(np.prod(others)))


def train(problem: Problem, state: DeepState, t: float) -> DeepTrajectory:
    """The reduced run up to flow time t."""
    return deep_flow(problem, state, t * np.linspace(0.1, 0.9, 8), Stop(t_max=t, stationary=1e-300), "explicit", FLOW)


def another(deep: Deep, rng: np.random.Generator) -> Array:
    """(D, h_1) a change of W_1 that the data do not see."""
    change = rng.standard_normal(deep.layers[0].shape)
    change *= np.linalg.norm(deep.layers[0]) / np.linalg.norm(change)
    return change - deep.problem.Phi1 @ (deep.problem.Phi1.T @ change)


def reduced(after: Deep, run: DeepTrajectory) -> Check:
    """The reduced run is that of the whole network: A M and M^T M."""
    M, size = after.tail, float(np.prod([np.linalg.norm(W) for W in after.visible]))
    product = equal(run.product[-1], after.visible[0] @ M, limit=INTEGRATED, scale=size)
    scale = float(np.prod([np.sum(W * W) for W in after.layers[1:]]))
    return worst(product, equal(run.V[-1] @ run.V[-1].T, M.T @ M, limit=INTEGRATED, scale=scale))


def conserved(start: Deep, end: Deep, drifts: Array) -> Check:
    """Lambda_l(t) = Lambda_l(0) of every hidden layer, on the whole network and by the drifts of the reduced run."""
    pairs = zip(pairwise(start.visible), pairwise(end.visible), strict=True)
    whole = [
        equal(V1.T @ V1 - W1 @ W1.T, V.T @ V - W @ W.T, limit=INTEGRATED, scale=float(np.sum(V * V) + np.sum(W * W)))
        for (V, W), (V1, W1) in pairs
    ]
    return worst(*whole, Check(True, float(np.max(drifts)), INTEGRATED))


def frozen(start: Deep, end: Deep, other: Deep) -> Check:
    """B does not move, and with another B all other layers end as they do: what the law of the distance rests on."""
    size = float(np.linalg.norm(start.layers[0]))
    still = equal(end.unseen, start.unseen, limit=INTEGRATED, scale=size)
    alike = [equal(V, W, limit=INTEGRATED) for V, W in zip(other.visible, end.visible, strict=True)]
    return worst(still, *alike)


def certified(problem: Problem, run: DeepTrajectory) -> Check:
    """L - L* is at most exp(-int 2 lambda_min(K)) times its start, by what the record of the run certifies of K."""
    bound = bounds.certified_curve(problem, run)
    return decays(run.excess, bound.stated, _resolution(problem, run), bound.applies)


def guaranteed(problem: Problem, state: DeepState, run: DeepTrajectory) -> Check:
    """L - L* is at most what the imbalances of up to three layers guarantee before training."""
    bound = bounds.imbalance_bound(problem, state, run)
    return decays(run.excess, bound.stated, _resolution(problem, run), bound.applies)


def _resolution(problem: Problem, run: DeepTrajectory) -> float:
    """Error of ||E||_F along a run."""
    size = problem.sigma[0] * float(np.max(np.prod(run.norms, axis=1))) * np.sqrt(problem.m)
    return 10 * FLOW * float(size + np.sqrt(2 * run.excess[0]))


def leak(deep: Deep, end: Callable[[Deep, float], Deep] = Deep.flow) -> Check:
    """A run that is cut off after LEVELS levels strays from the whole network by no more than its leak allows.

    Seen on A A^T and W_L^T W_L. N and f of the bound are known before the runs: layers move by at most (t L(0))^(1/2).

    Args:
        deep: the network.
        end: where the whole network is after a time.
    """
    problem, depth = deep.problem, len(deep.layers)
    state = unfold(problem, list(deep.layers), LEVELS).state()
    if state.closed:
        return Check(False, 0.0, SLACK)
    t, sigma = short_time(problem, deep.visible), problem.sigma[0]
    loss = max(excess_loss(problem, layers) for layers in (deep.visible, state.layers))
    N = max(1.0, *(float(np.linalg.norm(W, 2)) for W in deep.visible)) + np.sqrt(t * loss)
    f = sigma * (np.linalg.norm(problem.Y_tilde) + sigma * np.sqrt(problem.m) * N**depth)
    growth = depth * (depth - 1) * N ** (depth - 2) * f
    t = min(t, 1 / growth)
    run, after = train(problem, state, t), end(deep, t)
    defect = 2 * depth**2 * N ** (depth - 1) * run.leak * (f + sigma**2 * depth**2 * N**depth * run.leak)
    first, last = run.state.layers[0], run.state.layers[-1]
    A, Z = after.visible[0], after.visible[-1]
    strayed = [np.linalg.norm(A @ A.T - first @ first.T), np.linalg.norm(Z.T @ Z - last.T @ last)]
    return at_most(strayed, 2 * N * t * defect * np.exp(growth * t), error=10 * FLOW * N**2)


def two_layers(deep: Deep, run: DeepTrajectory, t: float) -> Check:
    """Two layers are the paper's network: they end where the integrator of two layers ends."""
    if len(deep.layers) != 2:
        return Check(False, 0.0, SLACK)
    start = reduce_network(deep.problem, deep.layers[0], deep.layers[1].T)
    paper = gradient_flow(deep.problem, start, [], Stop(t_max=t, stationary=1e-300), "exponential", FLOW)
    size = float(np.linalg.norm(run.state.layers[0]) * np.linalg.norm(run.V[-1]))
    product = equal(run.product[-1], paper.product[-1], limit=INTEGRATED, scale=size)
    return worst(product, equal(run.V[-1] @ run.V[-1].T, paper.V[-1] @ paper.V[-1].T, limit=INTEGRATED))
