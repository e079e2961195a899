"""Deep initial networks: given, Gaussian at any width, with orthogonal inner layers, infinitely wide."""

from dataclasses import dataclass

import numpy as np

from implicit_bias.theory.checks import as_matrix, check
from implicit_bias.theory.initialization.gaussian import MAX_WIDTH, scaled, standard_normal
from implicit_bias.theory.law.distance import PAPER, Scaling
from implicit_bias.theory.networks.deep.sources import Dense, Gaussian, InfinitelyWide
from implicit_bias.theory.networks.deep.state import DeepState, closed_state, of_two_layers
from implicit_bias.theory.networks.deep.unfolding import Fixed, Unfolding
from implicit_bias.theory.networks.two_layer import reduce_network, triangular_factor, unseen_factor
from implicit_bias.theory.problem import Array, Problem

Network = Unfolding | Fixed

MOST_LEVELS = 1000
"""A basis that has not closed after so many levels is not going to."""


@dataclass(frozen=True)
class DeepScaling:
    """Scales of independent Gaussian layers: N(0, sigma^2) entries.

    The first layer has sigma_1 = gain_U h_1^-alpha, the last one gain_V h_{L-1}^-alpha, as in the paper; an inner layer
    W_l (h_{l-1}, h_l) has inner h_{l-1}^(-1/2), which keeps the size of what passes through it.

    Attributes:
        ends: scales of the first and the last layer.
        inner: gain of the inner layers, or one for each.
    """

    ends: Scaling = PAPER
    inner: float | tuple[float, ...] = 1.0

    def gains(self, depth: int) -> tuple[float, ...]:
        """(L - 2,) gains of the inner layers.

        Raises:
            ValueError: a gain is negative or not finite, or there are not L - 2 of them.
        """
        count = max(depth - 2, 0)
        gains = self.inner if isinstance(self.inner, tuple) else (self.inner,) * count
        if len(gains) != count:
            raise ValueError(f"inner must hold one gain for each of the {count} inner layers, got {len(gains)}")
        return tuple(check("inner", gain, gain >= 0, "finite and >= 0") for gain in gains)

    def scales(self, widths: tuple[int, ...]) -> tuple[float, ...]:
        """(L,) standard deviations of the entries of the layers, L = len(widths) + 1 >= 2."""
        inner = [gain * h**-0.5 for gain, h in zip(self.gains(len(widths) + 1), widths[:-1], strict=True)]
        return (self.ends.sigma_U(widths[0]), *inner, self.ends.gain_V * float(widths[-1]) ** -self.ends.alpha)


def checked_widths(depth: int, widths: int | tuple[int, ...]) -> tuple[int, ...]:
    """(L - 1,) hidden widths; a single one is that of all layers.

    Raises:
        ValueError: depth is below 1, there are not L - 1 widths, or one is not an integer in [1, 2**53].
    """
    if depth < 1 or depth != int(depth):
        raise ValueError(f"depth must be an integer of at least 1, got {depth}")
    each = widths if isinstance(widths, tuple) else (widths,) * (depth - 1)
    if len(each) != depth - 1:
        raise ValueError(f"a network of depth {depth} has {depth - 1} hidden widths, got {len(each)}")
    for h in (*each, *(() if isinstance(widths, tuple) else (widths,))):
        if not 1 <= h <= MAX_WIDTH or h != int(h):
            raise ValueError(f"width h must be an integer in [1, 2**53], where chi-square sampling is exact, got {h}")
    return tuple(int(h) for h in each)


def unfold(problem: Problem, weights: list[Array], levels: int = 0) -> Network:
    """A network that is given whole, to be reduced level by level.

    Args:
        problem: the reparametrised problem.
        weights: W_1 (D, h_1), W_2 (h_1, h_2), ..., W_L (h_{L-1}, m); W_1 (D, m) alone is plain regression.
        levels: levels to start with.

    Raises:
        ValueError: a layer is not a finite matrix, or shapes do not fit.
    """
    each = [as_matrix(f"W_{index}", W) for index, W in enumerate(weights, start=1)]
    ends = [problem.D, *(W.shape[1] for W in each)]
    for index, W in enumerate(each, start=1):
        if W.shape[0] != ends[index - 1]:
            raise ValueError(f"W_{index} must have {ends[index - 1]} rows, got shape {W.shape}")
    if not each or ends[-1] != problem.m:
        raise ValueError(f"the last layer must have m = {problem.m} columns, got {ends[-1] if each else 'no layer'}")
    if len(each) == 1:
        A = problem.Phi1.T @ each[0]
        return Fixed(closed_state((A,), unseen_factor(problem, each[0] - problem.Phi1 @ A), ()))
    if len(each) == 2:
        return Fixed(of_two_layers(reduce_network(problem, each[0], each[1].T)))
    return Unfolding(Dense(problem, each), levels)


