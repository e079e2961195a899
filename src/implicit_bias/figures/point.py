"""One run: its loss below its bounds, and its way to the min-norm solution."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from implicit_bias.figures.legends import DEEPEST, clear_legend, room_of_legend
from implicit_bias.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILLION,
    Array,
    fit_axis,
    floats,
    largest,
    number,
    panels,
    positive,
)
from implicit_bias.theory.bounds.registry import BEFORE, RUN_BOUNDS

NEAR = 3.0  # a bound of the distance is drawn up to this factor above it, and named beyond
COLOURS = {"before": (VERMILLION, ORANGE), "flow": (GREEN, PURPLE), "descent": (GREEN, PURPLE)}


def point_figure(record: Mapping[str, Any]) -> Figure:
    """One run: its loss below its bounds, and its way to the min-norm solution.

    Its labels are plain text, since mathtext would take half as long again, and a sweep has many points. A bound that
    runs along another one is not drawn again; a certificate of the distance that is far above it is named only.

    Args:
        record: `curve/iteration`, `curve/excess`, `curve/distance`, `curve/u2v`; where there are such, the bounds
            of the loss (`curve/<name>` of theory/bounds/registry.py),
            `curve/path` and `curve/law` of the distance, and the law's `metric/law_rms`.
    """
    iteration = record["curve/iteration"]
    with panels(2, (6.8, 2.7)) as (figure, (left, right)):
        left.plot(iteration, positive(record["curve/excess"]), color=BLUE, label="measured")
        drawn: list[Array] = []
        for name, style, colour, label in _loss_bounds():
            curve = positive(record.get(f"curve/{name}", ()))
            if curve.size and not any(_alike(curve, other) for other in drawn):
                drawn.append(curve)
                of_flow = " of the flow" if style == "--" and "curve/certified" not in record else ""
                left.plot(iteration, curve, style, color=colour, label=label + of_flow)
        shown = [record["curve/distance"], record["curve/u2v"]]
        right.plot(iteration, shown[0], color=BLUE, label="distance to min-norm")
        right.plot(iteration, shown[1], color=ORANGE, label="its part ‖U₂Vᵀ‖")
        if "metric/law_rms" in record:
            right.axhline(record["metric/law_rms"], color=BLACK, lw=1, label="law (rms)")
        for name, colour, label in (("law", BLACK, "law, bound given V"), ("path", GREEN, "certified from the run")):
            if f"curve/{name}" not in record:
                continue
            curve = floats(record[f"curve/{name}"])
            if near := float(np.max(curve)) < NEAR * max(map(largest, shown)):
                shown.append(curve)
            beside = "" if near else f": {number(float(f'{curve[-1]:.2g}'))}"
            right.plot(iteration if near else [], curve if near else [], ":", color=colour, label=label + beside)
        for ax in (left, right):
            fit_axis(ax, "x", iteration, log=False)
            ax.legend(loc="upper right")
        fit_axis(
            left,
            "y",
            record["curve/excess"],
            log=True,
            floor=DEEPEST,
            room=room_of_legend(record["curve/excess"], left),
        )
        fit_axis(right, "y", *shown)
        if max(curve[-1] for curve in shown) > 0.5 * max(map(largest, shown)):
            clear_legend(right)
        left.set(xlabel="iteration k", ylabel="excess loss")
        right.set(xlabel="iteration k", ylabel="Frobenius norm")
    return figure


def _loss_bounds() -> Iterator[tuple[str, str, str, str]]:
    """Name, line style, colour and label of each bound on the loss; one beyond the colours of its kind is grey."""
    left = {known: iter(shades) for known, shades in COLOURS.items()}
    for row in RUN_BOUNDS.values():
        if row.bounded == "loss":
            yield row.name, "--" if row.known == BEFORE else ":", next(left[row.known], GREY), row.title


def _alike(first: Array, second: Array) -> bool:
    """Whether two curves can hardly be told apart on a logarithmic axis."""
    both = np.isfinite(first) & np.isfinite(second)
    if not np.array_equal(np.isfinite(first), np.isfinite(second)):
        return False
    a, b = np.log(first[both]), np.log(second[both])
    return bool(np.max(np.abs(a - b), initial=0.0) <= 0.01 * np.ptp(np.append(a, 1)) + 0.05)
