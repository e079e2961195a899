"""A run that could not find what it reads, or that does not fit its environment, is refused before anything is done."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.hooks import hook_impl

from implicit_bias.errors import ImplicitBiasError
from implicit_bias.hooks.encodings import speak_any_encoding
from implicit_bias.hooks.misspelt import PARAMETERS, meant_by, read_by, unread
from implicit_bias.hooks.siblings import is_ours, ours
from implicit_bias.tracking.marks import marks_of

if TYPE_CHECKING:
    from kedro.io.core import AbstractDataset
    from kedro.pipeline import Node, Pipeline

    from implicit_bias.tracking.marks import Catalog

PARALLEL = (
    "ParallelRunner runs nodes in processes of its own, where points cannot be computed in parallel or tracked: use "
    "SequentialRunner, the default, or ThreadRunner; `workers` of a sweep says in how many processes its points are run"
)
OF_TWO_LAYERS = "two_layers"
"""Tag of nodes that know the paper's network alone."""
ASYNC = "--async cannot save points as they are done: leave it out; ThreadRunner runs nodes at the same time"


class RunRefused(ImplicitBiasError, ValueError):
    """A pipeline and an environment that do not belong together, or a stage that comes before what it needs."""


class InputHooks:
    """Says which inputs of a pipeline with nodes of this package are missing, and what to do."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: "Pipeline", catalog: "Catalog") -> None:
        involved = any(map(is_ours, pipeline.nodes))
        if involved:
            speak_any_encoding()
        _refuse_runner(pipeline, catalog, involved)
        _refuse_misspelt(catalog, run_params.get("runtime_params") or ())
        _refuse_kinds(pipeline, catalog)
        missing = sorted(name for name in pipeline.inputs() if name not in catalog)
        if missing and involved:
            raise RunRefused(_message(run_params, missing))
        if unmade := _unmade(pipeline, catalog):
            env = f" --env={run_params['env']}" if run_params["env"] else ""
            commands = dict.fromkeys(f"kedro run{env} --pipelines={maker}" for maker in unmade.values())
            raise RunRefused(f"{', '.join(unmade)} must be there first; what makes them: {'; '.join(commands)}")

    @hook_impl
    def before_node_run(self, node: "Node", is_async: bool) -> None:
        """The first chance to see how a runner loads and saves, before any node has done anything."""
        if is_async and is_ours(node):
            raise RunRefused(ASYNC)


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
        names, read = list(catalog), read_by()
        if wrong := unread(names, read):
            meant = filter(None, dict.fromkeys(meant_by(name, names, read) for name in wrong))
            there = ", ".join(sorted({name.partition(".")[0] for name in read}))
            advice = " ".join(f"did you mean {each}?" for each in meant) or f"there are {there}"
            raise RunRefused(f"nothing reads the parameters {', '.join(wrong)}: {advice}")


def _refuse_misspelt(catalog: "Catalog", given: Iterable[str]) -> None:
    """Refuse parameters of our namespaces, or given to this run, that nothing reads and that resemble ours.

    Others may be read by whatever else there is in a project that is not ours.
    """
    theirs, names = read_by(is_ours), list(catalog)
    spaces = {name.rpartition(".")[0] for name in theirs} - {""}
    for name in unread(names, read_by()) if theirs else ():
        near = name.rpartition(".")[0] in spaces or name.partition(".")[0] in given
        if near and (meant := meant_by(name, names, theirs)):
            raise RunRefused(f"nothing reads the parameters {name}: did you mean {meant}?")


def _refuse_runner(pipeline: "Pipeline", catalog: "Catalog", involved: bool) -> None:
    """Refuse runners that cannot run our nodes, or whose saving cannot be tracked."""
    from kedro.io import SharedMemoryDataCatalog

    if isinstance(catalog, SharedMemoryDataCatalog) and (involved or marks_of(catalog, pipeline)):
        raise RunRefused(PARALLEL)
    context = click.get_current_context(silent=True)
    if context is not None and context.params.get("is_async") and involved:
        raise RunRefused(ASYNC)


def _refuse_kinds(pipeline: "Pipeline", catalog: "Catalog") -> None:
    """Refuse stages that know the paper's network alone where a sweep trains others."""
    nodes = [node for node in pipeline.nodes if OF_TWO_LAYERS in node.tags and is_ours(node)]
    if not nodes:
        return
    from implicit_bias.sweeps.parameters import Sweep

    for node in nodes:
        for name in node.inputs:
            sweep = catalog[name].load() if name.startswith(PARAMETERS) and catalog.exists(name) else None
            if isinstance(sweep, Sweep) and sweep.kind.name != "two_layer":
                trained = sweep.kind.trained(sweep)
                raise RunRefused(
                    f"{node.name} compares two-layer linear networks; {name.removeprefix(PARAMETERS)} has {trained}: "
                    f"run --pipelines=width_sweep, or leave them out"
                )


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

    if getattr(dataset, "may_be_missing", False):
        return True
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
