"""The report as one self-contained page of HTML: it loads nothing, and needs no script."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from implicit_bias.report.section import Section

MANY = 10
"""More than the paper has figures."""


def render(sections: Mapping[str, Section], current: Collection[str]) -> str:
    """The page.

    Args:
        sections: what it shows, by name: reproductions of the paper's figures first, the others in this order.
        current: the names of those that the latest run has written; the others are marked as earlier ones.
    """
    environment = Environment(
        loader=PackageLoader("implicit_bias.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["minute"] = minute
    ordered = dict(sorted(sections.items(), key=lambda item: _figure_of_the_paper(item[1])))
    return environment.get_template("page.html").render(sections=ordered, current=current)


def _figure_of_the_paper(section: Section) -> int:
    """The number of the paper's figure that a section reproduces; a larger one if it reproduces none."""
    found = (re.match(r"The paper's Figure (\d)", picture.title) for picture in section.pictures)
    return next((int(match[1]) for match in found if match), MANY)


def minute(time: datetime) -> str:
    """A time to the minute, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
