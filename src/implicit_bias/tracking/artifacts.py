"""Files that are kept with runs."""

import json
import re
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path

from implicit_bias.tracking.database import sqlite_engine
from implicit_bias.tracking.limits import short_value
from implicit_bias.tracking.runs import parameter_file

PLAIN = re.compile(r"\w[\w\-. ]*")
"""Names of files that every system takes."""


def upload(client: MlflowClient, run_id: str, name: str, content: bytes) -> None:
    """Keep a file with a run under a name, which may have folders."""
    inside, _, own = name.rpartition("/")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, own)
        path.write_bytes(content)
        client.log_artifact(run_id, str(path), inside or None)


def keep_whole(client: MlflowClient, run_id: str, params: Mapping[str, str]) -> None:
    """Keep parameters whose values had to be shortened as files, one each."""
    for name, value in params.items():
        if short_value(value) != value:
            upload(client, run_id, parameter_file(name), json.dumps(value, ensure_ascii=False).encode())


def folder_at(client: MlflowClient, address: str) -> Path | None:
    """The folder of the artifacts of a run of a SQLite file; None of any other store, or where they are elsewhere."""
    if sqlite_engine(client) is None or not address.startswith(("file:///", "/")):
        return None
    return Path(local_file_uri_to_path(address))  # type: ignore[no-untyped-call]


def write_file(folder: Path | None, name: str, content: bytes) -> bool:
    """Keep a file in the folder of the artifacts of a run, as `upload` does, which reads the whole run for its address.

    Returns:
        whether it is there; if not, `upload` has to do it: there is no such folder, or the name is not a plain one.
    """
    if folder is None or not PLAIN.fullmatch(name):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{uuid.uuid4().hex}.tmp")  # not among them, if a run is killed here
    try:
        temporary.write_bytes(content)
        temporary.replace(folder / name)
    finally:
        temporary.unlink(missing_ok=True)
    return True
