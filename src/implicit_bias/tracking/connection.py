"""Reaching a tracking store: without long waits, without noise, and without showing secrets."""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from implicit_bias.tracking.addresses import redacted

logger = logging.getLogger(__name__)


def first_line(error: object) -> str:
    """What went wrong, in one line of at most 500 characters, without secrets of addresses."""
    if refused := re.search(r"Failed to establish a new connection: ([^\"')]+)", str(error)):
        return refused[1]
    text = str(error).strip() or (type(error).__name__ if isinstance(error, Exception) else "")
    return redacted(text.partition("\n")[0])[:500]


OUTAGES = frozenset(
    {
        "INTERNAL_ERROR",
        "TEMPORARILY_UNAVAILABLE",
        "DEADLINE_EXCEEDED",
        "DATA_LOSS",
        "ABORTED",
        "CANCELLED",
        "REQUEST_LIMIT_EXCEEDED",
        "RESOURCE_EXHAUSTED",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "CUSTOMER_UNAUTHORIZED",
    }
)
"""Codes of MLflow's errors that blame the store, or the way to it: those of HTTP 5xx, 429, 401 and 403 among them."""


def is_outage(error: BaseException) -> bool:
    """Whether an error means that the store cannot be used now, whatever it is given.

    All others blame what it was given, or this program. MLflow wraps what a database, a file or a connection raises:
    what it has wrapped decides, if anything.
    """
    from mlflow.exceptions import MlflowException, RestException
    from sqlalchemy import exc

    wrapped = error.__cause__ or error.__context__
    if isinstance(error, MlflowException):
        if wrapped is None or isinstance(error, RestException):
            return error.error_code in OUTAGES
        return is_outage(wrapped)
    if type(error) is exc.DatabaseError:  # the file is no database; subclasses have causes of their own
        return True
    gone = (
        OSError,
        exc.OperationalError,
        exc.InterfaceError,
        exc.InternalError,
        exc.TimeoutError,
    )  # locked or full, too
    return isinstance(error, gone) and not isinstance(error, FileNotFoundError)


SECRETS = {
    "username": "MLFLOW_TRACKING_USERNAME",
    "password": "MLFLOW_TRACKING_PASSWORD",
    "token": "MLFLOW_TRACKING_TOKEN",
}
"""Entries of Kedro's credentials `mlflow` -> where MLflow reads them, and nothing else does."""


def use_credentials(loader: Mapping[str, Any] | None) -> None:
    """Let MLflow have the credentials `mlflow` of a Kedro project, where the environment does not say otherwise.

    They are called as in SECRETS, or as MLflow's environment variables. Others may be there for other plugins.
    """
    from kedro.config import MissingConfigException

    try:
        given = {} if loader is None else loader["credentials"].get("mlflow") or {}  # a loader has no length
    except (KeyError, MissingConfigException):
        return
    for name, value in given.items():
        variable = SECRETS.get(name, name)
        if variable in SECRETS.values():
            os.environ.setdefault(variable, str(value))
        elif meant := get_close_matches(name, SECRETS, n=1, cutoff=0.8):
            logger.warning("credentials mlflow.%s are not used: did you mean %s?", name, meant[0])


@contextmanager
def impatient() -> Iterator[None]:
    """Let requests fail soon: MLflow retries an unreachable server for minutes."""
    hasty = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
    before = {name: os.environ.get(name) for name in hasty}
    os.environ.update(hasty)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def quiet(*names: str) -> Iterator[None]:
    """Let loggers say warnings and errors only."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
