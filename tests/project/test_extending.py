"""Every example of docs/extending.md: it is added as the page says, seen everywhere it should be, and taken away."""

import re
import sys
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joblib.externals.loky import get_reusable_executor
from scipy.optimize import root

from implicit_bias.figures.point import point_figure
from implicit_bias.figures.registry import FIGURES, draw_companion, draw_main, draw_plotly
from implicit_bias.pipelines.evaluation import evaluate_point, evaluate_points
from implicit_bias.pipelines.initialization import INITIALIZATION, initialize_point, initialize_points, plan_points
from implicit_bias.pipelines.reporting import tabulate_points
from implicit_bias.pipelines.training import TRAINING, train_point, train_points
from implicit_bias.report.facts import picture
from implicit_bias.report.section import Section
from implicit_bias.report.sweeps import _faults
from implicit_bias.sweeps.figure import Results, sweep_figure
from implicit_bias.sweeps.fingerprint import _code, _source, _source_digest, numerics
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.sweeps.points import run_points
from implicit_bias.sweeps.records import modules_found, point_fingerprint, settings_of
from implicit_bias.theory import INITIALIZATIONS, RUN_BOUNDS, SOLVERS, draw_data, reparametrize
from implicit_bias.theory.claims.catalogue import catalogue
from implicit_bias.theory.claims.problems import check_problem
from implicit_bias.theory.comparisons.universality import has_limit
from implicit_bias.theory.initialization.registry import initialization
from implicit_bias.theory.measure import METRICS
from implicit_bias.theory.networks.activation import activation
from implicit_bias.theory.networks.general import linear_network, train_weights
from implicit_bias.theory.networks.registry import NETWORKS
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.synthetic import draw_held_out
from tests.support.pictures import png
from tests.support.project import REPOSITORY

PAGE = (REPOSITORY / "docs/extending.md").read_text("utf-8")
PROBLEM = reparametrize(*draw_data(n=8, D=20, m=2, rng=np.random.default_rng(0))[:2])
REGISTRIES = {
    "initialisations": INITIALIZATIONS,
    "bounds": RUN_BOUNDS,
    "metrics": METRICS,
    "solvers": SOLVERS,
    "figures": FIGURES,
    "networks": NETWORKS,
}


def code(heading: str) -> str:
    """The Python of a section of the page."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]


@pytest.fixture(autouse=True)
def taken_away():
    """What an example adds to a registry is taken away, and each registry is as it was."""
    before = {name: dict(rows) for name, rows in REGISTRIES.items()}
    yield
    for name, rows in REGISTRIES.items():
        rows.clear()
        rows.update(before[name])


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Saves a section's Python as a module that can be imported, in worker processes too: they start with the test."""
    get_reusable_executor().shutdown(wait=True)

    def save(name: str, heading: str):
        (tmp_path / f"{name}.py").write_text(code(heading))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, name, raising=False)
        forget_code()
        return import_module(name)

    return save


def forget_code():
    """Look at the code of modules again, as another process would."""
    for cached in (_code, _source, _source_digest, numerics):
        cached.cache_clear()


def sweep(**changes) -> Sweep:
    parameters = {"title": "t", "figure": "universality", "problem": "p", "widths": 30, "seeds": 0, "alpha": 0.5}
    return Sweep.model_validate(
        parameters | {"step_size": 0.05, "stop": {"max_iterations": 200}, "point_figures": False} | changes
    )


def record(problem=PROBLEM, **changes) -> dict:
    """What is tracked of the first point of a sweep."""
    plan = sweep(**changes)
    point, problem = plan.points()[0], vars(problem)
    state = initialize_point(point, plan, problem)
    return evaluate_point(point, plan, problem, state, train_point(point, plan, problem, state))


def test_an_initialisation_by_its_import_path(module):
    starts = module("starts", "An initialisation")
    found = record(initialization="starts:TRIANGULAR")
    assert found["metric/met/law"] == 0
    assert found["metric/law_rms"] > 0
    assert has_limit("starts:TRIANGULAR")
    entries = np.random.default_rng(0).triangular(-(6**0.5), 0, 6**0.5, 10**6)
    assert entries.var() == pytest.approx(1, abs=5e-3)
    assert np.mean(entries**4) - 3 == pytest.approx(starts.TRIANGULAR.kurtosis(1.0), abs=2e-2)


def test_an_initialisation_in_worker_processes(module):
    module("starts", "An initialisation")
    plan = sweep(initialization="starts:TRIANGULAR", seeds="0:3", workers=2)
    calls = ((point.key, (point, plan, vars(PROBLEM))) for point in plan.points())
    found = dict(run_points(initialize_point, calls, 4, plan, "initialise"))
    assert sorted(found) == sorted(point.key for point in plan.points())
    for point in plan.points():
        np.testing.assert_array_equal(found[point.key]["R"], initialize_point(point, plan, vars(PROBLEM))["R"])


