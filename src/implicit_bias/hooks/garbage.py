"""Processes of this project, notebooks too, spend next to no time on the search for unused objects."""

from kedro.framework.hooks import hook_impl

from implicit_bias.sweeps.garbage import search_rarely


class GarbageHooks:
    """Makes the search rare before the project's pipelines are imported."""

    @hook_impl(tryfirst=True)
    def after_context_created(self) -> None:
        search_rarely()
