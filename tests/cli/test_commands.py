"""The command `kedro implicit-bias width`: its answers, its errors, and how kedro finds it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from implicit_bias import cli
from implicit_bias.theory.law.distance import Scaling
from implicit_bias.theory.law.limit import limit_const
from implicit_bias.theory.law.outputs import unseen_spectrum
from implicit_bias.theory.law.prediction import (
    predict_band,
    width_for_distance,
    width_for_prediction,
    width_for_risk,
)
from implicit_bias.theory.law.questions import NO_ROWS
from implicit_bias.theory.problem import reparametrize
from tests.support.project import make_project

N, D, M, ROWS = 6, 15, 2, 4


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with X.csv, Y.csv and T.csv."""
    rng = np.random.default_rng(0)
    for name, shape in {"X": (N, D), "Y": (N, M), "T": (ROWS, D)}.items():
        np.savetxt(tmp_path / f"{name}.csv", rng.standard_normal(shape), delimiter=",", fmt="%.17g")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(*arguments: str, x: str = "X.csv", y: str = "Y.csv", epsilon: str = "0.3", delta: str = "0.05") -> Result:
    """Run the command in this process."""
    given = ["--x", x, "--y", y, "--epsilon", epsilon, "--delta", delta, *arguments]
    return CliRunner().invoke(cli.commands, ["implicit-bias", "width", *given])


def load(name: str) -> np.ndarray:
    return np.loadtxt(name, delimiter=",", ndmin=2)


@pytest.mark.parametrize("alpha", [0.5, 0.35])
def test_json_holds_the_answers_of_the_law(folder: Path, alpha: float) -> None:
    result = plan("--json", "--test", "T.csv", "--alpha", str(alpha))
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    problem, X_test, scaling = reparametrize(load("X.csv"), load("Y.csv")), load("T.csv"), Scaling(alpha)
    assert {name: answer[name] for name in ("n", "D", "m", "r")} == {"n": N, "D": D, "m": M, "r": N}
    assert answer["cond"] == problem.cond
    assert answer["limit_const"] == limit_const(problem)
    assert answer["widths"] == {
        "distance": width_for_distance(problem, 0.3, 0.05, scaling),
        "prediction": width_for_prediction(problem, X_test, 0.3, 0.05, scaling),
        "risk": width_for_risk(problem, unseen_spectrum(problem, X_test), 0.3, 0.05, scaling),
    }
    assert answer["reasons"] == {}
    widths = [row["width"] for row in answer["predicted"]]
    assert widths == sorted(widths)
    assert set(widths) >= {100, 1_000_000, *answer["widths"].values()}
    for row in answer["predicted"]:
        expected = predict_band(problem, *scaling.gram(row["width"]), row["width"], 0.05)
        assert (row["rms"], row["lower"], row["upper"]) == expected


def test_without_test_rows_only_the_distance_has_a_width(folder: Path) -> None:
    answer = json.loads(plan("--json").stdout)
    assert isinstance(answer["widths"]["distance"], int)
    assert answer["widths"]["prediction"] is answer["widths"]["risk"] is None
    assert answer["reasons"] == {"prediction": NO_ROWS, "risk": NO_ROWS}


def test_a_width_beyond_reach_is_null_with_its_reason(folder: Path) -> None:
    result = plan("--json", epsilon="1e-12")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer["widths"]["distance"] is None
    assert "epsilon must be at least" in answer["reasons"]["distance"]
    assert "epsilon must be at least" in plan(epsilon="1e-12").stdout


def test_tables_show_what_json_holds(folder: Path) -> None:
    text, answer = plan("--test", "T.csv").stdout, json.loads(plan("--json", "--test", "T.csv").stdout)
    for name, width in answer["widths"].items():
        assert f"{name} " in text
        assert f"{width:,}" in text
    assert f"n = {N}, D = {D}, m = {M}, r = {N}" in text
    assert f"{answer['limit_const']:.6g}" in text
    assert all(f"{row['rms']:.4g}" in text for row in answer["predicted"])
    assert "95 % band" in text
    lines = text[text.index("Predicted") :].splitlines()[2:]
    assert len(lines) == 1 + len(answer["predicted"])
    assert len({len(line) for line in lines}) == 1


