"""One run at a time in a folder: a second one is refused before it touches anything."""

import json
import logging
import math
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

from implicit_bias.errors import ImplicitBiasError
from implicit_bias.hooks.notebook import after_this_cell
from implicit_bias.hooks.siblings import siblings
from implicit_bias.tracking.marks import folder_of, is_marked, marks_of

if TYPE_CHECKING:
    from filelock import BaseFileLock
    from kedro.pipeline import Pipeline

    from implicit_bias.tracking.marks import Catalog

LOCK, HOLDER = ".run.lock", ".run.json"
TEMPORARY = f".{'?' * 32}.tmp"
"""What a killed run was writing: files of datasets before they are renamed."""

WAIT = "IMPLICIT_BIAS_WAIT"
"""Environment variable: for how many seconds a run waits for another one to leave its folder; 0 by default."""

logger = logging.getLogger(__name__)


class FolderInUse(ImplicitBiasError, RuntimeError):
    """Another run works in the same folder."""


class ExclusiveHooks:
    """Holds a lock on the folders in which a run keeps the plans of its sweeps; does nothing in runs without a sweep.

    A run of a part of a sweep, such as its data or its report, holds the folder of that sweep's plan, too.

    The operating system frees the lock of a process that dies, however it dies: there are no stale locks.
    """

    def __init__(self) -> None:
        self._marked = False
        self._locks: list[BaseFileLock] = []

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any] | None) -> None:
        self._marked = is_marked(conf_catalog)

    @hook_impl(trylast=True)  # a run that tracking refuses leaves nothing, and no lock in a notebook that lives on
    def before_pipeline_run(self, pipeline: "Pipeline", catalog: "Catalog") -> None:
        self._release()  # of a run that was interrupted, in a process that lives on
        parts = (pipeline, *siblings(pipeline).values()) if self._marked else ()
        plans = {name for name, mark in marks_of(catalog, *parts).items() if mark.role == "plan"}
        if not plans:
            return
        patience = _patience()
        try:
            for folder in sorted({folder for name in plans if (folder := folder_of(catalog[name]))}):
                self._locks.append(lock(folder, patience))
        except FolderInUse:
            self._release()
            raise
        after_this_cell(self._release)
        for folder in {folder for name in pipeline.datasets() if (folder := folder_of(catalog.get(name)))}:
            for leftover in folder.glob(TEMPORARY):
                leftover.unlink(missing_ok=True)

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        self._release()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        self._release()

    def _release(self) -> None:
        while self._locks:
            self._locks.pop().release()


def lock(folder: Path, patience: float = 0.0) -> "BaseFileLock":
    """Take the lock of a folder.

    Args:
        folder: it is made if it is not there.
        patience: seconds to wait for another process that has it.

    Raises:
        FolderInUse: another process has it, still.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    held = FileLock(folder / LOCK, timeout=patience, thread_local=False)  # whichever thread releases it
    try:
        held.acquire()
    except Timeout:
        raise FolderInUse(
            f"{folder} is in use by another run{_holder(folder)}: wait for it, stop it, or use another folder"
        ) from None
    me = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    (folder / HOLDER).write_text(json.dumps(me), encoding="utf-8")
    return held


def _patience() -> float:
    given = os.environ.get(WAIT, "0")
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{WAIT} must be a number of seconds, got {given!r}")
    return seconds


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        return f" (process {holder['pid']} on {holder['host']}, since {holder['since']})"
    except (OSError, ValueError, KeyError):  # it has only just begun
        return ""


hooks = ExclusiveHooks()
