"""The Kedro project that a command is called in, as Kedro itself opens it."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata


Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def log_to_stderr() -> None:
    """Import Kedro's framework with its log on standard error, so that a command prints its answer alone."""
    with redirect_stdout(sys.stderr):  # Kedro sets its logging up, and logs, when it is imported
        import kedro.framework.project  # noqa: F401
    from rich.logging import RichHandler

    for handler in logging.getLogger().handlers:
        if isinstance(handler, RichHandler):
            handler.console.stderr = True


def current_project() -> "ProjectMetadata":
    """The project of the working directory, ready to be used.

    Raises:
        click.ClickException: there is none.
    """
    log_to_stderr()
    from kedro.framework.startup import bootstrap_project
    from kedro.utils import find_kedro_project

    path = find_kedro_project(Path.cwd())
    if path is None:
        raise click.ClickException(f"{Path.cwd()} is not in a Kedro project: kedro new makes one")
    return bootstrap_project(path)


def options(*given: Option) -> Option:
    """Several options of commands as one, in the order in which they are shown."""
    return lambda command: reduce(lambda made, option: option(made), reversed(given), command)


def _params(context: click.Context, parameter: click.Parameter, value: str) -> dict[str, Any]:
    log_to_stderr()
    from kedro.framework.cli.utils import _split_params

    given: dict[str, Any] = _split_params(context, parameter, value)
    return given


project_options = options(
    click.option("--env", "-e", help="Environment of the configuration.  [default: KEDRO_ENV, or local]"),
    click.option("--params", default="", callback=_params, help="Parameters to override, as for kedro run."),
    click.option(
        "--conf-source",
        type=click.Path(exists=True, resolve_path=True),
        help="Folder or archive with the configuration, as for kedro run.  [default: conf/ of the project]",
    ),
)
"""The options of kedro run that say which configuration is used: `env`, `params`, `conf_source`."""


@contextmanager
def open_context(
    env: str | None = None, params: dict[str, Any] | None = None, conf_source: str | None = None
) -> Iterator[Any]:
    """The context of the project of the working directory, with everything that a run of it would see.

    Its hooks are called, so that its resolvers, its credentials and its plugins take part.

    Raises:
        click.ClickException: there is no project, or its configuration cannot be read.
    """
    from kedro.config import MissingConfigException
    from kedro.framework.session import KedroSession

    project = current_project()
    options: dict[str, Any] = {"env": env, "runtime_params": params or None, "conf_source": conf_source}
    with KedroSession.create(project.project_path, save_on_close=False, **options) as session:
        loaded: Any = session
        try:
            context = loaded.load_context()
            _ = context.params
        except (MissingConfigException, ValueError) as error:
            raise click.ClickException(f"the configuration cannot be read: {error}") from None
        yield context
