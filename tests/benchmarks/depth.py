"""Deep networks: a descent step against whole networks, and what width, depth and conditioning cost."""

from collections.abc import Callable

import numpy as np
from scipy.linalg.blas import dger

from implicit_bias.theory import draw_data, reparametrize
from implicit_bias.theory.networks.deep import DeepDescent, gaussian_deep, reduce_deep, train_deep
from implicit_bias.theory.problem import Array
from implicit_bias.theory.solvers.stopping import Stop
from tests.benchmarks.harness import (
    duration,
    figure_1_problem,
    installed,
    interleaved,
    one_core,
    ratio,
    seconds,
    table,
)
from tests.support.oracles import conditioned_problem
from tests.theory.networks.deep.references import dense_layers, total

N, D, ETA = 100, 400, 5e-3
WIDE, WHOLE = 10_000, 2_000
"""The width of interest, and one at which whole networks fit into memory and are timed."""
OURS = "this package, reduced"
Steps = Callable[[int], None]
Weights = Callable[[], list[Array]]


def plain(X: Array, Y: Array, layers: list[Array]) -> tuple[Steps, Weights]:
    """Backpropagation as written, layers updated in place."""
    W = [each.copy() for each in layers]

    def run(steps: int) -> None:
        for _ in range(steps):
            before = [X]
            for each in W[:-1]:
                before.append(before[-1] @ each)
            G = (2 * ETA / N) * (Y - before[-1] @ W[-1])
            for each, forward in zip(reversed(W), reversed(before), strict=True):
                dW = forward.T @ G
                G = G @ each.T
                each += dW

    return run, lambda: W


def vectors(X: Array, Y: Array, layers: list[Array]) -> tuple[Steps, Weights]:
    """The products contracted to vectors first (m = 1), the rank-one updates by BLAS: each layer is read twice."""
    W = [np.asfortranarray(each) for each in layers]

    def run(steps: int) -> None:
        for _ in range(steps):
            tails = [np.ones(1)]
            for each in reversed(W[1:]):
                tails.append(each @ tails[-1])
            g = (2 * ETA / N) * (X.T @ (Y[:, 0] - X @ (W[0] @ tails[-1])))
            for each, tail in zip(W, reversed(tails), strict=True):
                after = each.T @ g
                dger(1.0, g, tail, a=each, overwrite_a=1)
                g = after

    return run, lambda: W


def autograd(X: Array, Y: Array, layers: list[Array]) -> tuple[Steps, Weights]:
    """PyTorch: loss.backward() and a step."""
    import torch

    torch.set_num_threads(1)
    inputs, targets = torch.from_numpy(X), torch.from_numpy(Y)
    W = [torch.from_numpy(each.copy()).requires_grad_() for each in layers]
    optimizer = torch.optim.SGD(W, lr=ETA)

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            out = inputs
            for each in W:
                out = out @ each
            ((targets - out) ** 2).sum().div(N).backward()
            optimizer.step()

    return run, lambda: [each.detach().numpy() for each in W]


def rivals() -> dict[str, Callable[..., tuple[Steps, Weights]]]:
    found = {"NumPy, as written": plain, "NumPy + BLAS, vectors first": vectors}
    return found | ({"PyTorch autograd": autograd} if installed("torch") else {})


def whole_network(h: int) -> tuple[Array, Array, list[Array]]:
    """Data of Figure 1 and the layers of a network of width h, L = 3."""
    X, Y, _ = draw_data(N, D, 1, np.random.default_rng(0))
    return X, Y, dense_layers(np.random.default_rng(2), D, (h, h), 1)


def steps(quick: bool) -> None:
    """A step by each method at a width where whole networks fit; products agree to 1e-10 (asserted)."""
    h, check = (300, 10) if quick else (WHOLE, 10)
    X, Y, layers = whole_network(h)
    problem = reparametrize(X, Y)
    descent = DeepDescent(problem, reduce_deep(problem, layers, 6).layers, 2 * ETA / N)
    descent.run(check, 0.0)
    A, *rest = descent.layers
    functions: dict[str, Callable[[], object]] = {OURS: lambda: descent.run(200, 0.0)}
    apart = {OURS: 0.0}
    for name, rival in rivals().items():
        run, weights = rival(X, Y, layers)
        run(check)
        apart[name] = float(np.max(np.abs(problem.Phi1.T @ total(weights()) - A @ total(rest))))
        assert apart[name] < 1e-10, (name, apart[name])
        functions[name] = lambda run=run: run(2)
    cost = interleaved(functions, 3 if quick else 7)
    cost = {name: spent / (200 if name == OURS else 2) for name, spent in cost.items()}
    wide = DeepDescent(
        problem, gaussian_deep(problem, 3, WIDE, np.random.default_rng(1), levels=6).state().layers, 1e-6
    )
    wide.run(20, 0.0)
    ours = min(seconds(lambda: wide.run(200, 0.0)) for _ in range(5)) / 200
    table(
        f"L = 3 | CPU time of a step, h = {h:,} | products apart after {check} steps | times ours at h = {WIDE:,}, "
        f"by (h / {h:,})^2",
        [
            [
                name,
                duration(spent),
                f"{apart[name]:.1e}",
                1 if name == OURS else ratio(spent * (WIDE / h) ** 2 / ours, True),
            ]
            for name, spent in cost.items()
        ],
    )
    print(f"our step at h = {WIDE:,}: {duration(ours)}\n")


def training(problem, depth: int, h: int, leak_tol: float, stop: Stop, solver: str = "gradient_flow") -> list[object]:
    """CPU time of one training, its levels and its directions."""
    network, tol = gaussian_deep(problem, depth, h, np.random.default_rng(1)), 1e-6 if stop.excess == 0 else 1e-8
    found = []
    cost = seconds(lambda: found.append(train_deep(problem, network, solver, ETA, stop, 20, tol, leak_tol)))
    state, run, method = found[0]
    return [duration(cost), method, run.steps, state.levels, " ".join(map(str, state.sizes)), f"{run.leak:.0e}"]


def depth(quick: bool = False) -> None:
    """The section: a step, then trainings over width, depth and conditioning."""
    one_core()
    steps(quick)
    stop, figure_1 = Stop(excess=1e-8 * N / 2), figure_1_problem()
    small = reparametrize(*draw_data(20, 100, 1, np.random.default_rng(0), rank=2, theta_std=2.0)[:2])
    rows: list[list[object]] = []
    for h in (10**3, 10**12):
        rows.append(["Figure 1's", 3, f"{h:.0e}", *training(figure_1, 3, h, 1e-6, stop)])
    for layers in (4,) if quick else (4, 5, 6):
        rows.append(["Figure 1's", layers, "1e+06", *training(figure_1, layers, 10**6, 1e-3, stop)])
    for layers in (3, 6) if quick else (3, 4, 6, 8, 10):
        rows.append(["rank 2", layers, "1e+06", *training(small, layers, 10**6, 1e-3, stop)])
    for cond in (10, 1e6):
        problem = conditioned_problem(20 if quick else 100, 1, cond)
        name = f"cond(Sigma_x) = {cond:g}, to t = inf"
        rows.append([name, 3, "1e+04", *training(problem, 3, 10**4, 1e-4, Stop(), "flow_exponential")])
    table("data | L | h | CPU time | method | steps | levels | directions | leak", rows)
