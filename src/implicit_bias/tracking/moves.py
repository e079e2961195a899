"""Projects that are moved or copied: the artifacts that a database in the project names follow it."""

import logging
from pathlib import Path

import sqlalchemy

from implicit_bias.tracking.database import file_of

ARTIFACTS = "mlruns"
"""Folder of a project with the artifacts of a database in it."""

logger = logging.getLogger(__name__)


def artifacts_of(project: Path) -> str:
    """Where the artifacts of a database in a project are, as a URI."""
    return (project / ARTIFACTS).as_uri()


def is_within(uri: str, project: Path) -> bool:
    """Whether a store is a SQLite file in a project, which moves with it."""
    path = file_of(uri)
    return path is not None and path.absolute().is_relative_to(project)


def follow(uri: str, project: Path) -> None:
    """Let the runs of a database in a project have their artifacts there, wherever the project was before.

    MLflow keeps absolute addresses: of a copied project they would be those of the original. Experiments whose
    artifacts are not in a folder `mlruns`, as this package makes it, are left alone.
    """
    here = artifacts_of(project)
    engine = sqlalchemy.create_engine(sqlalchemy.make_url(uri))
    try:
        with engine.connect() as connection:
            found = connection.execute(sqlalchemy.text("SELECT experiment_id, artifact_location FROM experiments"))
            moved = [
                (number, str(place))
                for number, place in found
                if str(place).startswith("file:") and str(place).endswith(f"/{ARTIFACTS}") and place != here
            ]
        if moved:
            with engine.begin() as connection:
                for number, before in moved:
                    values = {"here": here, "before": before, "length": len(before), "number": number}
                    connection.execute(sqlalchemy.text(EXPERIMENT), values)
                    connection.execute(sqlalchemy.text(RUNS), values)
            logger.info("MLflow: the project was elsewhere before, its artifacts are now in %s", ARTIFACTS)
    finally:
        engine.dispose()


EXPERIMENT = "UPDATE experiments SET artifact_location = :here WHERE experiment_id = :number"
RUNS = """
UPDATE runs SET artifact_uri = :here || substr(artifact_uri, :length + 1)
WHERE experiment_id = :number AND substr(artifact_uri, 1, :length + 1) = :before || '/'
"""
