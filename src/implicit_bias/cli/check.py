"""kedro implicit-bias check: whether a project's own data and parameters can be used, and what to expect of a run."""

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

    from implicit_bias.sweeps.cost import Cost
    from implicit_bias.sweeps.data import OwnData, Reparametrization
    from implicit_bias.sweeps.parameters import Sweep
    from implicit_bias.theory.problem import Problem

MB = 1e6


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
    that decides it, the condition number, which hypotheses of the theorems hold, the distance to expect of the smallest
    and the largest width, and about what time and memory each sweep will take. Then the tracking store is asked.

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
        wanted = found.keys() if namespace or named else find_instances(_default(every)).keys()
        failed = 0
        for instance in chosen:
            if instance.namespace not in wanted and not _has_parameters(instance, parameters):
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


def _default(every: "Mapping[str, Pipeline]") -> "dict[str, Pipeline]":
    """What kedro run runs without a name."""
    return {name: pipeline for name, pipeline in every.items() if name == "__default__"}


def _has_parameters(instance: Instance, parameters: Mapping[str, Any]) -> bool:
    return any(name.startswith(f"{instance.namespace}.") for name, _ in _named(parameters))


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
            if any(_runs(every[name], instance) for name in makers):
                raise NotYetMade(f"{argument}: dataset {dataset!r} is made by the same run")
            if makers:
                command = f"kedro run --pipelines={min(makers)}"
                keep = "" if dataset in context.catalog else f" and, to be kept, an entry in the catalog of {project}"
                raise ValueError(f"{argument}: dataset {dataset!r} is not made yet: {command} makes it{keep}")
        return load_dataset(context.catalog, project, argument, dataset)

    return load


def _runs(pipeline: "Pipeline", instance: Instance) -> bool:
    """Whether a pipeline has the nodes of an instance."""
    return any(str(node.namespace) == instance.namespace for node in pipeline.nodes)


def check_instance(instance: Instance, parameters: Mapping[str, Any], load: Any) -> list[str]:
    """What there is to say of a pipeline for own data that can be run.

    Args:
        instance: the pipeline.
        parameters: all parameters of the project, nested.
        load: (argument, dataset) -> table.

    Raises:
        ValueError: it cannot be run; one line for each fault.
    """
    from implicit_bias.own_data.checks import said_of_row_numbers
    from implicit_bias.own_data.prepare import read_data_set
    from implicit_bias.pipelines.reparametrization import reparametrized, said_of_rank
    from implicit_bias.sweeps.data import OWN, OwnData, Reparametrization
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
    tables, waiting = {}, []
    for argument, dataset in instance.tables.items():
        try:
            tables[argument] = load(argument, dataset)
        except NotYetMade as later:
            waiting.append(str(later))
        except ValueError as error:
            faults.append(str(error))
    read: tuple[Any, Any, dict[str, Any]] | None = None
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
    lines = _data_lines(instance, own_data, record, targets.columns)
    lines += [said for each in (inputs, targets) if (said := said_of_row_numbers(each))]
    lines += _problem_lines(problem, record, rule)
    if said := said_of_rank(problem, record, rule):
        lines.append(said)
    for sweep in instance.sweeps:
        of_sweep = _activation_lines(problem, record, valid[sweep]) if valid[sweep].activations else None
        lines += [f"{sweep}:", *(f"  {line}" for line in of_sweep or _sweep_lines(problem, valid[sweep]))]
    return lines


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


def _data_lines(instance: Instance, own_data: "OwnData", record: dict[str, Any], targets: tuple[str, ...]) -> list[str]:
    from implicit_bias.own_data.tables import column_names

    done = [f"{name} centred" for name, center in (("X", own_data.center_x), ("Y", own_data.center_y)) if center]
    scales = (("X", own_data.scale_x), ("Y", own_data.scale_y))
    done += [f"{name} scaled by {scale}" for name, scale in scales if scale != "none"]
    tables = ", ".join(f"{argument} from {dataset!r}" for argument, dataset in instance.tables.items())
    return [
        f"data: {tables}; {', '.join(done) or 'as they are'}; {len(record['X_test'])} test rows",
        f"targets: {column_names(targets)}",
    ]


def _problem_lines(problem: "Problem", record: dict[str, Any], rule: "Reparametrization") -> list[str]:
    import numpy as np

    from implicit_bias.theory.problem import rank_cut

    X = record["X"]
    sigma = np.linalg.svd(X, compute_uv=False)
    svd = rank_cut(X.shape, sigma[0])
    cut = rank_cut(X.shape, sigma[0], rule.rank_rtol, record["rounding"])
    words = (
        "rank_rtol"
        if rule.rank_rtol is not None
        else "rounding of the data"
        if cut > svd
        else "max(n, D) × machine epsilon"
    )
    chosen = f"rank = {rule.rank}" if rule.rank is not None else f"σᵢ > {cut / sigma[0]:.2g} σ₁ ({words})"
    rest = f", the next one is {sigma[problem.r] / sigma[0]:.2g} σ₁" if problem.r < sigma.size else ""
    floor = 2 * problem.loss_floor / problem.y_norm**2
    beyond = f"{100 * floor:.2g} %" if floor > (max(X.shape) * np.finfo(float).eps) ** 2 else "nothing"
    return [
        f"n = {problem.n}, D = {problem.D}, m = {problem.m}, r = {problem.r}, cond Σx = {problem.cond:.4g}",
        f"rank rule: {chosen}; the smallest kept is {sigma[problem.r - 1] / sigma[0]:.2g} σ₁{rest}",
        f"‖Θ̂‖_F = {np.linalg.norm(problem.min_norm_coordinates):.4g}; {beyond} of ‖Y‖² is out of reach",
    ]


