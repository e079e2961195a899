"""Files of every kind hold the same table; what is no table of numbers, or may be two, is refused by name."""

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from implicit_bias import cli
from implicit_bias.own_data.files import Format, read_table
from implicit_bias.own_data.header import AmbiguousHeader, has_header
from implicit_bias.own_data.numbers import Matrix, to_matrix
from implicit_bias.own_data.rows import label_rows
from implicit_bias.own_data.tables import as_frame
from implicit_bias.theory.law.prediction import predict_band
from implicit_bias.theory.problem import reparametrize
from tests.support.project import make_project

RNG = np.random.default_rng(0)
WAVES = [400.0 + 2.5 * i for i in range(9)]
SPECTRA = pd.DataFrame(np.round(RNG.standard_normal((6, 9)), 6), columns=WAVES)
LEVELS = pd.DataFrame(np.round(RNG.standard_normal((6, 2)), 6), columns=["sugar", "acid"])


def matrix(path: Path, form: Format | None = None) -> Matrix:
    """The numbers of a file, as every command reads them."""
    return to_matrix("X", label_rows("X", as_frame("X", read_table(path, "X", form)), None))


def zipped(path: Path, text: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.csv", text)


def european(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, sep=";", decimal=",")


KINDS = {
    "comma.csv": lambda path: SPECTRA.to_csv(path, index=False),
    "semicolon.csv": lambda path: SPECTRA.to_csv(path, index=False, sep=";"),
    "decimal_comma.csv": lambda path: path.write_text(european(SPECTRA)),
    "quoted.csv": lambda path: path.write_text(SPECTRA.to_csv(index=False, decimal=",", quoting=1)),
    "tabs.tsv": lambda path: SPECTRA.to_csv(path, index=False, sep="\t"),
    "tabs_decimal_comma.txt": lambda path: SPECTRA.to_csv(path, index=False, sep="\t", decimal=","),
    "spaces.txt": lambda path: SPECTRA.to_csv(path, index=False, sep=" "),
    "labels.csv": lambda path: SPECTRA.to_csv(path),
    "named_rows.csv": lambda path: SPECTRA.set_axis(list("fedcba"), axis=0).to_csv(path),
    "mark.csv": lambda path: path.write_text(SPECTRA.to_csv(index=False), "utf-8-sig"),
    "utf16.csv": lambda path: path.write_text(SPECTRA.to_csv(index=False), "utf-16"),
    "windows.csv": lambda path: path.write_bytes(SPECTRA.to_csv(index=False).replace("\n", "\r\n").encode()),
    "comments.csv": lambda path: path.write_text("# Bruker\n# 2020\n\n" + SPECTRA.to_csv(index=False)),
    "trailing.csv": lambda path: path.write_text(SPECTRA.to_csv(index=False).replace("\n", ",,\n") + ",,,,,,,,,,\n\n"),
    "trailing_rows.csv": lambda path: path.write_text(
        SPECTRA.to_csv(index=False).replace("\n", ",\n").replace(",\n", "\n", 1)
    ),
    "zipped.csv.gz": lambda path: path.write_bytes(gzip.compress(SPECTRA.to_csv(index=False).encode())),
    "zipped.csv.zip": lambda path: zipped(path, SPECTRA.to_csv(index=False)),
    "zipped.csv.bz2": lambda path: SPECTRA.to_csv(path, index=False),
    "zipped.csv.xz": lambda path: SPECTRA.to_csv(path, index=False),
    "parquet.parquet": lambda path: SPECTRA.rename(columns=str).to_parquet(path),
    "feather.feather": lambda path: SPECTRA.rename(columns=str).to_feather(path),
    "excel.xlsx": lambda path: SPECTRA.to_excel(path, index=False),
    "excel_labels.xlsx": lambda path: SPECTRA.to_excel(path),
    "numbers.npy": lambda path: np.save(path, SPECTRA.to_numpy()),
    "numbers.npz": lambda path: np.savez(path, SPECTRA.to_numpy()),
    "compressed.npz": lambda path: np.savez_compressed(path, X=SPECTRA.to_numpy(), Y=LEVELS.to_numpy()),
    "savetxt.txt": lambda path: np.savetxt(path, SPECTRA.to_numpy()),
    "no_header.csv": lambda path: SPECTRA.to_csv(path, index=False, header=False),
    "default_header.csv": lambda path: SPECTRA.set_axis(range(9), axis=1).to_csv(path, index=False),
}


@pytest.mark.parametrize("name", KINDS)
def test_files_of_every_kind_give_the_same_numbers(name: str, tmp_path: Path) -> None:
    KINDS[name](tmp_path / name)
    np.testing.assert_array_equal(matrix(tmp_path / name).numbers, SPECTRA.to_numpy())


@pytest.mark.parametrize(
    ("lines", "header"),
    [
        ("a,b\n1,2", True),
        ("400,401,402\n.5,.1,.7\n.2,.9,.3", True),
        ("0,1\n.5,.1\n.2,.9", True),
        ("1,2,3\n.5,.7,.9\n.2,.3,.4", True),
        ("0\n.5\n.2", True),
        (",400.5,401.5\ns1,.5,.1\ns2,.3,.2", True),
        ("0,1,2\ns1,.5,.1\ns2,.3,.2", True),
        ("400,401,402\n.5,,.7\n.2,.9,.3\n,,", True),
        (",.3,.2\n.1,.2,.4", False),
        ("sample,400,402,403,404,405,407\ns1,.5,.1,.2,.1,.3,.2\ns2,.3,.2,.5,.4,.1,.6", True),
        ("s1,.5,.1\ns2,.3,.2", False),
        (".5,.1\n.2,.9", False),
        ("2.5\n.2", False),
        ("3,1,2\n5,4,6", False),
        ("red,.3,.2\n.1,.2,.4", False),
        ("nan,.3,.2\n.1,.2,.4", False),
        ("0,1\n1,0", None),
        ("1,2,3\n4,6,5", None),
        ("0\n1\n0", None),
        ("1,2,3,4,5,7\n2,3,4,6,7,8", None),
        ("400.5,401,401.5\n.1,.3,.2\n.4,.1,.2", None),
    ],
)
def test_a_line_of_numbers_is_a_header_where_it_must_be_and_never_by_guess(lines: str, header: bool | None) -> None:
    cells = [line.split(",") for line in lines.split("\n")]
    if header is None:
        with pytest.raises(AmbiguousHeader, match="may name the columns or be a sample: say which by --header"):
            has_header(cells)
    else:
        assert has_header(cells) == header


def test_samples_without_header_are_taken_for_one_at_most_as_often_as_numbers_fall_into_order() -> None:
    """Six numbers are in order by chance once in 360; 2,000 tables without header, all read or asked about."""
    rng = np.random.default_rng(1)
    lost = 0
    for _ in range(2000):
        cells = [[f"{value:.3f}" for value in row] for row in rng.standard_normal((5, 6))]
        lost += has_header(cells)
    assert lost <= 17  # 5.6 are expected; binomial, false alarm 1e-4


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "a;b\n1,234;5\n", "1,234 may have decimals or thousands: say --decimal ,"),
        ("x.csv", "a;b\n1.234,5;5,25\n", "X: no numbers in column 'a' ('1.234,5' in row 1 of 'a')"),
        ("x.csv", 'a,b\n"1,234.5",5\n', "X: no numbers in column 'a' ('1,234.5' in row 1 of 'a')"),
        ("x.csv", "a,b\n5 %,1\n6 %,2\n", "X: no numbers in column 'a' ('5 %' in row 1 of 'a')"),
        ("x.csv", "a,b\n2020-01-01,1\n2020-01-02,2\n", "X: no numbers in column 'a' ('2020-01-01' in row 1 of 'a')"),
        ("x.csv", "a,b\n1,\n2,3\n", "X: missing in row 1, column 'b'"),
        ("x.csv", "a,b\n1,inf\n2,3\n", "X: inf in row 1, column 'b'"),
        ("x.csv", "a,b\n9007199254740993,1\n2,3\n", "X: 9007199254740993 in row 1, column 'a' is beyond 2^53"),
        ("x.csv", "a,b\n1,2\n3,4,5,6\n", "Error tokenizing data"),
        ("x.csv", "a,b\n1,2,3,4\n3,4,5,6\n", "the header has 2 cells, the line below 4"),
        ("x.csv", "stra\xdfe,b\n\xe4,2\n", "X: no numbers in column 'straße' ('ä' in row 1 of 'straße')"),
        ("x.csv", "# only words\n", "it has no rows of numbers"),
        ("x.npz", "no archive", "File is not a zip file"),
        ("x.xlsx", "no book", "x.xlsx: "),
        ("x.parquet", "no parquet", "x.parquet: "),
        ("x.csv.gz", "not compressed", "x.csv.gz: "),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        matrix(tmp_path / name)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_archive_says_which_arrays_it_has_and_declares_no_more_than_it_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", A=np.eye(2), B=np.eye(2))
    with pytest.raises(ValueError, match="it has the arrays A, B: call the one that is meant X"):
        read_table(tmp_path / "two.npz", "X")