def test_an_initialisation_as_a_row(module):
    starts = module("starts", "An initialisation")
    with pytest.raises(ValueError, match="initialization must be one of"):
        sweep(initialization="triangular")
    INITIALIZATIONS["triangular"] = starts.TRIANGULAR
    assert initialization("triangular") is starts.TRIANGULAR
    assert record(initialization="triangular")["metric/distance"] > 0


def test_a_bound_and_its_claim():
    assert not [name for name in record() if "monotone" in name]
    exec(code("A bound of the loss, and its claim"), {})
    found = record()
    assert found["metric/met/monotone"] == 1
    assert found["metric/monotone_worst"] <= 1
    assert "certified: loss at the start" in [line.label for line in point_figure(found).panels[0].lines]
    table = pd.DataFrame({"monotone_worst": [1.1, 0.9], "met/monotone": [1.0, 1.0]})
    assert _faults(table, 0) == ["1 point exceeds what is certified: loss at the start."]
    assert catalogue()[-1].statement == "the loss of a gradient flow never grows"
    check = check_problem(np.random.default_rng(0))["monotone"]
    assert check.met
    assert check.holds


def test_a_metric():
    exec(code("A metric"), {})
    found = record(solvers="flow_exponential", stop={})["metric/nuclear"]
    distance, target = record(solvers="flow_exponential", stop={})["metric/distance"], PROBLEM.min_norm_solution
    most = np.sqrt(2 * PROBLEM.m) * distance
    assert abs(found - np.linalg.norm(target, "nuc")) <= most  # norms differ by less than the norm of the difference


def test_a_solver_by_its_import_path(module):
    module("solvers", "A solver")
    ours, built = record(solvers="solvers:HALF"), record(solvers="momentum", momentum=0.5)
    assert ours["metric/loss"] == built["metric/loss"]
    assert ours["metric/met/bound"] == 0
    assert "curve/certified" not in ours


def results(plan: Sweep, load=None) -> Results:
    """The results of a sweep whose runs converge at the rates 1 and 4."""
    table = pd.DataFrame({"width": [30, 60], "rate": [1.0, 4.0], "distance": [0.2, 0.1]})
    return Results(plan, table, [PROBLEM], load)


def test_a_figure_by_its_import_path(module):
    module("rates", "A figure of a sweep")
    plan = sweep(figure="rates:RATES", widths=[30, 60])
    (runs,) = draw_main(results(plan)).axes[0].get_lines()
    assert list(runs.get_xdata()) == [30, 60]
    assert list(runs.get_ydata()) == [1, 4]
    assert draw_companion(results(plan)) == "figure rates:RATES has no companion"
    said = picture(png(draw_main(results(plan))), sweep_figure("rates:RATES").words, results(plan).table)
    assert said.caption == "Each dot is a run. The mean rate is 2.5."
    with pytest.raises(ValueError, match="figure rates:RATES: it needs several widths"):
        sweep(figure="rates:RATES")
    with pytest.raises(ValueError, match="figure rates:RATES compares two-layer linear networks"):
        sweep(figure="rates:RATES", widths=[30, 60], depths=3)


def test_a_figure_as_a_row(module):
    with pytest.raises(ValueError, match=r"figure must be one of width, .*, got 'rates'"):
        sweep(figure="rates", widths=[30, 60])
    FIGURES["rates"] = module("rates", "A figure of a sweep").RATES
    assert sweep(figure="rates", widths=[30, 60]).figure == "rates"


def test_a_study(module):
    detours = module("detours", "A study")
    plan, problems = sweep(widths=[30, 60], workers=1), {"p-draw=0": lambda: vars(PROBLEM)}
    planned = plan_points({"p-draw=0": dict}, problems, plan)

    def loaders(parts) -> dict:
        return {key: partial(dict, record) for part in parts for key, record in part.items()}

    def stored(name: str) -> dict:
        return {name: lambda key: None}

    states = loaders(initialize_points({}, problems, plan, planned, stored("initial_states")))
    trained = loaders(train_points({}, problems, plan, planned, stored("trajectories"), states))
    evaluations = evaluate_points({}, problems, plan, planned, stored("evaluations"), states, trained)
    evaluated = loaders(record for _, record in evaluations)
    table = tabulate_points(plan, planned, problems, trained, evaluated)
    records = loaders(detours.measure_points(problems, plan, planned, stored("detours"), states, trained))
    joined = detours.tabulate(plan, planned, problems, table, records)
    assert len(joined) == 2
    assert (joined["detour"] >= 1).all(), "no path is shorter than the straight line"
    section = Section.model_validate(detours.describe(planned, joined, {}))
    assert section.kind == "detours:SECTION"
    assert section.outcome == "all 2 points compared"
    again = detours.measure_points(
        problems, plan, planned, {"detours": lambda key: records[key]()}, states, dict.fromkeys(trained, refuse)
    )
    assert len(list(again)) == 2, "what is done is not computed again"
    pipeline = detours.create_pipeline()
    assert {"problems", "params:width_sweep", "width_sweep.trajectories"} <= pipeline.inputs()
    assert pipeline.outputs() == {"width_sweep.detours_section"}


