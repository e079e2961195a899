"""Deep networks: a descent step against whole networks, and what widths, depth and conditioning cost."""

from collections.abc import Callable
from itertools import count

import numpy as np
from scipy.linalg.blas import dger

from implicit_bias.theory import draw_data, reparametrize
from implicit_bias.theory.networks.deep import DeepDescent, gaussian_deep, reduce_deep, train_deep
from implicit_bias.theory.problem import Array, Problem
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
WHOLE = (2_000, 10_000)
"""Widths of whole networks: at the larger one they have 1e8 weights, and PyTorch needs 3 GB."""
CHECKED = 5
"""Steps after which the products of all methods are compared."""
COMPARED = (10**3, 10**6, 10**12)
"""Widths of which a point's cost is compared."""
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
    W = [np.array(each, order="F") for each in layers]

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


def steps(h: int, repeats: int) -> None:
    """A step by each method on the same network; products agree to 1e-10 (asserted)."""
    X, Y, layers = whole_network(h)
    problem = reparametrize(X, Y)
    descent = DeepDescent(problem, reduce_deep(problem, layers, 6).layers, 2 * ETA / N)
    descent.run(CHECKED, 0.0)
    A, *rest = descent.layers
    functions: dict[str, Callable[[], object]] = {OURS: lambda: descent.run(200, 0.0)}
    apart = {OURS: 0.0}
    for name, rival in rivals().items():
        run, weights = rival(X, Y, layers)
        run(CHECKED)
        apart[name] = float(np.max(np.abs(problem.Phi1.T @ total(weights()) - A @ total(rest))))
        assert apart[name] < 1e-10, (name, apart[name])
        functions[name] = lambda run=run: run(2)
    cost = interleaved(functions, repeats)
    cost = {name: spent / (200 if name == OURS else 2) for name, spent in cost.items()}
    table(
        f"L = 3, h = {h:,} | CPU time per step | times ours | products apart after {CHECKED} steps",
        [[name, duration(spent), ratio(spent / cost[OURS]), f"{apart[name]:.1e}"] for name, spent in cost.items()],
    )


def widths(problem: Problem, repeats: int) -> None:
    """What a point costs at small and large widths, drawn and trained in turns, a seed per round."""
    stop, drawn = Stop(excess=1e-8 * N / 2), {h: count(1) for h in COMPARED}

    def point(h: int) -> None:
        network = gaussian_deep(problem, 3, h, np.random.default_rng(next(drawn[h])))
        train_deep(problem, network, "gradient_flow", ETA, stop, 20, 1e-8, 1e-6)

    point(COMPARED[0])
    cost = interleaved({f"{h:.0e}": lambda h=h: point(h) for h in COMPARED}, repeats)
    first = cost[f"{COMPARED[0]:.0e}"]
    table(
        f"Figure 1's data, L = 3, median of {repeats} seeds | CPU time | times the first",
        [[f"h = {h}", duration(spent), f"{spent / first:.2f}"] for h, spent in cost.items()],
    )


def training(
    problem: Problem, depth: int, h: int, leak_tol: float, stop: Stop, solver: str = "gradient_flow"
) -> list[object]:
    """CPU time of one training, its levels and its directions."""
    network, tol = gaussian_deep(problem, depth, h, np.random.default_rng(1)), 1e-6 if stop.excess == 0 else 1e-8
    found = []
    cost = seconds(lambda: found.append(train_deep(problem, network, solver, ETA, stop, 20, tol, leak_tol)))
    state, run, method = found[0]
    return [duration(cost), method, run.steps, state.levels, " ".join(map(str, state.sizes)), f"{run.leak:.0e}"]


def depth(quick: bool = False) -> None:
    """The section: a step, then trainings over width, depth and conditioning."""
    one_core()
    for h in (300,) if quick else WHOLE:
        steps(h, 3)
    stop, figure_1 = Stop(excess=1e-8 * N / 2), figure_1_problem()
    widths(figure_1, 3 if quick else 21)
    small = reparametrize(*draw_data(20, 100, 1, np.random.default_rng(0), rank=2, theta_std=2.0)[:2])
    rows: list[list[object]] = []
    rows.append(["Figure 1's", 3, "1e+06", *training(figure_1, 3, 10**6, 1e-6, stop)])
    for layers in (4,) if quick else (4, 5, 6):
        rows.append(["Figure 1's", layers, "1e+06", *training(figure_1, layers, 10**6, 1e-3, stop)])
    for layers in (3, 6) if quick else (3, 4, 6, 8, 10):
        rows.append(["rank 2", layers, "1e+06", *training(small, layers, 10**6, 1e-3, stop)])
    for cond in (10, 1e6):
        problem = conditioned_problem(20 if quick else 100, 1, cond)
        name = f"cond(Sigma_x) = {cond:g}, to t = inf"
        rows.append([name, 3, "1e+04", *training(problem, 3, 10**4, 1e-4, Stop(), "flow_exponential")])
    table("data | L | h | CPU time | method | steps | levels | directions | leak", rows)
