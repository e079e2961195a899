"""Records of the pipeline as MLflow's metrics: numbers, and curves over integer steps."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from mlflow.entities import Metric
from numpy.typing import NDArray

from implicit_bias.errors import ImplicitBiasError
from implicit_bias.sweeps.handover import entries
from implicit_bias.tracking.limits import short_name

SPARSER = 3
"""How many times fewer steps the early decades of a curve have, which a linear axis squeezes into its first tenths."""


class TrackingError(ImplicitBiasError, RuntimeError):
    """The tracking store cannot be used, or was given something it cannot hold."""


def metrics_of(record: Mapping[str, Any], timestamp: int) -> tuple[list[Metric], list[str]]:
    """The metrics of a record, and the names of those that lost values: NaN and infinities cannot be drawn.

    `metric/<name>` is a number, logged at step 0. `curve/<name>` is an array (T,), logged over the integer steps in
    `curve/iteration` (T,), or over 0 ... T - 1 without it; of several values at one step the first is kept.
    """
    check_record(record)
    metrics, skipped = [], []
    for name, value in entries(record, "metric/").items():
        number = float(np.asarray(value, float))
        if math.isfinite(number):
            metrics.append(Metric(short_name(name), number, timestamp, 0))
        else:
            skipped.append(name)
    curves = entries(record, "curve/")
    iteration = curves.pop("iteration", None)
    for name, value in curves.items():
        values = np.asarray(value, float)
        steps = np.arange(values.size, dtype=float) if iteration is None else np.asarray(iteration, float)
        finite = np.isfinite(values) & (np.abs(steps) < 2.0**63)
        if not finite.all():
            skipped.append(f"curve/{name}")
        distinct, first = np.unique(np.rint(steps[finite]).astype(np.int64), return_index=True)
        points = zip(distinct.tolist(), values[finite][first].tolist(), strict=True)
        key = short_name(f"curve/{name}")
        metrics += [Metric(key, number, timestamp, step) for step, number in points]
    return metrics, skipped


def check_record(record: Mapping[str, Any]) -> None:
    """Refuse a record whose metrics are not numbers, or whose curves are not as long as their steps."""
    for name, value in entries(record, "metric/").items():
        if shape := np.shape(value):
            raise TrackingError(f"metric/{name} must be a number, got shape {shape}")
    curves = entries(record, "curve/")
    iteration = curves.pop("iteration", None)
    for name, value in curves.items():
        shape = np.shape(value)
        steps = shape if iteration is None else np.shape(iteration)
        if len(shape) != 1 or steps != shape:
            raise TrackingError(f"curve/{name} must be as long as its {steps} iterations, got {shape}")


def common_steps(end: float, per_decade: int) -> NDArray[np.float64]:
    """Integer steps between 0 and an end, the same for all runs of a sweep, as many as a person sees on a page.

    The last two decades, which a linear axis shows, have `per_decade`, all before them a third of it.
    """
    powers = np.arange(np.ceil(per_decade * np.log10(max(end, 1))))
    coarse = powers % SPARSER == 0
    late = powers >= per_decade * np.log10(max(end, 1)) - 2 * per_decade
    return np.unique(np.rint(10.0 ** (powers[coarse | late] / per_decade)))


def on_common_steps(record: Mapping[str, Any], per_decade: int, horizon: float) -> dict[str, Any]:
    """A record with its curves interpolated at steps that depend on no run, but for the first.

    MLflow averages the runs of a group step by step: without common steps it draws a saw. Curves are interpolated
    linearly in the step, positive ones in their logarithm.

    Args:
        record: see `metrics_of`.
        per_decade: how many common steps there are in a decade; see `common_steps`.
        horizon: the step up to which curves are held at their last value, since a network that has stopped stays as
            it is.
    """
    at = np.asarray(record.get("curve/iteration", ()), float)
    reached = np.isfinite(at) & (np.abs(at) < 2.0**63)
    if reached.sum() < 2:
        return dict(record)
    first, last = np.rint(at[reached][[0, -1]])
    end = max(last, float(np.rint(horizon)))
    grid = common_steps(end, per_decade)
    steps = np.union1d(grid[(grid > first) & (grid < end)], [first, end])
    common = dict(record)
    for name, curve in entries(record, "curve/").items():
        values = np.asarray(curve, float)
        if name == "iteration" or values.shape != at.shape:
            continue
        known = reached & np.isfinite(values)
        if known.any():
            x, y = at[known], values[known]
            positive = bool((y > 0).all())
            ends_early = x[-1] < at[reached][-1]
            new = np.interp(steps, x, np.log(y) if positive else y, right=np.nan if ends_early else None)
            new = np.exp(new) if positive else new
            new[(steps >= last) & (not ends_early)] = y[-1]
            common[f"curve/{name}"] = new
        else:
            common[f"curve/{name}"] = np.full(steps.shape, np.nan)
    return common | {"curve/iteration": steps}


def last_step(record: Mapping[str, Any]) -> float:
    """The last finite step of the curves of a record; 0 without any."""
    at = np.asarray(record.get("curve/iteration", ()), float)
    at = at[np.isfinite(at) & (np.abs(at) < 2.0**63)]
    return float(at[-1]) if at.size else 0.0
