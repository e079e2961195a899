"""kedro implicit-bias init: what a project needs to compute the implicit bias of its own data, written into it."""

import json
import re
import shutil
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING

import click

from implicit_bias.cli.additions import additions, text_of
from implicit_bias.pipelines.reserved import is_reserved
from implicit_bias.project import catalog, rendered

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

OURS = "kedro-implicit-bias"
"""What the first lines of every file that is written say; a file without it is somebody else's."""


def _namespace(_: click.Context, parameter: click.Parameter, value: str) -> str:
    if not value.isidentifier() or value.startswith("_") or iskeyword(value):
        dotted = ": dots are for create_pipeline(namespace=...) in your pipeline registry" if "." in value else ""
        raise click.BadParameter(
            f"it names a Python module, by letters, digits and _, first a letter, got {value!r}{dotted}"
        )
    _refuse_reserved(value)
    return value


def _refuse_reserved(name: str) -> None:
    if is_reserved(name):
        raise click.BadParameter(f"Windows keeps {name!r} for a device: no file there can have it")


def _environment(_: click.Context, parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[\w-]+", value):
        raise click.BadParameter(f"it must be made of letters, digits, _ and -, got {value!r}")
    _refuse_reserved(value)
    return value


@click.command("init", short_help="Add a pipeline for your data to a project.", context_settings={"show_default": True})
@click.option("--x", "x_name", default="X", help="Dataset of your catalog with the inputs, one sample per row.")
@click.option("--y", "y_name", default="Y", help="Dataset with the targets; the same as --x if they are its columns.")
@click.option("--x-test", "x_test", help="Dataset with test inputs.  [default: none]")
@click.option("--y-test", "y_test", help="Dataset with test targets.  [default: none]")
@click.option("--target", "targets", multiple=True, help="Column with a target; may be repeated.  [default: all of Y]")
@click.option("--namespace", default="implicit_bias", callback=_namespace, help="Prefix of all that is added.")
@click.option("--env", default="base", callback=_environment, help="Folder of conf/ that gets parameters and catalog.")
@click.option("--yes", is_flag=True, help="Overwrite files of an earlier init without asking, add the dependency.")
@click.option("--dry-run", is_flag=True, help="Show the files and write none.")
def command(
    x_name: str,
    y_name: str,
    x_test: str | None,
    y_test: str | None,
    targets: tuple[str, ...],
    namespace: str,
    env: str,
    yes: bool,
    dry_run: bool,
) -> None:
    """Add a pipeline for the implicit bias of your own data to the Kedro project you are in.

    Writes three files: conf/ENV/catalog_NAMESPACE.yml, conf/ENV/parameters_NAMESPACE.yml and the module
    pipelines/NAMESPACE/__init__.py of your package, which Kedro's find_pipelines() finds. Nothing of yours is changed,
    but with --yes
    the dependency and .gitignore; to undo it, delete the three. Each NAMESPACE is a pipeline of its own, for several
    data sets in one project.

    Exit codes: 0 written or shown, 1 not in a project or a file is in the way, 2 wrong usage.
    """
    if x_name == y_name and not targets:
        raise click.UsageError("--x and --y are the same dataset: name the columns of the targets by --target")
    if y_test and not x_test:
        raise click.UsageError("--y-test needs --x-test, the inputs of the same rows")
    from implicit_bias.cli.project import current_project

    project = current_project()
    tables = {"X": x_name, "Y": y_name, "X_test": x_test, "Y_test": y_test}
    files = _files(project, env, namespace, {name: table for name, table in tables.items() if table}, targets)
    for path in files:
        if path.exists() and OURS not in path.read_text(encoding="utf-8"):
            raise click.ClickException(
                f"{_shown(project, path)} is not a file of {OURS}: move it, or choose another --namespace"
            )
    chosen = {path: content for path, content in files.items() if _is_chosen(project, path, content, yes, dry_run)}
    more = additions(project.project_path)
    added = more if yes and not dry_run else {}
    lines = {path: _missing(path, content) for path, content in more.items()}
    _put(project, chosen | added)
    for path in chosen:
        click.echo(f"{_shown(project, path)} written")
    for path, missing in lines.items():
        click.echo(f"{'added to' if path in added else 'add to'} {_shown(project, path)}: {' '.join(missing)}")
    _say_next(project, env, namespace, [table for table in tables.values() if table])


def _files(
    project: "ProjectMetadata", env: str, namespace: str, tables: dict[str, str], targets: tuple[str, ...]
) -> dict[Path, str]:
    """Path -> content of every file."""
    from kedro.framework.project import settings

    title = namespace.replace("_", " ")
    words = {
        "namespace": namespace,
        "title": title[0].upper() + title[1:],
        "targets": json.dumps(list(targets)) if targets else "null",
        "arguments": ", ".join(f"{name}={json.dumps(dataset, ensure_ascii=False)}" for name, dataset in tables.items()),
    }
    conf = project.project_path / settings.CONF_SOURCE / env
    package = Path(project.source_dir) / project.package_name / "pipelines" / namespace
    about = f" by the pipeline `{namespace}`, whose tables ({', '.join(dict.fromkeys(tables.values()))}) are not here"
    return {
        conf / f"catalog_{namespace}.yml": catalog(f"data/{namespace}", namespace, about=about),
        conf / f"parameters_{namespace}.yml": rendered("parameters.yml", words),
        package / "__init__.py": rendered("pipeline.py.txt", words),
    }


def _shown(project: "ProjectMetadata", path: Path) -> str:
    return path.relative_to(project.project_path).as_posix()


def _is_chosen(project: "ProjectMetadata", path: Path, content: str, yes: bool, dry_run: bool) -> bool:
    """Whether a file is to be written; says so if it is not."""
    name = _shown(project, path)
    before = path.read_text(encoding="utf-8") if path.exists() else None
    if dry_run:
        click.echo(f"--- {name} ({'new' if before is None else 'as it is' if before == content else 'to overwrite'})")
        click.echo(content)
        return False
    if before == content:
        click.echo(f"{name} is as it should be")
        return False
    if before is None or yes or click.confirm(f"{name} has been changed or is of another init. Overwrite it?"):
        return True
    click.echo(f"{name} kept as it was")
    return False


def _put(project: "ProjectMetadata", files: dict[Path, str]) -> None:
    """Write all files or none: each under another name first, and then, when the disk has taken all, under its own."""
    targets = {path: path.resolve() for path in files}
    new = {path: target.with_name(f".{target.name}.tmp") for path, target in targets.items()}
    before = {path: target.read_bytes() if target.exists() else None for path, target in targets.items()}
    modules = [path.parents[1] / "__init__.py" for path in files if path.suffix == ".py"]
    put = []
    try:
        for path, content in files.items():
            targets[path].parent.mkdir(parents=True, exist_ok=True)
            new[path].write_text(content, encoding="utf-8")
        for module in modules:
            module.touch()
        for path, target in targets.items():
            if target.exists():
                shutil.copymode(target, new[path])
            new[path].replace(target)
            put.append(path)
    except OSError as error:
        _take_back({targets[path]: before[path] for path in put})
        for temporary in new.values():
            temporary.unlink(missing_ok=True)
        named = {str(temporary): path for path, temporary in new.items()}
        where = _shown(project, named.get(error.filename, Path(error.filename))) if error.filename else "the project"
        raise click.ClickException(f"{where} cannot be written, nothing has been: {error.strerror}") from None


def _take_back(files: dict[Path, bytes | None]) -> None:
    """Give files the content they had; None for those that were not there."""
    for path, content in files.items():
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)


def _missing(path: Path, content: str) -> list[str]:
    """The lines that a file of the project lacks."""
    before = text_of(path).splitlines()
    return [line.strip() for line in content.splitlines() if line not in before]


def _say_next(project: "ProjectMetadata", env: str, namespace: str, tables: list[str]) -> None:
    option = "" if env == "base" else f" --env={env}"
    click.echo("")
    registry = Path(project.source_dir) / project.package_name / "pipeline_registry.py"
    if "find_pipelines" not in text_of(registry):
        click.echo(
            f"Your pipeline_registry.py does not use find_pipelines(): register the pipeline {namespace!r} there,"
        )
        click.echo(f"  from {project.package_name}.pipelines import {namespace}")
        click.echo(f'  pipelines["{namespace}"] = {namespace}.create_pipeline()')
    click.echo(f"Tables, to be in your catalog as any dataset that loads to one: {', '.join(dict.fromkeys(tables))}")
    click.echo(f"Validate without running:  kedro implicit-bias check --namespace {namespace}{option}")
    click.echo(f"Run, tracked in MLflow:    kedro run --pipelines={namespace}{option}")