def refuse():
    raise AssertionError("loaded, though nothing has to be computed")


def test_an_activation_by_its_import_path(module):
    """Trained and measured like any other, in worker processes too, and computed again if the module changes."""
    shapes = module("shapes", "An activation")
    assert activation("shapes:SWISH") is shapes.SWISH
    plan = sweep(figure="activations", activations="relu shapes:SWISH", sigma_u=1.0, seeds="0:1", workers=2)
    rng = np.random.default_rng(0)
    X, Y, theta = draw_data(n=8, D=20, m=2, rng=rng)
    rows = {"X": X, "Y": Y, "X_test": draw_held_out(5, theta, rng)[0]}
    points = [point for point in plan.points() if point.activation == "shapes:SWISH"]
    assert ":" not in "".join(point.key for point in points)
    states = {point.key: initialize_point(point, plan, vars(PROBLEM), rows) for point in points}
    calls = ((point.key, (point, plan, vars(PROBLEM), states[point.key], rows)) for point in points)
    runs = dict(run_points(train_point, calls, 2, plan, "train"))
    for point in points:
        found = evaluate_point(point, plan, vars(PROBLEM), states[point.key], runs[point.key], rows)
        assert found["metric/frozen_rms"] > 0
        assert "metric/neuron_drift" not in found  # not homogeneous
    marked = point_fingerprint(TRAINING, points[0], "data", settings_of(plan))
    edit(shapes)
    assert point_fingerprint(TRAINING, points[0], "data", settings_of(plan)) != marked


def edit(module):
    """Change the code of a module."""
    path = Path(module.__file__)
    path.write_text(path.read_text("utf-8") + "\nTWICE = 2\n", "utf-8")
    forget_code()


def diagonal_solution(problem, p, q):
    """Theta (D, m) that fits and that the flow from p, q can reach: p^2 e^(4 z) - q^2 e^(-4 z), z in span(Phi1)."""
    Theta = np.empty((problem.D, problem.m))
    for j, target in enumerate(problem.min_norm_coordinates.T):
        a, b = p[:, j] ** 2, q[:, j] ** 2

        def grown(c, a=a, b=b):
            return a * np.exp(4 * problem.Phi1 @ c) - b * np.exp(-4 * problem.Phi1 @ c)

        found = root(lambda c, target=target, grown=grown: problem.Phi1.T @ grown(c) - target, np.zeros(problem.r))
        assert found.success
        Theta[:, j] = grown(found.x)
    return Theta


def test_a_network(module):
    """It ends where its conserved products and the data say, by root finding; descent ends beside, by first order."""
    kind = module("diagonals", "A network").DIAGONAL
    p, q = start = kind.draw(PROBLEM, 30, np.random.default_rng(0), 30**-0.5, 30**-0.5)
    run, _ = train_weights(kind, PROBLEM, start, "gradient_flow", 1.0, Stop(excess=1e-18), 20, 1e-10)

    def end(y):
        return kind.matrix(y.reshape(2, *p.shape))

    np.testing.assert_allclose(end(run.y[-1]), diagonal_solution(PROBLEM, p, q), rtol=1e-6, atol=1e-8)
    step = 0.2 * PROBLEM.n / float(np.linalg.eigvalsh(kind.kernel(PROBLEM, start))[-1])
    descents = [
        train_weights(kind, PROBLEM, start, "gradient_descent", each, Stop(excess=1e-18), 20)[0]
        for each in (step, step / 2)
    ]
    errors = [np.linalg.norm(end(descent.y[-1]) - end(run.y[-1])) for descent in descents]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.2)


