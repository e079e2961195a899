import numpy as np
import pytest

from implicit_bias.theory.kernel import kernel_range
from implicit_bias.theory.solvers.flow import gradient_flow
from implicit_bias.theory.solvers.stopping import Stop
from implicit_bias.theory.solvers.trajectory import Recorder, residual, velocity
from tests.support.networks import SHAPES, full_flow, random_case, tangent_kernel


@pytest.fixture(params=SHAPES)
def case(request):
    return random_case(request.param)


def test_kernel_range_is_that_of_the_explicit_matrix(case):
    spectrum = np.linalg.eigvalsh(tangent_kernel(case, case.U, case.V))
    low, high = kernel_range(case.problem, case.state.R)
    assert high == pytest.approx(spectrum[-1], rel=1e-12)
    assert low == pytest.approx(spectrum[0], rel=1e-9, abs=1e-13 * high)
    assert low >= 0


def test_kernel_is_a_sum_of_kronecker_products(case):
    p = case.problem
    sU1 = p.sigma[:, None] * (p.Phi1.T @ case.U)
    kron = np.kron(np.diag(p.sigma**2), case.V @ case.V.T) + np.kron(sU1 @ sU1.T, np.eye(p.m))
    np.testing.assert_allclose(tangent_kernel(case, case.U, case.V), kron, atol=1e-12)


def test_error_moves_by_minus_the_kernel(case):
    p, R = case.problem, case.state.R
    dR = velocity(p, R)
    dE = -p.sigma[:, None] * (dR[: p.r] @ R[p.r :].T + R[: p.r] @ dR[p.r :].T)
    expected = -tangent_kernel(case, case.U, case.V) @ residual(p, R).ravel()
    np.testing.assert_allclose(dE.ravel(), expected, atol=1e-11)


def test_zero_network_has_no_kernel():
    case = random_case("three outputs", scale_u=0.0, scale_v=0.0)
    assert kernel_range(case.problem, case.state.R) == (0.0, 0.0)


def test_recorded_kernel_change_is_that_of_the_explicit_matrices(case):
    trajectory = gradient_flow(case.problem, case.state, [0.3], Stop(t_max=2.0), "explicit", tol=1e-12)
    before = tangent_kernel(case, case.U, case.V)
    for i, t in ((1, 0.3), (2, 2.0)):
        after = tangent_kernel(case, *full_flow(case, t))
        expected = np.linalg.norm(after - before) / np.linalg.norm(before)
        assert trajectory.kernel_change[i] == pytest.approx(expected, rel=1e-7, abs=1e-9)
    assert trajectory.kernel_change[0] == 0.0


def test_recorder_measures_each_state(case):
    p, R0 = case.problem, case.state.R
    recorder = Recorder(p, R0)
    R = R0 + 0.1 * np.random.default_rng(1).standard_normal(R0.shape)
    recorder.record(0.0, R0)
    recorder.record(1.5, R)
    trajectory = recorder.trajectory(R, "tolerance", 9)
    U1, W = R[: p.r], R[p.r :]
    E = p.Y_tilde - np.diag(p.sigma) @ U1 @ W.T
    assert (trajectory.stop_reason, trajectory.steps, trajectory.t.tolist()) == ("tolerance", 9, [0.0, 1.5])
    assert trajectory.excess[1] == pytest.approx(0.5 * np.linalg.norm(E) ** 2, rel=1e-13)
    assert trajectory.force[1] == pytest.approx(np.linalg.norm(np.diag(p.sigma) @ E, 2), rel=1e-12)
    np.testing.assert_allclose(trajectory.product[1], U1 @ W.T, atol=1e-13)
    np.testing.assert_array_equal(trajectory.V[1], W)
    drift = (U1.T @ U1 - W.T @ W) - (case.state.U1.T @ case.state.U1 - case.state.V.T @ case.state.V)
    largest = max(np.sum(R**2), np.sum(R0**2))
    assert trajectory.drift[1] == pytest.approx(np.linalg.norm(drift) / largest, rel=1e-12)


def test_recorder_keeps_copies():
    case = random_case("one output")
    R = case.state.R.copy()
    recorder = Recorder(case.problem, R)
    recorder.record(0.0, R)
    R *= 2
    trajectory = recorder.trajectory(R, "tolerance", 0)
    R *= 2
    np.testing.assert_array_equal(trajectory.V[0], case.state.V)
    np.testing.assert_array_equal(trajectory.R, 2 * case.state.R)


def test_recorder_of_a_zero_network_divides_by_nothing():
    case = random_case("one output", scale_u=0.0, scale_v=0.0)
    recorder = Recorder(case.problem, case.state.R)
    recorder.record(0.0, case.state.R)
    trajectory = recorder.trajectory(case.state.R, "stationary", 0)
    assert (trajectory.kernel_change[0], trajectory.drift[0]) == (0.0, 0.0)
