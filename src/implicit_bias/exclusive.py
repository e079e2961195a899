"""One run at a time in a folder: a second one is refused before it touches anything."""

import json
import logging
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK, HOLDER = ".run.lock", ".run.json"

logger = logging.getLogger(__name__)


class FolderInUse(RuntimeError):
    """Another run works in the same folder."""


class ExclusiveHooks:
    """Holds a lock on the folder that the parameter `run_folder` names; does nothing in projects without it.

    The operating system frees the lock of a process that dies, however it dies: there are no stale locks.
    """

    def __init__(self) -> None:
        self._folder = ""
        self._lock: BaseFileLock | None = None

    @hook_impl
    def after_catalog_created(self, parameters: dict[str, Any] | None) -> None:
        self._folder = str((parameters or {}).get("params:run_folder") or "")

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        self._release()  # of a run that was interrupted in a notebook
        if self._folder:
            folder = Path(run_params["project_path"], self._folder)
            self._lock = lock(folder)
            for leftover in folder.rglob(".*.tmp"):  # a file that a killed run was writing
                leftover.unlink(missing_ok=True)

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        self._release()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def lock(folder: Path) -> "BaseFileLock":
    """Take the lock of a folder.

    Raises:
        FolderInUse: another process has it.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    held = FileLock(folder / LOCK, timeout=0)
    try:
        held.acquire()
    except Timeout:
        raise FolderInUse(
            f"{folder} is in use by another run{_holder(folder)}: wait for it, stop it, or set another folder "
            "in globals.yml"
        ) from None
    me = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    (folder / HOLDER).write_text(json.dumps(me))
    return held


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / HOLDER).read_text())
        return f" (process {holder['pid']} on {holder['host']}, since {holder['since']})"
    except (OSError, ValueError, KeyError):  # it has only just begun
        return ""


hooks = ExclusiveHooks()
