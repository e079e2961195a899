"""A run of the pipeline while it is tracked: its sweeps, each with its plan, its run in MLflow and its notes."""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from implicit_bias.sweeps.handover import failure_of
from implicit_bias.tracking.closing import Outcome, closing_lines
from implicit_bias.tracking.connection import first_line, impatient, is_outage
from implicit_bias.tracking.marks import (
    ENDING,
    FILE_ROLES,
    POINT_ROLES,
    SEVERAL,
    STARTING,
    Mark,
    pass_on,
    saved_file,
    sweeps_of,
    whole_plan,
)
from implicit_bias.tracking.outbox import Outbox
from implicit_bias.tracking.provenance import plan_fingerprint

if TYPE_CHECKING:
    from implicit_bias.tracking.marks import Catalog
    from implicit_bias.tracking.store import Store
    from implicit_bias.tracking.sweep import TrackedSweep

PICTURE_SUFFIXES = (".png", ".svg", ".html")

logger = logging.getLogger(__name__)


@dataclass
class LiveSweep:
    """One sweep of a run.

    Attributes:
        name: its name.
        roles: what the run makes of it.
        earlier: the dataset with its plan, if the run may be a later part of it; None once it has been looked for.
        plan: the points to compute.
        run: its run in MLflow; None before it has one.
        outbox: where to note what is saved of it; None if its plan is not in a file.
        pictures: files to look at.
        trained: point -> loader of what an earlier run has trained.
    """

    name: str
    roles: frozenset[str] = frozenset()
    earlier: str | None = None
    plan: Mapping[str, Any] | None = None
    run: "TrackedSweep | None" = None
    outbox: Outbox | None = None
    pictures: dict[Path, None] = field(default_factory=dict)
    trained: Mapping[str, Callable[[], Any]] = field(default_factory=dict)

    def take_plan(self, plan: Mapping[str, Any], experiment: str, dataset: Any) -> None:
        """Know the plan, and the note that the last run has left next to it."""
        self.plan = whole_plan(plan, self.name, experiment, dataset)
        if self.outbox is None and getattr(dataset, "_filepath", None) is not None:
            self.outbox = Outbox.beside(Path(dataset._filepath))

    def begin_note(self) -> None:
        """Begin anew: this run saves all of it again, and the last note of the plan stays until the store has that."""
        if self.outbox is None or self.plan is None:
            return
        last, damaged = self.outbox.plan, self.outbox.damaged
        self.outbox.plan = plan_fingerprint(self.plan)
        if last == self.outbox.plan or damaged:
            self.outbox.forget()
        else:
            self.outbox.clear()

    def note(self, mark: Mark, name: str, data: Any) -> None:
        """Note what has been saved; what belongs to no run is not noted."""
        if self.outbox is not None and (self.outbox.saved or mark.role in STARTING):
            self.outbox.add(name, data if mark.role in POINT_ROLES else ())

    def keep_note(self) -> None:
        """Keep the note in a file, to which it adds from then on."""
        if self.outbox is None:
            return
        if self.run is not None:
            self.outbox.parent = self.run.run_id
        if self.outbox.saved and not self.outbox.kept:
            self.outbox.write()

    def start(self, store: "Store", on_repeat: str) -> None:
        """Start its run, or continue one."""
        assert self.plan is not None
        if on_repeat == "skip" and self.plan.get("numerics") and not self.plan.get("fresh"):
            self.run = store.rejoin(self.plan, "FINISHED")
            if self.run is not None:
                logger.info("MLflow: %s is finished and unchanged: it stays as it is", self.run.name)
                logger.info("  To track such a repetition as a run of its own: tracking.on_repeat: new")
        self.run = self.run or store.open(self.plan)

    def rejoin(self, store: "Store", experiment: str, catalog: "Catalog") -> None:
        """Continue its last run, of which this one is a later part.

        A figure that is drawn by itself before there is one, from the plan alone, starts it.
        """
        name, self.earlier = self.earlier, None
        if name is not None and self.run is None and (dataset := catalog[name]).exists():
            plan = whole_plan(dataset.load(), self.name, experiment, dataset)
            self.run = store.rejoin(plan) or (store.open(plan) if self.roles == {"figure"} else None)

    def pass_on(self, mark: Mark, name: str, data: Any, dataset: Any) -> None:
        """Send what a dataset has saved; with the first evaluation what an earlier run has trained."""
        assert self.run is not None
        if mark.role == "trajectory":
            self.trained = {}  # in this run
        elif mark.role == "evaluation" and self.trained:
            trained, self.trained = self.trained, {}
            for key in self.run.missing():
                if key in trained and failure_of(record := trained[key]()) is None:
                    self.run.log(key, "trajectory", record)
        pass_on(mark, name, data, dataset, self.run)
        if mark.sweep == self.name and (picture := picture_of(mark, dataset)):
            self.pictures[picture] = None

    def end(self, store: "Store") -> Outcome:
        """Close its run after a part that went well."""
        assert self.run is not None
        final = self.run.close(self._outcome(self.run))
        return Outcome(
            self.run.name,
            final,
            len(self.run.plan["points"]),
            len(self.run.missing()),
            self.run.waiting(),
            list(self.pictures),
            store.links(self.run),
        )

    def _outcome(self, run: "TrackedSweep") -> str | None:
        """How a part that went well ends the run; None of one that ends the points, which decide."""
        if self.roles & set(ENDING) or not run.waiting():
            return None
        return "SCHEDULED" if self.roles & set(STARTING) - {"plan"} else run.before or "SCHEDULED"


