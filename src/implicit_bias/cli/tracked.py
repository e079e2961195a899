"""What the commands on tracked runs share: where the store is, and its options."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from implicit_bias.cli.project import open_context, options, project_options

if TYPE_CHECKING:
    from implicit_bias.tracking.reader import Reader


store_options = options(
    click.option(
        "--uri", help="MLflow tracking URI.  [default: MLFLOW_TRACKING_URI, or that of the project's parameters]"
    ),
    click.option(
        "--experiment", help="Name of the MLflow experiment.  [default: that of the environment or the parameters]"
    ),
    project_options,
)
"""The options that say where runs are tracked."""


@contextmanager
def open_reader(
    uri: str | None,
    experiment: str | None,
    env: str | None = None,
    params: dict[str, Any] | None = None,
    conf_source: str | None = None,
) -> Iterator["Reader"]:
    """The tracked runs of the options, or else those that a run of the project would be among.

    Errors of tracking become those of the command, in the block as well.

    Raises:
        click.ClickException: there are none.
    """
    from kedro.utils import find_kedro_project

    from implicit_bias.tracking.records import TrackingError

    try:
        if find_kedro_project(Path.cwd()) is None:
            yield _reader(uri, experiment, {}, Path.cwd())
            return
        with open_context(env, params, conf_source) as context:
            from implicit_bias.tracking.connection import use_credentials

            use_credentials(context.config_loader)
            yield _reader(uri, experiment, context.params.get("tracking") or {}, context.project_path)
    except (TrackingError, ValueError) as error:
        raise click.ClickException(str(error)) from None


def _reader(uri: str | None, experiment: str | None, settings: dict[str, Any], project: Path) -> "Reader":
    from implicit_bias.tracking.marks import checked_settings, experiment_of, ui_of, uri_of
    from implicit_bias.tracking.reader import Reader

    settings = checked_settings(settings)
    return Reader(uri or uri_of(settings), project, experiment, ui_of(settings), experiment_of(settings))
