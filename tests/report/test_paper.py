"""A run beside the numbers and the settings of the paper."""

import numpy as np
import pandas as pd
import pytest

from implicit_bias.figures.numerals import number
from implicit_bias.report.paper import on_the_way
from implicit_bias.report.paper_settings import FREE, SETTINGS, beside_paper
from tests.support.report import DATASETS, PARAMS, at_papers_settings, page, points, section


def test_a_run_at_the_papers_settings_stands_beside_the_papers_numbers() -> None:
    parsed = page(width=section())
    rows = {(row["quantity"], row["where"]): row for row in parsed.rows("paper")}
    distance = rows["distance ‖UVᵀ − Θ̂‖", "h = 500"]
    assert distance["paper"] == "≈ 0.79"
    ours = float(distance["ours, gradient flow"])
    assert distance["deviation"] == f"{100 * (ours / 0.79 - 1):+.0f} %".replace("-", "−")
    assert rows["iterations to stop", "h = 9,500"]["deviation"] == "+16 %"
    assert rows["iterations to stop", "h = 500"]["deviation"] == "0 %"
    assert ("iterations to stop", "h = 2,000") not in rows  # not a width of this run
    listed = " ".join(parsed.texts("li"))
    assert "iterations to stop, h = 9,500: 67,000, in the paper ≈ 57,600 (+16 %)" in listed
    assert "h = 500: 67,000" not in listed  # 0 % off


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"widths": "2000"}, "widths is 2000, in the paper 500:10000:500"),
        ({"alpha": "0.4"}, "alpha is 0.4, in the paper 0.5"),
        ({"step_size": "0.01"}, "step_size is 0.01, in the paper 0.005"),
        ({"initialization": "orthogonal"}, "initialization is orthogonal, in the paper gaussian"),
        ({"stop.tolerance": "None"}, "stop.tolerance is none, in the paper 1e-08"),
        ({"flow_tolerance": "0.001"}, "flow_tolerance is 0.001, in the paper at most 1e-06"),
        ({"stop.max_iterations": "1000"}, "stop.max_iterations is 1000, in the paper at least 1e+06"),
        ({"data.n": "99", "data.noise_std": "0.05"}, "data.n is 99, in the paper 100; data.noise_std is 0.05, in the"),
        ({"data.spectrum": "whitened"}, "data.spectrum is whitened, in the paper gaussian"),
        ({"figure": "alpha"}, "Not compared with the paper, which has no such figure."),
    ],
)
def test_a_run_at_other_settings_is_not_compared_and_says_why(change: dict[str, str], said: str) -> None:
    parsed = page(width=section(params=PARAMS | change))
    assert "paper" not in parsed.texts("th")
    assert any(said in text and text.startswith("Not compared") for text in parsed.texts("li"))
    assert not any("The paper's Figure" in text for text in parsed.texts("figcaption"))


def test_data_of_ones_own_or_of_another_rank_are_not_compared() -> None:
    own = {name: value for name, value in PARAMS.items() if not name.startswith("data.")}
    assert beside_paper(own, DATASETS).deviations == ["Not compared with the paper's Figure 1: the data are others."]
    (said,) = beside_paper(PARAMS, [DATASETS[0] | {"r": 99}]).deviations
    assert said == "Not compared with the paper's Figure 1: the rank of X is 99, in the paper 100."


def test_settings_that_leave_the_numbers_as_they_are_deviate_by_name() -> None:
    parsed = page(width=section(params=PARAMS | {"solvers": "gradient_flow", "redraw_data": "True"}))
    assert "paper" in parsed.texts("th")
    listed = parsed.texts("li")
    assert "solvers is gradient_flow, in the paper gradient_descent." in listed
    assert "redraw_data is True, in the paper False." in listed
    assert any(text.startswith("The paper's Figure 1: distance and") for text in parsed.texts("figcaption"))


@pytest.mark.parametrize(("kind", "figure"), [("width", "Figure 1"), ("imbalance", "Figure 2")])
def test_every_parameter_is_compared_or_said_to_be_free(kind: str, figure: str) -> None:
    """A parameter that is added to the model has to be put into one of the two tables."""
    params = at_papers_settings(kind)
    assert beside_paper(params, DATASETS).figure == figure
    assert not beside_paper(params, DATASETS).deviations
    assert params.keys() == (SETTINGS[figure].keys() | FREE)
    assert not SETTINGS[figure].keys() & FREE
    for name in SETTINGS[figure]:
        assert beside_paper(params | {name: "7"}, DATASETS).deviations, name


