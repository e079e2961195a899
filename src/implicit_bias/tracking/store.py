"""The store of a project: a tracking server or database that answers, its experiments, the addresses of its pages."""

import logging
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

# MLflow reads these while it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

from mlflow import MlflowClient, MlflowException
from mlflow.entities import Experiment
from mlflow.store.db.db_types import DATABASE_ENGINES

from implicit_bias.tracking.addresses import shown
from implicit_bias.tracking.connection import first_line, impatient, is_outage, quiet, use_credentials
from implicit_bias.tracking.database import damage, file_of, is_archive, make, mend, one_at_a_time, one_writer, probe
from implicit_bias.tracking.marks import experiment_of, ui_of, uri_of
from implicit_bias.tracking.moves import artifacts_of, follow, is_within
from implicit_bias.tracking.provenance import is_dead, place_of, plan_fingerprint
from implicit_bias.tracking.records import TrackingError
from implicit_bias.tracking.runs import UNFINISHED, WORKFLOW, children_of, find_runs, is_active
from implicit_bias.tracking.sweep import TrackedSweep
from implicit_bias.tracking.tags import PARENTS, PLACE, PLAN, PROCESS

EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
EXPERIMENT_NOTE = "[All sweeps]({page}): the description of each links to views of its points, which are its children."
DEFAULT_PORT = 5000
UI = f"http://127.0.0.1:{DEFAULT_PORT}"

RELATIVE = re.compile(r"sqlite:///(?!/|:|[A-Za-z]:[/\\])")
"""How the address of a database begins that is relative to the project."""

logger = logging.getLogger(__name__)


