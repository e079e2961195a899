"""Kedro settings of this project. The tracking hooks come by entry point, as in every project that installs it."""

import warnings

from implicit_bias.hooks.console import ConsoleHooks
from implicit_bias.hooks.garbage import GarbageHooks
from implicit_bias.hooks.preflight import EnvironmentHooks, ParameterHooks
from implicit_bias.project.configuration import ProjectConfigLoader

warnings.filterwarnings("ignore", message="Option '--pipeline' is deprecated")  # both spellings work here
warnings.filterwarnings("ignore", message="One or more dataset names contain '.'")  # claims.* are a namespace of one

HOOKS = (ConsoleHooks(), GarbageHooks(), EnvironmentHooks(), ParameterHooks())
CONFIG_LOADER_CLASS = ProjectConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft"},
}
