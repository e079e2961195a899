"""One hidden layer x -> V phi(U^T x): what training sees of it, and how it moves (ours). See docs/activations.md."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from implicit_bias.theory.networks.activation.activations import Activation
from implicit_bias.theory.networks.activation.samples import Samples
from implicit_bias.theory.problem import Array


class Motion(NamedTuple):
    """The flow at one state.

    Attributes:
        E: (n, m) Y - phi(H) V^T, H = Z A.
        G: (n + m, h) rows G1 = (E V) * phi'(H) and E^T phi(H): A' = Z^T G1, V' = the last m rows.
    """

    E: Array
    G: Array

    @property
    def loss(self) -> float:
        """L = 1/2 ||E||_F^2."""
        return 0.5 * float(np.vdot(self.E, self.E))


@dataclass(frozen=True)
class Model:
    """The trained part R = [A; V] (r + m, h) of a network, A = Phi1^T U, on given samples.

    Training sees x through Phi1^T x only, so A' = Z^T G1 and Phi2^T U does not move. Increments of R are kept as
    C (n + m, h), R + [Z^T C1; C2]: the hidden layer H = Z A then moves by Z Z^T C1, one product instead of two.

    Attributes:
        samples: the data.
        phi: the activation.
    """

    samples: Samples
    phi: Activation

    def __post_init__(self) -> None:
        Z = self.samples.Z
        gram = Z @ Z.T if 2 * Z.shape[1] >= Z.shape[0] else None
        object.__setattr__(self, "_gram", gram)

    @property
    def floor(self) -> float:
        """The part of the loss that no such network can remove: L* if phi is linear, else 0, which none may reach."""
        return self.samples.problem.loss_floor if self.phi.linear else 0.0

    def hidden(self, R: Array) -> Array:
        """(n, h) H = Z A."""
        return self.samples.Z @ R[: self.samples.problem.r]

    def hidden_change(self, C: Array) -> Array:
        """(n, h) Z Z^T C1, the change of H that goes with an increment C (n + m, h)."""
        Z, C1 = self.samples.Z, C[: self.samples.n]
        gram: Array | None = self._gram  # type: ignore[attr-defined]
        return Z @ (Z.T @ C1) if gram is None else gram @ C1

    def lift(self, C: Array) -> Array:
        """(r + m, h) [Z^T C1; C2], the change of R that goes with an increment C (n + m, h)."""
        n, r = self.samples.n, self.samples.problem.r
        lifted = np.empty((r + len(C) - n, C.shape[1]))
        np.matmul(self.samples.Z.T, C[:n], out=lifted[:r])
        lifted[r:] = C[n:]
        return lifted

    def motion(self, H: Array, V: Array, out: Array | None = None) -> Motion:
        """The flow on L = 1/2 ||Y - phi(H) V^T||_F^2 at H (n, h), V (m, h); G is written to `out` if given."""
        n = len(H)
        S, slope = self.phi.evaluate(H)
        E = self.samples.Y - S @ V.T
        G = np.empty((n + len(V), H.shape[1])) if out is None else out
        np.matmul(E, V, out=G[:n])
        G[:n] *= slope
        np.matmul(E.T, S, out=G[n:])
        return Motion(E, G)

    def motion_at(self, R: Array) -> Motion:
        """The flow at R (r + m, h)."""
        return self.motion(self.hidden(R), R[self.samples.problem.r :])

    def excess(self, R: Array) -> float:
        """L - floor."""
        V = R[self.samples.problem.r :]
        E = self.samples.Y - self.phi.value(self.hidden(R)) @ V.T
        return 0.5 * float(np.sum(E * E)) - self.floor


def predictions(phi: Activation, V: Array, seen: Array, frozen: Array) -> Array:
    """(N, m) predictions of a network at N points.

    Args:
        phi: the activation.
        V: (m, h) output weights.
        seen: (N, h) x^T Phi1 A.
        frozen: (N, h) x^T Phi2 Phi2^T U.
    """
    return phi.value(seen + frozen) @ V.T


def neuron_imbalance(R: Array, r: int, degree: float) -> Array:
    """(h,) ||u1_j||^2 - degree ||v_j||^2 of R (r + m, h), constant under the flow if phi is homogeneous of that degree.

    Du, Hu and Lee (2018, Theorem 2.1) for degree 1. Under a descent step of size eta it grows by eta^2 times the same
    expression of the velocity.
    """
    return np.einsum("ij,ij->j", R[:r], R[:r]) - degree * np.einsum("ij,ij->j", R[r:], R[r:])
