"""kedro implicit-bias compare: two tracked runs side by side."""

from pathlib import Path
from typing import Any

import click

from implicit_bias.cli.columns import aligned
from implicit_bias.cli.tracked import open_reader, store_options


@click.command(
    "compare", short_help="Two tracked runs side by side, with a figure.", context_settings={"show_default": True}
)
@click.argument("run_a")
@click.argument("run_b")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), default=Path("compare.png"), help="The figure to draw."
)
@click.option("--no-figure", is_flag=True, help="Draw nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON instead of tables.")
@store_options
def command(
    run_a: str,
    run_b: str,
    output: Path,
    no_figure: bool,
    as_json: bool,
    **store: Any,
) -> None:
    """Compare two tracked runs: the parameters that differ, metrics with their spread, curves and bounds overlaid.

    RUN_A and RUN_B are sweeps or points of them, by run id or by name; a point whose name is not unique is written
    SWEEP/POINT, as in "Width sweep #2/h=500 seed=0". Of a sweep, metrics are means and standard deviations over its
    finished points.

    Exit codes: 0 compared, 1 no such store or run, or a name that is not unique, 2 wrong usage.
    """
    from implicit_bias.tracking.comparison import compare

    with open_reader(**store) as reader:
        found = compare(reader, (run_a, run_b))
    drawn = found.pop("drawn")
    if not no_figure:
        _draw(output, drawn)
    if as_json:
        import json

        click.echo(json.dumps(found | {"figure": None if no_figure else str(output)}))
        return
    click.echo(_tables(found))
    if not no_figure:
        click.echo(f"\n{output}")


def _draw(output: Path, drawn: list[dict[str, Any]]) -> None:
    from implicit_bias.figures.comparison import comparison_figure

    figure = comparison_figure(drawn)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=160)
    except (OSError, ValueError) as error:  # ValueError: a suffix that is none of a picture
        raise click.ClickException(f"{output} cannot be written: {error}") from None


def _tables(found: dict[str, Any]) -> str:
    names = [run["name"] for run in found["runs"]]
    runs = [
        (run["name"], run["status"], f"{run['points']} point{'s' if run['points'] > 1 else ''}", run["id"])
        for run in found["runs"]
    ]
    params = [("", *names), *((name, *_contrast(values)) for name, values in found["params"].items())]
    metrics = [("", *names), *((name, *map(_spread, values)) for name, values in found["metrics"].items())]
    groups = [
        (_label(each["group"]), *map(_spread, each["distance"]), _ratio(*each["distance"])) for each in found["groups"]
    ]
    lines = [*aligned(runs, "<<><"), "", "Parameters that differ:"]
    lines += aligned(params, "<<<") if found["params"] else ["  none"]
    lines += ["", "Metrics, mean ± standard deviation over the points:", *aligned(metrics, "<<<")]
    if groups:
        lines += [
            "",
            "Distance to the min-norm solution, point by point:",
            *aligned([("", *names, "B / A"), *groups], "<<<>"),
        ]
    return "\n".join(lines)


def _contrast(values: list[str | None]) -> tuple[str, str]:
    """The two values of a parameter, so far shortened that they are seen to differ; --json has them whole."""
    from implicit_bias.tracking.limits import contrast

    first, second = ("–" if value is None else value for value in values)
    return contrast(first, second)


def _spread(values: dict[str, Any] | None) -> str:
    from implicit_bias.figures.numerals import spread

    return "–" if values is None else spread(values["mean"], values["sd"] or 0.0)


def _label(group: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in group.items())


def _ratio(first: dict[str, Any], second: dict[str, Any]) -> str:
    return f"{second['mean'] / first['mean']:.4g}" if first["mean"] else "–"
