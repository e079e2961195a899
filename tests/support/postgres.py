"""A PostgreSQL server on 127.0.0.1 in a folder of its own."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.clusters import free_port


def find(name: str) -> str:
    """A program of PostgreSQL; Debian keeps them off the path."""
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if found is None:
        pytest.skip(f"PostgreSQL is not installed: no {name}")
    return str(Path(found).resolve())


@contextmanager
def postgres(password: str) -> Iterator[str]:
    """The address of a database, for SQLAlchemy; its server is stopped and its folder removed afterwards."""
    initdb, server = find("initdb"), find("postgres")
    folder, port = Path(tempfile.mkdtemp(prefix="pg")), free_port()
    as_user: list[str] = []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        user = next((each for each in pwd.getpwall() if each.pw_name in ("postgres", "nobody")), None)
        if user is None or shutil.which("setpriv") is None:
            pytest.skip("PostgreSQL does not run as root, and there is no other user to run it")
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        os.chown(folder, user.pw_uid, user.pw_gid)
    data, secret = folder / "data", folder / "password"
    secret.write_text(password)
    secret.chmod(0o644)
    try:
        create = [initdb, "-D", str(data), "-U", "mlflow", "-A", "scram-sha-256", "--pwfile", str(secret), "--no-sync"]
        subprocess.run([*as_user, *create], check=True, capture_output=True, cwd=folder)
        settings = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": str(folder)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*as_user, server, "-D", str(data), *options], cwd=folder, stdout=log, stderr=log
            )
        try:
            _wait_for(port, password, process, folder / "log")
            yield f"postgresql+psycopg2://mlflow:{password}@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(signal.SIGINT)  # a fast shutdown: connections are ended
            process.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(port: int, password: str, process: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg2

    while process.poll() is None:
        try:
            psycopg2.connect(host="127.0.0.1", port=port, user="mlflow", password=password, dbname="postgres").close()
            return
        except psycopg2.OperationalError:
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-2000:])
