"""Tables as LaTeX: characters that LaTeX reads as commands are escaped, formulas closed, rows whole."""

import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from implicit_bias.pipelines.sections import typeset_results
from implicit_bias.report.latex import latex, latex_table
from implicit_bias.report.section import Column, SectionTable
from implicit_bias.report.tables import GROUPS, MEASURED, result_table
from tests.support.report import points, section

TYPED = "".join(map(chr, range(32, 127))) + "−±×∞‖≤≥√ᵀ–…αβγδεηθκλμπσφωΓΔΘΛΣΦΩ⁰¹²³⁴⁵⁶⁷⁸⁹⁻₀₁₂Θ̂"


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        (
            "50 % of a_b & {c} #1 \\ ~ ^ $",
            r"50 \% of a\_b \& \{c\} \#1 \textbackslash{} \textasciitilde{} \textasciicircum{} \$",
        ),
        ("1.5×10⁻⁹ ± 2×10⁻¹⁰", r"1.5$\times $10$^{-9}$ $\pm $ 2$\times $10$^{-10}$"),
        ("−0.488 ± 0.005", r"$-$0.488 $\pm $ 0.005"),
        ("σ_U / σ_V", r"$\sigma_U$ / $\sigma_V$"),
        ("‖UVᵀ − Θ̂‖", r"$\|U V ^{\top} - \hat{\Theta}\|$"),
        ("Xᵀ⁻¹, λ_max", r"X$^{\top -1}$, $\lambda_{max}$"),
        ("cre\u0302me, Τίτλος", "crême, Τί$\\tau \\lambda $ο$\\sigma $"),
        ("Σx, λmax", r"$\Sigma $x, $\lambda $max"),
        ("∞ – U₂", r"$\infty $ -- U$_{2}$"),
    ],
)
def test_texts_become_what_a_person_would_type(text: str, typed: str) -> None:
    assert latex(text) == typed


@given(st.text(TYPED, max_size=40))
def test_any_text_of_the_report_is_ascii_with_formulas_closed_and_nothing_left_to_be_a_command(text: str) -> None:
    typed = latex(text)
    assert typed.isascii()
    bare = re.sub(r"\\((?:text[a-z]+|dots)\{\}|[&%$#_{}])", "", typed)  # what is escaped
    assert bare.count("$") % 2 == 0
    outside, inside = bare.split("$")[::2], bare.split("$")[1::2]
    assert not set("".join(outside)) & set("&%#_{}~^<>|")
    assert all(each.count("{") == each.count("}") for each in inside)
    assert all("_" not in each.strip("_^")[-1:] for each in inside), "an index has something in it"


def test_every_title_of_a_result_is_ascii() -> None:
    for title in [*GROUPS.values(), *MEASURED.values()]:
        assert latex(title).isascii(), title


def test_a_table_has_one_row_per_line_and_one_cell_per_column() -> None:
    table = result_table(points((100, 200, 300), seeds=3))
    assert table is not None
    lines = latex_table(table).splitlines()
    rules = [line for line in lines if re.fullmatch(r"\\(top|mid|bottom)rule", line)]
    assert rules == [r"\toprule", r"\midrule", r"\bottomrule"]
    rows = [line for line in lines if line.endswith(r" \\")]
    assert len(rows) == 1 + 3
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) + 1 == len(table.columns)
    (columns,) = re.findall(r"\\begin\{tabular\}\{@\{\}([lr]+)@\{\}\}", "\n".join(lines))
    assert len(columns) == len(table.columns)
    assert lines[-1] == r"\end{tabular}"


def test_a_section_is_typeset_by_its_first_table_and_one_without_results_is_a_comment() -> None:
    whole = section().model_dump(mode="json")
    assert r"\toprule" in typeset_results(whole)
    assert typeset_results(whole | {"tables": []}).startswith("%")
    note = SectionTable(title="100 %", columns=[Column(title="a")], rows=[["1"]], note="2 of 3")
    assert latex_table(note).startswith("% 100 %\n% 2 of 3\n")


def test_runs_that_are_not_a_number_are_a_dash() -> None:
    table = result_table(pd.DataFrame({"width": [1, 2], "distance": [float("nan"), 1.0]}))
    assert table is not None
    assert " -- " in latex_table(table).replace("\\\\", " ")
