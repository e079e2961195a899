"""kedro implicit-bias check: whether a project's own data and parameters can be used, and what to expect of a run."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import click

from implicit_bias.cli.project import open_context, project_options
from implicit_bias.cli.reading import load_dataset
from implicit_bias.errors import ImplicitBiasError

if TYPE_CHECKING:
    from pathlib import Path

    from kedro.pipeline import Pipeline
    from pydantic import BaseModel


@dataclass(frozen=True)
class Instance:
    """A pipeline for one's own data that the project registers.

    Attributes:
        namespace: prefix of its datasets and name of its parameters.
        tables: "X", "Y", "X_test", "Y_test" -> name of the dataset, for those it has.
        sweeps: names of its sweeps.
    """

    namespace: str
    tables: dict[str, str]
    sweeps: list[str]


@click.command("check", short_help="Check data and parameters before a run.")
@click.option("--namespace", help="The pipeline to check.  [default: all that the project has]")
@click.option("--pipelines", default="", help="Check what these run, as kedro run would; several with commas.")
@project_options
def command(namespace: str | None, pipelines: str, **configuration: Any) -> None:
    """Check data and parameters of this project's implicit bias, without running anything.

    Loads the tables through your catalog, checks them and every parameter, and prints n, D, m, the rank r and the rule
    that decides it, the condition number, which hypotheses of the theorems hold, the distance that the law predicts at
    the smallest and the largest width, and estimates of time, memory and disk. Then the tracking store is asked.

    A pipeline that has no parameters in this environment is passed over, unless it is named or part of what kedro run
    runs without a name.

    Exit codes: 0 all can be run, 1 something cannot, 2 wrong usage.
    """
    from kedro.framework.project import pipelines as registered

    with open_context(**configuration) as context:
        every = dict(registered)
        named = [name for name in pipelines.split(",") if name]
        if unknown := [name for name in named if name not in every]:
            raise click.ClickException(f"no pipeline is called {unknown[0]!r}: there are {', '.join(sorted(every))}")
        parameters = context.config_loader["parameters"]
        found = find_instances({name: every[name] for name in named} if named else every)
        chosen = _chosen(found, namespace)
        default = {name: every[name] for name in every if name == "__default__"}  # what kedro run runs without a name
        wanted = found if namespace or named else find_instances(default)
        failed = 0
        for instance in chosen:
            given = any(name.startswith(f"{instance.namespace}.") for name, _ in _named(parameters))
            if instance.namespace not in wanted and not given:
                click.echo(f"{instance.namespace}: not of this environment, which has no parameters of it (--env)")
                continue
            try:
                lines = check_instance(instance, parameters, _loader(context, instance, every))
                click.echo("\n".join([f"{instance.namespace}: can be run", *(f"  {line}" for line in lines)]))
            except NotYetMade as waiting:
                click.echo(f"{instance.namespace}: can be run, its tables are still to be made\n  {waiting}")
            except ValueError as error:
                failed += 1
                faults = str(error).split("\n")
                click.echo("\n".join([f"{instance.namespace}: cannot be run", *(f"  {fault}" for fault in faults)]))
        settings = parameters.get("tracking") or {}
        if fault := tracking_fault(settings, context.project_path, context.config_loader):
            failed += not settings.get("optional")
            click.echo(fault)
    if failed:
        raise SystemExit(1)


class NotYetMade(ImplicitBiasError, LookupError):
    """A table is made by the run itself."""


def find_instances(pipelines: "Mapping[str, Pipeline]") -> dict[str, Instance]:
    """The pipelines for own data among those of a project, by namespace."""
    from implicit_bias.own_data.prepare import prepare_data
    from implicit_bias.pipelines.initialization import plan_points

    nodes = {node.name: node for pipeline in pipelines.values() for node in pipeline.nodes}.values()
    found = {}
    for node in nodes:
        if node.func is prepare_data:
            namespace, inputs = str(node.namespace), cast(dict[str, str], node._inputs)
            prefix = f"{namespace}."
            found[namespace] = Instance(
                namespace=namespace,
                tables={name: dataset for name, dataset in inputs.items() if name != "own_data"},
                sweeps=[
                    str(each.namespace).removeprefix(prefix)
                    for each in nodes
                    if each.func is plan_points and str(each.namespace).startswith(prefix)
                ],
            )
    return found


def _chosen(found: dict[str, Instance], namespace: str | None) -> list[Instance]:
    if not found:
        raise click.ClickException("no pipeline for own data is registered here: kedro implicit-bias init adds one")
    if namespace is None:
        return list(found.values())
    if namespace not in found:
        raise click.ClickException(
            f"no pipeline has the namespace {namespace!r}, there is {', '.join(sorted(found))}: "
            f"kedro implicit-bias init --namespace {namespace} adds it"
        )
    return [found[namespace]]


def _loader(context: Any, instance: Instance, every: "Mapping[str, Pipeline]") -> Any:
    """A function from the name of a dataset to its table."""
    project = context.project_path.name

    def load(argument: str, dataset: str) -> Any:
        makers = [name for name, pipeline in every.items() if dataset in pipeline.all_outputs()]
        if dataset not in context.catalog or (makers and not context.catalog.exists(dataset)):
            if any(str(node.namespace) == instance.namespace for name in makers for node in every[name].nodes):
                raise NotYetMade(f"{argument}: dataset {dataset!r} is made by the same run")
            if makers:
                command = f"kedro run --pipelines={min(makers)}"
                keep = "" if dataset in context.catalog else f" and, to be kept, an entry in the catalog of {project}"
                raise ValueError(f"{argument}: dataset {dataset!r} is not made yet: {command} makes it{keep}")
        return load_dataset(context.catalog, project, argument, dataset)

    return load


def check_instance(instance: Instance, parameters: Mapping[str, Any], load: Any) -> list[str]:
    """Lines about a pipeline for own data that can be run.

    Args:
        instance: the pipeline.
        parameters: all parameters of the project, nested.
        load: (argument, dataset) -> table.

    Raises:
        ValueError: it cannot be run; one line for each fault.
    """
    from implicit_bias.cli.described import data_lines, problem_lines, run_line, sweep_lines
    from implicit_bias.own_data.checks import said_of_row_numbers
    from implicit_bias.own_data.prepare import read_data_set
    from implicit_bias.pipelines.reparametrization import reparametrized, said_of_rank
    from implicit_bias.sweeps.data import OWN, OwnData, Reparametrization
    from implicit_bias.sweeps.handover import DataFields
    from implicit_bias.sweeps.parameters import Sweep

    models: dict[str, type[BaseModel]] = {"own_data": OwnData, "reparametrization": Reparametrization}
    valid: Any
    valid, faults = validated(instance.namespace, models | dict.fromkeys(instance.sweeps, Sweep), parameters)
    for sweep in instance.sweeps:
        if sweep in valid and (valid[sweep].problem != OWN or valid[sweep].redraw_data):
            faults.append(
                f"{instance.namespace}.{sweep}: there is one data set, {OWN!r}: leave problem and redraw_data out"
            )
    own_data: OwnData | None = valid.get("own_data")
    start = time.process_time()
    tables, waiting = {}, []
    for argument, dataset in instance.tables.items():
        try:
            tables[argument] = load(argument, dataset)
        except NotYetMade as later:
            waiting.append(str(later))
        except ValueError as error:
            faults.append(str(error))
    read: tuple[Any, Any, DataFields] | None = None
    if own_data is not None and len(tables) == len(instance.tables):
        try:
            read = read_data_set(own_data=own_data, **tables)
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError("\n".join(faults))
    if own_data is None or read is None:
        raise NotYetMade("; ".join(waiting))
    inputs, targets, record = read
    rule: Reparametrization = valid["reparametrization"]
    problem = reparametrized(record, rule)
    reading = time.process_time() - start
    lines = data_lines(instance.tables, own_data, record, targets.columns)
    lines += [said for each in (inputs, targets) if (said := said_of_row_numbers(each))]
    lines += problem_lines(problem, record, rule)
    if said := said_of_rank(problem, record, rule):
        lines.append(said)
    costs = []
    for sweep in instance.sweeps:
        of_sweep, cost = sweep_lines(problem, record, valid[sweep])
        lines += [f"{sweep}:", *(f"  {line}" for line in of_sweep)]
        costs.append(cost)
    return [*lines, run_line(problem, record, reading, costs)]


def validated(
    namespace: str, models: "dict[str, type[BaseModel]]", parameters: Mapping[str, Any]
) -> "tuple[dict[str, BaseModel], list[str]]":
    """The parameters of a namespace as models, those that are valid, and a line for each fault of the others."""
    from pydantic import ValidationError

    from implicit_bias.hooks.console import faults

    named, valid, wrong = dict(_named(parameters)), {}, []
    for name, model in models.items():
        if f"{namespace}.{name}" not in named:
            wrong.append(
                f"{namespace}.{name}: no such parameters in this environment (--env): "
                "kedro implicit-bias init writes them"
            )
            continue
        try:
            valid[name] = model.model_validate(named[f"{namespace}.{name}"] or {})
        except ValidationError as error:
            wrong += faults(f"{namespace}.{name}", error)
    return valid, wrong


def _named(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every parameter by the name it has after params:; Kedro validates none below a key that has a dot itself."""
    for key, value in ((key, value) for key, value in parameters.items() if "." not in str(key)):
        yield f"{prefix}{key}", value
        if isinstance(value, Mapping):
            yield from _named(value, f"{prefix}{key}.")


def tracking_fault(settings: Mapping[str, Any], project: "Path", loader: Any = None) -> str:
    """Why the MLflow store of the project cannot be used, as a run would find; "" if it can.

    A database of the project that does not exist yet is not made.
    """
    from implicit_bias.tracking.marks import checked_settings, uri_of
    from implicit_bias.tracking.records import TrackingError
    from implicit_bias.tracking.store import Store, is_unmade

    try:
        settings = checked_settings(settings)
        if not is_unmade(uri_of(settings), project):
            Store.of(settings, project, loader)
    except (TrackingError, ValueError) as error:
        return f"tracking: {error}"
    return ""
