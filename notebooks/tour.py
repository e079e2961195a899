# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---

# %% [markdown]
# # A tour: the catalog, one network from data to its distance, both figures
#
# Runs in seconds, trains exactly what `kedro run` trains, and writes nothing.

# %%
from pathlib import Path

import numpy as np
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.utils import find_kedro_project

from implicit_bias.figures.imbalance import imbalance_figure
from implicit_bias.figures.point import point_figure
from implicit_bias.figures.widths import width_figure
from implicit_bias.theory import (
    Stop,
    balanced,
    distance,
    distance_band,
    draw_data,
    evaluate,
    gradient_flow,
    imbalance,
    initial_state,
    predict_distance,
    reparametrize,
    scaled,
    standard_normal,
)

# %% [markdown]
# The catalog of the project: parameters, checked, and everything that a run leaves behind, by name.

# %%
project = find_kedro_project(Path.cwd())
bootstrap_project(project)
with KedroSession.create(project_path=project) as session:
    catalog = session.load_context().catalog
data, sweep = catalog.load("params:data"), catalog.load("params:imbalance_sweep")
for name in ("problems", "width_sweep.table", "width_sweep.figure"):
    print(f"{name:20s} {type(catalog.get(name)).__name__}")
print("Figure 1 data:", data.root["gaussian"])

# %% [markdown]
# After `make run`, `catalog.load("width_sweep.table")` is the table of all points. Here we make our own: the data of
# Figure 1, reparametrised by one SVD, rank r = 100 in dimension D = 400.

# %%
rng = np.random.default_rng(0)
X, Y, theta = draw_data(n=100, D=400, m=1, rng=rng)
problem = reparametrize(X, Y)
norm = np.linalg.norm(problem.min_norm_solution)
print(f"r = {problem.r}, cond = {problem.cond:.1f}, norm of the min-norm solution = {norm:.3f}")

# %% [markdown]
# A network of width h with N(0, 1/h) entries, drawn as its reduced state: h may be 10^12 just as well. It is trained
# by gradient flow until the averaged loss is 1e-8, then measured beside what the theory says of it.

# %%
STEP = 5e-3  # of the paper's gradient descent: the unit of its iterations
STOP = Stop(excess=1e-8 * problem.n / 2)
times = problem.flow_time(np.arange(1000, 200_000, 1000), STEP)


def train(h, times, rng):
    state = initial_state(problem, h, rng)
    run = gradient_flow(problem, state, times, STOP)
    return state, run, evaluate(problem, state, run, h**-0.5, h**-0.5, alpha=0.5, delta=0.05)


state, run, result = train(2000, times, rng)
print(f"distance {distance(problem, state, run):.4f}, 95 % band of one draw", distance_band(problem, 2000))
print(f"state {state.R.shape}, imbalance c = {imbalance(state).c:.3f}, stopped by {run.stop_reason}")
for name in ("distance", "law_rms", "law_bound", "certificate", "thm2"):
    print(f"{name:12s} {result.metrics[name]:10.4f}")

# %%
curves = {f"curve/{name}": curve for name, curve in result.curves.items()}
iteration = {"curve/iteration": problem.iterations(run.t, STEP)}
point_figure(curves | iteration | {"metric/law_rms": result.metrics["law_rms"]})

# %% [markdown]
# **Figure 1.** The distance falls like the width to the power -1/2, and the law knew it before training.

# %%
rows = []
for h in (500, 1000, 3000, 10_000):
    for _ in range(2):
        _, run, result = train(h, [], rng)
        iterations = problem.iterations(run.t[-1], STEP)
        rows.append((h, result.metrics["distance"], result.metrics["distance_init"], iterations))
points = dict(zip(("width", "distance", "distance_init", "iterations"), np.array(rows).T, strict=True))
law = vars(predict_distance(problem, np.geomspace(500, 10_000, 16), delta=0.05))
width_figure(points, {"width": law["h"], "delta": [0.05], **law})

# %% [markdown]
# **Figure 2.** The same end-to-end matrix scale, four imbalances: the more imbalanced, the faster; the balanced
# start is the slowest, and Theorem 1 says nothing about it.

# %%
X, Y, _ = draw_data(n=100, D=400, m=1, rng=rng, spectrum="whitened")
problem = reparametrize(X, Y)
start = standard_normal(problem, 500, rng)
times = problem.flow_time(np.arange(250, 15_001, 250), sweep.step_size)
starts = {
    rf"case {i}: $\sigma_U={u}$, $\sigma_V={v}$": (scaled(start, u, v), u, v)
    for i, (u, v) in enumerate(sweep.cases.pairs, 1)
}
starts["balanced, $c=0$"] = (balanced(problem, scaled(start, 0.1, 0.1)), 0.1, 0.1)
cases, finals = [], {}
for label, (state, u, v) in starts.items():
    run = gradient_flow(problem, state, times, Stop(t_max=times[-1]))
    curves = evaluate(problem, state, run, u, v, alpha=None, delta=0.05, gaussian=False).curves
    case = {"label": label, "iteration": problem.iterations(run.t, sweep.step_size), "loss": curves["excess"]}
    bounds = {"certified": curves["certified"]} | ({} if "balanced" in label else {"bound": curves["bound"]})
    cases.append(case | bounds)
    finals[label] = curves["excess"][-1]
imbalance_figure(cases, step_size=sweep.step_size, n=problem.n)

# %%
assert max(finals, key=finals.get).startswith("balanced")
assert all(np.all(case["loss"] <= case["bound"] * (1 + 1e-9)) for case in cases if "bound" in case)
print("slowest:", max(finals, key=finals.get))
