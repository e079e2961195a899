"""Processes of this project, notebooks too, spend next to no time on the search for unused objects."""

from kedro.framework.hooks import hook_impl

from implicit_bias.sweeps.garbage import search_hardly, search_rarely


class GarbageHooks:
    """Makes the search rare: above all while the project's pipelines, MLflow and what they need are imported."""

    @hook_impl(tryfirst=True)
    def after_context_created(self) -> None:
        search_hardly()

    @hook_impl(trylast=True)
    def before_pipeline_run(self) -> None:
        search_rarely()
