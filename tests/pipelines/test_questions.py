"""The three questions to the law: held-out rows, the figure, and networks that were trained.

Statistical tests draw from fixed seeds; FALSE_ALARM is the rate at which each would fail were its seed redrawn.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from kedro.io.core import Version
from matplotlib.figure import Figure
from scipy.stats import binomtest, kstest, norm

from implicit_bias.figures.dataset import FigureDataset
from implicit_bias.figures.questions import questions_figure, spread_rows
from implicit_bias.pipelines.data_generation import generate_data
from implicit_bias.pipelines.questions import answer_questions, law_widths
from implicit_bias.sweeps.data import DataSet, DataSets
from implicit_bias.sweeps.manifest import sweep_plan
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory.law.distance import Scaling
from implicit_bias.theory.law.outputs import excess_risk_law, prediction_band, unseen_spectrum
from implicit_bias.theory.law.questions import (
    attained_tolerances,
    expected_excess_risk,
    needed_widths,
    prediction_bands,
    ridgeless_risk,
)
from implicit_bias.theory.networks.two_layer import reduce_network
from implicit_bias.theory.problem import Problem, reparametrize
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.synthetic import draw_data
from implicit_bias.tracking.marks import saved_file
from tests.support.project import REPOSITORY

FALSE_ALARM = 1e-4
RUNS, H = 200, 3000
R, D, M = 4, 12, 2


@cache
def problem() -> Problem:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((R, D)) / np.sqrt(D)
    return reparametrize(X, X @ rng.standard_normal((D, M)) + 0.1 * rng.standard_normal((R, M)))


@cache
def test_rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    X_test = rng.standard_normal((5, D)) / np.sqrt(D)
    return X_test, X_test @ problem().min_norm_solution + rng.standard_normal((5, M))


test_rows.__test__ = False


@cache
def trained_networks() -> tuple[np.ndarray, np.ndarray]:
    """Predictions (RUNS, 5, M) at the test rows and V V^T (RUNS, M, M) of networks drawn entry by entry and trained.

    The flow trains the reduced state; U2 is kept whole, in the hidden directions of that state.
    """
    p, rng, predictions, grams = problem(), np.random.default_rng(2), [], []
    for _ in range(RUNS):
        U, V = rng.standard_normal((D, H)) / np.sqrt(H), rng.standard_normal((M, H)) / np.sqrt(H)
        U1 = p.Phi1.T @ U
        O = np.linalg.qr(np.vstack([U1, V]).T)[0]
        end = gradient_flow(p, reduce_network(p, U, V), [], Stop(), "exponential", 1e-6).R
        U_end, V_end = p.Phi1 @ end[:R] + (U - p.Phi1 @ U1) @ O, end[R:]
        predictions.append(test_rows()[0] @ U_end @ V_end.T)
        grams.append(V_end @ V_end.T)
    return np.array(predictions), np.array(grams)


@pytest.mark.slow
def test_trained_networks_predict_within_the_exact_band() -> None:
    predictions, grams = trained_networks()
    X_test, _ = test_rows()
    scores = []
    for prediction, VVt in zip(predictions, grams, strict=True):
        band = prediction_band(problem(), X_test[:1], VVt, H**-0.5)
        scores.append((prediction[0, 0] - band.center[0, 0]) / band.std[0, 0])
    assert kstest(scores, "norm").pvalue > FALSE_ALARM


def test_trained_networks_differ_in_mean_square_as_the_law_says() -> None:
    predictions, grams = trained_networks()
    unseen = unseen_spectrum(problem(), test_rows()[0])
    difference = predictions - test_rows()[0] @ problem().min_norm_solution
    square = np.mean(np.sum(difference**2, axis=2), axis=1)
    uniforms = [
        float(excess_risk_law(problem(), unseen, VVt, H**-0.5).cdf(np.sqrt(value)))
        for VVt, value in zip(grams, square, strict=True)
    ]
    assert kstest(uniforms, "uniform").pvalue > FALSE_ALARM


def test_trained_networks_have_the_excess_risk_expected_before_training() -> None:
    X_test, Y_test = test_rows()
    predictions, _ = trained_networks()
    risk = np.mean(np.sum((Y_test - predictions) ** 2, axis=2), axis=1)
    excess = risk - ridgeless_risk(problem(), X_test, Y_test)
    expected = expected_excess_risk(problem(), X_test, [H])[0]
    deviation = norm.isf(FALSE_ALARM / 2) * excess.std() / np.sqrt(RUNS)
    assert excess.mean() == pytest.approx(expected, abs=deviation + expected * (R + M) / H)


@pytest.mark.parametrize("delta", [0.1, 0.5])
def test_trained_networks_keep_the_tolerance_of_their_width_as_often_as_promised(delta: float) -> None:
    X_test, _ = test_rows()
    difference = trained_networks()[0] - X_test @ problem().min_norm_solution
    attained = attained_tolerances(problem(), H, delta, X_test=X_test)
    risk = int(np.sum(np.mean(np.sum(difference**2, axis=2), axis=1) > attained["risk"]))
    assert binomtest(risk, RUNS, delta).pvalue > FALSE_ALARM
    one = attained_tolerances(problem(), H, delta, X_test=X_test[:1])["prediction"]
    outside = int(np.sum(np.linalg.norm(difference[:, 0], axis=1) > one))
    assert binomtest(outside, RUNS, delta).pvalue > FALSE_ALARM
    jointly = int(np.sum(np.linalg.norm(difference, axis=2).max(axis=1) > attained["prediction"]))
    assert binomtest(jointly, RUNS, delta, alternative="greater").pvalue > FALSE_ALARM


@pytest.mark.parametrize("alpha", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("h", [7, 400, 10**6])
def test_attained_tolerances_invert_the_widths_needed(alpha: float, h: int) -> None:
    X_test, scaling = test_rows()[0], Scaling(alpha)
    for name, (epsilon,) in attained_tolerances(problem(), h, 0.1, scaling, X_test).items():
        up = needed_widths(problem(), epsilon * (1 + 1e-9), 0.1, scaling, X_test).widths[name]
        down = needed_widths(problem(), epsilon * (1 - 1e-6), 0.1, scaling, X_test).widths[name]
        assert up is not None
        assert down is not None
        assert up <= h < down


def test_bands_and_risk_are_those_of_the_single_widths() -> None:
    X_test, widths = test_rows()[0], [10, 1000]
    center, lower, upper = prediction_bands(problem(), X_test, widths, 0.1)
    np.testing.assert_allclose(center, X_test @ problem().min_norm_solution, atol=1e-14)
    np.testing.assert_allclose((lower + upper) / 2, np.broadcast_to(center, lower.shape), atol=1e-14)
    assert lower.shape == (2, 5, M)
    excess = expected_excess_risk(problem(), X_test, widths)
    std = (upper - lower) / (2 * norm.isf(0.05))
    np.testing.assert_allclose(excess, np.mean(np.sum(std**2, axis=2), axis=1), rtol=1e-12)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, np.nan])
def test_widths_for_no_tolerance_are_refused(epsilon: float) -> None:
    with pytest.raises(ValueError, match="epsilon must be finite and > 0"):
        needed_widths(problem(), epsilon, 0.1)


SPECTRA = [{}, {"spectrum": "whitened"}, {"spectrum": "geometric", "cond": 9.0, "rank": 3}]


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_held_out_rows_leave_the_training_data_alone_to_the_bit(spectrum: dict[str, Any]) -> None:
    spec: dict[str, Any] = {"n": 5, "D": 9, "m": 2, "draws": 2, "seed": 3, **spectrum}
    none, some = (generate_data(DataSets.model_validate({"a": spec | {"held_out": k}})) for k in (0, 40))
    for draw in range(2):
        with_none, with_some = none[f"a-draw={draw}"], some[f"a-draw={draw}"]
        assert (with_none["X_test"].shape, with_none["Y_test"].shape) == ((0, 9), (0, 2))
        assert (with_some["X_test"].shape, with_some["Y_test"].shape) == ((40, 9), (40, 2))
        rng = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(draw,)))
        alone = draw_data(5, 9, 2, rng, **spectrum)
        for name, expected in zip(("X", "Y", "Theta"), alone, strict=True):
            np.testing.assert_array_equal(with_none[name], expected)
            np.testing.assert_array_equal(with_some[name], expected)


def test_held_out_rows_are_of_the_population() -> None:
    spec = DataSet(n=5, D=50, m=20, held_out=400, noise_std=0.3, spectrum="whitened")
    data = generate_data(DataSets.model_validate({"a": spec.model_dump()}))["a-draw=0"]
    noise = data["Y_test"] - data["X_test"] @ data["Theta"]
    assert kstest(np.sqrt(50) * data["X_test"].ravel(), "norm").pvalue > FALSE_ALARM
    assert kstest(noise.ravel() / 0.3, "norm").pvalue > FALSE_ALARM


@pytest.mark.parametrize("held_out", [-1, 1.5, "many"])
def test_a_wrong_number_of_held_out_rows_is_refused(held_out: Any) -> None:
    with pytest.raises(ValueError, match="held_out"):
        DataSet(held_out=held_out)


BASE = yaml.safe_load((REPOSITORY / "conf/base/parameters.yml").read_text("utf-8"))


def figure(changes: dict[str, Any] | None = None, sweep: str = "width_sweep", **spec: Any) -> Figure:
    """The figure of a sweep of conf/base on a small data set."""
    small = {"n": 6, "D": 20, "m": 2, "held_out": 8} | spec
    parameters = Sweep.model_validate(BASE[sweep] | (changes or {}))
    data = generate_data(DataSets.model_validate({parameters.problem: small}))
    name = f"{parameters.problem}-draw=0"
    small_problem = reparametrize(data[name]["X"], data[name]["Y"])
    fields, plan = vars(small_problem), sweep_plan(parameters, {name: small_problem}, "numerics")
    return answer_questions({name: lambda: data[name]}, {name: lambda: fields}, parameters, plan)


def test_the_figure_draws_the_answers() -> None:
    drawn = figure({"widths": "1 10 100"})
    left, middle, right = drawn.axes
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in drawn.axes)
    assert len(left.collections) == 3
    (curve, ridgeless), needed = middle.lines, right.lines
    assert ridgeless.get_ydata()[0] > 0
    np.testing.assert_array_equal(
        curve.get_xdata(), law_widths(Sweep.model_validate(BASE["width_sweep"] | {"widths": "1 10 100"}))
    )
    assert np.all(np.diff(curve.get_ydata()[curve.get_xdata() > 12]) < 0)  # narrower ones are not of the law
    assert len(needed) == 3
    for line in needed:
        assert np.all(np.diff(line.get_xdata()) < 0)
        assert line.get_ydata()[-1] == 100


@pytest.mark.parametrize(
    ("changes", "sweep", "spec", "reason"),
    [
        ({}, "width_sweep", {"held_out": 0}, "no held-out rows"),
        ({}, "imbalance_sweep", {}, "do not depend on the width"),
        ({"initialization": "orthogonal_layers"}, "width_sweep", {}, "not those of the law"),
        ({}, "width_sweep", {"n": 30}, "D = r"),
    ],
)
def test_a_sweep_without_answers_says_why(
    changes: dict[str, Any], sweep: str, spec: dict[str, Any], reason: str
) -> None:
    drawn = figure(changes, sweep, **spec)
    assert isinstance(drawn, str)
    assert reason in drawn


def test_what_there_is_no_reason_to_draw_has_no_file(tmp_path: Path) -> None:
    dataset = FigureDataset(filepath=str(tmp_path / "questions.png"))
    assert dataset.load() == b""
    dataset.save(Figure())
    assert dataset.load().startswith(b"\x89PNG")
    dataset.save("no held-out rows")
    assert not list(tmp_path.iterdir())
    assert dataset.load() == b""


def test_a_version_without_a_drawing_leaves_the_earlier_ones(tmp_path: Path) -> None:
    def version(name: str) -> FigureDataset:
        return FigureDataset(filepath=str(tmp_path / "questions.png"), version=Version(None, name))

    version("1").save(Figure())
    version("2").save("no held-out rows")
    assert version("3").load() == b""
    assert saved_file(version("3")) is None
    assert (tmp_path / "questions.png/1/questions.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("alpha", "shown"), [([0.3, 0.5], "0.5"), ([0.3, 0.4], "0.3"), ([0.2], "0.2"), ([0.25], "0.25")]
)
def test_of_several_alpha_the_paper_s_is_asked(alpha: list[float], shown: str) -> None:
    drawn = figure({"alpha": alpha, "figure": "alpha"})
    legend = drawn.axes[0].get_legend()
    assert legend is not None
    assert rf"\alpha={shown}$" in legend.get_texts()[1].get_text()
    assert bool(drawn.axes[2].lines) == (float(shown) > 0.25)


def test_a_single_row_and_noiseless_data_are_drawn() -> None:
    assert len(figure(held_out=1).axes[0].collections) == 1
    figure(noise_std=0.0, theta_std=0.0).savefig("/dev/null", format="png")
    empty = questions_figure([{"width": [1, 2], "center": 0.0, "lower": [-1, -1], "upper": [1, 1]}],
                             {"width": [1, 2], "excess": [0.0, 0.0], "ridgeless": 0.0}, {}, 0.05)  # fmt: skip
    assert len(empty.axes) == 3


def test_rows_are_spread_from_smallest_to_largest_prediction() -> None:
    assert spread_rows([3.0, 1.0, 2.0, 5.0, 4.0]) == [1, 0, 3]
    assert spread_rows([2.0, 1.0]) == [1, 0]
    assert spread_rows([2.0]) == [0]
