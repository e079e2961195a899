"""The report as one self-contained page of HTML: it loads nothing, and needs no script."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from implicit_bias.report.section import Section


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
    ordered = dict(sorted(sections.items(), key=lambda item: (not item[1].paper, item[1].paper)))
    return environment.get_template("page.html").render(sections=ordered, current=current)


def minute(time: datetime) -> str:
    """A time to the minute, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
