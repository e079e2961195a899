"""What the sections of the report say, read back from the parsed page."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from implicit_bias.figures.numerals import number, spread
from implicit_bias.report.descent import descent_section
from implicit_bias.report.facts import Facts
from implicit_bias.report.registry import write_section
from implicit_bias.report.section import Origin
from implicit_bias.report.tables import MOST_ROWS
from tests.support.report import (
    DATASETS,
    PARAMS,
    claims,
    page,
    png,
    points,
    provenance,
    section,
)


def test_results_are_means_and_deviations_over_the_seeds() -> None:
    rows = page(width=section()).rows("law, before training")
    assert [row["width h"] for row in rows] == ["500", "9,500"]
    for row, h in zip(rows, (500, 9500), strict=True):
        of_width = points()[lambda table, h=h: table["width"] == h]
        mean, deviation = (float(word) for word in row["distance ‖UVᵀ − Θ̂‖"].split(" ± "))
        assert mean == pytest.approx(of_width["distance"].mean(), abs=deviation / 10)
        assert deviation == pytest.approx(of_width["distance"].std(), rel=0.05)
        assert float(row["law, before training"]) == pytest.approx(18 / h**0.5, rel=1e-3)
        assert row["runs"] == "3"


def test_failed_points_are_listed_with_their_reasons() -> None:
    failures = {"lost": "FloatingPointError: diverged"}
    parsed = page(width=section(planned=7, names={"lost": "name of lost"}, failures=failures))
    assert "name of lost" in parsed.texts("dt")
    assert "FloatingPointError: diverged" in parsed.texts("dd")
    assert any("6 of 7 points finished" in text for text in parsed.texts("span"))
    assert any("1 point is missing" in text for text in parsed.texts("li"))


def test_broken_bounds_and_exhausted_runs_are_said() -> None:
    table = points()
    table.loc[0, "bound_worst"] = 1.01
    table["certified_worst"], table["met/certified"] = 1.01, [1.0, 1.0] + [0.0] * (len(table) - 2)
    table.loc[1, "stop_reason"] = "iteration limit"
    table.loc[2, "stop_reason"], table.loc[3, "stop_reason"] = "slow", "saddle"
    table["loss_error"] = [0.2, 0.09] + [0.0] * (len(table) - 2)
    listed = page(width=section(points=table)).texts("li")
    assert "1 point has late losses that may be wrong by more than 10 %." in listed
    assert "1 point exceeds what is guaranteed: Theorem 1." in listed
    assert "2 points exceed what is certified: rate of the run." in listed, "where its hypotheses are met"
    assert "1 point reached the iteration limit before the tolerance." in listed
    assert any(text.startswith("1 point ended slow: ") for text in listed)
    assert any(text.startswith("1 point ended at a saddle") for text in listed)


def test_long_results_are_thinned_from_end_to_end() -> None:
    widths = tuple(range(100, 100 + 3 * MOST_ROWS))
    rows = page(width=section(points=points(widths, seeds=1))).rows("runs")
    assert len(rows) == MOST_ROWS
    assert (rows[0]["width h"], rows[-1]["width h"]) == (number(widths[0]), number(widths[-1]))


def test_claims_say_what_held() -> None:
    parsed = page(verification=claims())
    (row,) = parsed.rows("hypotheses met")
    assert (row["hypotheses met"], row["held"], row["violations"], row["worst"], row["note"]) == (
        "12",
        "12",
        "0",
        "1",
        "",
    )
    assert any("2,000 random problems" in text for text in parsed.texts("p"))
    assert "Violated: L(t) − L* ≤ … (Theorem 1)." in page(verification=claims(1)).texts("li")
    assert "Not checked: problem 3: LinAlgError" in page(verification=claims(errors=("problem 3: LinAlgError",))).texts(
        "li"
    )


def starts() -> pd.DataFrame:
    numbers = {"imbalance_c": [0.0, 8.0], "step_max": [2.0, 1.0], "step_end": [4.0, 0.5], "step_xu": [0.1, 0.2]}
    numbers |= {"rate_best": [0.5, 3.0], "iterations": [60, 12], "rate_flow": [1.0, 16.0], "gap_order": [0.9, 1.1]}
    return pd.DataFrame(
        {"point": ["balanced", "ratio=1"], "distance": [2.0, 3.0], "distance_max": [2.5, 1.0], **numbers}
    )


def test_descent_beside_the_flow_is_read_in_numbers_and_words() -> None:
    params = {"title": "Descent", "width": "500", "product": "0.01", "depth": "1e-16"}
    origin = Origin(params, provenance(), {"gaps": png(), "steps": png()})
    facts = Facts(origin, starts(), 3, datasets=DATASETS, failures={"ratio=2": "ArithmeticError: lost"})
    parsed = page(descent=descent_section(facts))
    gaps, steps = parsed.texts("figcaption")
    assert "order in the step is 1 (median)" in gaps
    assert "0.5 to 2 times what the kernel" in steps
    assert "1 of 2 starts end nearer" in steps
    assert [row["start"] for row in parsed.rows("largest step that arrives")] == ["balanced", "ratio=1"]
    assert "1 start is missing." in parsed.texts("li")
    assert "ArithmeticError: lost" in parsed.texts("dd")


def test_studies_say_what_they_have_found() -> None:
    table = points((500, 9500), seeds=2).assign(alpha=0.5)
    near = np.where(table["width"] == 500, 0.1, 0.01)
    lazy = table.assign(lin_loss=near, lin_dist=near, inf_loss=np.nan, inf_dist=np.nan, kernel_move=2 * near)
    lazy = lazy.assign(rate=4.0, limit_rate=np.where(table["width"] == 500, 9.0, 4.1))
    origin = Origin(PARAMS, provenance(), {"gaps": png(), "kernel": png(), "early": png()})
    parsed = page(width_lazy=write_section("lazy", Facts(origin, lazy, len(table))))
    gaps, kernel = parsed.texts("figcaption")
    assert "linearised flow is off by 0.01 (h = 9,500) to 0.1 (h = 500) of the initial loss" in gaps
    assert "infinite-width" not in gaps.partition("relative to its start.")[2], "where no point has one"
    assert "closed form of the final rate is within 2.5 %" in kernel
    assert any("all 4 points compared" in text for text in parsed.texts("span"))
    stopped = table.assign(ridge_gap=near, risk_best=[2.0, 2.0, 1.5, 1.5], risk_end=3.0, ridge_best=1.0)
    stopped.loc[0, ["ridge_gap", "risk_best"]] = np.nan
    parsed = page(width_early=write_section("early", Facts(origin, stopped, len(table))))
    (caption,) = parsed.texts("figcaption")
    assert "At h = 9,500 a run, once started, leaves the ridge path by up to 0.01 times ‖Θ̂‖" in caption
    assert "1.5 times the test risk of the best ridge solution; at the end, 3 times" in caption
    assert any("3 of 4 points compared" in text for text in parsed.texts("span"))


def test_a_sweep_over_widths_says_how_far_it_is_from_the_law() -> None:
    table = points((500,), seeds=2).assign(law_rms=1.0, distance=[2**0.5, 6**0.5])
    assert "Over all 2 runs the ratio of distance to law has root mean square 2.00 ± 0.50." in " ".join(
        page(width=section(points=table)).texts("figcaption")
    )
    assert "over law" not in " ".join(page(width=section(points=table.assign(law_rms=0.0))).texts("figcaption"))


def test_universality_is_a_root_mean_square_with_its_error() -> None:
    table = points((500,), seeds=2).assign(initialization="gaussian", law_rms=1.0, distance=[2**0.5, 6**0.5])
    params = PARAMS | {"figure": "universality"}
    (caption, _) = page(width=section(points=table, params=params)).texts("figcaption")
    assert "at h = 500: gaussian 2 ± 0.5." in caption  # squares 2 and 6: 4 ± 2


@given(st.floats(-1e12, 1e12), st.floats(1e-12, 1e12))
def test_a_spread_keeps_mean_and_deviation(mean: float, deviation: float) -> None:
    """To half a unit of the deviation's second digit, or of the fourth digit where there are powers of ten."""
    words = re.sub("×10(?=[⁻⁰¹²³⁴⁵⁶⁷⁸⁹])", "e", spread(mean, deviation))
    words = re.sub("10(?=[⁻⁰¹²³⁴⁵⁶⁷⁸⁹])", "1e", words).translate(str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789", ","))
    numbers = list(map(float, words.split(" ± ")))
    if len(numbers) == 2:
        assert numbers[1] == pytest.approx(deviation, rel=0.051)
        assert numbers[0] == pytest.approx(mean, abs=0.051 * deviation, rel=1e-3)
    else:
        assert deviation <= 1e-6 * abs(mean)
