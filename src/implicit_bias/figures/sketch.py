"""Small line plots as SVG: one per point of a sweep, drawn in a hundredth of the time that matplotlib takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from implicit_bias.figures.palette import BLACK, GREY, LIGHT
from implicit_bias.figures.spans import Array, Span, floats

PLOT, LEGEND = (250.0, 200.0), 225.0  # width and height of the axes of a panel; width of the legend beside them
LEFT, TOP, BOTTOM = 62.0, 12.0, 42.0  # margins of a panel
FONT = "DejaVu Sans, Verdana, Arial, sans-serif"
SIZE, SMALL = 12, 11  # of letters
DASHES = {"-": "", "--": ' stroke-dasharray="6 4"', ":": ' stroke-dasharray="2 3"'}
BEYOND = 1e4  # curves end so many heights above or below their panel, so far that their slope is right within it


@dataclass(frozen=True)
class Line:
    """A curve, and its name in the legend; without points it is named only.

    Attributes:
        x: (n,) where.
        y: (n,) values; gaps where they are not finite or, on a logarithmic axis, not positive.
        colour: as in CSS.
        label: its name, empty for none.
        style: `-`, `--`, `:`, or `o` for dots.
        upper: (n,) upper end of a band that begins at `y`; drawn as an area.
    """

    x: ArrayLike
    y: ArrayLike
    colour: str
    label: str = ""
    style: str = "-"
    upper: ArrayLike | None = None


@dataclass(frozen=True)
class Panel:
    """Axes with curves, and the legend to their right."""

    lines: Sequence[Line]
    x: Span
    y: Span
    xlabel: str
    ylabel: str


@dataclass(frozen=True)
class Sketch:
    """Panels side by side. A notebook shows it as a picture."""

    title: str
    panels: Sequence[Panel]

    def svg(self) -> bytes:
        """The picture. Equal sketches give equal bytes."""
        return self._repr_svg_().encode()

    def _repr_svg_(self) -> str:
        step = LEFT + PLOT[0] + LEGEND
        width, height = step * len(self.panels), TOP + PLOT[1] + BOTTOM
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" font-family="{FONT}" font-size="{SIZE}" role="img">',
            f'<title>{escape(self.title)}</title><rect width="100%" height="100%" fill="white"/>',
        ]
        for i, panel in enumerate(self.panels):
            parts += [f'<g transform="translate({LEFT + i * step:g} {TOP:g})">', *_panel(panel), "</g>"]
        return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel) -> list[str]:
    """One panel, with the origin at the upper left corner of its axes."""
    width, height = PLOT
    across, up = _places(panel.x, panel.x.ticks) * width, (1 - _places(panel.y, panel.y.ticks)) * height
    grid = "".join([f"M{x:.1f} 0V{height:g}" for x in across] + [f"M0 {y:.1f}H{width:g}" for y in up])
    parts = [f'<path d="{grid}" stroke="{LIGHT}" stroke-width="0.8" fill="none"/>']
    parts.append(f'<svg width="{width:g}" height="{height:g}">')  # which hides what is outside
    parts += [_drawn(line, panel) for line in panel.lines]
    parts += ["</svg>", f'<path d="M0 0V{height:g}H{width:g}" stroke="{GREY}" fill="none"/>']
    parts.append(f'<g font-size="{SMALL}" text-anchor="middle">')
    parts += [_text(x, height + 15, label) for x, label in zip(across, panel.x.labels, strict=True)]
    parts.append(f'</g><g font-size="{SMALL}" text-anchor="end">')
    parts += [_text(-6, y + 4, label) for y, label in zip(up, panel.y.labels, strict=True)]
    parts += ["</g>", _text(width / 2, height + 35, panel.xlabel, ' text-anchor="middle"')]
    parts.append(
        f'<text transform="translate({8 - LEFT:g} {height / 2:g}) rotate(-90)" text-anchor="middle" dy="4">'
        f"{escape(panel.ylabel)}</text>"
    )
    named = [line for line in panel.lines if line.label]
    for i, line in enumerate(named):
        y = 8 + 17 * i
        parts += [_sample(line, width + 10, y), _text(width + 36, y + 4, line.label, f' font-size="{SMALL}"')]
    return parts


def _places(span: Span, values: ArrayLike) -> Array:
    """Where values lie on an axis: 0 at its lower end, 1 at its upper end, NaN nowhere."""
    array, low, high = floats(values), span.low, span.high
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if span.log:
            array = np.log(np.where(array > 0, array, np.nan))
            low, high = float(np.log(low)), float(np.log(high))
        place = (array - low) / (high - low)
    return np.where(np.isfinite(place), np.clip(place, -BEYOND, 1 + BEYOND), np.nan)


def _drawn(line: Line, panel: Panel) -> str:
    """A curve, a band, or dots."""
    x, y = _places(panel.x, line.x) * PLOT[0], (1 - _places(panel.y, line.y)) * PLOT[1]
    if line.upper is not None:
        top = (1 - _places(panel.y, line.upper)) * PLOT[1]
        whole = np.isfinite(x + y + top)
        x, y, top = x[whole], y[whole], top[whole]
        corners = zip(np.append(x, x[::-1]), np.append(y, top[::-1]), strict=True)
        return f'<polygon points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in corners)}" fill="{line.colour}"/>'
    pairs = list(zip(x.tolist(), y.tolist(), strict=True))
    if line.style == "o":
        return "".join(
            f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2" fill="{line.colour}"/>' for a, b in pairs if a == a and b == b
        )
    path, pen = [], "M"
    for a, b in pairs:
        there = a == a and b == b
        if there:
            path.append(f"{pen}{a:.1f} {b:.1f}")
        pen = "L" if there else "M"
    return (
        f'<path d="{"".join(path)}" stroke="{line.colour}" stroke-width="1.8" fill="none"{DASHES[line.style]}/>'
        if path
        else ""
    )


def _sample(line: Line, x: float, y: float) -> str:
    """What stands for a curve in the legend."""
    if line.upper is not None:
        return f'<rect x="{x:g}" y="{y - 5:g}" width="20" height="10" fill="{line.colour}"/>'
    if line.style == "o":
        return f'<circle cx="{x + 10:g}" cy="{y:g}" r="2.5" fill="{line.colour}"/>'
    return f'<path d="M{x:g} {y:g}h20" stroke="{line.colour}" stroke-width="1.8"{DASHES[line.style]}/>'


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{BLACK}"{more}>{escape(text)}</text>'
