"""The gradient flow against general solvers on the same problem, at the same measured error."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.integrate import DOP853, LSODA, Radau

from implicit_bias.theory import Problem, State, Stop, gradient_flow
from implicit_bias.theory.problem import Array
from implicit_bias.theory.solvers.flow import INTEGRATORS
from implicit_bias.theory.solvers.trajectory import excess_loss
from tests.benchmarks.harness import conditioned, cpu, duration, installed, network, one_core, ratio, table

TARGET = 1e-8
"""Relative error of P(T) asked of everyone."""

Points = Iterator[tuple[float, Array]]


@dataclass(frozen=True)
class Case:
    """A flow from R0 (k, k') to time T, when the excess loss has fallen by 1e-16, with its end R (k, k')."""

    problem: Problem
    R0: Array
    T: float
    R: Array

    @classmethod
    def of(cls, problem: Problem, state: State) -> "Case":
        stop = Stop(excess=1e-16 * excess_loss(problem, state.R))
        run = gradient_flow(problem, state, [], stop, "exponential", tol=1e-12)
        return cls(problem, state.R, float(run.t[-1]), run.R)

    def error(self, R: Array) -> float:
        return float(np.linalg.norm(R - self.R) / np.linalg.norm(self.R))


@dataclass(frozen=True)
class Outcome:
    """CPU seconds to T, how they are known ("" measured, "~" extrapolated, ">" a lower bound), error, tolerance."""

    seconds: float
    sign: str
    error: float | None
    tol: float

    def row(self, name: str, ours: float) -> tuple[str, ...]:
        error = "" if self.error is None else f"{self.error:.0e}"
        return (
            name,
            self.sign + duration(self.seconds),
            self.sign + ratio(self.seconds / ours),
            error,
            f"{self.tol:.0e}",
        )


def ours(method: str, case: Case, tol: float) -> Points:
    yield 0.0, case.R0
    for step in INTEGRATORS[method](case.problem, case.R0, tol):
        if step.t1 >= case.T:
            yield case.T, step.at(case.T)
            return
        yield step.t1, step.R


def scipy_peer(solver: type, case: Case, tol: float) -> Points:
    """SciPy on the reduced state, given the exact Jacobian where it takes one."""
    shape, r = case.R0.shape, case.problem.r
    sigma, Y = case.problem.sigma[:, None], case.problem.Y_tilde

    def rhs(_: float, y: Array) -> Array:
        P = y.reshape(shape)
        F = sigma * (Y - sigma * (P[:r] @ P[r:].T))
        out = np.empty(shape)
        np.matmul(F, P[r:], out=out[:r])
        np.matmul(F.T, P[:r], out=out[r:])
        return out.ravel()

    options = {} if solver is DOP853 else {"jac": lambda _, y: jacobian(case.problem, y.reshape(shape))}
    run = solver(rhs, 0.0, case.R0.ravel(), case.T, rtol=tol, atol=tol * np.max(np.abs(case.R0)) / 10, **options)
    yield 0.0, case.R0
    while run.status == "running":
        run.step()
        yield run.t, run.y.reshape(shape)


def jacobian(problem: Problem, P: Array) -> Array:
    """Jacobian of the flow for m = 1, dense."""
    r, q = problem.r, P.shape[1]
    U, v, s2 = P[:r], P[r], problem.sigma**2
    F = problem.sigma * problem.Y_tilde[:, 0] - s2 * (U @ v)
    J = np.zeros((r + 1, q, r + 1, q))
    rows = np.arange(r)
    J[rows, :, rows] = -s2[:, None, None] * np.outer(v, v)
    cross = F[:, None, None] * np.eye(q) - s2[:, None, None] * v[:, None] * U[:, None, :]
    J[:r, :, r] = cross
    J[r, :, :r] = cross.transpose(2, 0, 1)
    J[r, :, r] = -(U.T * s2) @ U
    return J.reshape(P.size, P.size)


def full_space(case: Case, tol: float) -> Points:
    """DOP853 on a full network U (D, h), V (m, h) that reduces to the case, h = 5 k."""
    problem, r, D = case.problem, case.problem.r, case.problem.D
    O = np.linalg.qr(np.random.default_rng(2).standard_normal((5 * problem.k, case.R0.shape[1])))[0]
    X, Y = problem.sigma[:, None] * problem.Phi1.T, problem.Y_tilde
    start = np.vstack([problem.Phi1 @ case.R0[:r], case.R0[r:]]) @ O.T

    def rhs(_: float, y: Array) -> Array:
        P = y.reshape(start.shape)
        G = X.T @ (Y - X @ (P[:D] @ P[D:].T))
        return np.vstack([G @ P[D:], G.T @ P[:D]]).ravel()

    run = DOP853(rhs, 0.0, start.ravel(), case.T, rtol=tol, atol=tol * np.max(np.abs(start)) / 10)
    yield 0.0, case.R0
    while run.status == "running":
        run.step()
        P = run.y.reshape(start.shape)
        yield run.t, np.vstack([problem.Phi1.T @ P[:D], P[D:]]) @ O


def diffrax_peer(name: str, chunk: int, case: Case, tol: float) -> Points:
    """Diffrax on the reduced state, compiled beforehand, in chunks of steps."""
    import diffrax
    import jax
    import jax.numpy as jnp

    r = case.problem.r
    s, Y = jnp.array(case.problem.sigma)[:, None], jnp.array(case.problem.Y_tilde)

    def field(t, P, _):
        F = s * (Y - s * (P[:r] @ P[r:].T))
        return jnp.concatenate([F @ P[r:], F.T @ P[:r]])

    control = diffrax.PIDController(rtol=tol, atol=tol * float(np.max(np.abs(case.R0))) / 10)
    term, solver = diffrax.ODETerm(field), getattr(diffrax, name)()

    @jax.jit
    def advance(t, T, dt, P):
        run = diffrax.diffeqsolve(term, solver, t, T, dt, P, stepsize_controller=control, max_steps=chunk, throw=False)
        return run.ts[-1], run.ys[-1], run.stats["num_accepted_steps"]

    t, P = 0.0, jnp.array(case.R0)
    dt = 1e-3 / float(np.max(case.problem.sigma) ** 2)
    jax.block_until_ready(advance(t, case.T * 1e-9, case.T * 1e-9, P))
    yield 0.0, case.R0
    while t < case.T:
        reached, P, steps = jax.block_until_ready(advance(t, case.T, dt, P))
        dt, t = float((reached - t) / steps), float(reached)
        yield t, np.asarray(P)


PEERS: dict[str, Callable[[Case, float], Points]] = {
    "scipy DOP853": lambda case, tol: scipy_peer(DOP853, case, tol),
    "scipy LSODA": lambda case, tol: scipy_peer(LSODA, case, tol),
    "scipy Radau": lambda case, tol: scipy_peer(Radau, case, tol),
}
if installed("diffrax"):
    PEERS |= {
        "diffrax Tsit5": lambda case, tol: diffrax_peer("Tsit5", 1000, case, tol),
        "diffrax Kvaerno5": lambda case, tol: diffrax_peer("Kvaerno5", 20, case, tol),
    }
EXPLICIT = ("scipy DOP853", "diffrax Tsit5")


EXPLICIT = ("scipy DOP853", "diffrax Tsit5", "scipy DOP853, full space")
"""Held back by stability, at a steady pace: a run too long to finish is extrapolated."""


def solve(name: str, points: Callable[[Case, float], Points], case: Case, budget: float) -> Outcome:
    """The loosest tolerance that meets the target, or what the budget shows of the first one that exceeds it."""
    best = None
    for tol in 10.0 ** np.arange(-5, -13, -1):
        seconds, sign, R = reach(points(case, tol), case.T, budget)
        if sign:
            return Outcome(seconds if name in EXPLICIT else budget, "~" if name in EXPLICIT else ">", None, tol)
        best = Outcome(seconds, "", case.error(R), tol)
        if best.error <= TARGET:
            break
    return best


def reach(points: Points, T: float, budget: float) -> tuple[float, str, Array]:
    """CPU seconds to T, set-up and compilation apart; beyond the budget, at the pace of its second half, marked "~"."""
    next(points)
    start, half = cpu(), (0.0, 0.0)
    for t, R in points:
        spent = cpu() - start
        if t >= T:
            return spent, "", R
        if spent < budget / 2:
            half = (t, spent)
        if spent > budget:
            return spent + (T - t) * (spent - half[1]) / (t - half[0]), "~", R
    raise ArithmeticError(f"no solution up to {T:g}")


def flow(quick: bool = False) -> None:
    one_core()
    budget = 3.0 if quick else 10.0
    print(
        f"Flow until the excess loss has fallen by 1e-16; CPU time at the loosest tolerance that has P(T) to\n"
        f"{TARGET:.0e}. ~: stopped after {budget:g} s, the rest extrapolated; >: stopped after {budget:g} s.\n"
    )
    own = {
        "this package, exponential": lambda case, tol: ours("exponential", case, tol),
        "this package, explicit": lambda case, tol: ours("explicit", case, tol),
    }
    implicit = [name for name in PEERS if name not in EXPLICIT]
    for r in (20, 100):
        for cond in (1e1, 1e6) if quick else (1e1, 1e6, 1e8):
            problem = conditioned(r, cond)
            case = Case.of(problem, network(problem, 5 * problem.k))
            methods = own | PEERS
            if r == 20 or cond > 10:
                methods = {name: run for name, run in methods.items() if name != "this package, explicit" or cond < 100}
            if r == 100:
                methods = {name: run for name, run in methods.items() if name not in implicit}
                methods["scipy DOP853, full space"] = full_space
            base = None
            rows = []
            for name, points in methods.items():
                outcome = solve(name, points, case, budget)
                base = base or outcome.seconds
                rows.append(outcome.row(name, base))
            table(f"r = {r}, cond {cond:.0e} | CPU time | times the first | error | tolerance", rows)
    print(f"r = 100 has 101 x 101 unknowns, a Jacobian of 0.8 GB: {', '.join(implicit)} are shown at r = 20.")
