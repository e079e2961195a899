"""A network of explicit weights on explicit data: the claims are checked where nothing has been reduced."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.integrate import solve_ivp

from implicit_bias.theory.networks.two_layer import State, reduce_network, visible_directions
from implicit_bias.theory.problem import Array, Problem, reparametrize

RANK_RTOL = 1e-10


@dataclass(frozen=True)
class Network:
    """Data, weights, and the reduction made of them.

    Attributes:
        X: (n, D) data.
        Y: (n, m) targets.
        U: (D, h) input weights.
        V: (m, h) output weights.
        problem: the reparametrised problem.
        state: the reduced state.
    """

    X: Array
    Y: Array
    U: Array
    V: Array
    problem: Problem
    state: State

    @property
    def theta(self) -> Array:
        """(D, m) end-to-end matrix U V^T."""
        return self.U @ self.V.T

    @property
    def U1(self) -> Array:
        """(r, h) Phi1^T U."""
        return self.problem.Phi1.T @ self.U

    @property
    def unseen(self) -> Array:
        """(D, h) Phi2 U2 = (I - Phi1 Phi1^T) U."""
        return self.U - self.problem.Phi1 @ self.U1

    @property
    def imbalance(self) -> Array:
        """(h, h) Lambda = U1^T U1 - V^T V (paper, eq. 9)."""
        return self.U1.T @ self.U1 - self.V.T @ self.V

    def velocity(self) -> tuple[Array, Array]:
        """U', V' of the flow: minus the gradient of L = 1/2 ||Y - X U V^T||_F^2 by the chain rule (paper, eq. 5)."""
        G = self.X.T @ (self.Y - self.X @ self.theta)
        return G @ self.V, G.T @ self.U

    def with_weights(self, U: Array, V: Array) -> "Network":
        """The same data with other weights."""
        return replace(self, U=U, V=V, state=reduce_network(self.problem, U, V))


def make_network(X: Array, Y: Array, U: Array, V: Array) -> Network:
    """Reparametrise the data and reduce the weights."""
    problem = reparametrize(X, Y, RANK_RTOL)
    return Network(X, Y, U, V, problem, reduce_network(problem, U, V))


def flow(network: Network, t: float, gain: float = 1.0) -> Network:
    """The network after flow time t, integrated in all its weights by DOP853.

    Args:
        network: where to start.
        t: flow time.
        gain: the network trained is X -> gain X U V^T; 1 for the paper's parametrisation.
    """
    X, Y, split = network.X, network.Y, network.U.size

    def rhs(_: float, y: Array) -> Array:
        U, V = y[:split].reshape(network.U.shape), y[split:].reshape(network.V.shape)
        G = gain * (X.T @ (Y - gain * (X @ U @ V.T)))
        return np.concatenate([(G @ V).ravel(), (G.T @ U).ravel()])

    start = np.concatenate([network.U.ravel(), network.V.ravel()])
    y = solve_ivp(rhs, (0, t), start, method="DOP853", rtol=1e-9, atol=1e-10 * np.abs(start).max()).y[:, -1]
    return network.with_weights(y[:split].reshape(network.U.shape), y[split:].reshape(network.V.shape))


def hidden_directions(network: Network) -> Array:
    """(h, k') hidden directions in which the reduced state of a network is written."""
    return visible_directions(network.problem, network.U, network.V)[1]


def lift(network: Network, R: Array, directions: Array | None = None) -> Network:
    """The network whose reduced state is R (k, k'): undoes the reduction.

    Args:
        network: has U2, and has had R on its way.
        R: reduced state.
        directions: (h, k') hidden directions of R, if not those of `network`. Where U2 has been projected, rounding
            errors in [U1; V] may be directions that the network of R does not have.
    """
    r, Phi1 = network.problem.r, network.problem.Phi1
    P = R @ (hidden_directions(network) if directions is None else directions).T
    return network.with_weights(network.unseen + Phi1 @ P[:r], P[r:])


def in_invariant_set(network: Network) -> Network:
    """Project U2 so that V U2^T = 0 and U1 U2^T = 0 (paper, eq. 15)."""
    return _without(network, np.vstack([network.U1, network.V]))


def end_to_end_orthogonal(network: Network) -> Network:
    """Project U2 so that V U2^T = 0 alone: U V^T has its columns in span(Phi1) (paper, remark after Proposition 1)."""
    return _without(network, network.V)


def _without(network: Network, rows: Array) -> Network:
    """Remove from U2 its part in the row space of `rows` (p, h)."""
    _, s, right = np.linalg.svd(rows, full_matrices=False)
    basis = right[s > 1e-12 * s[0]]
    unseen = network.unseen
    visible = network.U - unseen
    return network.with_weights(visible + unseen - (unseen @ basis.T) @ basis, network.V)


def balanced(network: Network, Q: Array) -> Network:
    """Balanced weights with the same end-to-end matrix Theta0: U = Theta0 M^{-1/4} Q^T, V = M^{1/4} Q^T (section 4).

    M = Theta0^T Phi1 Phi1^T Theta0 (m, m) must be nonsingular; Q (h, m) has orthonormal columns.
    """
    theta = network.theta
    w, B = np.linalg.eigh(theta.T @ network.problem.Phi1 @ network.problem.Phi1.T @ theta)
    return network.with_weights(theta @ (B * w**-0.25) @ B.T @ Q.T, (B * w**0.25) @ B.T @ Q.T)
