# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---

# %% [markdown]
# # Wide and ill-conditioned
#
# Widths from 100 to 10^12 on data whose condition number is a million, each trained to the end of time. No array
# has a side of h, and the number of steps knows neither the width nor the conditioning.

# %%
import time

import numpy as np

from implicit_bias.figures.widths import wide_figure
from implicit_bias.theory import (
    Stop,
    draw_data,
    evaluate,
    gradient_flow,
    predict_distance,
    reparametrize,
    scaled,
    standard_normal,
)

rng = np.random.default_rng(1)
X, Y, theta = draw_data(n=30, D=120, m=2, rng=rng, spectrum="geometric", cond=1e6, theta_std=1.0)
problem = reparametrize(X, Y)
print(f"rank {problem.r}, cond {problem.cond:.2g}, {problem.D} inputs, {problem.m} outputs")

# %%
rows = []
for h in 10 ** np.arange(2, 13, 2):
    started, scale = time.process_time(), float(h) ** -0.5
    state = scaled(standard_normal(problem, int(h), rng), scale, scale)
    run = gradient_flow(problem, state, [], Stop())
    metrics = evaluate(problem, state, run, scale, scale, alpha=0.5, delta=0.05).metrics
    rows.append((h, metrics["distance"], run.steps, metrics["imbalance_drift"]))
    seconds = time.process_time() - started
    print(f"h = {h:.0e}: distance {metrics['distance']:.3e}, {run.steps} steps, {seconds:.2f} s of CPU")
width, distance, steps, drift = np.array(rows).T

# %% [markdown]
# Gradient descent may not step further than 2 / lambda_max and its slowest direction decays by lambda_min: to gain
# eight digits it would need about this many steps, at every width.

# %%
print(f"flow: {steps.max():.0f} steps; descent: about {problem.cond * np.log(1e8) / 2:.0e}")
print(f"the conserved imbalance drifts by {drift.max():.0e} of the weights, rounding")

# %% [markdown]
# Against the law, drawn before training, ten decades of width.

# %%
law = vars(predict_distance(problem, np.geomspace(1e2, 1e12, 21)))
wide_figure({"width": width, "distance": distance}, {"width": law["h"], **law})

# %%
wide = width >= 1e4
assert np.all(np.abs(distance[wide] / law["rms"][0] * np.sqrt(width[wide] / 1e2) - 1) < 0.3)
assert drift.max() < 1e-10
