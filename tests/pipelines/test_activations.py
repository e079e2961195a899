"""Sweeps over activations, by the stages of every sweep."""

import logging

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from pydantic import ValidationError
from scipy.stats import kstest

from implicit_bias.figures.activations import spreads
from implicit_bias.own_data.prepare import prepare_data
from implicit_bias.pipelines.data_generation import generate_data
from implicit_bias.pipelines.evaluation import evaluate_points
from implicit_bias.pipelines.initialization import initialize_points, plan_points
from implicit_bias.pipelines.questions import answer_questions
from implicit_bias.pipelines.reparametrization import reparametrize_data
from implicit_bias.pipelines.reporting import draw_interactive, draw_sweep, summarize_sweep, tabulate_points
from implicit_bias.pipelines.training import train_points
from implicit_bias.sweeps.compute import StaleRecords
from implicit_bias.sweeps.data import OWN, DataSets, OwnData, Reparametrization
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.theory.networks.two_layer import reduce_network
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from tests.support.project import make_project

CONTRACT = {"frozen_rms", "frozen_deviation", "kernel_distance", "loss", "iterations"}
MINIMAL = {
    "title": "Activations",
    "figure": "activations",
    "problem": "small",
    "activations": "linear erf relu",
    "widths": "12 40",
    "seeds": "0:1",
    "sigma_u": 1.0,
    "alpha": 1.0,
    "step_size": 5e-3,
    "stop": {"tolerance": 1e-6},
    "flow_tolerance": 1e-7,
    "curve_points": 8,
    "workers": 1,
    "point_figures": False,
}
SMALL = {"n": 6, "D": 20, "m": 2, "held_out": 5}


def sweep(**changes):
    return Sweep.model_validate(MINIMAL | changes)


def loaders(records):
    return {name: (lambda record=record: record) for name, record in records.items()}


def drawn(**changes):
    return generate_data(DataSets.model_validate({"small": SMALL | changes}))


class Stages:
    """The stages of a sweep on given data, what they have made, and what is there of an earlier run."""

    def __init__(self, of, data, before=None):
        self.sweep, self.data = of, loaders(data)
        self.problems = loaders(reparametrize_data(self.data, Reparametrization()))
        self.plan = plan_points(self.data, self.problems, of)
        made = before.made if before else {}
        self.stored = {
            name: made.get(name, {}).get for name in ("initial_states", "trajectories", "evaluations", "point_figures")
        }
        known = (self.data, self.problems, of, self.plan, self.stored)
        states = self._joined(initialize_points(*known))
        runs = self._joined(train_points(*known, loaders(states)))
        found = list(evaluate_points(*known, loaders(states), loaders(runs)))
        measured = self._joined(record for _, record in found)
        self.figures = self._joined(figure for figure, _ in found)
        self.made = {"initial_states": states, "trajectories": runs, "evaluations": measured}
        self.known = (of, self.plan, self.problems)
        self.table = tabulate_points(*self.known, loaders(runs), loaders(measured))

    @staticmethod
    def _joined(records):
        return {key: value for each in records for key, value in each.items()}


@pytest.fixture(scope="module")
def stages():
    return Stages(sweep(), drawn())


def test_a_run_makes_one_child_per_activation_width_and_seed(tmp_path):
    project = make_project(tmp_path)
    params = {
        "data.gaussian.n": 6, "data.gaussian.D": 20, "data.gaussian.held_out": 5, "width_sweep.curve_points": 8,
        "width_sweep.widths": "12 40", "width_sweep.seeds": "0:1", "width_sweep.stop.tolerance": 1e-6,
        "width_sweep.workers": 1,
    }  # fmt: skip
    given = ",".join(f"{name}={value}" for name, value in params.items())
    project.kedro("run", "--env=activations", "--pipelines=width_sweep", f"--params={given}")
    client = MlflowClient(project.store)
    experiment = client.get_experiment_by_name("implicit_bias")
    runs = client.search_runs([experiment.experiment_id], "tags.`implicit_bias.sweep` = 'width'")
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(runs) == len(children) + 1
    found = {tuple(run.data.params[name] for name in ("activation", "width", "seed")) for run in children}
    assert found == {(phi, h, seed) for phi in ("linear", "erf", "relu") for h in ("12", "40") for seed in ("0", "1")}
    assert len(children) == 12
    for run in children:
        assert run.info.status == "FINISHED"
        assert set(run.data.metrics) >= CONTRACT | {"curve/loss", "curve/excess"}
        assert ("neuron_drift" in run.data.metrics) == (run.data.params["activation"] != "erf")
        assert not {"distance", "depth"} & (set(run.data.metrics) | set(run.data.params))
        assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["curves.svg"]
    report = (project.path / "data/activations/08_reporting/report.html").read_text(encoding="utf-8")
    assert "Spread of predictions over seeds" in report