class Store:
    """A tracking server or database that answers.

    Args:
        uri: an MLflow tracking URI; a relative sqlite path is relative to the project.
        project: the folder of the project: a local database keeps its artifacts in `mlruns` there.
        ui: the address of MLflow's pages, if it is neither that of the server nor MLflow's default.
        reading: whether it is only read: then a database in a folder that cannot be written is left as it is.

    Raises:
        TrackingError: nothing usable answers there.
    """

    def __init__(self, uri: str, project: Path, ui: str = "", reading: bool = False) -> None:
        self.project = project.absolute()
        self.uri = absolute(uri, self.project)
        self.ui = ui
        self._repaired: set[str] = set()
        try:
            with impatient(), quiet("alembic", "mlflow.store.db.utils"):
                if self.uri.partition(":")[0].partition("+")[0] in DATABASE_ENGINES:
                    archived = reading and is_archive(self.uri)
                    with nullcontext() if archived else one_at_a_time(self.uri):
                        make(self.uri)
                        if is_within(self.uri, self.project) and (damaged := damage(self.uri)):
                            raise TrackingError(damaged)
                        probe(self.uri)  # MLflow itself retries a dead database for minutes
                        try:
                            self._connect()
                        except Exception:
                            if not mend(self.uri):
                                raise
                            self._connect()
                        if is_within(self.uri, self.project) and not archived:
                            follow(self.uri, self.project)
                else:
                    self._connect()
        except Exception as error:
            raise TrackingError(
                f"The MLflow tracking store {shown(self.uri)} cannot be used: {first_line(error)}"
            ) from error

    def _connect(self) -> None:
        self.client = MlflowClient(self.uri)
        self.client.search_experiments(max_results=1)

    @classmethod
    def of(cls, settings: Mapping[str, Any], project: Path, loader: Any) -> tuple[Self, str]:
        """The store of the parameters `tracking` of a project, with its credentials, and the name of the experiment."""
        use_credentials(loader)
        store = cls(uri_of(settings), project, ui_of(settings))
        return store, store.experiment_name(experiment_of(settings))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Set up a database of the project for one writer, for as long as it writes; leave others as they are."""
        if self.uri.startswith("sqlite") and is_within(self.uri, self.project):
            with one_writer(self.uri, self.client):
                yield
        else:
            yield

    def open(self, plan: Mapping[str, Any], run_id: str | None = None) -> TrackedSweep:
        """Start the parent run of a sweep, or continue one, after closing what dead processes left running there.

        Without a run to continue it is the last run of the same plan from the same folder, if that has ended
        unfinished and the plan is not `fresh`.
        """
        experiment_id = self._repaired_experiment(plan)
        if run_id is None and not plan.get("fresh"):
            run_id = self._last(experiment_id, plan, *UNFINISHED)
        if run_id is not None and not is_active(self.client, run_id):
            run_id = self._last(experiment_id, plan, *UNFINISHED)
        return TrackedSweep(self.client, experiment_id, plan, self.project, run_id)

    def _repaired_experiment(self, plan: Mapping[str, Any]) -> str:
        experiment_id = self._experiment(str(plan["experiment"]))
        if experiment_id not in self._repaired:
            self._repaired.add(experiment_id)
            self._repair(experiment_id)
        return experiment_id

    def rejoin(self, plan: Mapping[str, Any], *statuses: str) -> TrackedSweep | None:
        """Go on with the last run of a plan from its folder, for what later stages make of its points.

        None if there is no such run, if it is still running, or has ended in none of the given ways: by default any.
        """
        last = self._last(self._repaired_experiment(plan), plan, *(statuses or (*UNFINISHED, "FINISHED")))
        return None if last is None else self.open(plan, last)

    def _last(self, experiment_id: str, plan: Mapping[str, Any], *statuses: str) -> str | None:
        """The last run of the same plan from the same folder, if it has ended in one of some ways."""
        same = f"tags.`{PLAN}` = '{plan_fingerprint(plan)}' AND tags.`{PLACE}` = '{place_of(plan, self.project)}'"
        last = next(iter(find_runs(self.client, experiment_id, same)), None)
        return last.info.run_id if last and last.info.status in statuses else None

    def _experiment(self, name: str) -> str:
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            artifacts = artifacts_of(self.project) if self.uri.startswith("sqlite:") else None
            try:
                new = str(self.client.create_experiment(name, artifacts, EXPERIMENT_TAGS))
                page = f"#/experiments/{new}/runs?{WORKFLOW}&searchFilter={quote(PARENTS)}"
                self.client.set_experiment_tag(new, "mlflow.note.content", EXPERIMENT_NOTE.format(page=page))
                return new
            except MlflowException:  # another process was faster
                experiment = self.client.get_experiment_by_name(name)
                if experiment is None:
                    raise
        _refuse_deleted(experiment)
        return str(experiment.experiment_id)

    def experiment_name(self, default: str) -> str:
        """The experiment that runs belong to, which need not exist: of MLflow's environment variables, or a default.

        Raises:
            TrackingError: it is deleted, or the environment names an experiment or a run that there is not.
        """
        named, outer = os.environ.get("MLFLOW_EXPERIMENT_NAME"), os.environ.get("MLFLOW_RUN_ID")
        try:
            around = self.client.get_run(outer).info.experiment_id if outer else None
            number = None if named else os.environ.get("MLFLOW_EXPERIMENT_ID") or around
            found = self.client.get_experiment(number) if number else self.client.get_experiment_by_name(default)
        except MlflowException as error:
            if is_outage(error):
                raise
            raise TrackingError(
                f"MLFLOW_EXPERIMENT_ID or MLFLOW_RUN_ID names what is not in the store: {first_line(error)}"
            ) from None
        if found is None:
            return default
        _refuse_deleted(found)
        return str(found.name)

    def _repair(self, experiment_id: str) -> None:
        """Mark as KILLED the runs whose process died without a word, at the last time they are known to have lived."""
        for parent in find_runs(self.client, experiment_id, f"{PARENTS} AND attributes.status = 'RUNNING'"):
            if not is_dead(parent.data.tags[PROCESS]):
                continue
            children = children_of(self.client, experiment_id, parent.info.run_id)
            last = max([parent.info.start_time, *(run.info.end_time or run.info.start_time for run in children)])
            for run in [*(child for child in children if child.info.status == "RUNNING"), parent]:
                self.client.set_terminated(run.info.run_id, "KILLED", last)
            logger.warning("Run %r was killed with its process: marked as such in MLflow", parent.info.run_name)

    def ui_command(self, folder: Path | None = None) -> str:
        """The shell command that shows this store where its links lead, empty for a server that shows itself.

        Args:
            folder: where the command is to be run; by default here.
        """
        folder = folder or Path.cwd()
        if self.uri.startswith("http"):
            return ""
        port = urlsplit(self.ui or UI).port
        uri, here = self.uri, f"sqlite:///{folder.as_posix()}/"
        uri = uri.replace(here, "sqlite:///", 1) if uri.startswith(here) else uri
        if uri == "sqlite:///mlflow.db" and _makes_ui(folder):
            return "make ui" + (f" PORT={port}" if port not in (None, DEFAULT_PORT) else "")
        command = f"mlflow ui --backend-store-uri {_quoted(shown(uri))}"
        return command + (f" --port {port}" if port not in (None, DEFAULT_PORT) else "")

    def told_command(self) -> str:
        """The command for others, to be run in the project; empty if it would say where this machine keeps things."""
        command = self.ui_command(self.project)
        return "" if Path(self.uri.removeprefix("sqlite:///").partition("?")[0]).as_posix() in command else command

    def links(self, sweep: TrackedSweep) -> list[str]:
        """Addresses in MLflow's UI: all points of a sweep, then some of them evenly chosen side by side."""
        return [self.address(view) for view in sweep.views().values()]

    def whereabouts(self, sweep: TrackedSweep) -> dict[str, Any]:
        """Name and id of a sweep's parent run, links to it and to its points, and the command that shows them."""
        run = {"This run": f"#/experiments/{sweep.experiment_id}/runs/{sweep.run_id}?{WORKFLOW}"}
        links = {title: self.address(view) for title, view in (run | sweep.views()).items()}
        return {"name": sweep.name, "run_id": sweep.run_id, "links": links, "ui": self.told_command()}

    def address(self, view: str) -> str:
        """The address of a page of MLflow's UI."""
        ui = self.ui or (shown(self.uri).rstrip("/") if self.uri.startswith("http") else UI)
        return f"{ui}/{view}"


