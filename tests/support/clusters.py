"""Clusters of processes on this machine whose workers have the installed package, and no project, in another folder."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from tests.support.project import REPOSITORY


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def unpack_package(folder: Path) -> Path:
    """What a wheel puts into site-packages: the package and its metadata, nothing of the project."""
    shutil.copytree(
        REPOSITORY / "src/implicit_bias", folder / "implicit_bias", ignore=shutil.ignore_patterns("__pycache__")
    )
    metadata = folder / f"kedro_implicit_bias-{version('kedro-implicit-bias')}.dist-info"
    metadata.mkdir()
    name = f"Name: kedro-implicit-bias\nVersion: {version('kedro-implicit-bias')}\n"
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\n{name}")
    return folder


@contextmanager
def dask_cluster(folder: Path, workers: int = 2, allowed_failures: int = 3, port: int | None = None) -> Iterator[str]:
    """The address of a Dask scheduler, with workers in processes of their own; all are gone afterwards."""
    address = f"tcp://127.0.0.1:{port or free_port()}"
    scheduler = ["distributed.cli.dask_scheduler", "--host", address, "--no-dashboard"]
    worker = ["distributed.cli.dask_worker", address, "--nworkers", str(workers), "--nthreads", "1", "--no-dashboard"]
    worker += ["--host", "127.0.0.1", "--local-directory", str(folder / "elsewhere")]
    more = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures)}
    with _running(folder, [scheduler, worker], more):
        _wait_for_workers(address, workers)
        yield address


@contextmanager
def _running(folder: Path, commands: list[list[str]], more: dict[str, str]) -> Iterator[None]:
    """Run modules in a folder without the project, with nothing but the installed package on their path."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(parents=True)
    env = os.environ | {"PYTHONPATH": str(unpack_package(folder / "site-packages"))} | more
    running = []
    try:
        for number, command in enumerate(commands):
            with (folder / f"{number}.log").open("wb") as log:
                full = [sys.executable, "-m", *command]
                running.append(subprocess.Popen(full, cwd=elsewhere, env=env, stdout=log, stderr=log))
        yield
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_workers(address: str, workers: int) -> None:
    from distributed import Client

    end = time.monotonic() + 120
    while True:
        try:
            with Client(address, timeout=5, set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=60)
                return
        except (OSError, TimeoutError):
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
