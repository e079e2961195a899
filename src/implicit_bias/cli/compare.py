"""kedro implicit-bias compare: two tracked runs side by side."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from implicit_bias.cli.columns import aligned
from implicit_bias.cli.tracked import open_reader, store_options
from implicit_bias.figures.numerals import number, spread
from implicit_bias.tracking.limits import contrast

TITLES = {"distance": "Distance to the min-norm solution"}


@click.command(
    "compare", short_help="Two tracked runs side by side, with a figure.", context_settings={"show_default": True}
)
@click.argument("run_a")
@click.argument("run_b")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), default=Path("compare.png"), help="The figure to draw."
)
@click.option(
    "--metric",
    "shown",
    multiple=True,
    help="Show the means of this metric per width, or per parameter that both sweeps vary; may be repeated."
    "  [default: distance]",
)
@click.option("--no-figure", is_flag=True, help="Draw nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON instead of tables.")
@store_options
def command(
    run_a: str,
    run_b: str,
    output: Path,
    shown: tuple[str, ...],
    no_figure: bool,
    as_json: bool,
    **store: Any,
) -> None:
    """Compare two tracked runs: where they differ, means per width, curves and bounds overlaid.

    RUN_A and RUN_B are sweeps or points of them, by run id or by name; a point whose name is not unique is written
    SWEEP/POINT, as in "Width sweep #2/h=500 seed=0".

    Prints the parameters that differ, the means per width, and the metrics that differ by more than their spread. A
    metric m counts as different if |mean(m_A) - mean(m_B)| > sqrt(sd(m_A)^2 + sd(m_B)^2) at some width (or at some
    combination of the parameters that both sweeps vary). The printed means and standard deviations are over all
    finished points of a sweep, so that they include the spread between widths. --json has all metrics; numbers that
    are not finite are null there.

    Exit codes: 0 compared, 1 no such store or run, or a name that is not unique, 2 wrong usage.
    """
    from implicit_bias.tracking.comparison import compare

    with open_reader(**store) as reader:
        found = compare(reader, (run_a, run_b))
    drawn = found.pop("drawn")
    if unknown := [name for name in shown if name not in found["metrics"]]:
        raise click.ClickException(
            f"neither run has the metric {unknown[0]!r}: they have {', '.join(found['metrics'])}"
        )
    if not no_figure:
        _draw(output, drawn)
    if as_json:
        import json

        answer = _finite(found | {"figure": None if no_figure else str(output)})
        click.echo(json.dumps(answer, allow_nan=False))
        return
    click.echo("\n".join(_tables(found, shown)))
    if not no_figure:
        click.echo(f"\n{output}")


def _draw(output: Path, drawn: list[dict[str, Any]]) -> None:
    from implicit_bias.figures.registry import STUDY_FIGURES

    figure = STUDY_FIGURES["compare"]["compare"].draw(drawn)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=160)
    except (OSError, ValueError) as error:  # ValueError: a suffix that is none of a picture
        raise click.ClickException(f"{output} cannot be written: {error}") from None


def _finite(value: Any) -> Any:
    """None for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tables(found: dict[str, Any], shown: tuple[str, ...]) -> Iterator[str]:
    yield from aligned(
        [
            (letter, run["name"], run["status"], f"{run['points']} point{'s' if run['points'] > 1 else ''}", run["id"])
            for letter, run in zip("AB", found["runs"], strict=True)
        ],
        "<<<><",
    )
    yield "\nParameters that differ:"
    params = [(name, *_contrast(values)) for name, values in found["params"].items()]
    yield from aligned([("", "A", "B"), *params], "<<<") if params else ["  none"]
    differ = found["differ"]
    for name in shown or (("distance",) if "distance" in found["metrics"] else differ[:1]):
        yield from _by_group(name, found["groups"])
    yield f"\nMetrics that differ by more than √(sd_A² + sd_B²){' in some row above' if found['groups'] else ''},"
    yield "mean ± standard deviation over all points:"
    metrics = [(name, *map(_spread, found["metrics"][name])) for name in differ]
    yield from aligned([("", "A", "B"), *metrics], "<<<") if metrics else ["  none"]
    for title, names in (("Within the spread", found["within_spread"]), ("The same", found["same"])):
        if names:
            yield f"\n{title}: {', '.join(names)}"


def _by_group(name: str, groups: list[dict[str, Any]]) -> Iterator[str]:
    """The means of a metric for each combination of what is varied in both sweeps."""
    pairs = [(each["group"], each["metrics"][name]) for each in groups if name in each["metrics"]]
    if pairs:
        varied = " and ".join(pairs[0][0])
        yield f"\n{TITLES.get(name, name)} per {varied}, mean ± standard deviation over the other points:"
        rows = [(_label(group), *map(_spread, pair), _ratio(*pair)) for group, pair in pairs]
        yield from aligned([("", "A", "B", "B / A"), *rows], "<<<>")


def _contrast(values: list[str | None]) -> tuple[str, str]:
    """The two values of a parameter, so far shortened that they are seen to differ; --json has them whole."""
    first, second = ("–" if value is None else value for value in values)
    return contrast(first, second)


def _spread(values: dict[str, Any] | None) -> str:
    if values is None:
        return "–"
    return number(values["mean"], 4) if values["sd"] is None else spread(values["mean"], values["sd"])


def _label(group: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in group.items())


def _ratio(first: dict[str, Any], second: dict[str, Any]) -> str:
    return number(second["mean"] / first["mean"], 4) if first["mean"] else "–"