def test_a_linear_activation_ends_where_the_two_layer_engine_does(stages):
    problem = Problem(**stages.problems["small-draw=0"]())
    for key, point in stages.plan["points"].items():
        if point["params"]["activation"] != "linear":
            continue
        R0, run = stages.made["initial_states"][key]["R"], stages.made["trajectories"][key]
        state = reduce_network(problem, problem.Phi1 @ R0[: problem.r], R0[problem.r :])
        other = gradient_flow(problem, state, [], Stop(excess=1e-6 * problem.n / 2), "explicit", 1e-10)
        ends = [R[: problem.r] @ R[problem.r :].T for R in (run["R"], other.R)]
        np.testing.assert_allclose(ends[0], ends[1], atol=1e-4 * np.abs(ends[1]).max())
        assert run["t"][-1] == pytest.approx(other.t[-1], rel=1e-3)


def test_metrics_are_those_of_the_predictions_that_are_kept(stages):
    kernels = []
    for _, row in stages.table.iterrows():
        record = stages.made["evaluations"][row["point"]]
        assert row["frozen_deviation"] == pytest.approx(_rms(record["predictions"] - record["mean"]), rel=1e-12)
        assert row["frozen_rms"] == pytest.approx(_rms(record["std"]), rel=1e-12)
        assert row["loss"] <= 1e-6 * (1 + 1e-6)  # n < D: every Y can be fitted
        kernels.append(row["kernel_distance"])
    assert np.all(np.isfinite(kernels))
    assert min(kernels) > 0


def _rms(deviations):
    return float(np.sqrt(np.mean(np.sum(deviations**2, axis=1))))


def test_runs_deviate_as_the_frozen_law_says():
    """For linear networks the upper tail probability is uniform, exactly: false alarm 1e-3."""
    settings = {"activations": "linear", "widths": 12, "seeds": "0:29", "stop": {"tolerance": 1e-3}}
    p = Stages(sweep(**settings), drawn()).table["frozen_p"]
    assert kstest(p, "uniform").pvalue > 1e-3


def test_spread_is_the_standard_deviation_over_seeds_and_the_rest_that_of_the_means():
    rows = {"point": ["a", "b", "c"], "activation": ["erf"] * 3, "width": [5, 5, 9], "frozen_rms": [3.0, 4.0, 1.0]}
    records = {
        "a": {"predictions": np.array([[0.0], [1.0]]), "mean": np.array([[0.0], [0.0]])},
        "b": {"predictions": np.array([[2.0], [5.0]]), "mean": np.array([[2.0], [0.0]])},
        "c": {"predictions": np.array([[1.0], [1.0]]), "mean": np.array([[1.0], [1.0]])},
    }
    (found,) = spreads(pd.DataFrame(rows), records.__getitem__)
    np.testing.assert_allclose(found["spread"], [np.sqrt((2 + 8) / 2), np.nan])
    np.testing.assert_allclose(found["rest"], [np.sqrt((2 + 0) / 2), np.nan])
    np.testing.assert_allclose(found["frozen"], [np.sqrt((9 + 16) / 2), 1.0])


