"""Numbers in the documentation beside what their commands give now: `make docs-numbers`.

Two marks are read in README.md, paper.md and the pages of docs/.

A console block with lines that start with `$ ` holds commands, each followed by what it prints.

A comment after a number says which command gives it and how it is read from the command's table:
`0.788<!-- number: width: distance.mean() @ width == 500 -->` is the mean of the column `distance` over the rows of
width 500 of the table `width` in SOURCES. Without `@` all rows count.

A comment above a table says it for all cells but those of the first column, which stand for ROW in the condition:
`<!-- numbers: width == ROW | glucose: distance.mean() | glucose: law_rms.mean() -->`, one source for each column,
or `-` for one that differs between machines. With
two columns before those the second stands for ROW2; an empty cell in the first is that of the row above.

Numbers agree if they differ by at most one unit of the last digit shown. Commands run in a throwaway project.
"""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import linregress

from tests.support.project import REPOSITORY, Project, _environment, make_project

SOURCES = {
    "width": ("--pipelines=width_sweep", "data/08_reporting/width_points.csv"),
    "imbalance": ("--pipelines=imbalance_sweep", "data/08_reporting/imbalance_points.csv"),
    "descent": ("--pipelines=descent_study", "data/08_reporting/descent_points.csv"),
    "lazy": ("--env=lazy --pipelines=lazy", "data/lazy/08_reporting/width_lazy.csv"),
    "depth": ("--env=depth --pipelines=width_sweep", "data/depth/08_reporting/width_points.csv"),
    "activations": ("--env=activations --pipelines=width_sweep", "data/activations/08_reporting/width_points.csv"),
    "wide": ("--env=wide --pipelines=width_sweep", "data/wide/08_reporting/width_points.csv"),
    "glucose": ("--env=spectra --pipelines=spectra", "data/spectra/glucose/08_reporting/width_points.csv"),
    "window": ("--env=spectra --pipelines=spectra", "data/spectra/window/08_reporting/width_points.csv"),
    "analytes": ("--env=spectra --pipelines=spectra", "data/spectra/analytes/08_reporting/width_points.csv"),
}
PROGRAMS = {"python": [], "implicit-bias": ["-m", "implicit_bias.cli"], "kedro": ["-m", "kedro"]}

NUMBER = r"[-−]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?"
MARK = re.compile(rf"({NUMBER})<!-- number: (\w+): (.+?)(?: @ (.+?))? -->")
TABLE = re.compile(r"<!-- numbers: (.+?) -->\n+((?:\|.*\n)+)")
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
BLOCK = re.compile(r"(?<=```console\n)\$ .*?(?=^```$)", re.MULTILINE | re.DOTALL)


class Mark(NamedTuple):
    """A number in a page, and its place in a table: an expression in columns, for rows that meet a condition."""

    at: int
    shown: str
    source: str
    expression: str
    where: str | None


@dataclass(frozen=True)
class Finding:
    """One number, or what one command prints: where it stands, what is shown, what is the case, where that is from."""

    page: str
    line: int
    shown: str
    now: str
    source: str

    @property
    def agrees(self) -> bool:
        return same_text(self.shown, self.now)


def value(shown: str) -> Decimal:
    return Decimal(shown.replace("−", "-").replace(",", ""))


def unit(shown: str) -> Decimal:
    """One unit of the last digit shown; the trailing zeros of a whole number are not taken for digits."""
    number = value(shown)
    exponent = int(number.as_tuple().exponent)
    if exponent == 0 and number != 0:
        exponent = len(str(abs(number))) - len(str(abs(number)).rstrip("0"))
    return Decimal(1).scaleb(exponent)


def same_number(shown: str, now: str) -> bool:
    return abs(value(shown) - value(now)) <= unit(shown)


def same_text(shown: str, now: str) -> bool:
    """Whether the words are equal, line breaks and spaces aside, and the numbers agree."""
    if [re.sub(r"\s+", " ", word).strip() for word in re.split(NUMBER, shown)] != [
        re.sub(r"\s+", " ", word).strip() for word in re.split(NUMBER, now)
    ]:
        return False
    return all(map(same_number, re.findall(NUMBER, shown), re.findall(NUMBER, now)))


def shown_like(shown: str, number: float) -> str:
    """The number with the digits, commas and sign of one that is shown."""
    if mantissa := re.fullmatch(r"[-−]?\d(?:\.(\d+))?([eE])[-+]?\d+", shown):
        text = re.sub(r"e([-+])0", r"e\1", f"{number:.{len(mantissa[1] or '')}e}").replace("e+", "e")
    else:
        step = unit(shown)
        rounded = (Decimal(number) / step).quantize(Decimal(1)) * step
        text = f"{rounded:{',' if ',' in shown else ''}.{max(0, -int(step.as_tuple().exponent))}f}"
    return text.replace("-", "−") if "−" in shown else text


