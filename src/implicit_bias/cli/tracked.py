"""What the commands on tracked runs share: where the store is, and its options."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from implicit_bias.tracking.reader import Reader


def store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say where runs are tracked."""
    for option in (
        click.option(
            "--experiment", help="Name of the MLflow experiment.  [default: that of the project's parameters]"
        ),
        click.option(
            "--uri",
            help="MLflow tracking URI.  [default: that of kedro-mlflow, of MLFLOW_TRACKING_URI, or of the parameters]",
        ),
    ):
        command = option(command)
    return command


def open_reader(uri: str | None, experiment: str | None) -> "Reader":
    """The tracked runs of the options, of kedro-mlflow, of the environment, of the parameters, or of the defaults.

    Raises:
        click.ClickException: there are none.
    """
    from kedro.utils import find_kedro_project

    from implicit_bias.tracking.connection import use_credentials
    from implicit_bias.tracking.marks import experiment_of, uri_of
    from implicit_bias.tracking.reader import Reader
    from implicit_bias.tracking.records import TrackingError

    project = find_kedro_project(Path.cwd())
    settings: dict[str, Any] = {}
    try:
        if project is not None:
            loader = _configuration(project)
            settings = dict(loader["parameters"].get("tracking") or {})
            use_credentials(loader)
            uri = uri or _uri_of_kedro_mlflow(loader)
        return Reader(uri or uri_of(settings), project or Path.cwd(), experiment or experiment_of(settings))
    except (TrackingError, ValueError) as error:
        raise click.ClickException(str(error)) from None


def _configuration(project: Path) -> Any:
    """The configuration of a project, without running any of its code."""
    from kedro.config import OmegaConfigLoader

    return OmegaConfigLoader(
        str(project / "conf"),
        base_env="base",
        default_run_env="local",
        config_patterns={"mlflow": ["mlflow*", "mlflow*/**", "**/mlflow*"]},
    )


def _uri_of_kedro_mlflow(loader: Any) -> str | None:
    """The store that kedro-mlflow is given in mlflow.yml: while it runs it is that of the environment, too."""
    from kedro.config import MissingConfigException

    try:
        uri = (loader["mlflow"].get("server") or {}).get("mlflow_tracking_uri")
    except MissingConfigException:
        return None
    return str(uri) if uri else None