def reduce_deep(problem: Problem, weights: list[Array], levels: int | None = None) -> DeepState:
    """Reduce a full network to its state (ours, docs/depth.md); None grows levels until nothing is cut off."""
    network = unfold(problem, weights, levels or 0)
    while levels is None and not network.closed and network.levels < MOST_LEVELS:
        network.grow()
    return network.state()


def gaussian_deep(
    problem: Problem,
    depth: int,
    widths: int | tuple[int, ...],
    rng: np.random.Generator,
    scaling: DeepScaling | None = None,
    levels: int = 0,
    sampler: str = "auto",
) -> Network:
    """A network of independent Gaussian layers, exact in distribution at every width, never drawn whole (ours).

    Two layers are the paper's network, by today's draw `standard_normal` to the last bit. One layer is plain
    regression, W_1 (D, m) of scale sigma_1; a width then sets the scale alone.

    Args:
        problem: the reparametrised problem.
        depth: layers L.
        widths: the width of all hidden layers, or each of the L - 1.
        rng: source of all randomness.
        scaling: scales of the layers; the paper's, with inner gains 1, by default.
        levels: levels to start with, of three layers and more.
        sampler: of two layers, as in `standard_normal`.

    Raises:
        ValueError: an argument is outside its range.
    """
    scaling, each = scaling or DeepScaling(), checked_widths(depth, widths)
    if depth == 1:
        sigma = scaling.ends.sigma_U(widths if isinstance(widths, int) else 1)
        A = sigma * rng.standard_normal((problem.r, problem.m))
        rows = problem.D - problem.r
        return Fixed(closed_state((A,), unseen_rows(sigma * rng.standard_normal((rows, problem.m))), ()))
    scales = scaling.scales(each)
    if depth == 2:
        return Fixed(of_two_layers(scaled(standard_normal(problem, each[0], rng, sampler), *scales)))
    return Unfolding(Gaussian(problem, each, scales, rng), levels)


def unseen_rows(B: Array) -> Array:
    """Triangular factor of B (D - r, d)."""
    return triangular_factor(B) if B.size else np.zeros((0, B.shape[1]))


def orthogonal_deep(
    problem: Problem, depth: int, width: int, rng: np.random.Generator, scaling: DeepScaling | None = None
) -> Fixed:
    """Gaussian first and last layer, inner layers gain times independent Haar orthogonal (h, h) ones (ours).

    The inner layers rotate the last one, which leaves its distribution as it is; in rotated bases they are gain I. So
    r + m directions of each hidden layer are all that training reaches, at any depth.

    Raises:
        ValueError: an argument is outside its range, or depth is 1.
    """
    scaling, widths = scaling or DeepScaling(), checked_widths(depth, width)
    if depth < 2:
        raise ValueError(f"a network with inner layers needs depth of at least 2, got {depth}")
    scales, gains = scaling.scales(widths), scaling.gains(depth)
    state = scaled(standard_normal(problem, width, rng), scales[0], scales[-1])
    inner = tuple(gain * np.eye(state.R.shape[1]) for gain in gains)
    return Fixed(closed_state((state.U1, *inner, state.V.T), state.U2, widths))


def infinite_deep(
    problem: Problem, depth: int, a: float = 1.0, b: float = 1.0, inner: float | tuple[float, ...] = 1.0
) -> Network:
    """The limit of Gaussian networks as all widths grow together with a = sigma_1^2 h, b = sigma_L^2 h fixed (ours).

    Raises:
        ValueError: a or b is negative or not finite, or a gain is.
    """
    widths = checked_widths(depth, MAX_WIDTH)
    a = check("a = sigma_1^2 h", a, a >= 0, "finite and >= 0")
    b = check("b = sigma_L^2 h", b, b >= 0, "finite and >= 0")
    gains = DeepScaling(inner=inner).gains(depth)
    r, m = problem.r, problem.m
    if depth == 1:
        return Fixed(closed_state((np.zeros((r, m)),), np.zeros((0, m)), ()))
    if depth == 2:
        ends = np.eye(r + m) * np.sqrt(np.repeat([a, b], [r, m]))
        return Fixed(closed_state((ends[:r], ends[r:].T.copy()), np.zeros((0, r + m)), widths))
    return Unfolding(InfinitelyWide(problem, widths, a, b, gains))