def test_the_tables_and_figures_have_every_activation(stages):
    found = summarize_sweep(*stages.known, stages.table)
    assert (found["metric/points"], found["metric/failed"]) == (12, 0)
    assert {"metric/slope_linear", "metric/slope_erf", "metric/slope_relu"} <= set(found)
    evaluations = loaders(stages.made["evaluations"])
    main, paper, companion = draw_sweep(*stages.known, stages.table, evaluations)
    assert main is paper
    assert [ax.get_title(loc="left") for ax in main.axes] == ["linear", "erf", "relu"]
    assert len(companion.axes) == 2
    interactive = draw_interactive(*stages.known, stages.table, evaluations)
    assert {trace.name for trace in interactive.data} >= {"linear", "erf, frozen law"}
    answer = answer_questions(stages.data, stages.problems, stages.sweep, stages.plan)
    assert "none before training" in answer


def test_what_is_done_is_not_computed_again_and_other_rows_are_noticed(stages, caplog):
    with caplog.at_level(logging.INFO):
        again = Stages(sweep(), drawn(), stages)
    assert caplog.text.count("12 of 12 were done before") == 3
    pd.testing.assert_frame_equal(again.table, stages.table)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        kinked = Stages(sweep(kink_tolerance=2e-4, widths=12, seeds=0), drawn(), stages)
    assert caplog.text.count("3 of 3 were done before") == 1  # the draws
    other = drawn()
    other["small-draw=0"]["X_test"] = other["small-draw=0"]["X_test"][::-1]
    with pytest.raises(StaleRecords, match="other rows"):
        list(
            initialize_points(
                loaders(other),
                kinked.problems,
                kinked.sweep.model_copy(update={"fresh": True}),
                kinked.plan,
                kinked.stored,
            )
        )


def test_seeds_are_shared_by_the_activations_and_points_are_drawn(stages):
    states = stages.made["initial_states"]
    rows = stages.table[(stages.table["width"] == 40) & (stages.table["seed"] == 1)]
    first, *others = (states[key] for key in rows["point"])
    for other in others:
        np.testing.assert_array_equal(first["R"], other["R"])
        np.testing.assert_array_equal(first["frozen"], other["frozen"])
    figured = Stages(sweep(widths=12, seeds=0, activations="tanh", point_figures=True), drawn())
    assert [figure[:4] for figure in figured.figures.values()] == [b"<svg"]


def test_own_tables_are_swept_by_the_same_stages():
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.standard_normal((14, 30)), columns=[f"x{j}" for j in range(30)])
    Y = pd.DataFrame({"y": rng.standard_normal(14)})
    settings = OwnData(center_x=True, center_y=True, scale_x="table", held_out=4)
    found = Stages(sweep(problem=OWN, widths=40, seeds=0), prepare_data(X, settings, Y)).table
    assert found["n"].tolist() == [10] * 3
    assert np.all(found["frozen_rms"] > 0)


def test_data_without_test_rows_are_refused_before_any_work():
    with pytest.raises(ValueError, match=r"small-draw=0 has no test rows.*set held_out"):
        Stages(sweep(), drawn(held_out=0))


def test_data_of_full_rank_leave_nothing_frozen(caplog):
    found = Stages(sweep(widths=40, seeds=0, activations="erf"), drawn(n=24, noise_std=0.0)).table
    assert "no part of it stays Gaussian" in caplog.text
    assert found["frozen_rms"].max() == 0
    assert found["frozen_deviation"].max() < 1e-12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activations": "relu swish"}, "activation must be one of linear, relu, .*, or a path .*, got 'swish'"),
        ({"activations": []}, "figure activations compares networks with activations: give activations"),
        ({"figure": "width"}, "drawn by figure activations, got width"),
        ({"depths": 3}, "one hidden layer: leave out depths"),
        ({"initialization": "uniform"}, "start from gaussian entries"),
        ({"solvers": "nesterov"}, "networks with activations are trained by .*, got nesterov"),
        ({"redraw_data": True}, "same test rows: leave out redraw_data"),
        ({"alpha": [0.5, 1.0]}, "figure activations shows one alpha"),
        ({"sigma_u": 0.0}, "greater than 0"),
        ({"activations": "relu relu"}, "activations must differ"),
        ({"activations": [], "figure": "width", "sigma_u": 1.0}, "sigma_u is for networks with activations"),
        (
            {"activations": [], "figure": "width", "sigma_u": None, "solvers": "flow_stabilized"},
            "flow_stabilized is for",
        ),
    ],
)
def test_parameters_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        sweep(**changes)
