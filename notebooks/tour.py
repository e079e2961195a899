# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---

# %% [markdown]
# # One network, from data to its distance from the min-norm solution
#
# Every cell runs in well under a second. Open as a notebook with jupytext, or run as a script.

# %%
import numpy as np

from implicit_bias.figures import point_figure
from implicit_bias.theory import (
    Stop,
    draw_data,
    evaluate,
    gradient_flow,
    imbalance,
    in_invariant_set,
    predict_distance,
    reparametrize,
    scaled,
    standard_normal,
)

rng = np.random.default_rng(0)

# %% [markdown]
# The data of the paper's Figure 1, reparametrised by one SVD: rank r = 100 in dimension D = 400.

# %%
X, Y, theta = draw_data(n=100, D=400, m=1, rng=rng)
problem = reparametrize(X, Y)
norm = np.linalg.norm(problem.min_norm_solution)
print(f"r = {problem.r}, cond = {problem.cond:.1f}, norm of the min-norm solution = {norm:.3f}")

# %% [markdown]
# A network of width h with N(0, 1/h) entries, drawn as its reduced state: h may be 10^12 just as well.

# %%
h = 2000
state = scaled(standard_normal(problem, h, rng), h**-0.5, h**-0.5)
print(f"state {state.R.shape}, imbalance c = {imbalance(state).c:.3f}")

# %% [markdown]
# Train it by gradient flow until the averaged loss is 1e-8, then measure.

# %%
step_size = 5e-3
times = problem.flow_time(np.arange(1000, 200_000, 1000), step_size)
run = gradient_flow(problem, state, times, Stop(excess=1e-8 * problem.n / 2))
result = evaluate(problem, state, run, h**-0.5, h**-0.5, alpha=0.5, delta=0.05)
for name in ("distance", "law_rms", "law_bound", "certificate", "thm2"):
    print(f"{name:12s} {result.metrics[name]:10.4f}")

# %% [markdown]
# The law knew the distance before training, at any width.

# %%
prediction = predict_distance(problem, [500, 2000, 10**6, 10**12])
for width, rms in zip(prediction.h, prediction.rms, strict=True):
    print(f"h = {width:.0e}: {rms:.3e}")

# %% [markdown]
# The loss below its bounds, and the way to the min-norm solution.

# %%
curves = {f"curve/{name}": curve for name, curve in result.curves.items()}
figure = point_figure(curves | {"curve/iteration": problem.iterations(run.t, step_size)})
figure

# %% [markdown]
# The invariant set (15): started in it, the network ends at the min-norm solution exactly.

# %%
inside = in_invariant_set(state)
run = gradient_flow(problem, inside, [], Stop())
result = evaluate(problem, inside, run, h**-0.5, h**-0.5, alpha=None, delta=0.05, gaussian=False)
print(f"distance from inside the invariant set: {result.metrics['distance']:.1e}")
