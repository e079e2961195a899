"""A gradient-descent step and a point of Figure 1, against what a user would write for the full network."""

from collections.abc import Callable
from itertools import count

import numpy as np
from scipy.linalg.blas import dger

from implicit_bias.theory import Problem, State, Stop, draw_data, evaluate, reduce_network, reparametrize, train
from implicit_bias.theory.problem import Array
from implicit_bias.theory.solvers.descent import Descent
from tests.benchmarks.harness import (
    duration,
    figure_1_problem,
    installed,
    interleaved,
    network,
    one_core,
    ratio,
    seconds,
    table,
)

N, D, M, ETA = 100, 400, 1, 5e-3
OURS = "this package, reduced"
STOP = Stop(excess=1e-8 * N / 2)
"""Averaged loss 1e-8, the paper's rule."""

Steps = Callable[[int], None]
Weights = Callable[[], tuple[Array, Array]]


def plain(X: Array, Y: Array, U: Array, V: Array) -> tuple[Steps, Weights]:
    """The formulas as written."""

    def run(steps: int) -> None:
        nonlocal U, V
        for _ in range(steps):
            G = (2 * ETA / N) * (X.T @ (Y - X @ (U @ V.T)))
            U, V = U + G @ V, V + G.T @ U

    return run, lambda: (U, V)


def in_place(X: Array, Y: Array, U: Array, V: Array) -> tuple[Steps, Weights]:
    """One buffer, reused."""
    U, V, buffer = U.copy(), V.copy(), np.empty_like(U)

    def run(steps: int) -> None:
        for _ in range(steps):
            G = (2 * ETA / N) * (X.T @ (Y - X @ (U @ V.T)))
            dV = G.T @ U
            np.matmul(G, V, out=buffer)
            np.add(U, buffer, out=U)
            np.add(V, dV, out=V)

    return run, lambda: (U, V)


def blas(X: Array, Y: Array, U: Array, V: Array) -> tuple[Steps, Weights]:
    """The rank-one update by BLAS, without a buffer (m = 1)."""
    U, V = np.array(U, order="F"), V.copy()

    def run(steps: int) -> None:
        for _ in range(steps):
            G = (2 * ETA / N) * (X.T @ (Y - X @ (U @ V.T)))
            dV = G.T @ U
            dger(1.0, G[:, 0], V[0], a=U, overwrite_a=1)
            np.add(V, dV, out=V)

    return run, lambda: (U, V)


def blocked(X: Array, Y: Array, U: Array, V: Array, columns: int = 250) -> tuple[Steps, Weights]:
    """BLAS on blocks of columns that stay in cache, U V^T of the next step on the way: one pass over U (m = 1)."""
    U, V = np.array(U, order="F"), V.copy()
    parts = [slice(j, j + columns) for j in range(0, U.shape[1], columns)]
    blocks = [(U[:, part], V[:, part]) for part in parts]
    product = U @ V.T

    def run(steps: int) -> None:
        nonlocal product
        for _ in range(steps):
            G = (2 * ETA / N) * (X.T @ (Y - X @ product))
            product = np.zeros_like(product)
            for Ub, Vb in blocks:
                dV = G.T @ Ub
                dger(1.0, G[:, 0], Vb[0], a=Ub, overwrite_a=1)
                Vb += dV
                product += Ub @ Vb.T

    return run, lambda: (U, V)


def autograd(X: Array, Y: Array, U: Array, V: Array) -> tuple[Steps, Weights]:
    """PyTorch: loss.backward() and a step."""
    import torch

    torch.set_num_threads(1)
    X, Y = torch.from_numpy(X), torch.from_numpy(Y)
    U, V = (torch.from_numpy(A.copy()).requires_grad_() for A in (U, V))
    optimizer = torch.optim.SGD([U, V], lr=ETA)

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = ((Y - X @ (U @ V.T)) ** 2).sum() / N
            loss.backward()
            optimizer.step()

    return run, lambda: (U.detach().numpy(), V.detach().numpy())


