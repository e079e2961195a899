import numpy as np
import pytest

from implicit_bias.theory.bounds import before as bounds
from implicit_bias.theory.measure import distance_curves, evaluate
from implicit_bias.theory.solvers.descent import gradient_descent
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from tests.support.networks import SHAPES, dense_eigenvalue, full_descent, full_imbalance, random_case

ALPHA, DELTA, STEP = 0.4, 0.1, 0.02


def descended(case):
    """A run of 60 iterations recorded at 20, 40 and 60, and the full networks met there."""
    stop = Stop(t_max=float(case.problem.flow_time(60, STEP)))
    run = gradient_descent(case.problem, case.state, STEP, [20, 40], stop)
    return run, [(case.U, case.V)] + [full_descent(case, STEP, k) for k in (20, 40, 60)]


@pytest.fixture(params=SHAPES)
def case(request):
    return random_case(request.param)


def test_metrics_are_those_of_the_full_network(case):
    p = case.problem
    run, networks = descended(case)
    (U, V), target = networks[-1], np.linalg.pinv(case.X) @ case.Y
    found = evaluate(p, case.state, run, 0.5, 0.5, ALPHA, DELTA).metrics
    P = np.vstack([p.Phi1.T @ case.U, case.V])
    U2 = case.Phi2.T @ case.U
    lam = full_imbalance(case, case.U, case.V)
    lambda_r, lambda_m = dense_eigenvalue(lam, p.r), dense_eigenvalue(-lam, p.m)
    c = max(lambda_r, 0) + max(lambda_m, 0)
    expected = {
        "distance": np.linalg.norm(U @ V.T - target),
        "distance_op": np.linalg.norm(U @ V.T - target, 2),
        "distance_init": np.linalg.norm(U2 @ case.V.T),
        "u2v": np.linalg.norm(case.Phi2.T @ U @ V.T),
        "loss": np.sum((case.Y - case.X @ U @ V.T) ** 2) / len(case.X),
        "lhs_17": lambda_r + lambda_m,
        "lhs_18": np.linalg.norm(P @ U2.T),
        "lhs_19": np.linalg.norm(p.Phi1.T @ case.U @ case.V.T),
        "lambda_r": lambda_r,
        "lambda_m": lambda_m,
        "imbalance_c": c,
        "rate_bound": 2 * np.min(p.sigma) ** 2 * c,
    }
    if p.D > p.r:
        expected["lemma_18"] = bounds.lemma_18(p, case.state.h, ALPHA, DELTA).value
        expected["thm2"] = bounds.theorem_2(p, case.state.h, ALPHA, DELTA).value
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value), rel=1e-9, abs=1e-11), name


def test_curves_are_those_of_the_full_networks(case):
    run, networks = descended(case)
    curves = evaluate(case.problem, case.state, run, 0.5, 0.5, ALPHA, DELTA).curves
    target, n = np.linalg.pinv(case.X) @ case.Y, len(case.X)
    loss = [np.sum((case.Y - case.X @ U @ V.T) ** 2) / n for U, V in networks]
    best = np.sum((case.Y - case.X @ target) ** 2) / n
    np.testing.assert_allclose(curves["loss"], loss, rtol=1e-10)
    np.testing.assert_allclose(curves["excess"], np.array(loss) - best, rtol=1e-9)
    np.testing.assert_allclose(curves["distance"], [np.linalg.norm(U @ V.T - target) for U, V in networks], rtol=1e-10)
    u2v = [np.linalg.norm(case.Phi2.T @ U @ V.T) for U, V in networks]
    np.testing.assert_allclose(curves["u2v"], u2v, rtol=1e-9, atol=1e-12)
    assert {len(curve) for curve in curves.values()} == {4}


def test_distance_splits_into_two_orthogonal_parts(case):
    run, _ = descended(case)
    distance, u2v = distance_curves(case.problem, case.state, run)
    along = np.sqrt(distance**2 - u2v**2)
    gap = run.product - case.problem.min_norm_coordinates
    np.testing.assert_allclose(along, np.linalg.norm(gap, axis=(1, 2)), rtol=1e-7)


def test_tightness_is_at_most_one_and_matches_the_curves():
    case = random_case("three outputs")
    run = gradient_flow(case.problem, case.state, np.linspace(0, 4, 30)[1:], Stop(t_max=5.0), "explicit")
    found = evaluate(case.problem, case.state, run, 0.5, 0.5, None, DELTA)
    for name in ("bound", "margin", "certified", "restart", "path"):
        ratio = found.curves["u2v" if name == "path" else "excess"] / found.curves[name]
        assert found.metrics[f"{name}_worst"] == pytest.approx(ratio[1:].max(), rel=1e-12)
        assert found.metrics[f"{name}_final"] == pytest.approx(ratio[-1], rel=1e-12)
        assert 0 < found.metrics[f"{name}_worst"] <= 1 + 1e-9


