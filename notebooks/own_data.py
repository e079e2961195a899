# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---

# %% [markdown]
# # Bring your own X and Y
#
# Two matrices with more columns in X than rows: one SVD says how near to the min-norm solution a network of any width
# will end, how wide it must be, and what it will predict where there is no data.

# %%
import matplotlib.pyplot as plt
import numpy as np

from implicit_bias.figures.palette import BLUE, GREY, LIGHT
from implicit_bias.theory import (
    Stop,
    evaluate,
    gradient_flow,
    predict_distance,
    reparametrize,
    scaled,
    standard_normal,
    width_for_distance,
)
from implicit_bias.theory.law.questions import prediction_bands

# %% [markdown]
# Put yours here: `X = read_matrix(Path("X.csv"))` from `implicit_bias.matrices` reads CSV and `.npy`. The stand-in has
# 30 noisy spectra of two overlapping bands at 250 wavelengths; Y is how much of the first band is in each.

# %%
rng = np.random.default_rng(0)
wavelength = np.linspace(0, 1, 250)
amounts = rng.uniform(0, 1, (45, 2))
bands = np.exp(-(((wavelength - np.array([[0.4], [0.55]])) / 0.1) ** 2))
spectra = amounts @ bands + 0.05 * rng.standard_normal((45, 250))
X, Y = spectra[:30], amounts[:30, :1]
X_test, Y_test = spectra[30:], amounts[30:, :1]

problem = reparametrize(X, Y)
print(f"n = {problem.n}, D = {problem.D}, m = {problem.m}, rank {problem.r}, cond {problem.cond:.3g}")

# %% [markdown]
# Before training: the distance at any width, and the width for a distance below 0.05 with probability 0.95.

# %%
law = predict_distance(problem, [100, 10_000, 10**6])
for h, rms, lower, upper in zip(law.h, law.rms, law.lower, law.upper, strict=True):
    print(f"h = {h:9,.0f}: distance {rms:.4f}, in [{lower:.4f}, {upper:.4f}] with probability 0.95")
print(f"width for distance 0.05: {width_for_distance(problem, 0.05, 0.05):,.0f}")

# %% [markdown]
# Training a network of width 10,000 to the end of time agrees, although the paper's step would take long: its slowest
# direction is `cond` times slower than its fastest.

# %%
h = 10_000
state = scaled(standard_normal(problem, h, np.random.default_rng(1)), h**-0.5, h**-0.5)
run = gradient_flow(problem, state, [], Stop())
result = evaluate(problem, state, run, h**-0.5, h**-0.5, alpha=0.5, delta=0.05)
print(f"trained: {result.metrics['distance']:.4f}, in {run.steps} steps of the flow")

# %% [markdown]
# What networks predict for new rows: the min-norm solution, with a band that shrinks as the width grows.

# %%
widths = (100, 10_000)
ridgeless, lower, upper = prediction_bands(problem, X_test, widths, delta=0.05)
order = np.argsort(ridgeless[:, 0])
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for i, colour in enumerate((LIGHT, BLUE)):
    ends = lower[i, order, 0], upper[i, order, 0]
    ax.vlines(np.arange(len(order)), *ends, color=colour, lw=6, label=f"95 % band, h = {widths[i]:,}")
ax.plot(Y_test[order, 0], "x", color=GREY, label="measured")
ax.plot(ridgeless[order], "k.", label="min-norm solution")
ax.set(xlabel="held-out row, sorted", ylabel="amount of the first band")
ax.legend(fontsize=8, frameon=False)
figure

# %%
assert law.lower[1] < result.metrics["distance"] < law.upper[1]
