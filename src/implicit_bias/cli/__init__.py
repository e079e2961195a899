"""Commands that this package adds to kedro, inside a project and outside; each is a module of its own.

Kedro imports this module for every command: it imports click alone, the rest comes with the command that needs it.
"""

from importlib import import_module
from typing import Any

import click

from implicit_bias.hooks.encodings import speak_any_encoding

COMMANDS = ("check", "compare", "init", "report", "sync", "width")
"""Names of the commands: module `implicit_bias.cli.<name>`, which holds the command as `command`."""
ALIASES = {"plan": "width"}
"""Other names of a command."""


class Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def make_context(self, *arguments: Any, **extra: Any) -> click.Context:
        speak_any_encoding()
        return super().make_context(*arguments, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"implicit_bias.cli.{name}").command
        return command


commands = click.Group("kedro-implicit-bias")
cli = click.Group("kedro")  # Kedro looks for it in the cli.py of a project; this project adds no commands of its own


def _version(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"kedro-implicit-bias {version('kedro-implicit-bias')}")
        context.exit()


@commands.group("implicit-bias", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def implicit_bias() -> None:
    """Implicit bias of overparametrised linear networks.

    The experiments themselves are run by `kedro run`. Outside of Kedro the same commands are called `implicit-bias`.
    There standard output holds the answer alone, and logs go to standard error.
    """
