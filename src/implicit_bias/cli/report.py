"""kedro implicit-bias report: the page of the report, from tracked runs alone."""

from collections import Counter
from pathlib import Path
from typing import Any

import click

from implicit_bias.cli.tracked import open_reader, store_options
from implicit_bias.tracking.tags import SWEEP


@click.command(
    "report", short_help="Write the report again, from tracked runs.", context_settings={"show_default": True}
)
@click.option("--run-id", "references", multiple=True, help="Id or name of a sweep's run; may be given more than once.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), default=Path("report.html"), help="The page."
)
@store_options
def command(references: tuple[str, ...], output: Path, **store: Any) -> None:
    """Write the report again, from what MLflow holds of the runs.

    By default the newest run of each sweep is shown, whether it finished or not. A sweep with runs in several folders
    of results, such as those of two environments, has a section per folder. Nothing of the project's data is read.

    Exit codes: 0 written, 1 no such store or run, 2 wrong usage.
    """
    from implicit_bias.report.page import render
    from implicit_bias.tracking.reader import OtherSweep
    from implicit_bias.tracking.records import TrackingError

    with open_reader(**store) as reader:
        runs = [reader.find(reference) for reference in references] or reader.newest()
        if not runs:
            raise TrackingError("No sweep is tracked there yet")
        sections = {}
        for run in runs:
            try:
                sections[run.info.run_id] = reader.sections(run)
            except OtherSweep as other:
                if references:
                    raise
                click.echo(str(other))
        runs = [run for run in runs if run.info.run_id in sections]
        lost = {run.info.run_name: pictures for run in runs if (pictures := reader.lost_pictures(run))}
    named = Counter(run.data.tags[SWEEP] for run in runs)
    names = {
        run.info.run_id: sweep if named[sweep := run.data.tags[SWEEP]] == 1 else f"{sweep}-{run.info.run_id[:8]}"
        for run in runs
    }
    named_sections = {
        "-".join(filter(None, (names[run_id], study))): section
        for run_id, of_run in sections.items()
        for study, section in of_run.items()
    }
    page = render(named_sections, named_sections)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from None
    for section in named_sections.values():
        click.echo(f"{section.title}: {section.outcome}")
    for name, pictures in lost.items():
        click.echo(f"{name}: not found among its artifacts: {', '.join(pictures)}")
    click.echo(str(output))