def _sweep_lines(problem: "Problem", sweep: "Sweep") -> list[str]:
    from implicit_bias.theory.bounds.before import theorem_2
    from implicit_bias.theory.law.distance import Scaling
    from implicit_bias.theory.law.prediction import predict_band

    widths = sorted({point.width for point in sweep.points()})
    if sweep.kind == "deep":
        return [f"linear networks of depth {', '.join(map(str, sweep.depths))}", _cost_line(problem, sweep)]
    narrow = [h for h in widths if h < problem.k]
    lines = [
        f"Theorem 1, a rate c above 0 at h ≥ r + m = {problem.k}: "
        + (f"no, not at h = {', '.join(map(str, narrow))}" if narrow else "yes")
    ]
    for alpha in sweep.alpha:
        met = theorem_2(problem, widths[-1], alpha, sweep.delta).hypotheses
        said = ", ".join(f"{name} {_yes(held)}" for name, held in met.items() if held is not None)
        lines.append(f"Lemma 1 and Theorem 2 at alpha = {alpha:g}: {said}")
        if sweep.law_is_exact and problem.D > problem.r:
            rms = {h: predict_band(problem, *Scaling(alpha).gram(h), float(h), sweep.delta)[0] for h in widths}
            said = ", ".join(f"{rms[h]:.3g} at h = {h:,}" for h in dict.fromkeys((widths[0], widths[-1])))
            lines.append(f"distance to the min-norm solution by the law: {said}")
    return [*lines, _cost_line(problem, sweep)]


def _cost_line(problem: "Problem", sweep: "Sweep") -> str:
    from joblib import cpu_count

    from implicit_bias.sweeps.cost import estimate_cost

    processes = cpu_count() if sweep.workers == -1 else sweep.workers
    return _cost_said(estimate_cost(problem, sweep, processes), len(sweep.points()), processes)


def _activation_lines(problem: "Problem", record: dict[str, Any], sweep: "Sweep") -> list[str]:
    """What there is to say of a sweep over activations.

    Raises:
        ValueError: the data set has no test rows.
    """
    import numpy as np
    from joblib import cpu_count

    from implicit_bias.pipelines.kinds.activation.initialize import check_data
    from implicit_bias.sweeps.cost import estimate_activation_cost
    from implicit_bias.theory.networks.activation.points import read_points
    from implicit_bias.theory.networks.activation.samples import Samples

    check_data("its data set", problem, record)
    norms = read_points(problem, record["X_test"])
    unseen = np.sqrt(np.mean(norms.unseen_norms**2) / np.mean(norms.squared_norms))
    size = float(np.sqrt(np.mean(np.sum(np.square(record["X"]), axis=1))))
    points = sorted(sweep.points(), key=lambda point: point.width)
    sizes = ", ".join(f"{size * point.sigma_u:.3g} at h = {point.width:,}" for point in (points[0], points[-1]))
    processes = cpu_count() if sweep.workers == -1 else sweep.workers
    samples = Samples(problem, Z=record["X"] @ problem.Phi1, Y=record["Y"])
    return [
        f"activations {', '.join(sweep.activations)}; preactivations at the start, root mean square: {sizes}",
        f"{len(record['X_test'])} test rows, of which training does not see {100 * unseen:.3g} % of the norm",
        _cost_said(estimate_activation_cost(samples, len(record["X_test"]), sweep, processes), len(points), processes),
    ]


def _cost_said(cost: "Cost", points: int, processes: int) -> str:
    return (
        f"{points} points, about {_duration(cost.seconds)} in {min(processes, points)} "
        f"processes, {cost.memory / MB:,.0f} MB of memory, {cost.disk / MB:,.1f} MB on disk"
    )


def _yes(held: bool) -> str:
    return "yes" if held else "no"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def tracking_fault(settings: Mapping[str, Any], project: "Path", loader: Any = None) -> str:
    """Why the MLflow store of the project cannot be used, as a run would find; "" if it can.

    A database of the project that does not exist yet is not made.
    """
    import re

    from implicit_bias.tracking.connection import use_credentials
    from implicit_bias.tracking.marks import checked_settings, experiment_of, ui_of, uri_of
    from implicit_bias.tracking.records import TrackingError
    from implicit_bias.tracking.store import Store

    try:
        settings = checked_settings(settings)
        uri = uri_of(settings)
        use_credentials(loader)
        if (path := re.match(r"sqlite:///([^?]+)", uri)) and not (project / path[1]).exists():
            return ""
        Store(uri, project, ui_of(settings)).experiment_name(experiment_of(settings))
    except (TrackingError, ValueError) as error:
        return f"tracking: {error}"
    return ""