@dataclass
class Commands:
    """Commands in a throwaway project, each run once."""

    folder: Path
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    @cached_property
    def project(self) -> Project:
        project = make_project(self.folder / "project")
        shutil.copytree(REPOSITORY / "data/reference", project.path / "data/reference")
        return project

    def output(self, command: str) -> str:
        program, *arguments = shlex.split(command)
        words = [sys.executable, *PROGRAMS[program], *arguments]
        result = subprocess.run(
            words, cwd=self.project.path, env=_environment(), capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{command}\n{result.stderr}"
        return result.stdout.strip()

    def table(self, source: str) -> pd.DataFrame:
        options, _ = SOURCES[source]
        if source not in self.tables:
            self.output(f"kedro run {options}")
            for name, (others, file) in SOURCES.items():
                if others == options:
                    self.tables[name] = pd.read_csv(self.project.path / file)
        return self.tables[source]

    def number(self, source: str, expression: str, where: str | None) -> float:
        """The value of an expression in the columns of a table."""
        rows = self.table(source).query(where) if where else self.table(source)
        names = {name: rows[name] for name in rows.columns if name.isidentifier()}
        return float(eval(expression, {"np": np, "slope": slope, "slope_error": slope_error, **names}))


def slope(x: pd.Series, y: pd.Series) -> float:
    """Exponent of the power law fitted to y(x)."""
    return float(linregress(np.log(x), np.log(y)).slope)


def slope_error(x: pd.Series, y: pd.Series) -> float:
    """Its standard error."""
    return float(linregress(np.log(x), np.log(y)).stderr)


def text_of(output: str) -> str:
    """Lines as they stand in a block; nothing if nothing is printed."""
    return f"{output}\n" if output else ""


def pages() -> list[Path]:
    """Every page that may hold a mark."""
    return [REPOSITORY / "README.md", REPOSITORY / "paper.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def blocks(text: str) -> Iterator[tuple[int, str, str]]:
    """Position of the output, command and output shown, of the commands in console blocks."""
    for block in BLOCK.finditer(text):
        for part in re.finditer(r"\$ (.*)\n((?:(?!\$ ).*\n)*)", block[0]):
            yield block.start() + part.start(2), part[1], part[2]


def marks(text: str) -> Iterator[Mark]:
    """The marked numbers of a page."""
    for mark in MARK.finditer(text):
        yield Mark(mark.start(), *mark.groups())
    for table in TABLE.finditer(text):
        where, *columns = (part.strip() for part in table[1].split("|"))
        above = ""
        for row in [*re.finditer(r"\|.*\n", table[2])][2:]:
            cells = [*re.finditer(r"[^|\n]+", row[0])]
            first, *others = (cell[0].strip() for cell in cells[: len(cells) - len(columns)])
            above = first or above
            met = where.replace("ROW2", row_key(others[0])) if others else where
            for cell, column in zip(cells[-len(columns) :], columns, strict=True):
                if column == "-":
                    continue
                source, expression = column.split(": ", 1)
                at = table.start(2) + row.start() + cell.start() + len(cell[0]) - len(cell[0].lstrip())
                yield Mark(at, cell[0].strip(), source, expression, met.replace("ROW", row_key(above)))


def row_key(cell: str) -> str:
    """What the first cell of a row stands for in a condition: a number, a power of ten, or a text."""
    if power := re.fullmatch(r"10(?:\^(?=\d)|(?=\D))([\d⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)", cell):
        return f"1e{power[1].translate(SUPERSCRIPTS)}"
    return cell.replace(",", "") if re.fullmatch(NUMBER, cell) else repr(cell.strip("`"))


def check(page: Path, commands: Commands, slow: bool = True, fast: bool = True, write: bool = False) -> list[Finding]:
    """What a page shows beside what is the case: console blocks (fast), numbers of whole runs (slow)."""
    text = page.read_text("utf-8")
    edits: list[tuple[int, str, str]] = []
    findings = []

    def note(at: int, shown: str, now: str, source: str) -> None:
        edits.append((at, shown, now))
        line = text.count("\n", 0, at) + 1
        findings.append(Finding(page.relative_to(REPOSITORY).as_posix(), line, shown, now, source))

    for at, command, shown in blocks(text) if fast else ():
        note(at, shown, text_of(commands.output(command)), command)
    for at, shown, source, expression, where in marks(text) if slow else ():
        now = shown_like(shown, commands.number(source, expression, where))
        note(at, shown, now, f"kedro run {SOURCES[source][0]}: {expression}{f' @ {where}' if where else ''}")
    if write and not all(finding.agrees for finding in findings):
        for at, shown, now in sorted(edits, reverse=True):
            text = text[:at] + now + text[at + len(shown) :]
        page.write_text(text, "utf-8")
    return findings


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is shown and what is the case; 1 if they differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="console blocks only")
    parser.add_argument("--write", action="store_true", help="put what is the case into the pages")
    parser.add_argument("pages", nargs="*", type=Path, help="these pages instead of all")
    options = parser.parse_args(arguments)
    chosen = [page.resolve() for page in options.pages] or pages()
    with tempfile.TemporaryDirectory() as folder:
        commands = Commands(Path(folder))
        findings = [
            finding for page in chosen for finding in check(page, commands, slow=not options.fast, write=options.write)
        ]
    for finding in findings:
        state = "agrees" if finding.agrees else "DIFFERS"
        shown, now = (text if "\n" not in text else "output" for text in (finding.shown, finding.now))
        print(f"{state:8}{finding.page}:{finding.line:<5}{shown:>10}{now:>10}  {finding.source}")
    wrong = sum(not finding.agrees for finding in findings)
    print(f"{len(findings)} checked, {wrong} different")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
