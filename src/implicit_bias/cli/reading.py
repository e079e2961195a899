"""Tables that commands are given, by the name of a file or of a dataset, and the options that say how to read them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from implicit_bias.cli.project import open_context, options

if TYPE_CHECKING:
    from implicit_bias.own_data.files import Format
    from implicit_bias.sweeps.data import Reparametrization
    from implicit_bias.sweeps.handover import DataFields

reading_options = options(
    click.option("--columns", multiple=True, help="Columns of X, names or patterns; may be repeated.  [default: all]"),
    click.option("--targets", "--target", multiple=True, help="Columns of Y; may be repeated.  [default: all]"),
    click.option("--drop", multiple=True, help="Columns of X and Y to leave out, names or patterns; may be repeated."),
    click.option("--labels", help="Column of every table that names its rows.  [default: a first one without name]"),
    click.option("--center", is_flag=True, help="Subtract the means of X and Y: an intercept."),
    click.option("--header/--no-header", default=None, help="The first line names the columns.  [default: found out]"),
    click.option("--delimiter", help="Between the cells of a line of text.  [default: found out]"),
    click.option("--decimal", type=click.Choice([".", ","]), help="Decimal sign of text.  [default: found out]"),
    click.option(
        "--rank-rtol", type=float, help="Singular values above rank-rtol * sigma_1 count.  [default: rounding]"
    ),
    click.option("--rank", type=int, help="The rank of X.  [default: by its rounding]"),
    click.option("--env", help="Environment of the catalog, as for kedro run.  [default: local]"),
)
"""The options of `read_data`."""
notes = logging.getLogger("implicit_bias.own_data")


def read_data(
    x_name: str,
    y_name: str,
    test_name: str | None,
    *,
    columns: tuple[str, ...],
    targets: tuple[str, ...],
    drop: tuple[str, ...],
    labels: str | None,
    center: bool,
    header: bool | None,
    delimiter: str | None,
    decimal: str | None,
    rank_rtol: float | None,
    rank: int | None,
    env: str | None,
) -> "tuple[DataFields, Reparametrization]":
    """The data set of tables that are named on the command line, as the pipeline makes it, and the rank rule.

    Raises:
        ValueError: a table cannot be read or used.
    """
    from pydantic import ValidationError

    from implicit_bias.hooks.console import faults
    from implicit_bias.own_data.checks import said_of_row_numbers
    from implicit_bias.own_data.files import Format
    from implicit_bias.own_data.numbers import to_matrix
    from implicit_bias.own_data.prepare import prepare, read_rows, read_tables
    from implicit_bias.pipelines.reparametrization import reparametrized, said_of_rank
    from implicit_bias.sweeps.data import OwnData, Reparametrization

    try:
        rule = Reparametrization(rank_rtol=rank_rtol, rank=rank)
    except ValidationError as error:
        raise ValueError("; ".join(faults("rank rule", error))) from None
    own_data = OwnData(
        columns=list(columns) or None,
        targets=list(targets) or None,
        drop=list(drop),
        labels=labels,
        center_x=center,
        center_y=center,
    )
    form = Format(header, "\t" if delimiter in ("\\t", "tab") else delimiter, decimal)
    X = load_table("X", x_name, form, env)
    Y = None if y_name == x_name else load_table("Y", y_name, form, env)
    inputs, outputs = read_tables(X, Y, own_data)
    for said in filter(None, map(said_of_row_numbers, (inputs, outputs))):
        notes.warning("%s", said)
    data = prepare(inputs, outputs, own_data)
    data.pop("X_test")
    if test_name is not None:
        width = len(inputs.columns) + (len(outputs.columns) if Y is None else 0)
        table = load_table("test", test_name, form, env)
        rows = to_matrix("X_test", read_rows("X_test", table, inputs, own_data, width))
        data["X_test"] = (rows.numbers - data["x_shift"]) / data["x_size"]
    if said := said_of_rank(reparametrized(data, rule), data, rule):
        notes.warning("%s", said)
    return data, rule


def load_table(argument: str, name: str, form: "Format", env: str | None) -> Any:
    """The table of a file, or of a dataset of the catalog of the project one is in.

    Raises:
        click.BadParameter: there is neither.
        ValueError: it cannot be read.
    """
    from implicit_bias.own_data.files import read_table

    path = Path(name)
    if path.is_file():
        return read_table(path, "X" if argument == "test" else argument, form)
    from kedro.utils import find_kedro_project

    if path.suffix or path.exists() or find_kedro_project(Path.cwd()) is None:
        raise click.BadParameter(
            f"{name!r} is no file and no dataset of a catalog", param_hint=f"'--{argument.lower()}'"
        )
    with open_context(env) as context:
        return load_dataset(context.catalog, context.project_path.name, argument, name)


def load_dataset(catalog: Any, project: str, argument: str, dataset: str) -> Any:
    """The table of a dataset of a project's catalog.

    Raises:
        ValueError: the dataset is not there, or cannot be loaded.
    """
    from kedro.io.core import DatasetError

    if dataset not in catalog:
        raise ValueError(
            f"{argument}: dataset {dataset!r} is not in the catalog of {project}: add it, of any type that loads "
            "to a table, or name another by init"
        )
    try:
        return catalog.load(dataset)
    except DatasetError as error:
        raise ValueError(f"{argument}: dataset {dataset!r} cannot be loaded: {_cause(error)}") from None


def _cause(error: BaseException) -> str:
    """First line of what an error comes from in the end."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).partition("\n")[0] or type(error).__name__


@contextmanager
def notes_shown() -> Iterator[None]:
    """Show on standard error what is logged of tables."""
    handler, level, propagate = _Notes(), notes.level, notes.propagate
    notes.addHandler(handler)
    notes.setLevel(logging.INFO)
    notes.propagate = False
    try:
        yield
    finally:
        notes.removeHandler(handler)
        notes.setLevel(level)
        notes.propagate = propagate


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        word = "Warning: " if record.levelno >= logging.WARNING else ""
        click.echo(f"{word}{record.getMessage()}", err=True)
