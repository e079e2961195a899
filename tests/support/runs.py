"""Random networks for the bounds of a run, and runs of which few samples were kept."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop

END = 6.0


FINE = np.linspace(0, END, 121)[1:-1]


shapes = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 9)).map(
    lambda rmh: (rmh[0] + 1, rmh[0] + 2, rmh[1], rmh[0], rmh[2])
)


scales = st.sampled_from([0.03, 0.3, 1.0, 3.0])


seeds = st.integers(0, 10_000)


def flow(case, times=FINE, state=None, end=END):
    return gradient_flow(case.problem, state or case.state, times, Stop(t_max=end), "explicit", tol=1e-11)


def sampled(run, kept):
    """The run as if only the samples `kept` had been recorded."""
    names = ("t", "excess", "product", "V", "force", "kernel_change", "drift")
    return replace(run, **{name: getattr(run, name)[kept] for name in names})


def few(run, data):
    """The run with a few samples, its start and end among them."""
    inner = data.draw(st.lists(st.integers(1, len(run.t) - 2), max_size=6, unique=True))
    return np.unique([0, *inner, len(run.t) - 1])
