"""Kedro settings of this project. The tracking hooks come by entry point, as in every project that installs it."""

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft"},
}
