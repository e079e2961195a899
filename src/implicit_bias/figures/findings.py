"""What figures show, in words, from one row per point."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from implicit_bias.figures.numerals import number, spread

if TYPE_CHECKING:
    import pandas as pd

PLACES: dict[str, Callable[[object], str]] = {
    "case": str,
    "alpha": "α = {:g}".format,
    "width": lambda width: _width(float(str(width))),
}
"""What tells points apart, seeds aside, and how it is written."""


def flow_gaps(points: "pd.DataFrame") -> str:
    """The gap between the losses of a network and of its two companion flows, smallest and largest."""
    names = {"lin_loss": "linearised", "inf_loss": "infinite-width"}
    return " ".join(
        f"The loss of the {name} flow is off by {_range(points, column)} of the initial loss."
        for column, name in names.items()
        if column in points and points[column].notna().any()
    )


def kernel(points: "pd.DataFrame") -> str:
    """How far the kernel moves, and how well the closed form knows the final rate at the largest width."""
    told = f"The kernel moves by {_range(points, 'kernel_move')}, relative to its size at the start."
    if "limit_rate" not in points:
        return told
    widest = _widest(points)
    off = (widest["limit_rate"] / widest["rate"] - 1).abs().max()
    at = _width(widest["width"].iloc[0])
    return f"{told} At {at} the closed form of the final rate is within {number(100 * off, 2)} % of the simulated one."


def early(points: "pd.DataFrame") -> str:
    """How far a run leaves the ridge path, and what stopping early is worth, at the largest width."""
    widest = _widest(points)
    told = (
        f"At {_width(widest['width'].iloc[0])} a run, once started, leaves the ridge path by up to "
        f"{_range(widest, 'ridge_gap')} times ‖Θ̂‖."
    )
    if "risk_best" not in widest or widest["risk_best"].isna().all():
        return told
    ratios = {name: widest[f"risk_{name}"] / widest["ridge_best"] for name in ("best", "end")}
    best, end = (_range(widest.assign(ratio=ratio), "ratio") for ratio in ratios.values())
    return (
        f"{told} Stopped at its best time it has {best} times the test risk of the best ridge solution; at the end, "
        f"{end} times."
    )


def law(points: "pd.DataFrame") -> str:
    """Root mean square of distance over the law before training, over all runs, with its standard error."""
    if not {"distance", "law_rms"} <= set(points):
        return ""
    known = points[points["law_rms"] > 0]
    if len(known) < 2:
        return ""
    root, error = _root_mean_square(known["distance"] / known["law_rms"])
    return f"Over all {len(known):,} runs the ratio of distance to law has root mean square {spread(root, error)}."


def universality(points: "pd.DataFrame") -> str:
    """Root mean square of distance over law at the largest width, for each kind of entries."""
    if not {"initialization", "distance", "law_rms"} <= set(points):
        return ""
    widest = _widest(points)
    ratios = (widest["distance"] / widest["law_rms"]).groupby(widest["initialization"], sort=False)
    told = []
    for name, each in ratios:
        root, error = _root_mean_square(each)
        told.append(f"{str(name).replace('_', ' ')} {number(root, 3)}{f' ± {number(error, 1)}' if error > 0 else ''}")
    return f"Root mean square of the ratio of distance to law at {_width(widest['width'].iloc[0])}: {', '.join(told)}."


def depth(points: "pd.DataFrame") -> str:
    """How far from the min-norm solution networks of each depth end at the largest width, and what it costs."""
    widest = _widest(points).groupby("depth")
    root = widest["distance"].apply(lambda each: _root_mean_square(each)[0])
    told = [
        f"At {_width(points['width'].max())} the root mean square distance is "
        f"{', '.join(f'{number(value, 3)} with L = {layers:g}' for layers, value in root.items())}."
    ]
    iterations = widest["iterations"].mean()
    if np.isfinite(iterations).all():
        told.append(
            "Iterations: " + ", ".join(f"{number(value, 3)} (L = {each:g})" for each, value in iterations.items()) + "."
        )
    if "law_rms" in points:
        told.append(law(points))
    return " ".join(filter(None, told))


def drawn_against(points: Any) -> str:
    """What scales are drawn against: the inner gain where there are several and one alpha, and alpha otherwise."""
    several = {name: np.unique(points[name]).size > 1 for name in ("alpha", "inner_gain")}
    return "inner_gain" if several["inner_gain"] and not several["alpha"] else "alpha"


def scales(points: "pd.DataFrame") -> str:
    """How far kernels move at the smallest and the largest alpha, or inner gain, at each depth."""
    if points.empty or "alpha" not in points:
        return ""
    x = drawn_against(points)
    deep = points[points["depth"] > 2] if x == "inner_gain" else points
    other = "alpha" if x == "inner_gain" else "inner_gain"
    moves = deep.groupby(["depth", other, x])["kernel_move"].mean()
    ends = deep[x].min(), deep[x].max()
    told = []
    for (layers, value), at in moves.groupby(level=["depth", other]):
        at = at.droplevel(["depth", other])
        if all(end in at for end in ends):
            gain = f", gain {value:g}" if x == "alpha" and (deep["inner_gain"] != 1).any() and layers > 2 else ""
            told.append(f"{' and '.join(number(float(at[end]), 2) for end in ends)} of itself (L = {layers:g}{gain})")
    said = {"alpha": "alpha =", "inner_gain": "inner gains of"}[x]
    return f"At {said} {ends[0]:g} and {ends[1]:g} the kernel moves by {', '.join(told)}." if told else ""


def plane(points: "pd.DataFrame") -> str:
    """Which ratio of scales is fastest, slowest, and nearest to the min-norm solution."""
    if not {"case", "rate", "distance"} <= set(points) or set(points["case"]) <= {"balanced"}:
        return ""
    means = _named(points[points["case"] != "balanced"]).groupby("case", sort=False)[["rate", "distance"]].mean()
    chosen = {
        "Fastest": means["rate"].idxmax(),
        "slowest": means["rate"].idxmin(),
        "nearest to Θ̂": means["distance"].idxmin(),
    }
    told = (
        f"{which} is {case} (rate {number(float(means['rate'][case]), 3)}, distance "
        f"{number(float(means['distance'][case]), 3)})"
        for which, case in chosen.items()
    )
    return "; ".join(told) + "."


def ends_of_width(points: "pd.DataFrame") -> str:
    """The mean distance at the smallest and at the largest width."""
    means = points.groupby("width")["distance"].mean()
    ends = [f"{number(means.iloc[i], 3)} at width {number(float(means.index[i]))}" for i in (0, -1)]
    return f"The mean distance is {ends[0]}" + (f" and {ends[1]}." if len(means) > 1 else ".")


def final_losses(points: "pd.DataFrame") -> str:
    """The mean loss of each case at the end."""
    ends = points.groupby("case", sort=False)["loss"].mean()
    return "Mean loss at the end: " + ", ".join(f"case {case} {number(loss, 3)}" for case, loss in ends.items()) + "."


def _root_mean_square(values: "pd.Series[float]") -> tuple[float, float]:
    """The root mean square and its standard error, 0 for a single value."""
    squares = values**2
    root = float(np.sqrt(squares.mean()))
    return root, float(squares.std() / np.sqrt(len(values)) / (2 * root)) if len(values) > 1 else 0.0


def _widest(points: "pd.DataFrame") -> "pd.DataFrame":
    return points[points["width"] == points["width"].max()]


def _width(width: float) -> str:
    return f"h = {number(float(width))}"


def _named(points: "pd.DataFrame") -> "pd.DataFrame":
    """The points, cases named by their ratio of scales."""
    if "case" not in points:
        return points
    ratio = points["sigma_u"] / points["sigma_v"]
    names = [
        "the balanced start" if case == "balanced" else f"σ_U/σ_V = {number(float(each), 3)}"
        for case, each in zip(points["case"], ratio, strict=True)
    ]
    return points.assign(case=names)


def _range(points: "pd.DataFrame", column: str) -> str:
    """The smallest and the largest mean of a column over the seeds, and where they are."""
    points = _named(points)
    varied = [name for name in PLACES if name in points and len(points[name].unique()) > 1]
    if not varied:
        return number(float(points[column].mean()), 3)
    means = points.groupby(varied)[column].mean().dropna()
    ends = []
    for key in (means.idxmin(), means.idxmax()):
        place = zip(varied, key if isinstance(key, tuple) else (key,), strict=True)
        where = ", ".join(PLACES[name](value) for name, value in place)
        ends.append(f"{number(float(means[key]), 3)} ({where})")
    return " to ".join(ends)


def frozen(points: "pd.DataFrame") -> str:
    """How near the deviations of the runs are to the law's, root mean square over the seeds, by activation."""
    told = []
    for name, rows in points.groupby("activation", sort=False):
        law, own = (_root_mean_square(rows[column])[0] for column in ("frozen_rms", "frozen_deviation"))
        if law > 0:
            told.append(f"{name} {number(own / law, 3)}")
    return f"Root mean square over all runs, over that of the law: {', '.join(told)}." if told else ""


