"""Networks with activations: a descent step beside what a user would write, the gradients of a flow beside DOP853's."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from implicit_bias.theory import Stop, draw_data
from implicit_bias.theory.networks.activation import Model, activation, read_samples
from implicit_bias.theory.networks.activation.descent import NetworkDescent
from implicit_bias.theory.networks.activation.flow import gradient_flow
from implicit_bias.theory.problem import Array
from tests.benchmarks.harness import duration, installed, interleaved, one_core, ratio, table

N, D, STEP = 100, 400, 1e-6
"""Samples, inputs, and a step on L that is stable at every width here."""
Steps = Callable[[int], None]
Weights = Callable[[], tuple[Array, Array]]


def network(h: int, name: str = "relu") -> tuple[Model, Array, Array, Array, Array, Array]:
    """A network on data as of Figure 1: the reduced one, its state, X, Y, U, V."""
    rng = np.random.default_rng(0)
    X, Y, _ = draw_data(N, D, 1, rng)
    model = Model(read_samples(X, Y), activation(name))
    U, V = rng.standard_normal((D, h)), rng.standard_normal((1, h)) / h
    return model, np.vstack([model.samples.problem.Phi1.T @ U, V]), X, Y, U, V


def full(X: Array, Y: Array, U: Array, V: Array) -> tuple[Steps, Weights]:
    """The formulas as written, relu."""

    def run(steps: int) -> None:
        nonlocal U, V
        for _ in range(steps):
            H = X @ U
            S = np.maximum(H, 0)
            E = Y - S @ V.T
            U, V = U + STEP * (X.T @ ((E @ V) * (H > 0))), V + STEP * (E.T @ S)

    return run, lambda: (U, V)


def hidden(X: Array, Y: Array, U: Array, V: Array) -> tuple[Steps, Weights]:
    """The best NumPy we could write: H moves by X X^T G, one product per step; buffers are reused. relu, m = 1."""
    H, v, gram = X @ U, V[0].copy(), STEP * (X @ X.T)
    S, G, moved, total = (np.empty_like(H) for _ in range(4))
    total[:] = 0

    def run(steps: int) -> None:
        for _ in range(steps):
            np.maximum(H, 0, out=S)
            e = Y[:, 0] - S @ v
            np.multiply(e[:, None], v, out=G)
            np.multiply(G, H > 0, out=G)
            np.matmul(gram, G, out=moved)
            np.add(H, moved, out=H)
            np.add(total, G, out=total)
            np.add(v, STEP * (e @ S), out=v)

    return run, lambda: (U + STEP * (X.T @ total), v[None])


def torch_steps(X: Array, Y: Array, U: Array, V: Array) -> tuple[Steps, Weights]:
    """PyTorch's autograd and SGD, float64."""
    import torch

    torch.set_num_threads(1)
    x, y = torch.tensor(X), torch.tensor(Y)
    u, v = torch.tensor(U, requires_grad=True), torch.tensor(V, requires_grad=True)
    optimiser = torch.optim.SGD([u, v], lr=STEP)

    def run(steps: int) -> None:
        for _ in range(steps):
            optimiser.zero_grad()
            (0.5 * ((y - torch.relu(x @ u) @ v.T) ** 2).sum()).backward()
            optimiser.step()

    return run, lambda: (u.detach().numpy(), v.detach().numpy())


RIVALS: dict[str, Callable[..., tuple[Steps, Weights]]] = {"NumPy, as written": full, "NumPy, our best": hidden}
if installed("torch"):
    RIVALS["PyTorch"] = torch_steps


def descent_steps(h: int, steps: int, repeats: int) -> None:
    """CPU time of a step of each."""
    model, R, *data = network(h)
    ours = NetworkDescent(model, R, STEP)
    functions: dict[str, Callable[[], Any]] = {"this package": lambda: ours.run(steps, 0.0)}
    for name, rival in RIVALS.items():
        functions[name] = partial(rival(*data)[0], steps)
    found = interleaved(functions, repeats)
    best = found["NumPy, our best"]
    table(
        f"descent step, relu, h = {h:,} | CPU time | times NumPy's best",
        [(name, duration(s / steps), ratio(s / best)) for name, s in found.items()],
    )


def flow_gradients(label: str, model: Model, R: Array, T: float, methods: dict[str, list[float]]) -> None:
    """Gradients of the flow up to T and the error of its end, beside SciPy's DOP853 at its best tolerance for it.

    Across kinks all orders are low: the reference is then of a tolerance of 1e-6, and DOP853's end at 1e-5.
    """
    kinks = bool(model.phi.kinks)
    truth = gradient_flow(model, R, [], Stop(t_max=T), "explicit", 1e-6 if kinks else 1e-13).R
    size = np.linalg.norm(truth)

    def rhs(_: float, y: Array) -> Array:
        return model.lift(model.motion_at(y.reshape(R.shape)).G).ravel()

    peers = []
    for rtol in 10.0 ** -np.arange(1, 5.5 if kinks else 12.5, 0.5):
        run = solve_ivp(rhs, (0, T), R.ravel(), method="DOP853", rtol=rtol, atol=rtol * np.abs(R).max())
        peers.append((np.linalg.norm(run.y[:, -1].reshape(R.shape) - truth) / size, run.nfev))
    rows = []
    for method, tolerances in methods.items():
        for tol in tolerances:
            run = gradient_flow(model, R, [], Stop(t_max=T), method, tol)
            error = np.linalg.norm(run.R - truth) / size
            theirs = min((count for found, count in peers if found <= error), default=None)
            times = ratio(theirs / run.evaluations) if theirs else ""
            rows.append((method, f"{tol:.0e}", f"{error:.0e}", run.evaluations, theirs or "", times))
    table(f"{label} | tolerance | error | gradients | DOP853's | times ours", rows)


def activations(quick: bool = False) -> None:
    one_core()
    for h in (1000,) if quick else (1000, 10_000):
        descent_steps(h, 5 if quick else 20, 3 if quick else 7)
    rng = np.random.default_rng(0)
    methods = {"explicit": [1e-4, 1e-6, 1e-8], "stabilized": [1e-4, 1e-6], "exponential": [1e-3, 1e-4, 1e-6]}
    model, R, *_ = network(200, "erf")
    flow_gradients("Figure 1's data, erf, lazy", model, R, 0.1, methods)
    R = rng.standard_normal(R.shape) / 200**0.5
    for name in ("erf",) if quick else ("erf", "tanh", "linear"):
        model = Model(model.samples, activation(name))
        flow_gradients(f"Figure 1's data, {name}, alpha = 1/2", model, R, 10.0, methods)
    if not quick:
        model = Model(model.samples, activation("relu"))
        flow_gradients("Figure 1's data, relu, alpha = 1/2", model, R, 10.0, {"stabilized": [1e-2, 1e-3, 1e-4]})
        X, Y, _ = draw_data(30, 80, 1, rng, "geometric", 1e3)
        model = Model(read_samples(X, Y), activation("erf"))
        R = rng.standard_normal((model.samples.problem.k, 60)) / 60**0.5
        flow_gradients("cond(Sigma_x) = 1e3, erf", model, R, 2000.0, methods)
