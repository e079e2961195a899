"""Where a run comes from: what it computes, which process, user, versions and commit."""

import getpass
import json
import os
import platform
import socket
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from implicit_bias.tracking.limits import short_digest
from implicit_bias.tracking.tags import COMMIT, DIRTY

QUERY, NO_SUCH_PROCESS = 0x1000, 87
"""Of Windows: the right to ask a process when it started, and the error where there is none."""
REPOSITORY = frozenset(
    f"GIT_{name}"
    for name in (
        "DIR",
        "WORK_TREE",
        "INDEX_FILE",
        "OBJECT_DIRECTORY",
        "ALTERNATE_OBJECT_DIRECTORIES",
        "COMMON_DIR",
        "NAMESPACE",
        "PREFIX",
        "GRAFT_FILE",
        "SHALLOW_FILE",
        "REPLACE_REF_BASE",
        "NO_REPLACE_OBJECTS",
    )
)
"""Environment variables that make git speak of another repository than that of its folder, as in its hooks."""
PACKAGES = ("kedro-implicit-bias", "kedro", "mlflow", "numpy", "scipy")


def plan_fingerprint(plan: Mapping[str, Any]) -> str:
    """A digest of what a plan computes, whatever it is called."""
    points = {key: point.get("params", {}) for key, point in plan["points"].items()}
    content = [plan["sweep"], plan.get("params", {}), points, plan.get("datasets", []), plan.get("numerics")]
    return short_digest(json.dumps(content, sort_keys=True, default=str))


def process_tag() -> str:
    """Host, pid and start of this process: enough to know later whether it still lives."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def place_of(plan: Mapping[str, Any], project: Path) -> str:
    """A short name for the folder that a plan is kept in, or that of the project, which says neither host nor path."""
    folder = Path(plan.get("folder") or project).absolute()
    return short_digest(f"{socket.gethostname()}:{folder}")


def is_dead(tag: str) -> bool:
    """Whether the process of a tag is known to be gone; processes of other hosts, and other tags, never are."""
    host, _, process = tag.partition(":")
    pid, _, start = process.partition(":")
    return host == socket.gethostname() and pid.isdecimal() and bool(start) and _started(int(pid)) != start


def _started(pid: int) -> str:
    """When a process of this host started, in ticks of its clock; "" if it is gone, "?" if that cannot be told."""
    if os.name != "posix":
        return _started_on_windows(pid)
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except PermissionError:
            pass
        return "?"
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *rest = status.rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else rest[18]


def _started_on_windows(pid: int) -> str:
    """`_started` by the kernel of Windows, in units of 100 ns since 1601."""
    import ctypes

    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    kernel.OpenProcess.restype = ctypes.c_void_p
    if not (process := kernel.OpenProcess(QUERY, False, pid)):
        return "" if kernel.GetLastError() == NO_SUCH_PROCESS else "?"
    handle, created, ended, *rest = ctypes.c_void_p(process), *(ctypes.c_uint64() for _ in range(4))
    told = kernel.GetProcessTimes(handle, *(ctypes.byref(each) for each in (created, ended, *rest)))
    kernel.CloseHandle(handle)
    if not told:
        return "?"
    return "" if ended.value else str(created.value)


def user() -> str:
    """The name of the user, where there is one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container without a user database
        return "unknown"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that determine a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_tags(folder: Path) -> dict[str, str]:
    """The commit a folder is at, and whether tracked files differ from it; nothing outside a repository."""
    command = ["git", "-C", str(folder), "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    environment = {name: value for name, value in os.environ.items() if name not in REPOSITORY}
    try:
        status = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=10, check=True, env=environment
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = status.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), "(initial)")
    if commit == "(initial)":
        return {}
    dirty = any(not line.startswith("#") for line in lines)
    return {COMMIT: commit, DIRTY: str(dirty).lower()}