def test_figure_2_compares_descent_where_there_is_both() -> None:
    rows = [
        {"point": f"{case}-{solver}", "case": case, "width": 500, "solver": solver, "imbalance_c": c, "loss": loss}
        | {"distance": 1.0, "rate": 1 + c, "sigma_u": 0.1 * c + 0.1, "sigma_v": 0.1}
        for case, c, loss in (("1", 6.1, 3.5e-3), ("2", 38.3, 7.9e-10), ("3", 20.7, 9.6e-5), ("balanced", 0, 0.022))
        for solver, loss in (("gradient_flow", 2 * loss), ("gradient_descent", loss))
    ]
    params = at_papers_settings("imbalance") | {"solvers": "gradient_flow gradient_descent"}
    losses = {"2-gradient_flow": 2.3e-9, "2-gradient_descent": 2.2e-9}
    told = {"params": params, "loss_at": lambda key, iteration: losses[key] if iteration == 13_900 else np.nan}
    parsed = page(imbalance=section(points=pd.DataFrame(rows), **told))
    rows_of = {(row["quantity"], row["where"]): row for row in parsed.rows("paper")}
    assert rows_of["imbalance c", "case 3"]["paper"] == "20.1"  # printed, not read off
    assert rows_of["imbalance c", "case 3"]["deviation"] == "+3 %"
    loss = rows_of["loss at iteration 15,000", "case 1"]
    assert (loss["ours, gradient flow"], loss["ours, gradient descent"]) == ("0.007", "0.0035")
    assert loss["deviation"] == "−3 %"
    loss = rows_of["loss at iteration 13,900", "case 2"]
    assert (loss["paper"], loss["ours, gradient flow"]) == ("≈ 7×10⁻⁹", "2.3×10⁻⁹")
    assert (loss["ours, gradient descent"], loss["deviation"]) == (
        "2.2×10⁻⁹",
        "draws spread from 2.1×10⁻⁹ to 1.4×10⁻⁸",
    )
    assert not any("13,900" in text for text in parsed.texts("li"))
    assert any("Fastest is σ_U/σ_V = 39.3 (rate 39.3, distance 1)" in text for text in parsed.texts("figcaption"))
    results = parsed.rows("runs")
    assert [row["case"] for row in results[::2]] == ["1", "2", "3", "balanced"]
    assert {row["solver"] for row in results} == {"gradient flow", "gradient descent"}


def test_a_loss_beyond_what_draws_explain_deviates() -> None:
    rows = [
        {"point": str(seed), "case": "2", "width": 500, "solver": "gradient_descent", "imbalance_c": 39.6, "loss": 1e-9}
        | {"distance": 1.0, "seed": seed}
        for seed in range(3)
    ]
    params = at_papers_settings("imbalance")
    for losses, deviates in (([1e-9, 6e-9, 1e-7], False), ([1e-9, 2e-9, 6e-9], True)):
        told = {"params": params, "loss_at": lambda key, iteration, losses=losses: losses[int(key)], "images": {}}
        parsed = page(imbalance=section(points=pd.DataFrame(rows), **told))
        row = next(row for row in parsed.rows("paper") if "13,900" in row["quantity"])
        low, middle, high = (number(loss, 2) for loss in losses)
        assert row["ours, gradient descent"] == f"median {middle}, {low} to {high}"
        assert any("13,900" in text for text in parsed.texts("li")) == deviates


def test_a_loss_on_the_way_is_that_of_an_exponential() -> None:
    k = np.array([0.0, 10, 1000])
    assert on_the_way(k, np.exp(-0.01 * k), 123) == pytest.approx(np.exp(-1.23), rel=1e-12)
    assert np.isnan(on_the_way(k, k + 1, 1001))
    assert on_the_way(k, [1, 1, 0], 500) == 0


def test_nothing_deviates_where_nothing_does() -> None:
    table = points((500,))
    table["distance"] = 0.79
    assert "Nothing." in page(width=section(points=table)).texts("p")
