"""What the console says of tracked sweeps when a run of the pipeline has ended."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

LINKS = 2  # printed of a sweep; the description of its parent has all


@dataclass(frozen=True)
class Outcome:
    """How one sweep has ended.

    Attributes:
        name: of its run.
        status: of its run.
        planned: number of its points.
        missing: number of those that are not finished.
        waiting: whether a later stage ends some of them.
        pictures: files to look at.
        links: pages of MLflow, the best first.
    """

    name: str
    status: str
    planned: int
    missing: int
    waiting: bool
    pictures: Sequence[Path]
    links: Sequence[str]


def closing_lines(outcomes: Sequence[Outcome], shared: Iterable[Path], ui: str, viz: bool, here: Path) -> list[str]:
    """The lines to say.

    Args:
        outcomes: of the sweeps, in their order.
        shared: pages about several of them.
        ui: the command that shows MLflow's pages; "" where they show themselves.
        viz: whether the pipeline can be looked at in a browser, too.
        here: the working directory; paths below it are written from it.
    """
    lines = []
    for each in outcomes:
        count = f", {each.planned - each.missing} of {each.planned} points" if each.planned else ""
        lines += ["", f"MLflow: {each.name} {each.status}{count}"]
        if each.status == "SCHEDULED" or each.waiting:
            lines.append("  Not complete yet: the stages that follow continue this run")
        lines += [f"  {_from(here, picture)}" for picture in each.pictures]
        lines += [f"  {link}" for link in each.links[:LINKS]]
    for page in dict.fromkeys(shared):
        lines += ["", f"All of it on one page: {_from(here, page)}"]
    if outcomes and ui:
        lines += ["", f"Links open after: {ui}"]
        if viz:
            lines.append("The pipeline in a browser: kedro viz run")
    return lines


def _from(here: Path, path: Path) -> str:
    path = path.absolute()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)
