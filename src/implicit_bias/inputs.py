"""A run that could not find what it reads, or that does not fit its environment, is refused before anything is done."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

from implicit_bias.siblings import is_ours, ours

if TYPE_CHECKING:
    from kedro.io.core import AbstractDataset
    from kedro.pipeline import Pipeline

    from implicit_bias.tracking.marks import Catalog

PARAMETERS = "params:"
READ_BY_HOOKS = ("tracking",)


class RunRefused(ValueError):
    """A pipeline and an environment that do not belong together, or a stage that comes before what it needs."""


class InputHooks:
    """Says which inputs of a pipeline with nodes of this package are missing, and what to do."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: "Pipeline", catalog: "Catalog") -> None:
        missing = sorted(name for name in pipeline.inputs() if name not in catalog)
        if missing and any(map(is_ours, pipeline.nodes)):
            raise RunRefused(_message(run_params, missing))
        if unmade := _unmade(pipeline, catalog):
            env = f" --env={run_params['env']}" if run_params["env"] else ""
            commands = dict.fromkeys(f"kedro run{env} --pipelines={maker}" for maker in unmade.values())
            raise RunRefused(f"{', '.join(unmade)} must be there first; what makes them: {'; '.join(commands)}")


class EnvironmentHooks:
    """Refuses a pipeline in the environment of another one: in this project they have the same name."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: "Pipeline") -> None:
        from kedro.framework.project import pipelines

        env = run_params["env"]
        if env in pipelines and not set(pipeline.nodes) & set(pipelines[env].nodes):
            raise RunRefused(
                f"conf/{env} is for the pipeline {env}, of which {_name(run_params)} has no part: "
                f"kedro run --env={env} --pipelines={env}"
            )


class ParameterHooks:
    """Refuses parameters of this project that nothing reads: a misspelt name would be a run with other values."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, catalog: "Catalog") -> None:
        from kedro.framework.project import pipelines

        given = _sections(catalog)
        read = _sections(name for pipeline in pipelines.values() for name in pipeline.inputs()) | set(READ_BY_HOOKS)
        if unread := sorted(name for name in given - read if not name.startswith("_")):
            within = [name.removeprefix(PARAMETERS) for name in catalog if name.startswith(PARAMETERS)]
            meant = [name for name in within if name.rpartition(".")[2] == unread[0] and name not in unread]
            meant = meant or get_close_matches(unread[0], read, n=1)
            advice = f"did you mean {' or '.join(meant)}?" if meant else f"there are {', '.join(sorted(read))}"
            raise RunRefused(f"nothing reads the parameters {', '.join(unread)}: {advice}")


def _sections(names: Iterable[str]) -> set[str]:
    """The first words of the names of parameters."""
    return {name.removeprefix(PARAMETERS).split(".")[0] for name in names if name.startswith(PARAMETERS)}


def _unmade(pipeline: "Pipeline", catalog: "Catalog") -> dict[str, str]:
    """Inputs of our nodes that others of them make and have not made yet -> the smallest pipeline that does."""
    from kedro.framework.project import pipelines

    if not (needed := ours(pipeline).inputs() & pipeline.inputs()):
        return {}
    registered = sorted(dict(pipelines).items(), key=lambda item: len(item[1].nodes))
    made = [(name, ours(each).all_outputs()) for name, each in registered]
    makers = {name: next((maker for maker, outputs in made if name in outputs), "") for name in sorted(needed)}
    return {name: maker for name, maker in makers.items() if maker and not _is_there(catalog[name])}


def _is_there(dataset: "AbstractDataset[Any, Any]") -> bool:
    from kedro.io.core import DatasetError

    try:
        return dataset.exists()
    except DatasetError:  # of a folder that cannot be listed
        return False


def _name(run_params: dict[str, Any]) -> str:
    return ",".join(run_params["pipeline_names"] or ["__default__"])


def _message(run_params: dict[str, Any], missing: list[str]) -> str:
    """What is missing of a run, where it was looked for, and what to do."""
    from kedro.framework.project import settings

    datasets = [repr(name) for name in missing if not name.startswith(PARAMETERS)]
    parameters = [name.removeprefix(PARAMETERS) for name in missing if name.startswith(PARAMETERS)]
    kinds = (("datasets", datasets), ("parameters", parameters))
    named = "; ".join(f"{kind} {', '.join(names)}" for kind, names in kinds if names)
    conf, pipeline, env = Path(settings.CONF_SOURCE), _name(run_params), run_params["env"]
    places = " or ".join(f"{conf.name}/{each}" for each in dict.fromkeys(("base", env or "local")))
    advice = "add them, or choose another environment by --env"
    if env != pipeline and (Path(run_params["project_path"]) / conf / pipeline).is_dir():
        advice = f"{conf.name}/{pipeline} is for it, kedro run --env={pipeline} --pipelines={pipeline}"
    return f"{pipeline} reads what is not in {places}, {named}: {advice}"


hooks = InputHooks()
