"""Mutants of linear networks of any depth."""

from tests.mutants.mutant import mutants

MUTANTS = [
    *mutants(
        "networks/deep/dynamics.py",
        "networks/deep/test_training.py networks/deep/test_reduction.py",
        (
            "F = problem.sigma[:, None] * (problem.Y_tilde - problem.sigma[:, None] * (layers[0] @ S[0]))",
            "F = problem.Y_tilde - problem.sigma[:, None] * (layers[0] @ S[0])",
        ),
        ("total = W @ total + g @ (s.T @ s)", "total = W @ total + g"),
        ("K += np.kron(sP @ sP.T, S.T @ S)", "K += np.kron(sP @ sP.T, np.eye(problem.m))"),
        ("return [V.T @ V - W @ W.T for", "return [V.T @ V + W @ W.T for"),
        ("columns.T @ S[l] / (np.linalg.norm(S[l]) or 1.0)", "0.0 * columns.T @ S[l]"),
    ),
    *mutants(
        "networks/deep/state.py",
        "networks/deep/test_reduction.py",
        ("root = s ** (1 / state.depth)", "root = s ** (1 / 2)"),
        ("right.T * (root / s)", "right.T * root"),
    ),
    *mutants(
        "networks/deep/unfolding.py",
        "networks/deep/test_reduction.py networks/deep/test_directions.py",
        (
            "met = rows @ self._source.meet(before, rows, fresh)",
            "met = 0.0 * rows @ self._source.meet(before, rows, fresh)",
        ),
        (
            "met = columns @ self._source.meet(after, fresh, columns).T",
            "met = 0.0 * columns @ self._source.meet(after, fresh, columns).T",
        ),
        ("np.hstack([old @ rest, newer])", "np.hstack([0.9 * old @ rest, newer])"),
        ("np.cumsum(values.clip(min=0.0)) <= share**2", "np.cumsum(values.clip(min=0.0)) <= share"),
    ),
    *mutants(
        "networks/deep/sources.py",
        "networks/deep/test_sampling.py networks/deep/test_reduction.py",
        ("left = self.widths[layer + 1] - columns", "left = self.widths[layer + 1]"),
        ("left = self.widths[layer] - rows", "left = self.widths[layer]"),
        ("self._unseen_rng.chisquare(float(unseen - j))", "self._unseen_rng.chisquare(float(unseen))"),
        ("return self.scales[0] * B", "return B"),
        ("return float(np.sqrt(self.a)) * np.eye", "return float(self.a) * np.eye"),
    ),
    *mutants(
        "networks/deep/starts.py",
        "networks/deep/test_sampling.py",
        ("inner = [gain * h**-0.5 for", "inner = [gain * h**-1.0 for"),
        ("float(widths[-1]) ** -self.ends.alpha", "float(widths[-1]) ** -0.5"),
    ),
    *mutants(
        "networks/deep/links.py",
        "networks/deep/test_training.py",
        ("(0.25 - _ROOT, stages[1])", "(0.25 + _ROOT, stages[1])"),
        ("D = 4 * _ROOT * (full - 2 * half)", "D = 2 * _ROOT * (full - 2 * half)"),
    ),
    *mutants(
        "networks/deep/collocation.py",
        "networks/deep/test_training.py",
        ("A += np.kron(P @ P.T, S.T @ S)", "A += np.kron(P @ P.T, S.T @ S) / 3"),
        ("np.exp(-(t - t0) * reference.L)", "np.exp(-2 * (t - t0) * reference.L)"),
        ("at_nodes = weights.residual(e, n)[1::2]", "at_nodes = weights.residual(e, n)[::2]"),
    ),
    *mutants(
        "networks/deep/descent.py",
        "networks/deep/test_training.py",
        ("self._step_sigma = step * self._sigma", "self._step_sigma = 2 * step * self._sigma"),
        ("return problem.n / largest if", "return 100 * problem.n / largest if"),
        ("W[-1] += G[-1]", "W[-1] -= G[-1]"),
    ),
    *mutants(
        "networks/deep/bounds.py",
        "networks/deep/test_bounds.py",
        ("return 2 * problem.sigma[-1] ** 2 * np.sum(", "return 4 * problem.sigma[-1] ** 2 * np.sum("),
        ("return size * first * last", "return size * (first + last)"),
        (
            "_ordered(-columns.T @ Lambdas[1] @ columns, problem.m)",
            "_ordered(columns.T @ Lambdas[1] @ columns, problem.m)",
        ),
        ("np.sqrt(2 * run.excess / kernel)", "np.sqrt(run.excess / kernel) / 9"),
        ("P = np.maximum(run.head_least[at] - head, 0.0)", "P = run.head_least[at] + head"),
    ),
    *mutants(
        "networks/deep/law.py",
        "networks/deep/test_law.py",
        ("return np.eye(problem.m)\n    if depth == 2", "return 2 * np.eye(problem.m)\n    if depth == 2"),
        ("error / (2 * rms)", "error / rms * 100"),
        ("ends.sigma_U(h) ** 2 * gram", "ends.sigma_U(h) * gram"),
    ),
    *mutants(
        "networks/deep/experiment.py",
        "networks/deep/test_law.py networks/deep/test_bounds.py",
        ("if weights > most_weights:", "if weights < 0:"),
    ),
    *mutants(
        "networks/deep/evaluation.py",
        "networks/deep/test_bounds.py",
        ("return np.hypot(u2v, along), u2v", "return u2v + along, u2v"),
        ('metrics["met/reach"] = narrow >= rank', 'metrics["met/reach"] = narrow <= rank'),
    ),
]
