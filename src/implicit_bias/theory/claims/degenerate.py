"""Random problems of every degenerate kind: starts and data at which a general method can go wrong."""

from collections.abc import Callable

import numpy as np

from implicit_bias.theory.claims.network import Network, make_network

Change = Callable[[Network, np.random.Generator], Network]


def _equal_units(network: Network, rng: np.random.Generator) -> Network:
    """Every hidden unit is the first one: a start of rank 1, which the flow keeps."""
    ones = np.ones((1, network.state.h))
    return network.with_weights(network.U[:, :1] * ones, network.V[:, :1] * ones)


def _constant(network: Network, rng: np.random.Generator) -> Network:
    """All weights of a layer are one number, as a constant initialisation has them."""
    u, v = 10 ** rng.uniform(-1, 0, 2)
    return network.with_weights(np.full_like(network.U, u), np.full_like(network.V, v))


def _near_saddle(network: Network, rng: np.random.Generator) -> Network:
    """One unit of ordinary size, the others 1e-12 of it: the run passes the saddles of fewer units."""
    scale = np.where(np.arange(network.state.h) == 0, 1.0, 1e-12)
    return network.with_weights(network.U * scale, network.V * scale)


def _scale(low: float, high: float) -> Change:
    """X, Y, U and V in other units: the same orbit, faster or slower."""

    def change(network: Network, rng: np.random.Generator) -> Network:
        g, s = 10 ** rng.uniform(low, high, 2)
        return make_network(g * network.X, g * s**2 * network.Y, s * network.U, s * network.V)

    return change


def _deficient_product(network: Network, rng: np.random.Generator) -> Network:
    """U1 V^T of rank 1, each layer of full rank: V is orthogonal to all of U1 but one row's part."""
    unit = network.U1[:1] / np.linalg.norm(network.U1[:1])
    basis = np.linalg.qr(network.U1.T)[0]
    kept = (network.V @ unit.T) @ unit
    return network.with_weights(network.U, network.V - (network.V @ basis) @ basis.T + kept)


def _repeated_outputs(network: Network, rng: np.random.Generator) -> Network:
    """Every target is the first one: a target of rank 1."""
    Y = network.Y[:, :1] * np.ones((1, network.Y.shape[1]))
    return make_network(network.X, Y, network.U, network.V)


DEGENERATE: dict[str, Change] = {
    "equal units": _equal_units,
    "constant weights": _constant,
    "near a saddle": _near_saddle,
    "tiny scales": _scale(-6, -3),
    "huge scales": _scale(3, 6),
    "product of deficient rank": _deficient_product,
    "repeated outputs": _repeated_outputs,
}
KINDS = tuple(DEGENERATE)


def degenerate(kind: str, network: Network, rng: np.random.Generator) -> Network:
    """The network with a degeneracy of this kind, its sizes as they were."""
    return DEGENERATE[kind](network, rng)