def kernel_distance(points: "pd.DataFrame") -> str:
    """The mean distance to the kernel predictor at the smallest and the largest width, by activation."""
    ends = points[points["width"].isin([points["width"].min(), points["width"].max()])]
    told = [
        f"{name} " + " and ".join(f"{number(mean, 3)} at {_width(float(width))}" for width, mean in means.items())
        for name, rows in ends.groupby("activation", sort=False)
        for means in [rows.groupby("width")["kernel_distance"].mean()]
    ]
    return f"Mean distance to the kernel predictor: {'; '.join(told)}."


def order_in_step(points: "pd.DataFrame") -> str:
    """The observed order of the distance between descent and flow in the step."""
    return f"The observed order in the step is {number(float(points['gap_order'].median()), 3)} (median)."


def steps(points: "pd.DataFrame") -> str:
    """The largest step that arrives, the rates, and which of descent and flow ends nearer to the min-norm solution."""
    ratio = points["step_max"] / points["step_end"]
    nearer = int((points["distance_max"] < points["distance"]).sum())
    return (
        f"The largest step that arrives is {number(float(ratio.min()), 3)} to {number(float(ratio.max()), 3)} "
        "times what the kernel at the flow's end allows. Over the starts the rate of the flow is "
        f"{_ends(points['rate_flow'])} per unit of time, the fastest rate of descent "
        f"{_ends(points['rate_best'])} per iteration. With the largest step {nearer} of {len(points)} starts end "
        "nearer to the min-norm solution than the flow does."
    )


def _ends(values: "pd.Series[float]") -> str:
    return " to ".join(number(float(end), 3) for end in (values.min(), values.max()))


def violations(claims: "pd.DataFrame") -> str:
    """How often claims were violated."""
    count = int(claims["violations"].sum())
    return f"{count} violations" if count else "no violation"
