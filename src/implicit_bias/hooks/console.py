"""What a person reads while a pipeline runs: one line per message, never wrapped; errors without a traceback."""

import logging
import re
import sys
from types import TracebackType
from typing import Any

from kedro.framework.hooks import hook_impl

DONE = re.compile(r"Completed node: (\S+)")
UNRUN = re.compile(r"There are \d+ nodes that have not run")  # points that are done are found without its advice
WARNED = re.compile(r".+?:\d+: (\w+: .*)")  # a warning of Python's: where, what, and the line of code


class ConsoleHooks:
    """Sets up the console of the project's own runs; a notebook keeps its own way of showing errors."""

    def __init__(self) -> None:
        self._failed = ""

    @hook_impl
    def on_node_error(self, node: Any) -> None:
        self._failed = node.name

    @hook_impl
    def after_context_created(self) -> None:
        logging.captureWarnings(True)
        for handler in logging.getLogger().handlers:
            if type(handler) is logging.StreamHandler:
                handler.setFormatter(ConsoleFormatter())
                handler.addFilter(is_worth_reading)
                if sys.excepthook is sys.__excepthook__:
                    sys.excepthook = self.show_error

    def show_error(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        """Say what ended the program in one line; with Kedro's --verbose, where."""
        from kedro.framework.cli.utils import KedroCliError

        if KedroCliError.VERBOSE_ERROR or not isinstance(error, Exception):
            sys.__excepthook__(kind, error, traceback)
            return
        if kind.__name__ == "ParameterValidationError":  # its message has been shown, parameter by parameter
            print("Nothing was run: correct the parameters above.", file=sys.stderr)
            return
        where = f" in {self._failed}" if self._failed else ""
        print(f"ERROR{where}: {kind.__name__}: {error}\nkedro --verbose run shows where.", file=sys.stderr)


def is_worth_reading(record: logging.LogRecord) -> bool:
    """Of what Kedro's runner says, only which node is done; of a failure, nothing: the error itself is shown once."""
    if record.name == "kedro.pipeline.node":
        return record.levelno < logging.ERROR
    if not record.name.startswith("kedro.runner"):
        return True
    text = record.getMessage()
    return bool(DONE.match(text)) or (record.levelno > logging.INFO and not UNRUN.match(text))


class ConsoleFormatter(logging.Formatter):
    """Messages as they are, with the level in front of warnings and errors."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.name == "kedro.validation.parameter_validator":
            text = _invalid(text)
        if record.name == "py.warnings" and (warned := WARNED.match(text)):
            text = warned[1]
        if done := DONE.match(text):
            return f"  done: {done[1]}"
        return text if record.levelno <= logging.INFO else f"{record.levelname}: {text}"


def _invalid(text: str) -> str:
    """A refused parameter, one line for each fault, from the error that is being handled while it is logged."""
    error = sys.exc_info()[1]
    cause: Any = getattr(error, "__cause__", None)
    name = re.match(r"Parameter '([^']+)'", text)
    if name is None or not hasattr(cause, "errors"):
        return text
    return "\n  ".join(faults(name[1], cause))


def faults(name: str, error: Any) -> list[str]:
    """What a pydantic error says of the parameters of a name, one line for each fault."""
    lines = []
    for fault in error.errors():
        path, given = ".".join([name, *map(str, fault["loc"])]), fault["input"]
        value = f", got {given!r}" if isinstance(given, str | int | float | bool) else ""
        lines.append(f"{path}: {fault['msg'].removeprefix('Value error, ')}{value}")
    return lines
