"""Runs that have not converged stand out in every figure of runs."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from implicit_bias.figures.imbalance import imbalance_figure, rate_bias_figure
from implicit_bias.figures.unconverged import RING, unconverged
from implicit_bias.figures.widths import alpha_figure, companion_figure, wide_figure, width_figure
from tests.figures.test_sweeps import SAMPLES, STEP, case, law, plane, runs, scales

WIDTHS = [100, 1000, 10000]
REASONS = ("tolerance", "iteration limit", "time limit", "slow", "saddle", "stationary", "algebraic")


def ended(points: dict[str, Any], *reasons: str, tolerance: float = 1e-8) -> dict[str, Any]:
    count = len(points["distance"])
    stop = [*reasons, *["tolerance"] * (count - len(reasons))]
    return {**points, "stop_reason": np.array(stop), "tolerance": np.full(count, tolerance)}


def ringed(figure: Figure) -> list[tuple[float, float]]:
    lines = [line for ax in figure.axes for line in ax.lines if line.get_label() == RING["label"]]
    return [(float(x), float(y)) for line in lines for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]


def test_a_run_has_converged_unless_it_met_a_limit_before_its_tolerance_or_rests_elsewhere() -> None:
    points = {"stop_reason": np.array(REASONS), "tolerance": np.full(len(REASONS), 1e-8)}
    assert dict(zip(REASONS, unconverged(points).tolist(), strict=True)) == {
        "tolerance": False,
        "iteration limit": True,
        "time limit": True,
        "slow": True,
        "saddle": True,
        "stationary": False,
        "algebraic": False,
    }
    meant = points | {"tolerance": np.full(len(REASONS), np.nan)}
    assert unconverged(meant).tolist() == [reason in ("slow", "saddle") for reason in REASONS]
    assert not unconverged({"width": np.ones(3)}).any()


@pytest.mark.parametrize(
    "draw",
    [
        lambda points: width_figure(points, law(WIDTHS)),
        lambda points: wide_figure(points, law(WIDTHS)),
        companion_figure,
        lambda points: alpha_figure(points | {"alpha": np.full(6, 0.5)}, scales([0.5], WIDTHS)),
    ],
    ids=["width", "wide", "companion", "alpha"],
)
def test_rings_are_where_the_runs_are_and_nowhere_else(draw: Any) -> None:
    points = runs(WIDTHS, 2)
    assert ringed(draw(points)) == ringed(draw(ended(points))) == []
    found = ringed(draw(ended(points, "iteration limit", "tolerance", "saddle")))
    assert {(points["width"][i], points["distance"][i]) for i in (0, 2)} <= set(found)
    assert {y for _, y in found} == {points["distance"][0], points["distance"][2]}


def test_the_plane_rings_a_ratio_of_which_a_run_has_not_converged() -> None:
    points = plane([0.1, 1, 10], 2)
    figure = rate_bias_figure(ended(points, "tolerance", "tolerance", "slow"))
    ((x, y),) = ringed(figure)
    assert (x, y) == pytest.approx((points["distance"][2:4].mean(), points["rate"][2:4].mean()))


def test_losses_that_vanish_long_before_the_end_are_drawn_until_they_vanish() -> None:
    """Runs to a billion iterations, in which the loss has vanished after thousands."""
    iteration = np.concatenate([np.linspace(0, 1e5, 60), np.geomspace(2e5, 1e9, 20)])
    cases = [case(rate) | {"iteration": iteration, "loss": 1.2 * np.exp(-rate * iteration)} for rate in (1e-2, 1e-3)]
    for each in cases:
        each["bound"] = each["loss"]
    for ax in imbalance_figure(cases, STEP, SAMPLES).axes:
        assert ax.get_xlim()[1] < 1e5
