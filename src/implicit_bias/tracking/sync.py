"""Sending what the store has missed of earlier runs, from the files they have left."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io.core import DatasetError

from implicit_bias.tracking.marks import FILE_ROLES, POINT_ROLES, Mark, marks_of, pass_on, whole_plan
from implicit_bias.tracking.outbox import Outbox
from implicit_bias.tracking.provenance import plan_fingerprint

if TYPE_CHECKING:
    from kedro.pipeline import Pipeline

    from implicit_bias.tracking.marks import Catalog
    from implicit_bias.tracking.store import Store
    from implicit_bias.tracking.sweep import TrackedSweep

logger = logging.getLogger(__name__)

ORDER = ("trajectory", "point_figure", "evaluation", "failure", "summary", "section", *FILE_ROLES)
"""Roles as they are sent: an evaluation ends its point."""


def unsent(catalog: "Catalog", pipelines: dict[str, "Pipeline"]) -> dict[str, Outbox]:
    """Plan -> outbox of every sweep that the store has missed something of."""
    plans = [name for name, mark in marks_of(catalog, *pipelines.values()).items() if mark.role == "plan"]
    outboxes = {
        name: Outbox.beside(Path(catalog[name]._filepath))
        for name in sorted(plans)
        if getattr(catalog[name], "_filepath", None) is not None
    }
    return {name: outbox for name, outbox in outboxes.items() if outbox.saved or outbox.damaged}


@dataclass(frozen=True)
class Sent:
    """What became of a note.

    Attributes:
        sweep: the sweep in the store; None if nothing of it could be sent.
        status: the status of its parent run.
        lost: what could not be read; the note stays while there is any.
    """

    sweep: "TrackedSweep | None"
    status: str
    lost: list[str]


def send(
    store: "Store", experiment: str, catalog: "Catalog", pipelines: dict[str, "Pipeline"], plan: str, outbox: Outbox
) -> Sent:
    """Send what the store has missed of one sweep, as far as it can be read, and close its parent run.

    What is there is left as it is, and the outbox stays until all of it is sent: a second attempt repeats nothing. A
    point of which a part cannot be read stays unfinished. A parent that was deleted, or is in another store, is started
    anew.
    """
    lost = [str(outbox.path)] if outbox.damaged else []
    marks = marks_of(catalog, *pipelines.values())
    try:
        whole = whole_plan(catalog[plan].load(), marks[plan].sweep, experiment, catalog[plan])
        fingerprint = plan_fingerprint(whole)
    except Exception as error:  # of a file that is gone or damaged, in as many ways as there are formats
        logger.debug("%s", error)
        return Sent(None, "", [*lost, str(catalog[plan]._filepath)])
    if outbox.plan not in ("", fingerprint):
        return Sent(None, "", [*lost, f"{catalog[plan]._filepath}, which is of another plan than the note"])
    if not outbox.saved:
        return Sent(None, "", lost)
    sweep = store.open(whole, outbox.parent)
    outbox.parent, outbox.plan = sweep.run_id, fingerprint
    outbox.write()
    unread: set[str] = set()
    saved, needed = _to_send(outbox.saved, marks)
    for dataset in sorted(saved, key=lambda each: (_place(marks[each]), each)):
        mark, there = marks[dataset], saved[dataset] - unread
        wanted = [key for key in sweep.missing() if key in there]
        try:
            for key, data in _contents(catalog[dataset], mark, wanted):
                if data is not None or not key:
                    pass_on(mark, dataset, data, catalog[dataset], sweep)
                elif key in needed[dataset]:
                    unread.add(key)
                    lost.append(f"{dataset} of {key}")
        except DatasetError as error:
            logger.debug("%s", error)
            lost.append(dataset)
    status = sweep.close()
    if not lost:
        outbox.clear()
    return Sent(sweep, status, lost)


def _to_send(noted: dict[str, list[str]], marks: dict[str, Mark]) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Dataset -> the points of it to send; and those that must be there.

    What an evaluated point was trained to is sent with it, whoever has trained it and whatever a damaged note says, and
    so is its figure where it has one.
    """
    needed = {dataset: set(keys) for dataset, keys in noted.items() if dataset in marks}
    evaluated: dict[Any, set[str]] = {}
    for dataset, keys in needed.items():
        if marks[dataset].role == "evaluation":
            evaluated.setdefault(marks[dataset].sweep, set()).update(keys)
    saved = {dataset: set(keys) for dataset, keys in needed.items()}
    for dataset, mark in marks.items():
        if mark.role in ("trajectory", "point_figure") and mark.sweep in evaluated:
            saved[dataset] = saved.get(dataset, set()) | evaluated[mark.sweep]
            if mark.role == "trajectory":
                needed[dataset] = saved[dataset]
    return saved, {dataset: needed.get(dataset, set()) for dataset in saved}


def _place(mark: Mark) -> int:
    return ORDER.index(mark.role) if mark.role in ORDER else -1


def _contents(dataset: Any, mark: Mark, wanted: list[str]) -> Iterator[tuple[str, Any]]:
    """Point -> what a dataset holds of it, None if that cannot be read; under "" all of a dataset without points."""
    if mark.role in POINT_ROLES:
        partitions = dataset.load() if wanted and dataset.exists() else {}
        for key in wanted:
            try:
                yield key, {key: partitions[key]()}
            except (KeyError, DatasetError):
                yield key, None
    elif not dataset.exists():
        return
    elif mark.role in FILE_ROLES:
        yield "", None
    elif mark.role in ("summary", "section"):
        yield "", dataset.load()
