"""What a flow certifies, at its samples and between them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from implicit_bias.theory.bounds import before as bounds
from implicit_bias.theory.bounds import flow as of_flow
from implicit_bias.theory.bounds.descent import descent_certificate
from implicit_bias.theory.initialization.gaussian import balanced
from implicit_bias.theory.networks.two_layer import imbalance, reduce_network
from implicit_bias.theory.problem import reparametrize
from implicit_bias.theory.solvers.descent import gradient_descent
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from tests.support.networks import SHAPES, random_case
from tests.support.runs import END, few, flow, sampled, scales, seeds, shapes


@settings(max_examples=20)
@given(shape=shapes, seed=seeds, u=scales, v=scales, data=st.data())
def test_curves_bound_the_loss_however_few_samples_they_see(shape, seed, u, v, data):
    case = random_case(shape, seed, u, v)
    p, start = case.problem, imbalance(case.state)
    run = flow(case)
    kept = few(run, data)
    seen = sampled(run, kept)
    guaranteed = bounds.theorem_1(p, start, seen.t, run.excess[0]).stated
    restarted = of_flow.restarted_margin(p, start, seen).stated
    certified = of_flow.certified_curve(p, start, seen).stated
    for curve in (restarted, certified):
        assert curve[0] == run.excess[0]
        assert np.all(np.diff(curve) <= 0)
        assert np.all(seen.excess <= curve * (1 + 1e-7) + 1e-22)
    assert np.all(certified <= restarted * (1 + 1e-12))
    assert np.all(restarted <= guaranteed * (1 + 1e-12))


def test_a_dip_between_samples_is_not_overlooked():
    # U1 V^T passes through zero: the rate of a balanced network is large at both ends and 0 in between
    case = random_case((1, 2, 1, 1, 1))
    p = reparametrize(np.array([[1.0, 0.0]]), np.array([[1.0]]))
    state = replace(case.state, R=np.array([[0.6], [-0.6 + 1e-9]]), U2=np.zeros((1, 1)), r=1, h=1)
    run = gradient_flow(p, state, [], Stop(t_max=25.0), "exponential", tol=1e-12)
    start = imbalance(state)
    ends = bounds.instantaneous_rate(p, start, run.product)
    assert np.exp(-ends.min() * run.t[-1]) * run.excess[0] < 0.1 * run.excess[-1]
    curve = of_flow.certified_curve(p, start, run).value
    assert np.all(run.excess <= curve * (1 + 1e-9))


@pytest.mark.parametrize("shape", ["one output", "three outputs", "rank deficient"])
def test_certified_curve_tends_to_the_integral_of_the_rate(shape):
    case = random_case(shape)
    p = case.problem
    state = balanced(p, case.state)
    start, run = imbalance(state), flow(case, np.linspace(0, 1.5, 1201)[1:-1], state, end=1.5)
    rate = bounds.instantaneous_rate(p, start, run.product)
    exact = np.sum(0.5 * (rate[1:] + rate[:-1]) * np.diff(run.t))
    errors = []
    for every in (16, 8, 4):
        seen = sampled(run, np.arange(0, len(run.t), every))
        bound = of_flow.certified_curve(p, start, seen)
        assert bound.applies
        errors.append(exact + np.log(bound.value[-1] / run.excess[0]))
    assert 0 < errors[2] < 0.1 * exact
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 2, rtol=0.2)


def test_curves_without_a_rate_stay_where_they_are():
    problem = reparametrize(np.eye(2), np.ones((2, 2)))
    case = random_case((3, 4, 2, 2, 2), scale_u=0.0, scale_v=0.0)
    run = gradient_flow(problem, case.state, [], Stop())
    long = replace(run, t=np.array([0.0, 1.0, np.inf]), excess=np.full(3, run.excess[0]), product=np.zeros((3, 2, 2)))
    long = replace(long, V=np.zeros((3, 2, 2)), force=np.full(3, run.force[0]))
    for curve in (of_flow.certified_curve, of_flow.restarted_margin):
        bound = curve(problem, imbalance(case.state), long)
        assert bound.unmet == ["rate > 0"]
        np.testing.assert_array_equal(bound.value, np.full(3, run.excess[0]))


def test_restarted_margin_is_that_of_min_et_al_from_sample_to_sample():
    case = random_case("three outputs")
    p, start = case.problem, imbalance(case.state)
    run = flow(case, np.linspace(0, END, 9)[1:-1])
    level, expected = run.excess[0], [run.excess[0]]
    for i in range(len(run.t) - 1):
        size = float(np.sqrt(2 * run.excess[i]))
        level = float(bounds.margin_bound(p, start, run.t[i + 1], level, size, run.t[i]).stated)
        expected.append(level)
    np.testing.assert_allclose(of_flow.restarted_margin(p, start, run).value, expected, rtol=1e-12)


@settings(max_examples=20)
@given(shape=shapes, seed=seeds, u=scales, v=scales, data=st.data())
def test_path_length_is_never_below_the_path(shape, seed, u, v, data):
    case = random_case(shape, seed, u, v)
    p, start = case.problem, imbalance(case.state)
    run = flow(case)
    exact = np.concatenate([[0.0], np.cumsum(0.5 * (run.force[1:] + run.force[:-1]) * np.diff(run.t))])
    kept = few(run, data)
    length = of_flow.path_length(p, start, sampled(run, kept))
    quadrature = np.sum(np.abs(np.diff(run.force, 2))) * (run.t[1] - run.t[0])  # bounds the trapezoidal rule's error
    assert np.all(length >= exact[kept] - quadrature - 1e-9 * exact[-1])
    assert np.all(np.diff(length) >= 0)


@pytest.mark.parametrize("shape", ["one output", "three outputs", "r < m"])
def test_path_length_tends_to_the_path(shape):
    case = random_case(shape)
    run = flow(case, np.linspace(0, 1.5, 1201)[1:-1], end=1.5)
    exact = np.sum(0.5 * (run.force[1:] + run.force[:-1]) * np.diff(run.t))
    lengths = [
        of_flow.path_length(case.problem, imbalance(case.state), sampled(run, np.arange(0, len(run.t), n)))[-1]
        for n in (16, 8, 4)
    ]
    errors = np.array(lengths) - exact
    assert 0 < errors[2] < 0.1 * exact
    assert np.all(errors[:-1] > 1.7 * errors[1:])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [0.05, 0.5])
def test_certificate_holds_along_runs(shape, scale):
    case = random_case(shape, 3, scale, scale)
    s = case.state
    initial = float(np.linalg.norm(s.R @ s.U2.T))
    run = flow(case, np.linspace(0, END, 101)[1:-1])
    bound = of_flow.certificate(case.problem, imbalance(s), run, initial)
    assert bound.value[0] == pytest.approx(initial, rel=1e-15)
    assert np.all(np.linalg.norm(run.V @ s.U2.T, axis=(1, 2)) <= bound.value * (1 + 1e-6))
    assert np.linalg.norm(run.R @ s.U2.T) <= bound.value[-1] * (1 + 1e-6)


@pytest.mark.parametrize("shape", ["one output", "three outputs"])
def test_certificate_reaches_the_limit(shape):
    case = random_case(shape)
    s, p = case.state, case.problem
    run = gradient_flow(p, s, np.linspace(0.1, 30, 100), Stop())
    assert run.t[-1] == np.inf
    bound = of_flow.certificate(p, imbalance(s), run, 1.0).value
    assert bound[-2] <= bound[-1] < 1.01 * bound[-2]


def test_certificate_says_nothing_without_a_rate_at_the_end():
    case = random_case("three outputs", scale_u=0.01, scale_v=0.01)
    state = balanced(case.problem, case.state)
    run = flow(case, [1.0], state)
    endless = sampled(run, np.array([0, 0, 1]))
    endless = replace(endless, t=np.array([0.0, 1.0, np.inf]))
    bound = of_flow.certificate(case.problem, imbalance(state), endless, 1.0).value
    assert bound[1] < np.inf
    assert bound[2] == np.inf
    assert np.all(of_flow.certificate(case.problem, imbalance(state), endless, 0.0).value == 0)


@pytest.mark.parametrize("size", [1e-6, 1e-9, 1e-12])
def test_certificates_hold_on_a_plateau_whose_losses_differ_by_rounding_alone(size):
    # u1 = v = u2 = size: all of [V U2^T; U1 U2^T] grows as exp int(F), 1 >= F >= 1 - size^2 e^(2t); descent likewise
    problem = reparametrize([[1.0, 0.0]], [[1.0]])
    state = reduce_network(problem, np.array([[size], [size]]), np.array([[size]]))
    initial = np.linalg.norm(state.R @ state.U2.T)
    run = gradient_flow(problem, state, [2.0, 4.0, 6.0], Stop(t_max=8.0))
    bound = of_flow.certificate(problem, imbalance(state), run, initial)
    assert not bound.applies or np.all(
        bound.value >= np.exp(run.t - size**2 * np.exp(2 * run.t) / 2) * initial * (1 - 1e-12)
    )
    step = 0.01
    descent = gradient_descent(
        problem, state, step / 2, [200, 400], Stop(t_max=float(problem.flow_time(600, step / 2)))
    )
    bound = descent_certificate(problem, descent, step, initial)
    grown = (1 + step) ** np.array([0, 200, 400, 600])
    assert not bound.applies or np.all(bound.value >= grown * (1 - size**2 * grown**2) * initial * (1 - 1e-12))