def test_metrics_whose_premise_fails_are_left_out():
    case = random_case("three outputs")
    run, _ = descended(case)
    paper = {"lemma_17", "lemma_18", "lemma_19", "thm2"}
    law = {"law_rms", "law_bound", "law_rms_run", "law_bound_run"}
    full = set(evaluate(case.problem, case.state, run, 0.5, 0.5, ALPHA, DELTA).metrics)
    cased = set(evaluate(case.problem, case.state, run, 0.5, 0.5, None, DELTA).metrics)
    built = set(evaluate(case.problem, case.state, run, 0.5, 0.5, ALPHA, DELTA, gaussian=False).metrics)
    assert paper | law <= full
    assert law <= cased
    assert not cased & paper
    assert not built & (paper | law)


def test_a_run_that_never_started_is_measured():
    case = random_case("three outputs", scale_u=0.0, scale_v=0.0)
    run = gradient_flow(case.problem, case.state, [], Stop())
    found = evaluate(case.problem, case.state, run, 1.0, 1.0, None, DELTA).metrics
    assert found["distance"] == pytest.approx(np.linalg.norm(case.problem.min_norm_solution))
    assert found["bound_final"] == 1.0
    assert found["certificate"] == 0.0
    assert [found[f"met/{name}"] for name in ("bound", "margin", "certified", "restart")] == [0, 0, 0, 0]
    assert all(np.isfinite(value) for value in found.values())


FLOW = {"bound", "margin", "certified", "restart", "path", "law", "lemma_17", "lemma_18", "lemma_19", "thm2"}


def flags(found):
    return {name.removeprefix("met/"): value for name, value in found.metrics.items() if name.startswith("met/")}


def test_every_bound_says_whether_its_hypotheses_are_met():
    case = random_case("three outputs")
    run = gradient_flow(case.problem, case.state, [1.0], Stop(t_max=2.0))
    found = evaluate(case.problem, case.state, run, 0.5, 0.5, ALPHA, DELTA)
    assert flags(found) == dict.fromkeys(FLOW, 1.0)
    assert found.unmet == {}
    outside = evaluate(case.problem, case.state, run, 0.5, 0.5, 0.2, DELTA)
    assert {name for name, met in flags(outside).items() if not met} == {"lemma_17", "lemma_18", "lemma_19", "thm2"}
    assert outside.unmet["thm2"] == ["1/4 < alpha <= 1/2"]
    assert not {"thm2", "lemma_18", "tight_18", "tight_thm2", "tight_thm2F"} & outside.metrics.keys()


def test_bounds_of_the_flow_are_shown_but_do_not_count_along_descent():
    case = random_case("three outputs")
    run, _ = descended(case)
    step = float(case.problem.flow_time(1, STEP))
    found = evaluate(case.problem, case.state, run, 0.5, 0.5, ALPHA, DELTA, step=step)
    assert flags(found) == dict.fromkeys(FLOW - {"certified", "restart"} | {"stepwise"}, 1.0) | {
        "bound": 0.0,
        "margin": 0.0,
        "thm2": 0.0,
    }
    assert found.unmet["bound"] == found.unmet["thm2"] == ["gradient flow"]
    assert found.metrics["thm2"] == bounds.theorem_2(case.problem, case.state.h, ALPHA, DELTA).value
    assert np.all(np.isfinite(found.curves["bound"]))
    assert np.all(found.curves["excess"] <= found.curves["stepwise"])
    assert 0 < found.metrics["stepwise_worst"] <= 1
    assert np.all(found.curves["u2v"] <= found.curves["path"])
    assert 0 < found.metrics["path_worst"] <= 1


def test_theorem_2_and_lemma_1_are_measured_by_their_ratios():
    case = random_case("three outputs")
    run, _ = descended(case)
    found = evaluate(case.problem, case.state, run, 0.5, 0.5, ALPHA, DELTA).metrics
    expected = {
        "tight_17": found["lemma_17"] / found["lhs_17"],
        "tight_18": found["lhs_18"] / found["lemma_18"],
        "tight_19": found["lhs_19"] / found["lemma_19"],
        "tight_thm2": found["distance_op"] / found["thm2"],
        "tight_thm2F": found["distance"] / found["thm2"],
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value if found["lhs_17"] > 0 or name != "tight_17" else np.inf), name
    assert found["tight_thm2"] <= found["tight_thm2F"]


def test_names_of_metrics_are_short():
    case = random_case("three outputs")
    run, _ = descended(case)
    found = evaluate(case.problem, case.state, run, 0.5, 0.5, ALPHA, DELTA, step=0.1).metrics
    new = [name for name in found if name.endswith(("_worst", "_final")) or name.startswith(("met/", "tight_"))]
    assert len(new) > 20
    assert max(map(len, new)) <= len("certified_worst")


@pytest.mark.parametrize("shape", ["one output", "three outputs", "D = r"])
def test_a_run_that_reached_the_limit_is_measured(shape):
    case = random_case(shape)
    run = gradient_flow(case.problem, case.state, np.linspace(0.1, 30, 100), Stop())
    assert run.t[-1] == np.inf
    found = evaluate(case.problem, case.state, run, 0.5, 0.5, ALPHA, DELTA)
    assert all(np.isfinite(value) for value in found.metrics.values())
    assert found.metrics["distance"] == pytest.approx(found.metrics["u2v"], rel=1e-9, abs=1e-12)
    assert found.metrics["u2v"] <= found.metrics["certificate"] * (1 + 1e-6)
