"""An MLflow server in a process of its own that loses requests, or answers, by a rule in a file beside its store."""

import json
import logging
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.support.clusters import free_port

MODES = ("done, then 504", "done, then cut", "done, no answer", "not done, 503", "not done, cut")
"""Whether a request is done, and what is heard of it."""
SILENCE = 3.0
"""Seconds without an answer: more than the client waits."""
RULE = "rule.json"


@dataclass(frozen=True)
class Rule:
    """Of the requests whose address has a part, every so many, or the first after so many, is lost in a way."""

    path: str
    every: int
    mode: str
    once: bool

    def write(self, folder: Path) -> None:
        """Follow the rule from now on."""
        (folder / "rule.tmp").write_text(json.dumps(asdict(self)))
        (folder / "rule.tmp").replace(folder / RULE)

    def lift(self, folder: Path) -> None:
        """Follow it no longer."""
        (folder / RULE).unlink(missing_ok=True)


class Lossy:
    """A WSGI application around another one."""

    def __init__(self, application: Any, folder: Path) -> None:
        self.application, self.folder, self.count = application, folder, 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        rule = self._rule()
        if rule is None or rule.path not in environ["PATH_INFO"] or environ["PATH_INFO"] == "/health":
            return list(self.application(environ, start_response))
        self.count += 1
        due = self.count == rule.every if rule.once else self.count % rule.every == 0
        if not due:
            return list(self.application(environ, start_response))
        if rule.mode.startswith("done"):
            for _ in self.application(environ, lambda *_: None):
                pass
        if rule.mode.endswith("cut"):
            with suppress(OSError):
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        elif rule.mode.endswith("no answer"):
            time.sleep(SILENCE)
        start_response("504 Gateway Timeout" if "504" in rule.mode else "503 Service Unavailable", [])
        return [b"lost"]

    def _rule(self) -> Rule | None:
        try:
            return Rule(**json.loads((self.folder / RULE).read_text()))
        except OSError:
            return None


def serve(folder: Path, database: Path) -> tuple[str, Callable[[], None]]:
    """The address of a server whose store begins as a database, and what ends it."""
    folder.mkdir()
    shutil.copy(database, folder / "mlflow.db")
    port = free_port()
    pid = os.fork()
    if pid == 0:
        try:
            _serve(folder, port)
        finally:
            os._exit(1)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            break
        time.sleep(0.02)

    def stop() -> None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    return f"http://127.0.0.1:{port}", stop


def _serve(folder: Path, port: int) -> None:
    os.setsid()
    log = os.open(folder / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ |= {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/mlflow.db",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "artifacts"),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
    }
    from mlflow.server import app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    make_server("127.0.0.1", port, Lossy(app, folder), threaded=True).serve_forever()