def plan(*arguments: str) -> Result:
    given = ["implicit-bias", "width", "--epsilon", "0.3", "--delta", "0.05", "--json", *arguments]
    return CliRunner().invoke(cli.commands, given)


def assert_answers(result: Result, X: np.ndarray, Y: np.ndarray) -> None:
    assert result.exit_code == 0, result.output
    answer, problem = json.loads(result.stdout), reparametrize(X, Y)
    assert {name: answer[name] for name in ("n", "D", "m", "r")} == {
        "n": problem.n, "D": problem.D, "m": problem.m, "r": problem.r
    }  # fmt: skip
    for row in answer["predicted"]:
        np.testing.assert_allclose(row["rms"], predict_band(problem, 1 / 1, 1 / 1, row["width"], 0.05)[0], rtol=1e-9)


@pytest.mark.parametrize("form", ["gz", "parquet", "xlsx", "european", "index", "one"])
def test_the_planner_answers_alike_for_files_of_every_kind(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    both = pd.concat([SPECTRA.rename(columns=str), LEVELS], axis=1)
    both.to_csv("both.csv")
    SPECTRA.to_csv("x.csv.gz", index=False)
    SPECTRA.rename(columns=str).to_parquet("x.parquet")
    SPECTRA.to_excel("x.xlsx", index=False)
    Path("x.csv").write_text(european(SPECTRA))
    SPECTRA.to_csv("x_index.csv")
    LEVELS.to_csv("y.csv")
    files = {"gz": "x.csv.gz", "parquet": "x.parquet", "xlsx": "x.xlsx", "european": "x.csv", "index": "x_index.csv"}
    if form == "one":
        arguments = ["--x", "both.csv", "--y", "both.csv", "--targets", "sugar", "--targets", "acid"]
    else:
        arguments = ["--x", files[form], "--y", "y.csv"]
    assert_answers(plan(*arguments), SPECTRA.to_numpy(), LEVELS.to_numpy())


def test_the_planner_says_what_it_took_for_a_header_and_can_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    SPECTRA.to_csv("x.csv", index=False)
    LEVELS.to_csv("y.csv", index=False)
    result = plan("--x", "x.csv", "--y", "y.csv")
    assert "x.csv: the first line is taken as names of columns (400.0, 402.5, 405.0, ...)" in result.stderr
    pd.DataFrame(np.arange(12.0).reshape(4, 3)).to_csv("counts.csv", index=False, header=False)
    assert "--header or --no-header" in plan("--x", "counts.csv", "--y", "y.csv").stderr
    pd.DataFrame(np.arange(8.0).reshape(4, 2) ** 2).to_csv("targets.csv", index=False, header=False)
    told = plan("--x", "counts.csv", "--y", "targets.csv", "--no-header", "--center")
    assert json.loads(told.stdout)["n"] == 4
    assert json.loads(told.stdout)["r"] == 1  # rows 0 1 2, 3 4 5, ... without their mean


@pytest.mark.slow
def test_the_planner_reads_datasets_of_the_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path / "project")
    SPECTRA.to_csv(project.path / "x.csv", index=False)
    LEVELS.to_csv(project.path / "y.csv", index=False)
    (project.path / "conf/base/catalog_mine.yml").write_text(
        "spectra: {type: pandas.CSVDataset, filepath: x.csv}\nlevels: {type: pandas.CSVDataset, filepath: y.csv}\n"
    )
    output = project.kedro(
        "implicit-bias", "width", "--x", "spectra", "--y", "levels", "--epsilon", "0.3", "--delta", "0.05"
    )
    assert "n = 6, D = 9, m = 2, r = 6" in output
    refused = project.kedro(
        "implicit-bias", "width", "--x", "nothing", "--y", "levels", "--epsilon", "0.3", "--delta", "0.05", check=False
    )
    assert "dataset 'nothing' is not in the catalog of project" in refused
