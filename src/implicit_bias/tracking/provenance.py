"""Where a run comes from: what it computes, which process, user, versions and commit."""

import getpass
import hashlib
import json
import os
import platform
import socket
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

COMMIT, DIRTY = "mlflow.source.git.commit", "git.dirty"
"""Tags of a run: its commit, and whether tracked files differed from it."""
PACKAGES = ("kedro-implicit-bias", "kedro", "mlflow", "numpy", "scipy")


def fingerprint(plan: Mapping[str, Any]) -> str:
    """A digest of what a plan computes, whatever it is called."""
    points = {key: point.get("params", {}) for key, point in plan["points"].items()}
    content = [plan["sweep"], plan.get("params", {}), points, plan.get("datasets", []), plan.get("numerics")]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def process_tag() -> str:
    """Host, pid and start of this process: enough to know later whether it still lives."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def place(folder: Path) -> str:
    """A short name for a folder of this host, which says neither."""
    return hashlib.sha256(f"{socket.gethostname()}:{folder.absolute()}".encode()).hexdigest()[:16]


def is_dead(tag: str) -> bool:
    """Whether the process of a tag is known to be gone; processes of other hosts never are."""
    host, pid, start = tag.rsplit(":", 2)
    return host == socket.gethostname() and _started(int(pid)) != start


def _started(pid: int) -> str:
    """When a process of this host started, in ticks since boot; "" if it is gone, "?" if that cannot be told."""
    if os.name != "posix":
        return "?"
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except PermissionError:
            pass
        return "?"
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else rest[18]


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
    try:
        status = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = status.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), "(initial)")
    if commit == "(initial)":
        return {}
    dirty = any(not line.startswith("#") for line in lines)
    return {COMMIT: commit, DIRTY: str(dirty).lower()}