def absolute(uri: str, project: Path) -> str:
    """The address of a store; that of a database relative to the project is made absolute.

    Raises:
        TrackingError: no address can name the database.
    """
    if not RELATIVE.match(uri):
        return uri
    path, question, query = uri.removeprefix("sqlite:///").partition("?")
    database = (project / path).as_posix()
    if "?" in database:  # which ends the path in an address
        database = Path(os.path.relpath(database)).as_posix()
    if "?" in database:
        raise TrackingError(
            f"No address can name the database {database}, whose folder has a question mark in its name: "
            f"run in the folder of the project, or set tracking.uri"
        )
    return f"sqlite:///{database}{question}{query}"


def is_unmade(uri: str, project: Path) -> bool:
    """Whether a store is a SQLite file that is not there, which MLflow would make."""
    path = file_of(absolute(uri, project.absolute())) if uri.startswith("sqlite:") else None
    return path is not None and not path.is_file()


def _refuse_deleted(experiment: Experiment) -> None:
    if experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"The MLflow experiment {experiment.name!r} is deleted: restore it with "
            f"`mlflow experiments restore -x {experiment.experiment_id}`"
        )


def _makes_ui(folder: Path) -> bool:
    """Whether a Makefile shows the store of a folder, as that of this project does."""
    makefile = folder / "Makefile"
    if not makefile.is_file():
        return False
    return bool(re.search(r"(?m)^ui:.*\n(\t.*\n)*\t.*mlflow ui", makefile.read_text("utf-8", "replace")))


def _quoted(word: str) -> str:
    return subprocess.list2cmdline([word]) if os.name == "nt" else shlex.quote(word)
