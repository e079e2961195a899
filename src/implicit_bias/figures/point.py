"""One run: its loss below its bounds, and its way to the min-norm solution."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from implicit_bias.figures.numerals import number
from implicit_bias.figures.palette import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION
from implicit_bias.figures.sketch import Line, Panel, Sketch
from implicit_bias.figures.spans import DEEPEST, Array, Span, floats, largest, positive, span
from implicit_bias.theory.bounds.registry import BEFORE, RUN_BOUNDS

NEAR = 3.0  # a bound of the distance is drawn up to this factor above it, and named beyond
COLOURS = {"before": (VERMILLION, ORANGE), "flow": (GREEN, PURPLE), "descent": (GREEN, PURPLE)}


def point_figure(record: Mapping[str, Any]) -> Sketch:
    """One run: its loss below its bounds, and its way to the min-norm solution.

    A bound that runs along another one is not drawn again; a certificate of the distance that is far above it is
    named only.

    Args:
        record: `curve/iteration`, `curve/excess`, `curve/distance`, `curve/u2v`; where there are such, the bounds
            of the loss (`curve/<name>` of theory/bounds/registry.py),
            `curve/path` and `curve/law` of the distance, and the law's `metric/law_rms`.
    """
    iteration = record["curve/iteration"]
    steps = span(iteration, log=False)
    loss = span(record["curve/excess"], log=True, floor=DEEPEST)
    losses, (distances, distance) = list(_losses(record, iteration)), _distances(record, iteration)
    return Sketch(
        "Excess loss and distance to the min-norm solution of one run, with their bounds, against iterations",
        [
            Panel(losses, steps, loss, "iteration k", "excess loss"),
            Panel(distances, steps, distance, "iteration k", "Frobenius norm"),
        ],
    )


def _losses(record: Mapping[str, Any], iteration: ArrayLike) -> Iterator[Line]:
    """The loss, and each bound of it that says something else than those before."""
    yield Line(iteration, positive(record["curve/excess"]), BLUE, "measured")
    drawn: list[Array] = []
    for name, style, colour, label in _loss_bounds():
        curve = positive(record.get(f"curve/{name}", ()))
        if curve.size and not any(_alike(curve, other) for other in drawn):
            drawn.append(curve)
            of_flow = " of the flow" if style == "--" and "curve/certified" not in record else ""
            yield Line(iteration, curve, colour, label + of_flow, style)


def _distances(record: Mapping[str, Any], iteration: ArrayLike) -> tuple[list[Line], Span]:
    """The distance and what is known of it, and the axis that shows them."""
    shown = [record["curve/distance"], record["curve/u2v"]]
    lines = [
        Line(iteration, shown[0], BLUE, "distance to min-norm"),
        Line(iteration, shown[1], ORANGE, "its part ‖U₂Vᵀ‖"),
    ]
    if "metric/law_rms" in record:
        level = np.full(np.shape(iteration), float(record["metric/law_rms"]))
        lines.append(Line(iteration, level, BLACK, "law (rms)"))
    for name, colour, label in (("law", BLACK, "law, bound given V"), ("path", GREEN, "certified")):
        if f"curve/{name}" not in record:
            continue
        curve = floats(record[f"curve/{name}"])
        if float(np.max(curve)) < NEAR * max(map(largest, shown)):
            shown.append(curve)
            lines.append(Line(iteration, curve, colour, label, ":"))
        else:
            lines.append(Line([], [], colour, f"{label}: {number(float(f'{curve[-1]:.2g}'))}", ":"))
    return lines, span(*shown)


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
