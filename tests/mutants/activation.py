"""Mutants of networks with activations."""

from tests.mutants.mutant import mutants

MUTANTS = [
    *mutants(
        "networks/activation/network.py",
        "networks/activation/test_activation_training.py",
        ("- degree * np.einsum", "- np.einsum"),
        ("G[:n] *= slope", "G[:n] *= 1"),
        ("np.matmul(E.T, S, out=G[n:])", "np.matmul(E.T, slope, out=G[n:])"),
        ("else gram @ C1", "else C1"),
    ),
    *mutants(
        "networks/activation/closed.py",
        "networks/activation/test_gaussian_integrals.py",
        ("2 * below * bend * up", "below * bend * up"),
        ("(pi - theta) * np.cos(theta)", "theta * np.cos(theta)"),
        ("variance=lambda a, s: 2 * s * s * (2 * a * a + s * s)", "variance=lambda a, s: 2 * s * s * (a * a + s * s)"),
        ("a / np.sqrt(1 + 2 * s * s)", "a / np.sqrt(1 + s * s)"),
        ("- 4 * c * c)", "- c * c)"),
    ),
    *mutants(
        "networks/activation/gaussian.py",
        "networks/activation/test_gaussian_integrals.py",
        ("- sqrt(order) * before", "- order * before"),
        ("rows[order, block] = np.sum(power, axis=-1)", "rows[order, block] = np.sum(power * values, axis=-1)"),
    ),
    *mutants(
        "networks/activation/stabilized.py",
        "networks/activation/test_activation_training.py",
        ("nu * before", "mu * before"),
        ("-b[j] / b[j - 2]", "-b[j] / b[j - 1]"),
        ("slope -= (shift[j - 1] * step) * G", "slope -= (shift[j] * step) * G"),
        ("self.radius = MARGIN * largest + second", "self.radius = largest / MARGIN"),
        ("x * y * ((y - x) * (R1 - R)", "x * y * ((x - y) * (R1 - R)"),
    ),
    *mutants(
        "networks/activation/frozen.py",
        "networks/activation/test_frozen_law.py",
        ("sigma_U * points.unseen_norms[:, None]", "points.unseen_norms[:, None]"),
        ("(z * z - 1) * skew / 6", "(z * z + 1) * skew / 6"),
        ("power = power * rho", "power = rho"),
        ("return sigma_U * (points.unseen", "return (points.unseen"),
    ),
    *mutants(
        "networks/activation/references.py",
        "networks/activation/test_kernel_references.py",
        ("return value + b * inner * slope, error", "return value + b * slope, error"),
        ("D * (V[o] * V[p])", "D * V[o]"),
        ("model.samples.Y - at_samples", "model.samples.Y"),
        ("points.squared_norms", "np.sum(points.seen**2, axis=1)"),
    ),
    *mutants(
        "networks/activation/descent.py",
        "networks/activation/test_activation_training.py",
        ("self._B *= self._momentum", "self._B *= self._momentum**2"),
        ("self._moved += self._G", "self._moved += self._B"),
    ),
]
