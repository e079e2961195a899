# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---

# %% [markdown]
# # The invariant set, made visible
#
# One sample in the plane: every point of a line fits it exactly, and the foot of the perpendicular from the origin is
# the min-norm solution. Training chooses one point of the line. Which one, the start decides (paper, eq. 15 and
# Proposition 1): from inside the set `V U2^T = 0, U1 U2^T = 0` the network ends at the foot, whatever its scale.

# %%
import matplotlib.pyplot as plt
import numpy as np

from implicit_bias.figures.palette import BLUE, GREEN, GREY, ORANGE, VERMILLION
from implicit_bias.theory import (
    Stop,
    end_to_end_orthogonal,
    gradient_flow,
    in_invariant_set,
    reduce_network,
    reparametrize,
)

x, y = np.array([[0.8, 0.6]]), np.array([[1.0]])
problem = reparametrize(x, y)
foot = problem.min_norm_solution[:, 0]
beyond = np.array([-problem.Phi1[1, 0], problem.Phi1[0, 0]])  # Phi2: the direction that the sample does not see

# %% [markdown]
# A network of width 6 from a generic start, and the same network with its `U2` projected: into the invariant set, and
# so that `V U2^T = 0` alone, where the end-to-end matrix starts on the axis of the sample but does not stay on it.

# %%
rng = np.random.default_rng(11)
generic = reduce_network(problem, 0.6 * rng.standard_normal((2, 6)), 0.6 * rng.standard_normal((1, 6)))
starts = {
    "generic": (generic, VERMILLION),
    "$V U_2^T = 0$ alone": (end_to_end_orthogonal(generic), ORANGE),
    "invariant set": (in_invariant_set(generic), BLUE),
}


def path(state):
    """End-to-end matrix U V^T along the flow, (T, 2)."""
    run = gradient_flow(problem, state, np.geomspace(1e-3, 50, 300), Stop(stationary=1e-14))
    seen = run.product[:, :, 0] @ problem.Phi1.T
    unseen = (run.V @ state.U2.T)[:, 0, :] * beyond
    return seen + unseen


paths = {label: path(state) for label, (state, _) in starts.items()}
distances = {label: np.linalg.norm(way[-1] - foot) for label, way in paths.items()}
for label, distance in distances.items():
    print(f"{label:20s} ends {distance:.1e} from the min-norm solution")

# %% [markdown]
# Beside it, a single layer: `Theta' = x^T (y - x Theta)` never moves in the direction that the sample does not see,
# so it keeps the component it starts with; from 0 it ends at the foot. Two layers do move that component, because
# `V` moves.

# %%
t = np.concatenate([[0], np.geomspace(1e-3, 50, 300)])[:, None]
layer = {}
for label, start in {"from 0": np.zeros(2), "from the generic start": paths["generic"][0]}.items():
    unseen = (start @ beyond) * beyond
    layer[label] = foot + unseen + np.exp(-t * problem.sigma[0] ** 2) * (start - unseen - foot)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), sharex=True, sharey=True, layout="constrained")
line = foot + np.array([[-2], [2]]) * beyond
for ax, title in zip(axes, ("two layers, width 6", "a single layer"), strict=True):
    ax.plot(*line.T, color=GREY, lw=1, label="solutions")
    ax.plot(*np.outer([0, 1], foot).T, ":", color=GREY, lw=1)
    ax.plot(*foot, "*", color=GREEN, ms=14, zorder=3, label="min-norm solution")
    ax.set(title=title, xlabel=r"$\Theta_1$", aspect="equal", xlim=(-0.5, 1.7), ylim=(-0.7, 1.5))
axes[0].set_ylabel(r"$\Theta_2$")
for label, (_, colour) in starts.items():
    axes[0].plot(*paths[label].T, color=colour, label=label)
    axes[0].plot(*paths[label][0], "o", color=colour, ms=5)
for (label, way), colour in zip(layer.items(), (BLUE, VERMILLION), strict=True):
    axes[1].plot(*way.T, color=colour, label=label)
    axes[1].plot(*way[0], "o", color=colour, ms=5)
for ax in axes:
    ax.legend(loc="upper right", fontsize=8)
figure

# %%
assert distances["invariant set"] < 1e-12
assert min(distances["generic"], distances["$V U_2^T = 0$ alone"]) > 1e-2
