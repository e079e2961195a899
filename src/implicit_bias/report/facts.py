"""What a section of the report is written from, and what a kind of section is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from implicit_bias.report.paper import LossAt
from implicit_bias.report.section import Origin, Picture, Section
from implicit_bias.sweeps.figure import Words


@dataclass(frozen=True)
class Facts:
    """What is known of a run that has ended, from its files or from what is tracked of it.

    Attributes:
        origin: the run, and its pictures.
        points: one row per finished point: its params and metrics.
        planned: how many points were planned.
        names: key -> name of its points.
        datasets: `name`, `n`, `D`, `m`, `r`, `cond` of each data set.
        failures: what could not be computed -> why.
        loss_at: the loss of a finished point on the way.
    """

    origin: Origin
    points: pd.DataFrame
    planned: int = 0
    names: Mapping[str, str] = field(default_factory=dict)
    datasets: Sequence[Mapping[str, Any]] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    loss_at: LossAt = lambda key, iteration: float("nan")


@dataclass(frozen=True)
class SectionKind:
    """One kind of section.

    Attributes:
        write: facts -> section.
        pictures: what is said of its pictures, by name; those of the figures of sweeps have theirs in
            figures/registry.py.
        table: the file of a tracked run that has the points; "" where they are its child runs.
    """

    write: Callable[[Facts], Section]
    pictures: Mapping[str, Words] = field(default_factory=dict)
    table: str = ""


def counted(count: int, one: str, several: str) -> list[str]:
    """A sentence on so many of something; none on nothing."""
    return [f"{count:,} {one if count == 1 else several}."] if count else []


def picture(image: bytes, words: Words, points: pd.DataFrame, title: str = "") -> Picture:
    """A picture, the bytes of a PNG file, with what is said of it; a title takes the place of that of the words."""
    title, alt = title or words.title, words.alt or words.finding
    finding, told = (say(points) if len(points) else "" for say in (words.finding, alt))
    return Picture.of(image, title, _joined(words.caption, finding), _joined(f"{title}.", told))


def pictures(images: Mapping[str, bytes], words: Mapping[str, Words], points: pd.DataFrame) -> list[Picture]:
    """Those pictures of a run of which something is said, in the order of the words."""
    return [picture(images[name], each, points) for name, each in words.items() if name in images]


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))
