"""Runs of a project in processes forked from this one, which has imported everything that a run imports."""

import os
import pickle
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from tests.support.kills import POINTS, group, warm

SWEEP = {"widths": "20 40", "seeds": "0"}
LIMIT = 150.0
"""Seconds after which a run hangs, on a busy machine."""
QUIET = 30.0
"""Seconds in which the processes of a run end after it."""
QUICK = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
}
"""A client of MLflow that gives up soon."""


@dataclass(frozen=True)
class Result:
    """How a process ended, and what it said."""

    code: int
    said: str
    complaint: str = ""

    @property
    def well(self) -> bool:
        return self.code == 0 and not self.complaint


def prepare(project: Path) -> None:
    """Import what a run imports by a whole run, and remember the laws that it computes."""
    from implicit_bias.figures import law
    from implicit_bias.pipelines import questions

    warm(project)
    law.predict_band = _remembered(law.predict_band)  # pure functions, half the cost of a run
    questions.attained_tolerances = _remembered(questions.attained_tolerances)
    log, errors = os.dup(1), os.dup(2)
    with Path(project, "runs.log").open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            run(project)
        finally:
            os.dup2(log, 1)
            os.dup2(errors, 2)
            os.close(log)
            os.close(errors)


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[bytes, Any] = {}

    @wraps(function)
    def remember(*arguments: Any) -> Any:
        key = pickle.dumps(arguments)
        if key not in known:
            known[key] = function(*arguments)
        return known[key]

    return remember


def run(project: Path, workers: int = 1, optional: bool = False, whole: bool = True) -> None:
    """The command of a trial, in the current process; the whole pipeline, or all that makes the points."""
    from kedro.framework.session import KedroSession

    os.chdir(project)
    parameters: dict[str, Any] = {"width_sweep": SWEEP | {"workers": workers}, "tracking": {"optional": optional}}
    with KedroSession.create(project, env="smoke", runtime_params=parameters) as session:
        session.run(pipeline_names=["width_sweep"], **({} if whole else POINTS))


def sync(project: Path) -> None:
    """`kedro implicit-bias sync`, in the current process."""
    from implicit_bias.cli.sync import command

    os.chdir(project)
    command.main(["--env=smoke"], standalone_mode=True)


def start(
    project: Path,
    act: Callable[[Path], None] = run,
    env: dict[str, str] | None = None,
    file_size: int | None = None,
    user: int | None = None,
) -> int:
    """Fork a process that acts on a project; in it, never return.

    Args:
        project: its folder, where `said.log` has what it says.
        act: what it does.
        env: more environment variables.
        file_size: no file may grow beyond so many bytes.
        user: who it runs as.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        log = os.open(project.parent / "said.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(env or {})
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
        if user is not None:
            os.setuid(user)
        act(project)
        sys.exit(0)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            _leave()
        os._exit(code)


def _leave() -> None:
    """What an interpreter does at its end."""
    import atexit
    import threading

    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()


def finish(project: Path, pid: int, limit: float = LIMIT) -> Result:
    """Wait for a process and all that it has started; whatever is still there after the time is ended, and is said."""
    code, complaint, end = None, "", time.monotonic() + limit
    while code is None:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
        elif time.monotonic() > end:
            complaint = f"hung for {limit:g} s"
            _kill(pid)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        else:
            time.sleep(0.005)
    end = time.monotonic() + QUIET
    while (left := group(pid)) and not complaint:
        if time.monotonic() > end:
            complaint = f"left the processes {left}"
            _kill(pid)
        time.sleep(0.05)
    return Result(code, (project.parent / "said.log").read_text("utf-8", "replace"), complaint)


def _kill(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def whole(project: Path, act: Callable[[Path], None] = run, **how: Any) -> Result:
    """What a process does that is left alone."""
    return finish(project, start(project, act, **how))