def test_headers_blank_lines_marks_of_order_and_npy_read_the_same(folder: Path) -> None:
    expected = json.loads(plan("--json").stdout)
    head = ",".join(f'"x, {i}"' for i in range(D))
    (folder / "named.csv").write_text("\ufeff" + head + "\r\n" + (folder / "X.csv").read_text() + "\n\n", "utf-8")
    np.save(folder / "Y.npy", load("Y.csv"))
    assert json.loads(plan("--json", x="named.csv", y="Y.npy").stdout) == expected
    np.save(folder / "column.npy", load("Y.csv")[:, 0])
    np.savetxt(folder / "column.csv", load("Y.csv")[:, 0], header="y", comments="", fmt="%.17g")
    assert plan("--json", y="column.npy").stdout == plan("--json", y="column.csv").stdout


def damaged(name: str, row: int, column: int, cell: str) -> str:
    """Write a copy of a CSV file with one other cell, and return its name."""
    lines = [line.split(",") for line in Path(name).read_text().splitlines()]
    lines[row - 1][column - 1] = cell
    Path("damaged.csv").write_text("\n".join(map(",".join, lines)) + "\n")
    return "damaged.csv"


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        ("nan", "X: missing in row {row}, column '{column}'"),
        ("-inf", "X: -inf in row {row}, column '{column}'"),
        ("red", "X: no numbers in column '{column}' ('red' in row {row} of '{column}')"),
        ("", "X: missing in row {row}, column '{column}'"),
    ],
)
@pytest.mark.parametrize(("row", "column"), [(1, 1), (3, 7)])
def test_a_bad_cell_is_named_by_row_and_column(folder: Path, cell: str, what: str, row: int, column: int) -> None:
    result = plan(x=damaged("X.csv", row, column, cell))
    assert result.exit_code == 1
    assert last_line(result).startswith(f"Error: {what.format(row=row, column=column - 1)}")


def last_line(result: Result) -> str:
    """The error, below the lines that say what was taken for what."""
    return result.output.splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "bad.csv: it has no rows of numbers"),
        ("a,b\n", "X has no rows"),
        ("1,7\n3\n", "X: missing in row 2, column '1'"),
        ("1,7\n3\n4,5,6\n", "bad.csv: Error tokenizing data"),
        ("1,7\n3,4\n", f"X has 2 rows, Y has {N}: they must have as many"),
        ("1,2\n3,4\n", "bad.csv: the first line, 1, 2, may name the columns or be a sample: say which by --header"),
        ("0,0\n" * N, "X: every entry is 0, which leaves rank 0 and nothing to learn from"),
        (b"\xff\xfe\x00", "bad.csv: 'utf-16-le' codec can't decode"),
        (b"1\x002", "bad.csv: neither text nor a file of another known ending"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(folder: Path, content: str | bytes, message: str) -> None:
    (folder / "bad.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    result = plan(x="bad.csv")
    assert result.exit_code == 1
    assert last_line(result).startswith(f"Error: {message}")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[1.0, np.nan]]), "X: no value at all in column '1'"),
        (np.array(["text"]), "bad.npy: real numbers are needed, got <U4"),
        (np.array([1j]), "bad.npy: real numbers are needed, got complex128"),
        (np.zeros((2, 2, 2)), "bad.npy: a matrix is needed, got shape (2, 2, 2)"),
        (np.zeros((0, 2)), "X has no rows"),
        (np.array([{}]), "bad.npy: not a .npy file of numbers"),
    ],
)
def test_a_bad_npy_file_is_refused_in_one_line(folder: Path, array: np.ndarray, message: str) -> None:
    np.save("bad.npy", array)
    result = plan(x="bad.npy")
    assert result.exit_code == 1
    assert last_line(result).startswith(f"Error: {message}")