def jitted(X: Array, Y: Array, U: Array, V: Array) -> tuple[Steps, Weights]:
    """JAX: grad of the loss, all steps in one compiled loop, in place."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    X, Y = jnp.array(X), jnp.array(Y)
    gradient = jax.grad(lambda W: jnp.sum((Y - X @ (W[0] @ W[1].T)) ** 2) / N)

    def step(_, W):
        return jax.tree.map(lambda w, g: w - ETA * g, W, gradient(W))

    advance = jax.jit(lambda W, steps: jax.lax.fori_loop(0, steps, step, W), donate_argnums=0)
    W = (jnp.array(U), jnp.array(V))

    def run(steps: int) -> None:
        nonlocal W
        W = jax.block_until_ready(advance(W, steps))

    return run, lambda: (np.asarray(W[0]), np.asarray(W[1]))


def rivals() -> dict[str, Callable[..., tuple[Steps, Weights]]]:
    found = {
        "NumPy, as written": plain,
        "NumPy, in place": in_place,
        "NumPy + BLAS, in place": blas,
        "NumPy + BLAS, in place, cache blocks": blocked,
    }
    if installed("torch"):
        found["PyTorch autograd"] = autograd
    if installed("jax"):
        found["JAX jit"] = jitted
    return found


def full_network(h: int) -> tuple[Problem, State, tuple[Array, Array, Array, Array]]:
    X, Y, _ = draw_data(N, D, M, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    U, V = rng.standard_normal((D, h)) * h**-0.5, rng.standard_normal((M, h)) * h**-0.5
    problem = reparametrize(X, Y)
    return problem, reduce_network(problem, U, V), (X, Y, U, V)


def step_costs(h: int, quick: bool) -> tuple[dict[str, float], dict[str, float]]:
    """CPU seconds of a step by each method, and the distance of their iterates to ours (relative to the largest).

    Raises:
        AssertionError: iterates differ by more than 1e-12.
    """
    problem, state, data = full_network(h)
    descent = Descent(problem, state.R, 2 * ETA / N)
    stacked = np.vstack([problem.Phi1.T @ data[2], data[3]])
    rotation = np.linalg.solve(state.R, stacked)
    functions: dict[str, Callable[[], object]] = {OURS: lambda: descent.run(2000, 0.0)}
    weights, units, apart = {}, {OURS: 2000}, {}
    check = 10
    descent.run(check, 0.0)
    ours = descent.R @ rotation
    for name, rival in rivals().items():
        run, weights = rival(*data)
        run(check)
        U, V = weights()
        theirs = np.vstack([problem.Phi1.T @ U, V])
        apart[name] = float(np.max(np.abs(theirs - ours)) / np.max(np.abs(ours)))
        assert apart[name] < 1e-12, f"{name}: iterates differ by {apart[name]:.1e}"
        units[name] = max(1, 40_000 // h)
        functions[name] = lambda run=run, steps=units[name]: run(steps)
    medians = interleaved(functions, 3 if quick else 9)
    return {name: s / units[name] for name, s in medians.items()}, apart


def gd_step(quick: bool = False) -> None:
    one_core()
    print(f"A gradient-descent step, n = {N}, D = {D}, m = {M}; iterates after 10 steps agree to 1e-12 (asserted).\n")
    for h in (10_000,) if quick else (500, 10_000):
        costs, apart = step_costs(h, quick)
        rows = (
            (name, duration(s), ratio(s / costs[OURS]), f"{apart[name]:.0e}" if name in apart else "")
            for name, s in costs.items()
        )
        table(f"h = {h:_} | CPU time a step | times ours | iterates apart", rows)


def figure_1(quick: bool = False) -> None:
    one_core()
    problem, h = figure_1_problem(), 10_000
    print(f"A point of Figure 1 at h = {h:_}: initialise, train to an averaged loss of 1e-8, evaluate.\n")
    seeds = count(1)

    def point(solver: str, sampler: str, h: int = h) -> int:
        state = network(problem, h, sampler, next(seeds))
        trajectory, _ = train(problem, state, solver, ETA, STOP, points=60, tol=1e-8)
        evaluate(problem, state, trajectory, h**-0.5, h**-0.5, 0.5, 0.05)
        return trajectory.steps

    point("gradient_flow", "bartlett")
    ours = {
        "flow, reduced state sampled": ("gradient_flow", "bartlett"),
        "flow, entries drawn": ("gradient_flow", "dense"),
        "gradient descent, reduced state sampled": ("gradient_descent", "bartlett"),
    }
    calls = {f"this package: {name}": (lambda a=arguments: point(*a)) for name, arguments in ours.items()}
    costs = interleaved(calls, 1 if quick else 5)
    first = next(iter(costs.values()))
    rows = [(name, duration(s), ratio(s / first)) for name, s in costs.items()]
    iterations = point("gradient_descent", "bartlett")
    steps, _ = step_costs(h, quick=True)
    rows += [
        (f"{name}: gradient descent", duration(s * iterations, True), ratio(s * iterations / first, True))
        for name, s in steps.items()
        if name != OURS
    ]
    table("method | CPU time | times the first", rows)
    print(f"~ marks full-space runs of {iterations:_} iterations, timed on {3 * 4} and extrapolated.\n")
    widths = [w for w in range(500, 10_001, 500) for _ in range(5)]
    total = seconds(lambda: [point("gradient_flow", "bartlett", w) for w in widths[:: 10 if quick else 1]])
    total *= len(widths) / len(widths[:: 10 if quick else 1])
    descent = costs["this package: gradient descent, reduced state sampled"] * len(widths)
    rows = [("flow", duration(total, quick), duration(total / 2, quick))]
    rows.append(("gradient descent", duration(descent, True), duration(descent / 2, True)))
    table("all 100 points | CPU time | on two cores", rows)
