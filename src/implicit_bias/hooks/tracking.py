"""Kedro hooks that write sweeps to MLflow as their datasets are saved: those that the catalog marks, see `marks`.

In a project without such entries nothing happens, and MLflow is not imported.
"""

import atexit
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

from implicit_bias.hooks.notebook import after_this_cell
from implicit_bias.hooks.siblings import is_ours, ours
from implicit_bias.tracking.marks import (
    ENDING,
    FILE_ROLES,
    POINT_ROLES,
    SEVERAL,
    STARTING,
    Mark,
    checked_settings,
    experiment_of,
    is_marked,
    marks_of,
    pass_on,
    path_of,
    sweeps_of,
    ui_of,
    uri_of,
    whole_plan,
)
from implicit_bias.tracking.outbox import Outbox

if TYPE_CHECKING:
    from kedro.pipeline import Pipeline

    from implicit_bias.tracking.marks import Catalog
    from implicit_bias.tracking.store import Store
    from implicit_bias.tracking.sweep import Sweep

PICTURES = (".png", ".svg", ".html")
SYNC = "kedro implicit-bias sync"
LINKS = 2  # printed of a sweep; the description of its parent has all

logger = logging.getLogger(__name__)


class TrackingHooks:
    """Writes a run of the pipeline to MLflow, and does nothing when none of its outputs is marked."""

    def __init__(self) -> None:
        self._project = _Project()
        self._sync = SYNC
        self._run: _Run | None = None

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        self._project.configuration = context.config_loader

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any] | None, parameters: dict[str, Any] | None) -> None:
        self._project.marked = marked = is_marked(conf_catalog)
        given = (parameters or {}).get("params:tracking") if marked else None
        self._project.settings = checked_settings(given)

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: "Pipeline", catalog: "Catalog") -> None:
        if self._run is not None and not self._run.goes_on_elsewhere():  # interrupted, in a process that lives on
            self._end(status="KILLED")
        if not self._project.marked:
            return
        marks = marks_of(pipeline, catalog)
        outputs = [marks[name] for name in pipeline.all_outputs() & marks.keys()]
        if not outputs:
            return
        if self._run is not None:
            raise AnotherRun(
                "Another run of this process is being tracked, and its datasets cannot be told from those of this one: "
                "wait for its end, or start this one in a process of its own"
            )
        ours = logging.getLogger("implicit_bias")
        if ours.level == logging.NOTSET:  # a project that says nothing about it shows warnings only
            ours.setLevel(logging.INFO)
        self._sync = SYNC + (f" --env={env}" if (env := run_params.get("env")) else "")
        plans = _plans_of(pipeline, run_params.get("pipeline_names"), catalog)
        store, experiment = self._store(Path(run_params["project_path"]))
        self._run = _Run(store, catalog, marks, outputs, plans, experiment, self._sync)
        atexit.register(self._end, status="KILLED")
        after_this_cell(partial(self._end, status="KILLED"))
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def _store(self, project: Path) -> "tuple[Store | None, str]":
        """The store of a project, None if it cannot be used and need not, and the name of the experiment."""
        from implicit_bias.tracking.connection import use_credentials
        from implicit_bias.tracking.records import TrackingError
        from implicit_bias.tracking.store import Store

        settings = self._project.settings
        use_credentials(self._project.configuration)
        experiment = experiment_of(settings)
        try:
            store = Store(uri_of(settings), project, ui_of(settings))
            return store, store.experiment_name(experiment)
        except TrackingError as error:
            if not settings.get("optional"):
                raise TrackingError(f"{error}. To run without it: tracking.optional: true") from error
            logger.warning("%s. The run goes on without it; later: %s", error, self._sync)
            return None, experiment

    @hook_impl
    def before_node_run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return self._run.tracked(inputs) if self._run is not None else {}

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        if self._run is not None:
            self._run.loaded(dataset_name, data)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        if self._run is not None:
            self._run.saved(dataset_name, data)

    @hook_impl
    def after_pipeline_run(self) -> None:
        if self._run is not None and self._run.is_of_this_thread():
            self._end()

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        if self._run is not None and self._run.is_of_this_thread():
            self._end(status="FAILED", error=str(error) or type(error).__name__)

    def _end(self, status: str | None = None, error: str = "") -> None:
        run, self._run = self._run, None
        if run is None or run.pid != os.getpid():
            return
        atexit.unregister(self._end)
        if signal.getsignal(signal.SIGTERM) == self._on_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        run.end(status, error)

    def _on_sigterm(self, number: int, frame: object) -> None:
        """Leave as from Ctrl-C, so that what is open is closed; a second signal ends the process at once."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._run is None or self._run.pid != os.getpid():  # a forked worker
            os.kill(os.getpid(), signal.SIGTERM)
        raise SystemExit(128 + number)


class AnotherRun(RuntimeError):
    """Two runs at once in one process, of which one is tracked."""


class _Project(threading.local):
    """What is known of the project before a run of it begins, in the thread that opens it."""

    def __init__(self) -> None:
        self.marked = False
        self.settings: dict[str, Any] = {}
        self.configuration: Mapping[str, Any] | None = None


class _Run:
    """One run of the pipeline: the store it writes to, and the sweeps it has started there.

    A store that is lost on the way does not end the run: everything is on disk, and an outbox says what was saved.
    """

    def __init__(
        self,
        store: "Store | None",
        catalog: "Catalog",
        marks: dict[str, Mark],
        outputs: Iterable[Mark],
        plans: dict[str, str],
        experiment: str,
        sync: str,
    ) -> None:
        self.pid, self._thread = os.getpid(), threading.current_thread()
        self._ending = {mark.sweep for mark in outputs if mark.role in ENDING}  # this run ends their points
        self._making = {mark.sweep for mark in outputs if mark.role != "plan"}
        self._computing = {mark.sweep for mark in outputs if mark.role in STARTING and mark.role != "plan"}
        self._store, self._catalog, self._marks, self._experiment = store, catalog, marks, experiment
        self._kept = plans  # sweep -> dataset of its plan, of a run that is a part of the sweep
        self._sync = sync  # the command that sends what was missed
        self._plans: dict[str, Mapping[str, Any]] = {}
        self._sweeps: dict[str, Sweep] = {}
        self._pictures: dict[str, dict[Path, None]] = {}
        self._outboxes: dict[str, Outbox] = {}
        self._lock = threading.RLock()

    def is_of_this_thread(self) -> bool:
        """Whether the run was begun in this thread."""
        return self._thread is threading.current_thread()

    def goes_on_elsewhere(self) -> bool:
        """Whether another thread is running it; one that is begun where it was begun takes its place."""
        return not self.is_of_this_thread() and self._thread.is_alive()

    def loaded(self, name: str, data: Any) -> None:
        """Keep the plan an earlier run has saved: its sweep starts with the first point, if any is computed now."""
        mark = self._marks.get(name)
        if mark is not None and mark.role == "plan":
            self._plans.setdefault(mark.sweep, data | {"fresh": False})  # the run that has made it started afresh
            self._open_outbox(mark.sweep, name)

    def tracked(self, names: Iterable[str]) -> dict[str, Any]:
        """Dataset -> where its sweep is tracked, for those of the datasets that are to say so."""
        marks = {name: mark for name in names if (mark := self._marks.get(name)) and mark.role == "tracked"}
        with self._lock:
            for mark in marks.values():
                self._try(self._rejoin, mark)
            store = self._store
            return {
                name: store.whereabouts(self._sweeps[mark.sweep])
                for name, mark in marks.items()
                if store is not None and mark.sweep in self._sweeps
            }

    def saved(self, name: str, data: Any) -> None:
        """Pass on what a node has saved to the sweep, or the sweeps, it belongs to."""
        mark = self._marks.get(name)
        if mark is None or os.getpid() != self.pid:
            return
        if mark.role == "plan" and mark.sweep not in self._making:
            return  # a run that plans a sweep and makes nothing else of it has nothing to track
        with self._lock:
            if mark.role == "plan":
                self._plans[mark.sweep] = data
                self._open_outbox(mark.sweep, name)
                if mark.sweep in self._outboxes:
                    self._outboxes[mark.sweep].clear()  # this run saves all of it again
            for sweep in sweeps_of(mark, self._outboxes):
                if self._outboxes[sweep].saved or mark.role in STARTING:  # else there is no run it could belong to
                    self._outboxes[sweep].add(name, data if mark.role in POINT_ROLES else ())
            self._try(self._send, mark, name, data)
            if self._store is None:
                self._keep_notes()

    def _try(self, act: Callable[..., None], *arguments: Any) -> None:
        """Do something with the store, if there is one; without it from now on if it is lost."""
        if self._store is None:
            return
        try:
            act(self._store, *arguments)
        except Exception as error:
            from implicit_bias.tracking.connection import is_outage

            if not is_outage(error):
                raise
            self._lose(error)

    def _rejoin(self, store: "Store", mark: Mark) -> None:
        """Go on with the last runs of the sweeps of a dataset, of which this run is a later part."""
        for name in sweeps_of(mark, self._kept.keys() - self._sweeps.keys()):
            dataset = self._catalog[self._kept.pop(name)]
            if dataset.exists():
                plan = whole_plan(dataset.load(), name, self._experiment, dataset)
                if (sweep := store.rejoin(plan)) is not None:
                    self._sweeps[name] = sweep

    def _send(self, store: "Store", mark: Mark, name: str, data: Any) -> None:
        if mark.role in STARTING and mark.sweep in self._plans and mark.sweep not in self._sweeps:
            plans = (each for each, its in self._marks.items() if its.role == "plan" and its.sweep == mark.sweep)
            plan = whole_plan(self._plans[mark.sweep], mark.sweep, self._experiment, self._catalog[next(plans)])
            self._sweeps[mark.sweep] = store.open(plan)
        if mark.role not in STARTING:
            self._rejoin(store, mark)
        sweeps = sweeps_of(mark, self._sweeps)
        for each in sweeps:
            self._pass_on(mark, name, data, self._sweeps[each])
        if not sweeps:
            logger.info("%s is not tracked: sweep %r has no run", name, mark.sweep)

    def _open_outbox(self, sweep: str, plan: str) -> None:
        """Note beside a plan what is saved of its sweep; a plan that is not in a file has no place for notes."""
        if sweep not in self._outboxes and getattr(self._catalog[plan], "_filepath", None) is not None:
            self._outboxes[sweep] = Outbox.beside(path_of(self._catalog[plan]))

    def _lose(self, error: Exception) -> None:
        """Go on without the store."""
        from implicit_bias.tracking.connection import first_line

        self._store = None
        logger.warning("The MLflow store is lost: %s", first_line(error))
        logger.warning("The results are safe in files. When it is back: %s", self._sync)
        self._keep_notes()

    def _keep_notes(self) -> None:
        """Note in files what has been saved; each outbox goes on by itself then."""
        for name, outbox in self._outboxes.items():
            if name in self._sweeps:
                outbox.parent = self._sweeps[name].run_id
            if outbox.saved and not outbox.kept:
                outbox.write()

    def _pass_on(self, mark: Mark, name: str, data: Any, sweep: "Sweep") -> None:
        pass_on(mark, name, data, self._catalog[name], sweep)
        if mark.role in FILE_ROLES and (path := path_of(self._catalog[name])).suffix in PICTURES and path.exists():
            self._pictures.setdefault(mark.sweep, {})[path] = None

    def _outcome(self, name: str, sweep: "Sweep") -> str | None:
        """How a part of a sweep that went well ends its run; None of one that ends the points, which decide."""
        if name in self._ending or not sweep.waiting():
            return None
        return "SCHEDULED" if name in self._computing else sweep.before

    def end(self, status: str | None, error: str) -> None:
        """Close the sweeps and say where to look at them; of a run that broke, close what can still be closed."""
        if self._store is None:
            self._keep_notes()
            return
        from implicit_bias.tracking.connection import first_line, impatient, is_outage

        if status is not None:
            try:
                with impatient():
                    for sweep in self._sweeps.values():
                        sweep.close(status, error)
            except Exception as failure:
                logger.warning(
                    "The runs in MLflow could not be closed (%s): the next run will do it", first_line(failure)
                )
                self._keep_notes()
            return
        for name, sweep in self._sweeps.items():
            planned, missing = len(sweep.plan["points"]), len(sweep.missing())
            try:
                final = sweep.close(self._outcome(name, sweep))
            except Exception as failure:
                if not is_outage(failure):
                    raise
                self._lose(failure)
                return
            _say("")
            count = f", {planned - missing} of {planned} points" if planned else ""
            _say(f"MLflow: {sweep.name} {final}{count}")
            if final == "SCHEDULED" or sweep.waiting():
                _say("  Not complete yet: the stages that follow go on with this run")
            for picture in self._pictures.get(name, ()):
                _say(f"  {_from_here(picture)}")
            for link in self._store.links(sweep)[:LINKS]:
                _say(f"  {link}")
        shared = (page for sweep, pages in self._pictures.items() if sweep[-1:] in SEVERAL for page in pages)
        for page in dict.fromkeys(shared):
            _say("")
            _say(f"All of it on one page: {_from_here(page)}")
        if self._sweeps and (command := self._store.ui_command()):
            _say("")
            _say(f"Links open after: {command}")
            if find_spec("kedro_viz"):
                _say("The pipeline in a browser: kedro viz run")


def _say(line: str) -> None:
    """Log a line; a console that would break it, and a link with it, shows it as it is."""
    if not logger.isEnabledFor(logging.INFO):
        return
    record = logger.makeRecord(logger.name, logging.INFO, __file__, 0, "%s", (line,), None)
    for handler in _handlers(logger):
        if hasattr(handler, "console"):
            handler.console.print(line, soft_wrap=True, markup=False, highlight=False)
        elif record.levelno >= handler.level:
            handler.handle(record)


def _handlers(source: logging.Logger | None) -> Iterator[logging.Handler]:
    """All handlers of what a logger says."""
    while source is not None:
        yield from source.handlers
        source = source.parent if source.propagate else None


def _plans_of(pipeline: "Pipeline", names: Iterable[str] | None, catalog: "Catalog") -> dict[str, str]:
    """Sweep -> dataset of its plan, in the pipelines of some names of which one that is run is a part."""
    from kedro.framework.project import pipelines

    if not any(map(is_ours, pipeline.nodes)):
        return {}
    registered = dict(pipelines)
    whole = [registered[name] for name in names or ["__default__"] if name in registered]
    marks = {name: mark for each in whole for name, mark in marks_of(ours(each), catalog).items()}
    return {mark.sweep: name for name, mark in marks.items() if mark.role == "plan"}


def _from_here(path: Path) -> str:
    """A path as it is written from the working directory."""
    path = path.absolute()
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else str(path)


hooks = TrackingHooks()
