"""A headless Chromium, servers on 127.0.0.1, and one run of the smoke configuration for all of them to show."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.project import Project, _environment, finished_project

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT = 120_000


@pytest.fixture(scope="session")
def chromium() -> str:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[browser]'")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    return path


@pytest.fixture(scope="session")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    profile, size = str(tmp_path_factory.mktemp("profile")), {"width": 1700, "height": 1100}
    with sync_playwright() as play:
        context = play.chromium.launch_persistent_context(profile, executable_path=chromium, args=FLAGS, viewport=size)
        context.set_default_timeout(WAIT)
        yield context
        context.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture(scope="session")
def finished(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished_project(tmp_path_factory, "--pipelines=implicit_bias")


@pytest.fixture(scope="session")
def serve() -> Callable[..., Any]:
    @contextmanager
    def server(folder: Path, command: list[str], health: str = "/") -> Iterator[str]:
        """A server in a folder, told its port by `{port}` in its command, until the block ends."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        words = [word.replace("{port}", port) for word in command]
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=folder,
            env=_environment() | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address + health, process)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    return server


def _wait_for(address: str, process: subprocess.Popen[bytes], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"{address} never came up")
