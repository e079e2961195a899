"""The Kedro project that a command is called in."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata


def current_project() -> "ProjectMetadata":
    """The project of the working directory, ready to be used.

    Raises:
        click.ClickException: there is none.
    """
    from kedro.framework.startup import bootstrap_project
    from kedro.utils import find_kedro_project

    path = find_kedro_project(Path.cwd())
    if path is None:
        raise click.ClickException(f"{Path.cwd()} is not in a Kedro project: kedro new makes one")
    return bootstrap_project(path)