class LiveRun:
    """One run of the pipeline: the store it writes to, and the sweeps it has started there.

    A store that is lost on the way does not end the run: everything is on disk, and an outbox says what was saved.

    Args:
        store: the store; None if it could not be reached.
        catalog: the datasets of the run.
        marks: those that are marked.
        outputs: the marks of those that it makes.
        plans: sweep -> dataset of its plan, of a run that is a part of the sweep.
        experiment: the name of the experiment.
        sync: the command that sends what was missed.
        on_repeat: what becomes of a sweep that is finished and unchanged; see `marks.ON_REPEAT`.
    """

    def __init__(
        self,
        store: "Store | None",
        catalog: "Catalog",
        marks: dict[str, Mark],
        outputs: Sequence[Mark],
        plans: dict[str, str],
        experiment: str,
        sync: str,
        on_repeat: str,
    ) -> None:
        self.pid, self._thread = os.getpid(), threading.current_thread()
        self._store, self._catalog, self._marks, self._experiment = store, catalog, marks, experiment
        self._sync, self._on_repeat = sync, on_repeat
        own = [mark.sweep for mark in marks.values() if mark.role not in FILE_ROLES or mark.sweep[-1:] not in SEVERAL]
        names = dict.fromkeys([*plans, *own])
        self._sweeps = {
            name: LiveSweep(name, frozenset(each.role for each in outputs if each.sweep == name), plans.get(name))
            for name in names
        }
        self._shared: dict[Path, None] = {}
        self._lock = threading.RLock()
        self._held = ExitStack()
        if store is not None:
            self._held.enter_context(store.writing())

    def is_of_this_thread(self) -> bool:
        """Whether the run was begun in this thread."""
        return self._thread is threading.current_thread()

    def goes_on_elsewhere(self) -> bool:
        """Whether another thread is running it; one that is begun where it was begun takes its place."""
        return not self.is_of_this_thread() and self._thread.is_alive()

    def loaded(self, name: str, data: Any) -> None:
        """Keep what an earlier run has left of a sweep: its plan, and what it has trained."""
        mark = self._marks.get(name)
        if mark is None or mark.sweep not in self._sweeps:
            return
        live = self._sweeps[mark.sweep]
        if mark.role == "plan" and live.plan is None:
            data = data | {"fresh": False}  # the run that has made it started afresh
            live.take_plan(data, self._experiment, self._catalog[name])
        if mark.role == "trajectory" and "trajectory" not in live.roles and isinstance(data, Mapping):
            live.trained = data

    def tracked(self, names: Iterable[str]) -> dict[str, Any]:
        """Dataset -> where its sweep is tracked, for datasets with the role `tracked`."""
        marks = {name: mark for name in names if (mark := self._marks.get(name)) and mark.role == "tracked"}
        with self._lock:
            for mark in marks.values():
                self._try(self._rejoin, mark)
            store = self._store
            return {
                name: store.whereabouts(run)
                for name, mark in marks.items()
                if store is not None and mark.sweep in self._sweeps and (run := self._sweeps[mark.sweep].run)
            }

    def saved(self, name: str, data: Any) -> None:
        """Pass on what a node has saved to the sweep, or the sweeps, it belongs to."""
        mark = self._marks.get(name)
        if mark is None or os.getpid() != self.pid:
            return
        if mark.role == "plan" and not self._sweeps[mark.sweep].roles - {"plan"}:
            return  # a run that plans a sweep and makes nothing else of it has nothing to track
        with self._lock:
            if mark.role == "plan":
                live = self._sweeps[mark.sweep]
                live.take_plan(data, self._experiment, self._catalog[name])
                live.begin_note()
            for live in self._of(mark):
                live.note(mark, name, data)
            self._try(self._send, mark, name, data)
            if self._store is None:
                self._keep_notes()

    def _of(self, mark: Mark) -> list[LiveSweep]:
        return [self._sweeps[name] for name in sweeps_of(mark, self._sweeps)]

    def _try(self, act: Callable[..., None], *arguments: Any) -> None:
        """Do something with the store, if there is one; without it from now on if it is lost."""
        if self._store is None:
            return
        try:
            act(self._store, *arguments)
        except Exception as error:
            if not is_outage(error):
                raise
            self._lose(error)

    def _rejoin(self, store: "Store", mark: Mark) -> None:
        for live in self._of(mark):
            live.rejoin(store, self._experiment, self._catalog)

    def _send(self, store: "Store", mark: Mark, name: str, data: Any) -> None:
        if mark.role in STARTING and (live := self._sweeps[mark.sweep]).plan is not None and live.run is None:
            live.start(store, self._on_repeat)
        if mark.role not in STARTING:
            self._rejoin(store, mark)
        running = [live for live in self._of(mark) if live.run is not None]
        for live in running:
            live.pass_on(mark, name, data, self._catalog[name])
        if not running:
            logger.info("%s is not tracked: sweep %r has no run", name, mark.sweep)
        elif mark.sweep[-1:] in SEVERAL and (picture := picture_of(mark, self._catalog[name])):
            self._shared[picture] = None

    def _lose(self, error: Exception) -> None:
        """Go on without the store."""
        self._store = None
        logger.warning("The MLflow store is lost: %s", first_line(error))
        logger.warning("The results are safe in files. When it is back: %s", self._sync)
        self._keep_notes()

    def _keep_notes(self) -> None:
        for live in self._sweeps.values():
            live.keep_note()

    def end(self, status: str | None, error: str) -> list[str]:
        """Close the sweeps; of a run that broke, those that can still be closed.

        Args:
            status: how the run ended; None if it went well.
            error: what ended it.

        Returns:
            lines that say how it went and where to look.
        """
        try:
            if self._store is None:
                self._keep_notes()
                return []
            if status is None:
                return self._end_well(self._store)
            self._break_off(status, error)
            return []
        finally:
            with suppress(Exception):  # of a store that is lost
                self._held.close()

    def _break_off(self, status: str, error: str) -> None:
        try:
            with impatient():
                for live in self._sweeps.values():
                    if live.run is not None:
                        live.run.close(status, error)
        except Exception as failure:
            logger.warning("The runs in MLflow could not be closed (%s): the next run will do it", first_line(failure))
            self._keep_notes()

    def _end_well(self, store: "Store") -> list[str]:
        outcomes: list[Outcome] = []
        try:
            outcomes += [live.end(store) for live in self._sweeps.values() if live.run is not None]
            for live in self._sweeps.values():
                if live.outbox is not None and live.run is not None and "plan" in live.roles and not live.run.missing():
                    live.outbox.clear()
        except Exception as failure:
            if not is_outage(failure):
                raise
            self._lose(failure)
            return []
        viz = find_spec("kedro_viz") is not None
        return closing_lines(outcomes, self._shared, store.ui_command(), viz, Path.cwd())


def picture_of(mark: Mark, dataset: Any) -> Path | None:
    """The file to look at that a dataset has saved, None if it is not one."""
    if mark.role not in FILE_ROLES:
        return None
    path = saved_file(dataset)
    return path if path is not None and path.suffix in PICTURE_SUFFIXES else None
