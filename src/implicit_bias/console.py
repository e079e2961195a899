"""The console that Kedro's messages are written to."""

from rich import get_console

CONSOLE = get_console()
