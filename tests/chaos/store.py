"""What is in a store and in the files of a project, read by SQLite and from the disk, without MLflow."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

TIMED = "seconds"
"""The one metric that differs between runs."""
OURS = "implicit_bias"


@dataclass(frozen=True)
class Tracked:
    """One run of the store: its status, tags, params, metrics, how many values they have, and its artifacts."""

    run_id: str
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    counts: dict[str, int]
    artifacts: dict[str, int]


@dataclass(frozen=True)
class Contents:
    """What a project has: the parents of its sweep, the children of each by point, deleted runs, and its files."""

    parents: list[Tracked]
    children: dict[str, list[tuple[str, Tracked]]]
    deleted: set[str]
    files: dict[str, Any]
    sound: str


def database(project: Path) -> sqlite3.Connection:
    """The database of a store, for reading."""
    return sqlite3.connect(f"file:{project / 'mlflow.db'}?mode=ro", uri=True, timeout=10)


def statuses(project: Path) -> list[str]:
    """How the children in a store have ended."""
    query = "SELECT status FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'implicit_bias.point'"
    with closing(database(project)) as connection:
        return [status for (status,) in connection.execute(query)]


def contents(project: Path, tracked: Path | None = None) -> Contents:
    """Everything that counts of a project, whose store may be in another folder."""
    tracked = tracked or project
    with closing(database(tracked)) as connection:
        sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
        query = (
            "SELECT run_uuid, status, artifact_uri FROM runs r JOIN experiments e ON e.experiment_id = r.experiment_id"
            " WHERE e.name = ? AND r.lifecycle_stage = 'active'"
        )
        gone = connection.execute("SELECT run_uuid FROM runs WHERE lifecycle_stage = 'deleted'").fetchall()
        runs = [_tracked(connection, tracked, *row) for row in connection.execute(query, (OURS,)).fetchall()]
    parents = [run for run in runs if "mlflow.parentRunId" not in run.tags]
    children: dict[str, list[tuple[str, Tracked]]] = {parent.run_id: [] for parent in parents}
    for run in runs:
        if "mlflow.parentRunId" in run.tags:
            children.setdefault(run.tags["mlflow.parentRunId"], []).append(
                (run.tags.get("implicit_bias.point", "?"), run)
            )
    return Contents(parents, children, {run for (run,) in gone}, files(project), sound)


def _tracked(connection: sqlite3.Connection, folder: Path, run_id: str, status: str, uri: str) -> Tracked:
    def pairs(query: str) -> dict[str, Any]:
        return dict(connection.execute(query, (run_id,)).fetchall())

    return Tracked(
        run_id,
        status,
        pairs("SELECT key, value FROM tags WHERE run_uuid = ?"),
        pairs("SELECT key, value FROM params WHERE run_uuid = ?"),
        pairs("SELECT key, value FROM latest_metrics WHERE run_uuid = ?"),
        pairs("SELECT key, COUNT(*) FROM metrics WHERE run_uuid = ? GROUP BY key"),
        _artifacts(folder, uri),
    )


def _artifacts(folder: Path, uri: str) -> dict[str, int]:
    root = folder / "artifacts" / uri.removeprefix("mlflow-artifacts:/") if "mlflow-artifacts" in uri else Path(uri)
    root = Path(str(root).removeprefix("file:"))
    found = (path for path in root.rglob("*") if path.is_file()) if root.is_dir() else ()
    return {path.relative_to(root).as_posix(): path.stat().st_size for path in found}


def files(project: Path) -> dict[str, Any]:
    """Path -> content of the files of a sweep: bytes of figures, arrays of points without the time they took."""
    data = project / "data/smoke"
    return {path.relative_to(data).as_posix(): _content(path) for path in sorted(data.rglob("*")) if path.is_file()}


def _content(path: Path) -> Any:
    if path.suffix == ".npz":
        try:
            with np.load(path) as arrays:
                names = [name for name in arrays.files if name != f"metric/{TIMED}"]
                return {name: (arrays[name].dtype.str, arrays[name].shape, arrays[name].tobytes()) for name in names}
        except Exception as error:
            return f"unreadable: {error}"
    return path.read_bytes()
