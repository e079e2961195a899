"""Kedro settings of this project. The tracking hooks come by entry point, as in every project that installs it."""

import warnings

from implicit_bias.messages import ConsoleHooks

warnings.filterwarnings("ignore", message="Option '--pipeline' is deprecated")  # both spellings work here

HOOKS = (ConsoleHooks(),)
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft"},
}
