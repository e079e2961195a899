"""kedro implicit-bias sync: what the tracking store has missed of earlier runs is sent from their files."""

from contextlib import ExitStack
from typing import Any

import click

from implicit_bias.cli.project import open_context, project_options

AGAIN = "Run the pipeline again, which computes what is damaged and sends the rest: kedro run"


@click.command(
    "sync", short_help="Send to MLflow what it missed of earlier runs.", context_settings={"show_default": True}
)
@project_options
def command(**configuration: Any) -> None:
    """Send to MLflow what it has missed of earlier runs.

    A run whose tracking server is lost goes on without it: its results are safe in files. This command sends what is
    missing, and nothing that is there. The results of a later run in the same folder take the place of those of an
    earlier one.
    """
    from kedro.framework.project import pipelines

    from implicit_bias.hooks.lock import FolderInUse, lock
    from implicit_bias.tracking.marks import checked_settings
    from implicit_bias.tracking.sync import send, unsent

    with open_context(**configuration) as context, ExitStack() as held:
        catalog, settings = context.catalog, checked_settings(context.params.get("tracking"))
        waiting = unsent(catalog, dict(pipelines))
        if not waiting:
            click.echo("Nothing to send: the store has missed nothing of the last runs.")
            return
        from implicit_bias.tracking.records import TrackingError
        from implicit_bias.tracking.store import Store

        try:
            for folder in {outbox.path.parent for outbox in waiting.values()}:
                held.callback(lock(folder).release)  # no run notes anything meanwhile
            store, experiment = Store.of(settings, context.project_path, context.config_loader)
            held.enter_context(store.writing())
        except (FolderInUse, TrackingError) as error:
            raise click.ClickException(str(error)) from None
        left: list[str] = []
        for plan, outbox in unsent(catalog, dict(pipelines)).items():
            sent = send(store, experiment, catalog, dict(pipelines), plan, outbox)
            if sent.sweep is not None:
                planned = len(sent.sweep.plan["points"])
                click.echo(
                    f"{sent.sweep.name}: {sent.status}, {planned - len(sent.sweep.missing())} of {planned} points"
                )
            left += sent.lost
        if left:
            raise click.ClickException(f"missing or damaged: {'; '.join(left)}. {AGAIN}{_env(configuration)}")


def _env(configuration: dict[str, Any]) -> str:
    return f" --env={configuration['env']}" if configuration.get("env") else ""
