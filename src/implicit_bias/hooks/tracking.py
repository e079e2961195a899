"""Kedro hooks that write sweeps to MLflow as their datasets are saved: those that the catalog marks, see `marks`.

In a project without such entries nothing happens, and MLflow is not imported.
"""

import atexit
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

from implicit_bias.errors import ImplicitBiasError
from implicit_bias.hooks.notebook import after_this_cell
from implicit_bias.hooks.siblings import is_ours, ours
from implicit_bias.hooks.signals import Signals
from implicit_bias.hooks.workers import start_workers
from implicit_bias.tracking.marks import checked_settings, experiment_of, is_marked, marks_of

if TYPE_CHECKING:
    from kedro.pipeline import Pipeline

    from implicit_bias.tracking.live import LiveRun
    from implicit_bias.tracking.marks import Catalog
    from implicit_bias.tracking.store import Store

SYNC = "kedro implicit-bias sync"
SAVING = "kedro.io.data_catalog"
"""The logger that says of every point that it is saved."""

logger = logging.getLogger(__name__)


class TrackingHooks:
    """Writes a run of the pipeline to MLflow, and does nothing when none of its outputs is marked."""

    def __init__(self) -> None:
        self._project = _Project()
        self._run: LiveRun | None = None
        self._pid = 0
        self._signals = Signals(lambda: self._pid == os.getpid())
        self._once = Once()

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
        marks = marks_of(catalog, pipeline)
        outputs = [marks[name] for name in pipeline.all_outputs() & marks.keys()]
        if not outputs:
            return
        if self._run is not None:
            raise AnotherRun(
                "Another run of this process is being tracked, and its datasets cannot be told from those of this one: "
                "wait for its end, or start this one in a process of its own"
            )
        from implicit_bias.tracking.live import LiveRun

        ours = logging.getLogger("implicit_bias")
        if ours.level == logging.NOTSET:  # a project that says nothing about it shows warnings only
            ours.setLevel(logging.INFO)
        sync = SYNC + (f" --env={env}" if (env := run_params.get("env")) else "")
        plans = _plans_of(pipeline, run_params.get("pipeline_names"), catalog)
        self._pid = os.getpid()
        self._signals.listen()
        try:
            start_workers(pipeline, catalog)  # which get ready while the store is opened
            store, experiment = self._store(Path(run_params["project_path"]), sync)
            on_repeat = self._project.settings["on_repeat"]
            self._run = LiveRun(store, catalog, marks, outputs, plans, experiment, sync, on_repeat)
        except BaseException:
            self._signals.release()
            raise
        atexit.register(self._leave)
        after_this_cell(partial(self._end, status="KILLED"))
        self._once = Once()
        logging.getLogger(SAVING).addFilter(self._once)

    def _store(self, project: Path, sync: str) -> "tuple[Store | None, str]":
        """The store of a project, None if it cannot be used and need not, and the name of the experiment."""
        from implicit_bias.tracking.records import TrackingError
        from implicit_bias.tracking.store import Store

        settings = self._project.settings
        try:
            return Store.of(settings, project, self._project.configuration)
        except TrackingError as error:
            if not settings.get("optional"):
                raise TrackingError(f"{error}. To run without it: tracking.optional: true") from error
            logger.warning("%s. The run goes on without it; later: %s", error, sync)
            return None, experiment_of(settings)

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

    def _end(self, status: str | None = None, error: str = "", leaving: bool = False) -> None:
        run, self._run = self._run, None
        logging.getLogger(SAVING).removeFilter(self._once)
        if run is None or run.pid != os.getpid():
            return
        atexit.unregister(self._leave)
        try:
            for line in run.end(status, error):
                _say(line)
        finally:
            if not leaving:
                self._signals.release()

    def _leave(self) -> None:
        """Close what is open while the process ends; signals stay with us until it has ended."""
        self._end(status="KILLED", leaving=True)


class Once(logging.Filter):
    """Lets a message through once per run: a stage says that it saves its points, not each of them."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        new = record.levelno > logging.INFO or text not in self._said
        self._said.add(text)
        return new


class AnotherRun(ImplicitBiasError, RuntimeError):
    """Two runs at once in one process, of which one is tracked."""


class _Project(threading.local):
    """What is known of the project before a run of it begins, in the thread that opens it."""

    marked = False
    settings: Mapping[str, Any] = {}
    configuration: Mapping[str, Any] | None = None


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
    return {mark.sweep: name for name, mark in marks_of(catalog, *map(ours, whole)).items() if mark.role == "plan"}


hooks = TrackingHooks()