def test_test_rows_of_another_dimension_are_refused(folder: Path) -> None:
    result = plan("--test", "Y.csv")
    assert result.exit_code == 1
    assert last_line(result).startswith("Error: X_test lacks columns '2', '3',")
    np.savetxt("wide.csv", np.random.default_rng(0).standard_normal((ROWS, D + 1)), delimiter=",")
    assert last_line(plan("--test", "wide.csv")) == f"Error: X_test has {D + 1} columns without names, X has {D}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epsilon", "0"], "Invalid value for '--epsilon': it must be positive and finite, got 0"),
        (["--epsilon", "nan"], "Invalid value for '--epsilon': it must be positive and finite, got nan"),
        (["--epsilon", "wide"], "Invalid value for '--epsilon': 'wide' is not a valid float"),
        (["--delta", "0"], "Invalid value for '--delta': it must be between 0 and 1, got 0"),
        (["--delta", "1.5"], "Invalid value for '--delta': it must be between 0 and 1, got 1.5"),
        (["--alpha", "0.2"], "Invalid value for '--alpha': it must be finite and at least 1/4"),
        (["--alpha", "inf"], "Invalid value for '--alpha': it must be finite and at least 1/4"),
        (["--x", "nowhere.csv"], "Invalid value for '--x': 'nowhere.csv' is no file and no dataset of a catalog"),
        (["--width", "3"], "No such option"),
    ],
)
def test_wrong_usage_names_the_parameter(folder: Path, arguments: list[str], message: str) -> None:
    result = plan(*arguments)
    assert result.exit_code == 2
    assert message in result.output.splitlines()[-1]


def test_required_options_are_required() -> None:
    result = CliRunner().invoke(cli.commands, ["implicit-bias", "width"])
    assert result.exit_code == 2
    assert "Missing option" in result.output


def test_plan_is_another_name_of_width() -> None:
    group = cli.implicit_bias
    context = group.make_context("implicit-bias", ["--help"], resilient_parsing=True)
    assert group.get_command(context, "plan") is group.get_command(context, "width") is not None
    assert "plan" not in group.list_commands(context)


def test_help_names_every_option_and_its_default() -> None:
    text = CliRunner().invoke(cli.commands, ["implicit-bias", "width", "--help"]).output
    assert all(option in text for option in ("--x", "--y", "--epsilon", "--delta", "--alpha", "--test", "--json"))
    assert "[default: 0.5]" in " ".join(text.split())
    assert text.count("[required]") == 4


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1"}
    arguments = ("width", "--x", "X.csv", "--y", "Y.csv", "--epsilon", "0.3", "--delta", "0.05", "--json")
    return subprocess.run(
        [sys.executable, "-m", *command, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )


def test_kedro_has_the_command_inside_a_project_and_prints_nothing_but_json(folder: Path) -> None:
    make_project(folder / "project")
    for name in ("X.csv", "Y.csv"):
        (folder / name).rename(folder / "project" / name)
    result = run(folder / "project", "kedro", "implicit-bias")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["r"] == N


def test_kedro_has_the_command_outside_of_a_project_and_python_has_it_without_kedro(folder: Path) -> None:
    outside, alone = run(folder, "kedro", "implicit-bias"), run(folder, "implicit_bias.cli")
    assert (outside.returncode, alone.returncode) == (0, 0), outside.stderr + alone.stderr
    assert json.loads(alone.stdout) == json.loads(outside.stdout.splitlines()[-1])
    assert all("the first line is taken as a sample" in line for line in alone.stderr.splitlines())


def test_kedro_loads_nothing_heavy_with_the_commands() -> None:
    code = "import sys, implicit_bias.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "scipy", "matplotlib", "mlflow", "pandas", "kedro", "rich"} & set(loaded)