def test_a_network_in_a_sweep(module):
    """Between alpha = 1/4 and 1/2 wide ones end at the min-norm solution; at 1/2 beside it, where the page says."""
    module("diagonals", "A network")
    with pytest.raises(ValueError, match="network must be one of two_layer, deep, activation, or a path"):
        sweep(network="diagonal", figure="distance")
    with pytest.raises(ValueError, match="figure universality compares two-layer linear networks"):
        sweep(network="diagonals:DIAGONAL")
    with pytest.raises(ValueError, match="network diagonals:DIAGONAL has no depths: leave out depths"):
        sweep(network="diagonals:DIAGONAL", figure="distance", depths=3)
    common = {"network": "diagonals:DIAGONAL", "figure": "distance", "stop": {"tolerance": 1e-8}, "point_figures": True}
    far = replace(PROBLEM, Y_tilde=30 * PROBLEM.Y_tilde)  # targets that bend the path of a start of size 1
    limit = diagonal_solution(far, *np.ones((2, far.D, far.m)))
    away = np.linalg.norm(limit - far.min_norm_solution)
    for alpha, distance in ((0.5, away), (0.375, 0.0)):
        found = record(far, **common, alpha=alpha, widths=10**15)
        assert found["metric/distance"] == pytest.approx(distance, abs=0.01 * away)
        assert found["metric/imbalance_drift"] < 1e-6
        assert b"<svg" in found["figure"]


@pytest.mark.parametrize("name", ["diagonals:DIAGONAL", "diagonal"])
@pytest.mark.parametrize("edited", ["diagonals", "pulling"])
def test_a_network_is_computed_again_if_code_of_it_changes(module, tmp_path, name, edited):
    """By its path and as a row, in the module that has it and in another one that has a function of it."""
    (tmp_path / "pulling.py").write_text(
        "def pullback(weights, G):\n    return 2 * weights[0] * G, -2 * weights[1] * G\n"
    )
    diagonals = module("diagonals", "A network")
    pulling = import_module("pulling")
    row = linear_network("diagonal ones", diagonals.draw, diagonals.matrix, partial(pulling.pullback))
    NETWORKS["diagonal"] = diagonals.DIAGONAL = row
    plan = sweep(network=name, figure="distance")

    def marks():
        prints = [
            point_fingerprint(stage, plan.points()[0], "data", settings_of(plan))
            for stage in (INITIALIZATION, TRAINING)
        ]
        return [*prints, plan_points({"p-draw=0": dict}, {"p-draw=0": lambda: vars(PROBLEM)}, plan)["numerics"]]

    before = marks()
    assert marks() == before
    edit(import_module(edited))
    assert {"diagonals", "pulling"} <= set(modules_found(plan))
    assert not set(marks()) & set(before)
    sys.modules.pop("pulling")


@pytest.mark.parametrize(
    ("heading", "name", "changes"),
    [
        ("An initialisation", "starts", {"initialization": "gaussian starts:TRIANGULAR"}),
        ("A solver", "solvers", {"solvers": "gradient_flow solvers:HALF"}),
    ],
)
def test_a_plan_tells_the_version_of_what_is_found_by_its_path(module, heading, name, changes):
    """Tracked runs of another version are other runs: what their points say is not kept."""
    found, plan = module(name, heading), sweep(**changes)

    def version():
        return plan_points({"p-draw=0": dict}, {"p-draw=0": lambda: vars(PROBLEM)}, plan)["numerics"]

    before = version()
    edit(found)
    assert version() != before


def test_a_network_in_worker_processes_and_as_a_row(module):
    diagonals = module("diagonals", "A network")
    plan = sweep(network="diagonals:DIAGONAL", figure="distance", widths=[30, 60], seeds="0:1", workers=2)
    calls = ((point.key, (point, plan, vars(PROBLEM))) for point in plan.points())
    found = dict(run_points(initialize_point, calls, 4, plan, "initialise"))
    assert {name for each in found.values() for name in each} == {"initial/1", "initial/2"}
    NETWORKS["diagonal"] = diagonals.DIAGONAL
    assert sweep(network="diagonal", figure="distance").kind.description == "diagonal linear networks"
    table = pd.DataFrame(
        {"width": [30, 60], "distance": [0.2, 0.1], "distance_init": [1.0, 1.0], "iterations": [10.0, 9.0]}
    )
    left, _ = draw_main(Results(plan, table, [PROBLEM], None)).axes
    assert left.get_ylabel().startswith("distance to min-norm")
    assert len(draw_plotly(Results(plan, table, [PROBLEM], None)).data) == 2


def test_the_registries_are_as_they_were():
    assert "monotone" not in RUN_BOUNDS
    assert "nuclear" not in METRICS
    assert "triangular" not in INITIALIZATIONS
    assert "rates" not in FIGURES
    assert "diagonal" not in NETWORKS


@pytest.mark.parametrize("page", ["docs/extending.md", "CONTRIBUTING.md", "docs/decisions/0008-registries.md"])
def test_the_files_that_the_pages_name_exist(page):
    text = (REPOSITORY / page).read_text("utf-8")
    paths = re.findall(r"`((?:theory|sweeps|figures|pipelines|report|project)/[\w/.]*)`", text)
    assert paths
    for path in paths:
        assert (REPOSITORY / "src/implicit_bias" / path).exists(), path
