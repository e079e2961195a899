"""The record of one sweep, or of a study, that the report is made of: words and numbers ready to be read."""

import base64
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

SectionJson = dict[str, JsonValue]
"""A section as it is stored."""


class Stored(BaseModel):
    """Base of all that is stored of a section: a file written by another version is refused, not half understood."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Stored):
    """A column of a table."""

    title: str
    numeric: bool = True


class SectionTable(Stored):
    """A table of cells that are ready to be read."""

    title: str
    columns: list[Column]
    rows: list[list[str]]
    note: str = ""


class Picture(Stored):
    """A figure as the bytes of a PNG file in base64, its size in pixels, and the words that stand for it."""

    title: str
    caption: str
    alt: str
    png: str
    width: int
    height: int

    @classmethod
    def of(cls, image: bytes, title: str, caption: str, alt: str) -> "Picture":
        """A picture from the bytes of a PNG file."""
        width, height = struct.unpack(">II", image[16:24])  # its header chunk comes first
        png = base64.b64encode(image).decode()
        return cls(title=title, caption=caption, alt=alt, png=png, width=width, height=height)


class FailedPoint(Stored):
    """A point that could not be computed."""

    point: str
    reason: str


class Tracked(Stored):
    """Where a sweep is tracked: the name and id of its run, links by title, and the command that shows them."""

    name: str
    run_id: str
    links: dict[str, str] = {}
    ui: str = ""


class Provenance(Stored):
    """When a sweep was computed, and by what; `process` tells what one process has written from the rest."""

    finished: datetime
    process: str = ""
    versions: dict[str, str] = {}
    commit: str = ""
    dirty: bool = False


@dataclass(frozen=True)
class Origin:
    """What every section is told of the run that it is about.

    Attributes:
        params: its flat parameters.
        provenance: when it was computed, and by what.
        images: its pictures as PNG, by name.
        tracked: where it is tracked, if it is.
    """

    params: Mapping[str, Any]
    provenance: Provenance
    images: Mapping[str, bytes] = field(default_factory=dict)
    tracked: Tracked | None = None

    def title(self, default: str) -> str:
        """The name of the tracked run, such as "Width sweep #4"; of a run that is not tracked its parameter `title`."""
        return self.tracked.name if self.tracked else str(self.params.get("title", default))


class Section(Stored):
    """One sweep, a study of one, or the verification of the claims.

    Attributes:
        kind: its name in report/registry.py.
        title: its heading.
        paper: the paper's figure that it reproduces, "" if none.
        summary: one sentence or two: what was run.
        outcome: how it ended, in a few words.
        faults: what is not as it should be, one sentence each.
        deviations: where its settings are not the paper's, or its numbers not close to those, one sentence each.
        pictures: its figures.
        tables: its tables, the most telling first.
        failures: the points that could not be computed, and why.
        params: its parameters.
        provenance: when it was computed, and by what.
        tracked: where it is tracked, if it is.
    """

    kind: str = ""
    title: str
    paper: str = ""
    summary: str
    outcome: str
    faults: list[str] = []
    deviations: list[str] = []
    pictures: list[Picture] = []
    tables: list[SectionTable] = []
    failures: list[FailedPoint] = []
    params: dict[str, str] = {}
    provenance: Provenance
    tracked: Tracked | None = None
