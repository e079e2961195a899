"""Do the tests notice a wrong formula? Each mutant breaks a sign, a pairing or a factor of the theory in one place.

    python -m tests.mutation [--only bounds.py] [--write docs/mutation.md]

runs, for each mutant, the quick tests of the module it is in on a temporary copy, until one fails. Every mutant must be
killed, by a test that fails.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
THEORY = Path("src/implicit_bias/theory")
SECONDS = 900
"""A mutant whose tests run longer than this hangs, which kills it, too."""


@dataclass(frozen=True)
class Mutant:
    """One place in the theory, broken.

    Attributes:
        module: the file, below the theory.
        tests: files, below tests/theory, whose tests must notice; the first are run first.
        old: text that occurs once in the file.
        new: what takes its place.
    """

    module: str
    tests: tuple[str, ...]
    old: str
    new: str

    @property
    def applies(self) -> bool:
        """Whether the text still is where it was, once."""
        return (ROOT / THEORY / self.module).read_text("utf-8").count(self.old) == 1


def _mutants(module: str, tests: str, *changes: tuple[str, str]) -> list[Mutant]:
    return [Mutant(module, tuple(tests.split()), old, new) for old, new in changes]


MUTANTS = [
    *_mutants(
        "problem.py",
        "test_problem.py",
        ("float((self.sigma[0] / self.sigma[-1]) ** 2)", "float(self.sigma[0] / self.sigma[-1])"),
        ("np.asarray(excess, float) * (2 / self.n)", "np.asarray(excess, float) * (1 / self.n)"),
        ("np.asarray(t, float) * (self.n / (2 * step_size))", "np.asarray(t, float) * (self.n / step_size)"),
        ("return self.Y_tilde / self.sigma[:, None]", "return self.Y_tilde * self.sigma[:, None]"),
        ("return rank_rtol * sigma_1", "return rank_rtol"),
        ("np.sum(self.Y_tilde**2) + 2 * self.loss_floor", "np.sum(self.Y_tilde**2) + self.loss_floor"),
        ("loss_floor=float(0.5 * np.sum(", "loss_floor=float(np.sum("),
    ),
    *_mutants(
        "networks/two_layer.py",
        "networks/test_two_layer.py",
        ("return U1.T @ U1 - V.T @ V", "return U1.T @ U1 + V.T @ V"),
        (
            "lambda_r = ordered_eigenvalue(spectrum, state.h, state.r)",
            "lambda_r = ordered_eigenvalue(spectrum, state.h, m)",
        ),
        ("lambda_m = ordered_eigenvalue(-spectrum, state.h, m)", "lambda_m = ordered_eigenvalue(spectrum, state.h, m)"),
        (
            "ordered_eigenvalue(spectrum, state.h, 1), 0.0) - plus",
            "ordered_eigenvalue(spectrum, state.h, 1), 0.0) - minus",
        ),
        ("U2 -= problem.Phi1 @ (problem.Phi1.T @ U2)", "U2 += problem.Phi1 @ (problem.Phi1.T @ U2)"),
        ("spectrum[i - 1 - zeros]", "spectrum[i - 1]"),
    ),
    *_mutants(
        "initialization/gaussian.py",
        "initialization/test_gaussian.py",
        ("degrees = columns - np.arange", "degrees = columns + np.arange"),
        ("U2=state.U2 * sigma_u", "U2=state.U2 * sigma_v"),
        ("R = np.vstack([left * root, right.T * root])", "R = np.vstack([left * s, right.T])"),
        ("@ (right.T / root)", "@ (right.T * root)"),
        ("U2=state.U2 - (state.U2 @ np.linalg.pinv(V)) @ V", "U2=state.U2 + (state.U2 @ np.linalg.pinv(V)) @ V"),
        ("V = state.V - coefficients @ U1", "V = state.V + coefficients @ U1"),
    ),
    *_mutants(
        "solvers/trajectory.py",
        "test_kernel.py solvers/test_flow.py",
        (
            "return problem.Y_tilde - problem.sigma[:, None] * (U1",
            "return problem.Y_tilde + problem.sigma[:, None] * (U1",
        ),
        ("return 0.5 * float(np.sum(residual(problem, R) ** 2))", "return float(np.sum(residual(problem, R) ** 2))"),
        ("np.matmul(F.T, R[:r], out=moved[r:])", "np.matmul(-F.T, R[:r], out=moved[r:])"),
        ("np.sum(A * B) * m", "np.sum(A * B)"),
        ("np.sum(s2**2) * np.sum(C * G)", "np.sum(s2) * np.sum(C * G)"),
    ),
    *_mutants(
        "kernel.py",
        "test_kernel.py",
        ("np.diag(c * problem.sigma**2)", "np.diag(c * problem.sigma)"),
        ("return _extreme(problem, R, -1)", "return _extreme(problem, R, 0)"),
        ("np.linalg.eigvalsh(V @ V.T)[which]", "np.linalg.eigvalsh(V @ V.T)[-1 - which]"),
    ),
    *_mutants(
        "solvers/descent.py",
        "solvers/test_descent.py",
        ("return problem.n / largest if", "return 2 * problem.n / largest if"),
        ("dgemm(-1.0, U, V", "dgemm(1.0, U, V"),
        ("np.broadcast_to((problem.sigma**2)", "np.broadcast_to((problem.sigma)"),
        ("limit = 2 * excess", "limit = excess"),
        (
            "dgemm(step, F, V, 1.0, U, overwrite_c=1)\n            V += dV",
            "V += dV\n            dgemm(step, F, V, 1.0, U, overwrite_c=1)",
        ),
    ),
    *_mutants(
        "networks/hidden.py",
        "solvers/test_degenerate.py networks/test_two_layer.py",
        ("np.abs(left) > cut * size", "np.abs(left) > cut * np.max(size)"),
        ("np.abs(left) > cut * size", "np.abs(left) > 0"),
        ("return L @ T.T, O", "return L @ T, O"),
    ),
    *_mutants(
        "solvers/equilibria.py",
        "solvers/test_degenerate.py",
        ("growing = A.T @ U1 + BT @ V", "growing = A.T @ U1 - BT @ V"),
        (
            "growing = A.T @ R[: problem.r] + BT @ R[problem.r :]",
            "growing = A.T @ R[: problem.r] - BT @ R[problem.r :]",
        ),
        ("floor = 0.5 * float(np.sum(s2[width:]))", "floor = 0.5 * float(np.sum(s2[:width]))"),
        ("np.abs(slopes + 2)", "np.abs(slopes - 2)"),
    ),
    *_mutants(
        "solvers/orbit.py",
        "solvers/test_exponential.py",
        ("D = (2 / 3) * (full - 2 * half)", "D = (1 / 3) * (full - 2 * half)"),
        ("return full / 2 - D, full / 2 + D", "return full / 2 + D, full / 2 - D"),
        (
            "apply(second, core2, apply(first, core1, T[-1]))",
            "apply(first, core1, apply(second, core2, T[-1]))",
        ),
        ("(Q * (2 * np.sinh(f / 2) ** 2)) @ QT", "(Q * np.sinh(f / 2) ** 2) @ QT"),
        ("np.swapaxes(X, -1, -2) @ U1, V], axis=-2)", "-np.swapaxes(X, -1, -2) @ U1, V], axis=-2)"),
    ),
    *_mutants(
        "solvers/reference.py",
        "solvers/test_exponential.py",
        ("powers = (_FACTORIALS * theta", "powers = (1.0 * theta"),
    ),
    *_mutants(
        "solvers/limit.py",
        "solvers/test_exponential.py solvers/test_degenerate.py",
        ("settle((problem.Y_tilde - E)", "settle((problem.Y_tilde + E)"),
        ("(X @ M.T + M @ XT) @ F", "(X @ M.T - M @ XT) @ F"),
        ("F @ (XT @ M + M.T @ X)", "F @ (XT @ M - M.T @ X)"),
    ),
    *_mutants(
        "solvers/exponential.py",
        "solvers/test_exponential.py",
        ("(U1 @ (U1.T @ F) + F @ (V @ V.T))", "(U1 @ (U1.T @ F) - F @ (V @ V.T))"),
        ("self._integral(weights) - X[2 * done]", "self._integral(weights)"),
        ("self.reference.hat(residual(self.problem, R)) - e", "e - self.reference.hat(residual(self.problem, R))"),
    ),
    *_mutants(
        "solvers/flow.py",
        "solvers/test_flow.py",
        ("- np.log(excess))", "+ np.log(excess))"),
        ("max(stop.stationary, tol) * speed0", "max(stop.stationary, tol)"),
    ),
    *_mutants(
        "bounds/before.py",
        "bounds/test_before.py",
        ("rate = 2 * problem.sigma[-1] ** 2 * imbalance.c", "rate = problem.sigma[-1] ** 2 * imbalance.c"),
        (
            "part(imbalance.spread_plus, s_m) + part(imbalance.spread_minus, s_r)",
            "part(imbalance.spread_plus, s_r) + part(imbalance.spread_minus, s_m)",
        ),
        ("numerator = c * (2 * spread + c) + 4 * s**2", "numerator = c * (2 * spread + c) + 2 * s**2"),
        ("np.maximum(s - residual_norm, 0.0)", "np.maximum(s + residual_norm, 0.0)"),
        (
            "return s_m / problem.sigma[0], s_r / problem.sigma[0]",
            "return s_r / problem.sigma[0], s_m / problem.sigma[0]",
        ),
        (
            "return s[..., m - 1] if m <= r else absent, s[..., r - 1] if r <= m else absent",
            "return s[..., r - 1] if r <= m else absent, s[..., m - 1] if m <= r else absent",
        ),
        (
            "np.sqrt(problem.m + problem.D) + 0.5 * np.log(2 / delta)",
            "np.sqrt(problem.m + problem.D) - 0.5 * np.log(2 / delta)",
        ),
        ("np.asarray(h ** (1 - 2 * alpha))", "np.asarray(h ** (2 * alpha - 1))"),
        ("value = 2 * np.sqrt(problem.k) * _deviation", "value = 2 * np.sqrt(problem.m) * _deviation"),
        (
            "1 + problem.sigma[0] / problem.sigma[-1] ** 2 * problem.y_norm",
            "1 + problem.sigma[0] / problem.sigma[-1] * problem.y_norm",
        ),
    ),
    *_mutants(
        "bounds/flow.py",
        "bounds/test_flow.py",
        ("initial * np.exp(length)", "initial * np.exp(-length)"),
        ("np.minimum(s[:-1] - left, s[1:] - right)", "np.minimum(s[:-1] + left, s[1:] + right)"),
        ("size = problem.sigma[0] * samples.residual[:-1]", "size = problem.sigma[-1] * samples.residual[:-1] / 2"),
    ),
    *_mutants(
        "bounds/descent.py",
        "bounds/test_descent.py",
        ("return 1 + 2 * bend * np.where", "return 1 + bend * np.where"),
        ("bend = step * (twist - low", "bend = step * (twist + low"),
        ("return 0.5 * np.sqrt(dt * samples.lost / (1 - ", "return 0.4 * np.sqrt(dt * samples.lost / (1 - "),
        ("(np.sqrt(high[end]) + radius) ** 2", "(np.sqrt(high[end]) - radius) ** 2"),
        ("np.maximum(np.sqrt(low[end]) - radius, 0.0) ** 2", "(np.sqrt(low[end]) + radius) ** 2"),
        (
            "far = problem.sigma[0] * samples.residual[:-1] * step",
            "far = problem.sigma[0] * samples.residual[:-1] * step / 3",
        ),
        ("paid = 2 * radius / least", "paid = 0.5 * radius / least"),
        ("count > 1, length, step * force[:-1])", "count > 1, length, 0.5 * step * force[:-1])"),
        ("[:, 0] + c[:, 0],", "[:, 0] - c[:, 0],"),
    ),
    *_mutants(
        "solvers/momentum.py",
        "solvers/test_momentum.py",
        ("self.R + self.beta * self._W if self.nesterov else self.R", "self.R if self.nesterov else self.R"),
        ("self._W = self.beta * self._W +", "self._W = self._W +"),
    ),
    *_mutants(
        "law/limit.py",
        "law/test_limit.py law/test_distance.py",
        ("quarter, half = a / 4 + b / 4, mu / 2", "quarter, half = a / 4 - b / 4, mu / 2"),
        ("return self.b * np.eye(len(self.B))", "return self.a * np.eye(len(self.B))"),
        ("spectrum = limit.v[-1] + limit.a +", "spectrum = limit.v[-1] + limit.b +"),
        ("moved += 2 * np.sum(e)", "moved += np.sum(e)"),
    ),
    *_mutants(
        "law/distance.py",
        "law/test_distance.py law/test_prediction.py law/test_limit.py",
        (
            "sigma_U**2 * gram_spectrum(problem, VVt)[1], problem.D - problem.r",
            "sigma_U**2 * gram_spectrum(problem, VVt)[1], problem.D",
        ),
        ("self.gain_V**2 * power", "self.gain_U**2 * power"),
    ),
    *_mutants(
        "law/chi_square.py",
        "law/test_chi_square.py law/test_distance.py",
        ("log_mgf = -dof / 2", "log_mgf = -dof"),
        ("spread = sqrt(-2 * log(", "spread = sqrt(-log("),
    ),
    *_mutants(
        "law/correction.py",
        "law/test_correction.py",
        ("np.sum((1 - sech) ** 2) * a**2", "np.sum((1 - sech) ** 2) * b**2"),
        ("idle_direction(cosh2, b, a)", "idle_direction(cosh2, a, b)"),
        ("mean = float(np.sum(limit.v)) + correction", "mean = float(np.sum(limit.v)) - correction"),
    ),
    *_mutants(
        "measure.py",
        "test_measure.py",
        ("return np.hypot(u2v, along), u2v", "return u2v + along, u2v"),
        ('"rate_bound": 2 * float(', '"rate_bound": float('),
    ),
    *_mutants(
        "synthetic.py",
        "test_synthetic.py",
        ("np.geomspace(1.0, cond**-0.5, rank)", "np.geomspace(1.0, 1 / cond, rank)"),
        ("rng.standard_normal((count, D)) / np.sqrt(D)", "rng.standard_normal((count, D)) / D"),
    ),
    *_mutants(
        "claims/bias.py",
        "claims/test_problems.py",
        ("kappa = np.sqrt(m) / h ** (2 * alpha - 0.5)", "kappa = np.sqrt(m) / h ** (alpha - 0.5)"),
    ),
    *_mutants(
        "claims/imbalance.py",
        "claims/test_problems.py",
        ("spectrum[-r] - spectrum[m - 1]", "spectrum[-r] + spectrum[m - 1]"),
        ("s_U[-1] ** 2 + s_V[-1] ** 2, met=orthogonal", "s_U[-1] ** 2 - s_V[-1] ** 2, met=orthogonal"),
    ),
    *_mutants(
        "networks/deep/dynamics.py",
        "networks/deep/test_training.py networks/deep/test_reduction.py",
        (
            "F = problem.sigma[:, None] * (problem.Y_tilde - problem.sigma[:, None] * (layers[0] @ S[0]))",
            "F = problem.Y_tilde - problem.sigma[:, None] * (layers[0] @ S[0])",
        ),
        ("total = W @ total + g @ (s.T @ s)", "total = W @ total + g"),
        ("K += np.kron(sP @ sP.T, S.T @ S)", "K += np.kron(sP @ sP.T, np.eye(problem.m))"),
        ("return [V.T @ V - W @ W.T for", "return [V.T @ V + W @ W.T for"),
        ("(S[index + 1], S[index + 1][columns:]),", "(S[index + 1], S[index + 1][:0]),"),
    ),
    *_mutants(
        "networks/deep/state.py",
        "networks/deep/test_reduction.py",
        ("root = s ** (1 / state.depth)", "root = s ** (1 / 2)"),
        ("right.T * (root / s)", "right.T * root"),
    ),
    *_mutants(
        "networks/deep/unfolding.py",
        "networks/deep/test_reduction.py networks/deep/test_sampling.py",
        (
            "wider[done[0] :, fresh] = self._source.meet(layer, slice(done[0], W.shape[0]), fresh)",
            "wider[done[0] :, fresh] = 0.0",
        ),
        (
            "wider[fresh, done[1] :] = self._source.meet(layer, fresh, slice(done[1], W.shape[1]))",
            "wider[fresh, done[1] :] = 0.0",
        ),
    ),
    *_mutants(
        "networks/deep/sources.py",
        "networks/deep/test_sampling.py networks/deep/test_reduction.py",
        ("left = self.widths[layer + 1] - columns", "left = self.widths[layer + 1]"),
        ("left = self.widths[layer] - rows", "left = self.widths[layer]"),
        ("self._unseen_rng.chisquare(float(unseen - j))", "self._unseen_rng.chisquare(float(unseen))"),
        ("return self.scales[0] * B", "return B"),
        ("return float(np.sqrt(self.a)) * np.eye", "return float(self.a) * np.eye"),
    ),
    *_mutants(
        "networks/deep/starts.py",
        "networks/deep/test_sampling.py",
        ("inner = [gain * h**-0.5 for", "inner = [gain * h**-1.0 for"),
        ("float(widths[-1]) ** -self.ends.alpha", "float(widths[-1]) ** -0.5"),
    ),
    *_mutants(
        "networks/deep/links.py",
        "networks/deep/test_training.py",
        ("(0.25 - _ROOT, stages[1])", "(0.25 + _ROOT, stages[1])"),
        ("D = 4 * _ROOT * (full - 2 * half)", "D = 2 * _ROOT * (full - 2 * half)"),
    ),
    *_mutants(
        "networks/deep/collocation.py",
        "networks/deep/test_training.py",
        ("A += np.kron(P @ P.T, S.T @ S)", "A += np.kron(P @ P.T, S.T @ S) / 3"),
        ("np.exp(-(t - t0) * reference.L)", "np.exp(-2 * (t - t0) * reference.L)"),
        ("at_nodes = weights.residual(e, n)[1::2]", "at_nodes = weights.residual(e, n)[::2]"),
    ),
    *_mutants(
        "networks/deep/descent.py",
        "networks/deep/test_training.py",
        ("self._step_sigma = step * self._sigma", "self._step_sigma = 2 * step * self._sigma"),
        ("return problem.n / largest if", "return 100 * problem.n / largest if"),
        ("W[-1] += G[-1]", "W[-1] -= G[-1]"),
    ),
    *_mutants(
        "networks/deep/bounds.py",
        "networks/deep/test_bounds.py",
        ("return 2 * problem.sigma[-1] ** 2 * np.sum(", "return 4 * problem.sigma[-1] ** 2 * np.sum("),
        ("first + last if state.depth == 2 else first * last", "first + last"),
        (
            "_ordered(-Lambdas[-1][:columns, :columns], problem.m)",
            "_ordered(Lambdas[-1][:columns, :columns], problem.m)",
        ),
        ("np.sqrt(2 * run.excess / kernel)", "np.sqrt(run.excess / kernel) / 9"),
        ("P = np.maximum(run.head_least[at] - head, 0.0)", "P = run.head_least[at] + head"),
    ),
    *_mutants(
        "networks/deep/law.py",
        "networks/deep/test_law.py",
        ("return np.eye(problem.m)\n    if depth == 2", "return 2 * np.eye(problem.m)\n    if depth == 2"),
        ("error / (2 * rms)", "error / rms * 100"),
        ("ends.sigma_U(h) ** 2 * gram", "ends.sigma_U(h) * gram"),
    ),
    *_mutants(
        "networks/deep/experiment.py",
        "networks/deep/test_law.py networks/deep/test_bounds.py",
        ("if weights > most_weights:", "if weights < 0:"),
    ),
    *_mutants(
        "networks/deep/evaluation.py",
        "networks/deep/test_bounds.py",
        ("return np.hypot(u2v, along), u2v", "return u2v + along, u2v"),
        ('metrics["met/reach"] = narrow >= rank', 'metrics["met/reach"] = narrow <= rank'),
    ),
    *_mutants(
        "networks/activation/network.py",
        "networks/activation/test_activation_training.py",
        ("- degree * np.einsum", "- np.einsum"),
        ("G[:n] *= slope", "G[:n] *= 1"),
        ("np.matmul(E.T, S, out=G[n:])", "np.matmul(E.T, slope, out=G[n:])"),
        ("else gram @ C1", "else C1"),
    ),
    *_mutants(
        "networks/activation/closed.py",
        "networks/activation/test_gaussian_integrals.py",
        ("2 * below * bend * up", "below * bend * up"),
        ("(pi - theta) * np.cos(theta)", "theta * np.cos(theta)"),
        ("variance=lambda a, s: 2 * s * s * (2 * a * a + s * s)", "variance=lambda a, s: 2 * s * s * (a * a + s * s)"),
        ("a / np.sqrt(1 + 2 * s * s)", "a / np.sqrt(1 + s * s)"),
        ("- 4 * c * c)", "- c * c)"),
    ),
    *_mutants(
        "networks/activation/gaussian.py",
        "networks/activation/test_gaussian_integrals.py",
        ("- sqrt(order) * before", "- order * before"),
        ("rows[order, block] = np.sum(power, axis=-1)", "rows[order, block] = np.sum(power * values, axis=-1)"),
    ),
    *_mutants(
        "networks/activation/stabilized.py",
        "networks/activation/test_activation_training.py",
        ("nu * before", "mu * before"),
        ("-b[j] / b[j - 2]", "-b[j] / b[j - 1]"),
        ("slope -= (shift[j - 1] * step) * G", "slope -= (shift[j] * step) * G"),
        ("self.radius = MARGIN * largest + second", "self.radius = largest / MARGIN"),
        ("x * y * ((y - x) * (R1 - R)", "x * y * ((x - y) * (R1 - R)"),
    ),
    *_mutants(
        "networks/activation/frozen.py",
        "networks/activation/test_frozen_law.py",
        ("sigma_U * points.unseen_norms[:, None]", "points.unseen_norms[:, None]"),
        ("(z * z - 1) * skew / 6", "(z * z + 1) * skew / 6"),
        ("power = power * rho", "power = rho"),
        ("return sigma_U * (points.unseen", "return (points.unseen"),
    ),
    *_mutants(
        "networks/activation/references.py",
        "networks/activation/test_kernel_references.py",
        ("return value + b * inner * slope, error", "return value + b * slope, error"),
        ("D * (V[o] * V[p])", "D * V[o]"),
        ("model.samples.Y - at_samples", "model.samples.Y"),
        ("points.squared_norms", "np.sum(points.seen**2, axis=1)"),
    ),
    *_mutants(
        "networks/activation/descent.py",
        "networks/activation/test_activation_training.py",
        ("self._B *= self._momentum", "self._B *= self._momentum**2"),
        ("self._moved += self._G", "self._moved += self._B"),
    ),
]


@contextmanager
def copy() -> Iterator[Path]:
    """A temporary copy of sources and tests."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("src", "tests"):
            shutil.copytree(
                ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        shutil.copy(ROOT / "pyproject.toml", folder)
        yield Path(folder)


def run(folder: Path, tests: tuple[str, ...]) -> str:
    """Name of the first test that fails in the copy; "" if all pass.

    Raises:
        RuntimeError: the tests could not be run.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:xdist"]
    files = [f"tests/theory/{name}" for name in tests]
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        result = subprocess.run(
            [*command, *files], cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return "none in time"
    if result.returncode == 0:
        return ""
    failed = re.search(r"^FAILED tests/theory/([^\s\[]+)", result.stdout, re.MULTILINE)
    if result.returncode != 1 or failed is None:
        raise RuntimeError(f"the tests could not be run: {result.stdout[-2000:]}{result.stderr[-2000:]}")
    return failed[1]


def killer(folder: Path, mutant: Mutant) -> str:
    """Name of the test that kills a mutant in the copy, "" if it survives."""
    file = folder / THEORY / mutant.module
    whole = file.read_text("utf-8")
    file.write_text(whole.replace(mutant.old, mutant.new), "utf-8")
    try:
        return run(folder, mutant.tests)
    finally:
        file.write_text(whole, "utf-8")


HEAD = """# Mutations

Written by `make mutate`; do not edit. Each row breaks a sign, a pairing or a factor of the theory in one place, and
runs the quick tests of its module on a copy until one fails. **{killed} of {count} mutants killed.** The list has
{listed}.

| module | code | broken | killed by |
|---|---|---|---|
"""


def page(outcome: list[tuple[Mutant, str]]) -> str:
    """The outcome as a page in Markdown."""

    def cell(text: str) -> str:
        return f"`{' '.join(text.split())}`".replace("|", "\\|")

    rows = [
        f"| {mutant.module} | {cell(mutant.old)} | {cell(mutant.new)} | {cell(test) if test else '**survives**'} |"
        for mutant, test in outcome
    ]
    return (
        HEAD.format(killed=sum(bool(test) for _, test in outcome), count=len(outcome), listed=len(MUTANTS))
        + "\n".join(rows)
        + "\n"
    )


def main() -> int:
    """Run the mutants; 1 if one survives or is no longer there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="mutants of this module, such as bounds.py")
    parser.add_argument("--write", type=Path, help="where to write the page")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.module]
    lost = [mutant for mutant in chosen if not mutant.applies]
    for mutant in lost:
        print(f"no longer there: {mutant.module}: {mutant.old}", flush=True)
    outcome = []
    with copy() as folder:
        for mutant in chosen:
            if mutant.applies:
                test = killer(folder, mutant)
                outcome.append((mutant, test))
                print(f"{mutant.module}: {mutant.new}: {test or 'SURVIVES'}", flush=True)
    if options.write:
        options.write.write_text(page(outcome), "utf-8")
    return int(bool(lost) or not all(test for _, test in outcome))


if __name__ == "__main__":
    sys.exit(main())
