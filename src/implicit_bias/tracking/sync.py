"""Sending what the store has missed of earlier runs, from the files they have left."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from implicit_bias.tracking.marks import FILE_ROLES, POINT_ROLES, Mark, marks_of, pass_on, whole_plan
from implicit_bias.tracking.outbox import Outbox

if TYPE_CHECKING:
    from kedro.pipeline import Pipeline

    from implicit_bias.tracking.marks import Catalog
    from implicit_bias.tracking.store import Store
    from implicit_bias.tracking.sweep import TrackedSweep

ORDER = ("trajectory", "point_figure", "evaluation", "failure", "summary", "section", *FILE_ROLES)
"""Roles as they are sent: an evaluation ends its point."""


def unsent(catalog: "Catalog", pipelines: dict[str, "Pipeline"]) -> dict[str, Outbox]:
    """Plan -> outbox of every sweep that the store has missed something of."""
    plans = [name for name, mark in _marks(catalog, pipelines).items() if mark.role == "plan"]
    outboxes = {
        name: Outbox.beside(Path(catalog[name]._filepath))
        for name in sorted(plans)
        if getattr(catalog[name], "_filepath", None) is not None
    }
    return {name: outbox for name, outbox in outboxes.items() if outbox.saved}


def send(
    store: "Store", experiment: str, catalog: "Catalog", pipelines: dict[str, "Pipeline"], plan: str, outbox: Outbox
) -> tuple["TrackedSweep", str]:
    """Send what the store has missed of one sweep, and close its parent run.

    What is there is left as it is, and the outbox stays until all of it is sent: a second attempt repeats nothing.

    Returns:
        the sweep, and the status of its parent run.
    """
    marks = _marks(catalog, pipelines)
    whole = whole_plan(catalog[plan].load(), marks[plan].sweep, experiment, catalog[plan])
    sweep = store.open(whole, outbox.parent)
    outbox.parent = sweep.run_id
    outbox.write()
    for dataset in sorted(outbox.saved.keys() & marks.keys(), key=lambda each: (_place(marks[each]), each)):
        mark = marks[dataset]
        for data in _contents(catalog[dataset], mark, outbox.saved[dataset], sweep.missing()):
            pass_on(mark, dataset, data, catalog[dataset], sweep)
    status = sweep.close()
    outbox.clear()
    return sweep, status


def _marks(catalog: "Catalog", pipelines: dict[str, "Pipeline"]) -> dict[str, Mark]:
    marks: dict[str, Mark] = {}
    for pipeline in pipelines.values():
        marks |= marks_of(pipeline, catalog)
    return marks


def _place(mark: Mark) -> int:
    return ORDER.index(mark.role) if mark.role in ORDER else -1


def _contents(dataset: Any, mark: Mark, keys: list[str], missing: list[str]) -> Iterator[Any]:
    """What a dataset holds: point by point those that are missing in the store, or all of it; nothing if it is gone."""
    if not dataset.exists():
        return
    if mark.role in POINT_ROLES:
        wanted = set(keys) & set(missing)
        if wanted:
            partitions = dataset.load()
            yield from ({key: partitions[key]()} for key in missing if key in wanted and key in partitions)
    elif mark.role in FILE_ROLES:
        yield None
    elif mark.role in ("summary", "section"):
        yield dataset.load()
