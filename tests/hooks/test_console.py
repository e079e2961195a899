"""What a person reads while a pipeline runs: one line per message, each said once."""

import logging
import sys
from types import SimpleNamespace

import pytest
from kedro.framework.cli.utils import KedroCliError

from implicit_bias.hooks.console import ConsoleFormatter, ConsoleHooks, is_worth_reading


def record(name: str, level: int, message: str) -> logging.LogRecord:
    return logging.LogRecord(name, level, "file.py", 1, message, None, None)


@pytest.mark.parametrize(
    ("name", "level", "message", "read"),
    [
        ("kedro.runner.sequential_runner", logging.INFO, "Completed node: width_sweep.train_points", True),
        ("kedro.runner.sequential_runner", logging.INFO, "Completed 1 out of 9 tasks", False),
        ("kedro.runner.runner", logging.WARNING, "There are 3 nodes that have not run.\nYou can resume ...", False),
        ("kedro.runner.runner", logging.WARNING, "something else", True),
        ("kedro.pipeline.node", logging.ERROR, "Node train_points: f([a]) -> [b] failed with error:\nno", False),
        ("implicit_bias.sweeps.points", logging.ERROR, "width=5 failed: ValueError", True),
    ],
)
def test_progress_and_failures_are_said_once(name: str, level: int, message: str, read: bool) -> None:
    assert is_worth_reading(record(name, level, message)) == read


@pytest.mark.parametrize(
    ("name", "level", "message", "line"),
    [
        ("kedro.runner", logging.INFO, "Completed node: train_points", "  done: train_points"),
        ("implicit_bias", logging.INFO, "MLflow: FINISHED", "MLflow: FINISHED"),
        ("implicit_bias", logging.WARNING, "alpha is small", "WARNING: alpha is small"),
        (
            "py.warnings",
            logging.WARNING,
            "/a/b.py:27: RuntimeWarning: overflow in dot\n  sqnorm = x.dot(x)\n",
            "WARNING: RuntimeWarning: overflow in dot",
        ),
    ],
)
def test_a_message_is_one_line(name: str, level: int, message: str, line: str) -> None:
    assert ConsoleFormatter().format(record(name, level, message)) == line


def fail() -> None:
    raise ValueError("the widths do not increase")


def shown(hooks: ConsoleHooks, capsys: pytest.CaptureFixture[str]) -> str:
    try:
        fail()
    except ValueError:
        hooks.show_error(*sys.exc_info())  # type: ignore[arg-type]
    return capsys.readouterr().err


def test_an_error_is_one_line_that_names_its_node(capsys: pytest.CaptureFixture[str]) -> None:
    hooks = ConsoleHooks()
    expected = "ValueError: the widths do not increase\nkedro --verbose run shows where.\n"
    assert shown(hooks, capsys) == f"ERROR: {expected}"
    hooks.on_node_error(SimpleNamespace(name="width_sweep.plan_points"))
    assert shown(hooks, capsys) == f"ERROR in width_sweep.plan_points: {expected}"


def test_verbose_shows_where(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KedroCliError, "VERBOSE_ERROR", True)
    text = shown(ConsoleHooks(), capsys)
    assert "Traceback" in text
    assert "in fail" in text
