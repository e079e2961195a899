"""What a catalog says about the part of its datasets in tracking.

A dataset takes part by its catalog entry:

    metadata:
      implicit_bias:
        role: trajectory
        sweep: width          # by default the namespace of the dataset
        artifact: loss.png    # the name in MLflow of a file, by default its own

and its role says what is done with it:

    plan            a sweep before it is computed: starts its parent run
    trajectory      {point: record}: starts the child run of each point
    comparison      {point: record}: adds to it, even after its end, if this run has started it
    evaluation      {point: record}: ends it
    failure         {point: {"error": text}}: ends it as FAILED, as such a record does as trajectory or evaluation
    point_figure    {point: bytes}: a file of each point
    summary         a record: metrics and curves of the parent run
    section         a section of the report: its kind is noted in the tag `implicit_bias.report` of the parent
    figure, table, report    a file of the parent run; of several where the sweep is "" (all) or ends with *
    tracked         read, not written: a node with this input is given where its sweep is tracked
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedro.io.core import AbstractDataset, CatalogProtocol
    from kedro.pipeline import Pipeline

    from implicit_bias.tracking.sweep import TrackedSweep

    Catalog = CatalogProtocol[AbstractDataset[Any, Any], Any]

POINT_ROLES = ("trajectory", "comparison", "evaluation", "failure", "point_figure")
FILE_ROLES = ("figure", "table", "report")
STARTING = ("plan", "trajectory", "evaluation", "failure", "point_figure")  # the run of a sweep
ENDING = ("evaluation", "failure")  # points
SEVERAL = ("", "*")  # the end of the sweep of a file of several
ROLES = ("plan", *POINT_ROLES, "summary", "section", *FILE_ROLES, "tracked")
MARK = ("role", "sweep", "artifact")
SETTINGS = ("uri", "experiment", "optional", "ui", "on_repeat")
ON_REPEAT = ("skip", "new")
"""What becomes of a sweep that is finished and unchanged: its run stays as it is, or a new one has all of it again."""
DEFAULT_URI = "sqlite:///mlflow.db"
DEFAULT_EXPERIMENT = "implicit_bias"


@dataclass(frozen=True)
class Mark:
    """What a catalog entry says about the part of its dataset in tracking."""

    role: str
    sweep: str
    artifact: str


def _metadata(entry: Any) -> Mapping[str, Any]:
    """What the metadata of a catalog entry, or of a dataset, holds for this package."""
    metadata = entry.get("metadata") if isinstance(entry, Mapping) else getattr(entry, "metadata", None)
    ours = metadata.get("implicit_bias") if isinstance(metadata, Mapping) else None
    return ours if isinstance(ours, Mapping) else {}


def is_marked(conf_catalog: Mapping[str, Any] | None) -> bool:
    """Whether a catalog has entries for this package; most projects where it is installed have none."""
    return any(_metadata(entry) for entry in (conf_catalog or {}).values())


def marks_of(catalog: "Catalog", *pipelines: "Pipeline") -> dict[str, Mark]:
    """The marked datasets of some pipelines."""
    names = {name: None for pipeline in pipelines for name in pipeline.datasets()}
    return {name: mark for name in names if (mark := _mark(name, catalog))}


def _mark(name: str, catalog: "Catalog") -> Mark | None:
    """The mark of a dataset of the pipeline, None if it has none."""
    metadata = _metadata(catalog.get(name)) if name in catalog else {}
    if not metadata:
        return None
    _refuse_unknown(f"metadata of dataset {name!r}: implicit_bias", metadata, MARK)
    if metadata.get("role") not in ROLES:
        raise ValueError(
            f"Dataset {name!r} has the role {metadata.get('role')!r}: expected one of {', '.join(ROLES)}"
            + _meant(str(metadata.get("role")), ROLES)
        )
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise ValueError(f"metadata of dataset {name!r}: implicit_bias.{key} must be text, got {value!r}")
    artifact = metadata.get("artifact", "")
    if artifact and metadata["role"] not in (*FILE_ROLES, "point_figure"):
        raise ValueError(
            f"Dataset {name!r} has the role {metadata['role']!r}, which makes no file: no artifact is named"
        )
    namespace = name.rpartition(".")[0]
    return Mark(metadata["role"], metadata.get("sweep", namespace), artifact)


def _refuse_unknown(where: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            raise ValueError(f"{where}.{key} is unknown: expected {', '.join(known)}{_meant(str(key), known)}")


def _meant(given: str, known: Sequence[str]) -> str:
    meant = get_close_matches(given, known, n=1)
    return f"; did you mean {meant[0]}?" if meant else ""


def saved_file(dataset: Any) -> Path | None:
    """The local file or folder a dataset has just saved, the newest version of it if it is versioned.

    None where there was no reason to draw it: no file, or an empty one.
    """
    loads_from = getattr(dataset, "_get_load_path", None)
    path = Path(loads_from() if loads_from else getattr(dataset, "_filepath", None) or dataset._path)
    return path if path.exists() and path.stat().st_size else None


def folder_of(dataset: Any) -> Path | None:
    """The local folder a dataset keeps its file or its partitions in, None if it has none."""
    if (file := getattr(dataset, "_filepath", None)) is not None:
        return Path(file).parent
    return Path(folder) if (folder := getattr(dataset, "_path", None)) is not None else None


def whole_plan(plan: Mapping[str, Any], sweep: str, experiment: str, dataset: Any) -> dict[str, Any]:
    """A plan with what it does not say, as `Store.open` takes it; runs are continued from where it is kept alone."""
    place = {"folder": str(folder)} if (folder := folder_of(dataset)) else {}
    return {"experiment": experiment, "sweep": sweep, "name": sweep, **place, **plan}


def sweeps_of(mark: Mark, sweeps: Iterable[str]) -> list[str]:
    """The sweeps a dataset belongs to: its own, or for a file of several all those it is a file of."""
    if mark.role in FILE_ROLES and mark.sweep[-1:] in SEVERAL:
        return [sweep for sweep in sweeps if sweep.startswith(mark.sweep.removesuffix("*"))]
    return [sweep for sweep in sweeps if sweep == mark.sweep]


def pass_on(mark: Mark, name: str, data: Any, dataset: Any, sweep: "TrackedSweep") -> None:
    """Tell a sweep what a marked dataset of it, or of all sweeps, holds."""
    from implicit_bias.sweeps.handover import failure_of

    match mark.role:
        case "trajectory" | "comparison" | "evaluation" | "failure":
            for key, record in data.items():
                if (reason := failure_of(record)) is None:
                    sweep.log(key, name if mark.role == "comparison" else mark.role, record)
                elif mark.role != "comparison":  # a point that cannot be compared has not failed
                    sweep.fail(key, reason)
        case "point_figure":
            for key, image in data.items():
                sweep.point_file(key, mark.artifact or f"{name.rpartition('.')[2]}.png", image)
        case "summary":
            sweep.summary(name, data)
        case "section":
            sweep.section(str(data.get("kind", "")))
        case "figure" | "table" | "report":
            if (path := saved_file(dataset)) is not None:
                sweep.file(path, mark.artifact or path.name)


def checked_settings(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters `tracking` of a project.

    Raises:
        ValueError: one of them is unknown, or has a value that it cannot have.
    """
    given = {"on_repeat": ON_REPEAT[0], **(settings or {})}
    _refuse_unknown("tracking", given, SETTINGS)
    if given["on_repeat"] not in ON_REPEAT:
        raise ValueError(f"tracking.on_repeat must be {' or '.join(ON_REPEAT)}, got {given['on_repeat']!r}")
    return given


def uri_of(settings: Mapping[str, Any]) -> str:
    """The address of the store: of the environment, of the parameters, or the default."""
    return str(os.environ.get("MLFLOW_TRACKING_URI") or settings.get("uri") or DEFAULT_URI)


def ui_of(settings: Mapping[str, Any]) -> str:
    """The address of MLflow's pages, for links to them; "" where it is that of the store, or MLflow's default."""
    return str(settings.get("ui") or "").rstrip("/")


def experiment_of(settings: Mapping[str, Any]) -> str:
    """The name of the experiment: of the environment, of the parameters, or the default."""
    return str(os.environ.get("MLFLOW_EXPERIMENT_NAME") or settings.get("experiment") or DEFAULT_EXPERIMENT)
