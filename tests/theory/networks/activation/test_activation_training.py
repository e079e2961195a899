"""Training of the reduced network, against whole ones, the two-layer linear engine and exact statements."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from implicit_bias.theory.networks.activation.activations import activation
from implicit_bias.theory.networks.activation.descent import gradient_descent
from implicit_bias.theory.networks.activation.exponential import Reference, collocate
from implicit_bias.theory.networks.activation.flow import choose_integrator, gradient_flow
from implicit_bias.theory.networks.activation.network import Model, neuron_imbalance
from implicit_bias.theory.networks.activation.samples import read_samples
from implicit_bias.theory.networks.activation.stabilized import Spectrum, chebyshev_step
from implicit_bias.theory.networks.activation.steps import step_towards
from implicit_bias.theory.networks.activation.tangent import Tangent
from implicit_bias.theory.solvers import descent as linear_descent
from implicit_bias.theory.solvers import flow as linear_flow
from implicit_bias.theory.solvers.descent import DivergenceError
from implicit_bias.theory.solvers.stopping import ITERATION_LIMIT, STATIONARY, TIME_LIMIT, TOLERANCE, Stop
from implicit_bias.theory.synthetic import draw_data
from tests.support.networks import random_case
from tests.theory.networks.activation.activation_networks import EVERY, SMOOTH, case

LINEAR = ["three outputs", "rank deficient", "more samples than inputs, rank deficient", "h < r", "one hidden unit"]
METHODS = ["explicit", "stabilized", "exponential"]


def limit(model, iterations, step_size=0.05):
    return Stop(t_max=float(model.samples.problem.flow_time(iterations, step_size)))


@pytest.mark.parametrize("shape", LINEAR)
def test_linear_networks_are_those_of_the_linear_engine(shape):
    c = random_case(shape)
    model = Model(read_samples(c.X, c.Y), activation("linear"))
    R, r, stop = (
        np.vstack([c.problem.Phi1.T @ c.U, c.V]),
        c.problem.r,
        limit(Model(read_samples(c.X, c.Y), None or activation("linear")), 200),
    )
    ours = gradient_descent(model, R, 0.05, [10, 200], stop)
    theirs = linear_descent.gradient_descent(c.problem, c.state, 0.05, [10, 200], stop)
    np.testing.assert_allclose(ours.R[:r] @ ours.R[r:].T, theirs.product[-1], atol=1e-13)
    np.testing.assert_allclose(ours.excess, theirs.excess, atol=1e-13)
    stop = Stop(excess=0.3 * theirs.excess[0], t_max=5.0)
    ours = gradient_flow(model, R, [0.1], stop, "explicit", 1e-12)
    theirs = linear_flow.gradient_flow(c.problem, c.state, [0.1], stop, "explicit", 1e-12)
    assert ours.stop_reason == theirs.stop_reason
    np.testing.assert_allclose(ours.t, theirs.t, rtol=1e-9)
    np.testing.assert_allclose(ours.R[:r] @ ours.R[r:].T, theirs.product[-1], atol=1e-9)
    np.testing.assert_allclose(ours.drift, theirs.drift, atol=1e-9)


@pytest.mark.parametrize("momentum", [0.0, 0.8])
@pytest.mark.parametrize("name", EVERY)
def test_descent_is_that_of_the_whole_network(name, momentum):
    c = case(name, n=9, rank=4) if name in ("tanh", "relu") else case(name)
    U, V = c.descent(0.02, 60, momentum)
    run = gradient_descent(c.model, c.reduced(), 0.02, [60], limit(c.model, 60, 0.02), momentum)
    assert (run.steps, run.stop_reason) == (60, ITERATION_LIMIT)
    np.testing.assert_allclose(run.R, c.reduced(U, V), atol=1e-12)
    assert run.excess[-1] + c.model.floor == pytest.approx(c.loss(U, V), rel=1e-11)
    beyond = U - c.U
    np.testing.assert_allclose(
        beyond, c.model.samples.problem.Phi1 @ (c.model.samples.problem.Phi1.T @ beyond), atol=1e-12
    )


@pytest.mark.parametrize("name", SMOOTH)
def test_flow_is_that_of_the_whole_network(name):
    c = case(name)
    U, V = c.flow(1.5)
    run = gradient_flow(c.model, c.reduced(), [], Stop(t_max=1.5), "explicit", 1e-11)
    assert run.stop_reason == TIME_LIMIT
    np.testing.assert_allclose(run.R, c.reduced(U, V), atol=3e-9)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "hinge"])
def test_flow_across_kinks_tends_to_that_of_small_descent_steps(name):
    c = case(name)
    steps = 3_000
    U, V = c.descent(len(c.X) / 2 * 0.6 / steps, steps)  # within about 5e-4 of the flow
    for method, tol in (("explicit", 1e-5), ("stabilized", 1e-5), ("exponential", 1e-3)):
        run = gradient_flow(c.model, c.reduced(), [], Stop(t_max=0.6), method, tol)
        np.testing.assert_allclose(run.R, c.reduced(U, V), atol=1e-3)


@pytest.mark.parametrize("name", ["erf", "gelu"])
def test_the_stabilised_step_is_of_order_two(name):
    c = case(name)
    model, r = c.model, c.model.samples.problem.r

    def end(count, stages):
        R = c.reduced()
        for _ in range(count):
            H, V = model.hidden(R), R[r:]
            R = R + model.lift(chebyshev_step(model, H, V, model.motion(H, V).G, 1.0 / count, stages))
        return R

    truth = gradient_flow(model, c.reduced(), [], Stop(t_max=1.0), "explicit", 1e-12).R
    for stages in (2, 3, 7):
        errors = [np.linalg.norm(end(count, stages) - truth) for count in (40, 80, 160)]
        orders = np.log2(np.divide(errors[:-1], errors[1:]))
        np.testing.assert_allclose(orders, 2, atol=0.25)


@pytest.mark.parametrize("name", ["erf", "gelu", "quadratic"])
def test_the_exponential_step_is_of_the_order_of_radaus_rule(name):
    """Five for small steps, by nodes of order five; the polynomials alone would give four."""
    c = case(name)
    model, r = c.model, c.model.samples.problem.r

    def end(count):
        R = c.reduced()
        for _ in range(count):
            H, V = model.hidden(R), R[r:]
            reference = Reference(Tangent.at(model, H, V))
            e = reference.hat(c.Y - reference.tangent.S @ V.T)
            R = R + collocate(reference, e, H, V, 0.2 / count, 1e-13)[1]
        return R

    truth = gradient_flow(model, c.reduced(), [], Stop(t_max=0.2), "explicit", 1e-12).R
    errors = [np.linalg.norm(end(count) - truth) for count in (8, 16, 32)]
    assert np.all(np.log2(np.divide(errors[:-1], errors[1:])) > 4.5)


@pytest.mark.parametrize("name", ["erf", "relu"])
def test_one_exponential_step_is_exact_where_the_kernel_stays(name):
    """V is next to nothing: U stays, the residual decays as exp(-S S^T t) with rates over six decades."""
    rng = np.random.default_rng(4)
    X, Y, _ = draw_data(6, 20, 2, rng, "geometric", 1e2)
    model = Model(read_samples(X, Y), activation(name))
    r = model.samples.problem.r
    R = np.vstack([1e6 * rng.standard_normal((r, 40)), 1e-9 * rng.standard_normal((2, 40))])
    S = model.phi.value(model.hidden(R))
    rates, Q = np.linalg.eigh(S @ S.T)
    t = 3 / rates[0]
    run = gradient_flow(model, R, [t / 7], Stop(t_max=t), "exponential", 1e-8)
    assert run.steps <= 3
    for at, excess in zip(run.t, run.excess, strict=True):
        E = Q @ (np.exp(-rates * at)[:, None] * (Q.T @ (Y - S @ R[r:].T)))
        assert excess == pytest.approx(0.5 * np.sum(E**2), rel=1e-5)


def test_a_slow_flow_is_not_at_rest():
    """A kernel with a rate 1e-9 of the largest one: the speed falls by as much while the loss is on its way to 0."""
    Z = np.diag([1.0, 10**-4.5])
    model = Model(read_samples(Z, [[1.0], [1e-3]]), activation("linear"))
    R = np.array([[100.0, 0.0], [0.0, 100.0], [0.0, 0.0]])
    run = gradient_flow(model, R, [], Stop(excess=1e-10), "exponential", 1e-4)
    assert run.stop_reason == TOLERANCE
    assert run.t[-1] == pytest.approx(np.log(0.5e-6 / 1e-10) / (2 * 1e-5), rel=1e-3)


@pytest.mark.parametrize("stages", [2, 5, 12])
def test_the_stabilised_step_is_stable_as_far_as_it_says(stages):
    """On E' = -lambda E alone: phi linear, A frozen by V = 0 ... a scalar network with u^2 >> v^2."""
    radius = (stages**2 - 1) / 1.54
    model = Model(read_samples([[1.0]], [[0.0]]), activation("linear"))
    R = np.array([[1.0], [1e-9]])
    H, V = model.hidden(R), R[1:]
    C = chebyshev_step(model, H, V, model.motion(H, V).G, radius, stages)
    assert abs(V[0, 0] + C[1, 0]) < abs(V[0, 0])
    C = chebyshev_step(model, H, V, model.motion(H, V).G, 1.35 * radius, stages)
    assert abs(V[0, 0] + C[1, 0]) > abs(V[0, 0])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_runs_stop_at_the_loss_they_are_asked_for(name, method):
    c = case(name, h=40)
    tol = {("tanh", "explicit"): 1e-8, ("relu", "exponential"): 1e-2}.get((name, method), 1e-5)
    run = gradient_flow(c.model, c.reduced(), [0.2, 0.4, 1e9], Stop(excess=1e-3), method, tol)
    assert run.stop_reason == TOLERANCE
    assert run.excess[-1] == pytest.approx(1e-3, rel=1e-6)
    np.testing.assert_array_equal(run.t[:3], [0, 0.2, 0.4])
    assert c.model.excess(run.R) == run.excess[-1]
    again = gradient_flow(c.model, run.R, [], Stop(excess=1.01e-3), method, tol)
    assert (again.steps, again.stop_reason) == (0, TOLERANCE)


@pytest.mark.parametrize("method", METHODS)
def test_dead_networks_and_networks_at_a_minimum_are_stationary(method):
    model = Model(read_samples([[2.0, 0.0]], [[1.0]]), activation("relu"))
    away = -np.sign(model.samples.Z[0, 0]) * np.ones((1, 3))
    run = gradient_flow(model, np.vstack([away, np.ones((1, 3))]), [], Stop(), method)
    assert (run.stop_reason, run.steps) == (STATIONARY, 0)
    narrow = case("linear", h=1)  # two outputs, one neuron: the best of rank one
    run = gradient_flow(narrow.model, narrow.reduced(), [], Stop(stationary=1e-4), method, 1e-6)
    assert run.stop_reason == STATIONARY
    U1, V = run.R[:-2], run.R[-2:]
    best = narrow.model.samples.problem.Y_tilde
    left, s, right = np.linalg.svd(best)
    assert run.excess[-1] == pytest.approx(0.5 * s[1] ** 2, rel=1e-6)
    np.testing.assert_allclose(
        narrow.model.samples.problem.sigma[:, None] * U1 @ V.T, s[0] * np.outer(left[:, 0], right[0]), atol=1e-2
    )


@pytest.mark.parametrize("name", ["linear", "relu", "leaky_relu", "quadratic"])
def test_neurons_of_homogeneous_activations_keep_their_imbalance(name):
    c = case(name)
    tol = 1e-10 if name in SMOOTH else 1e-5
    run = gradient_flow(c.model, c.reduced(), [0.5], Stop(t_max=2.0), "explicit", tol)
    assert run.drift[0] == 0
    assert run.drift[-1] < 100 * tol
    wrong = Model(c.model.samples, EVERY["erf"])
    assert np.isnan(gradient_flow(wrong, c.reduced(), [], Stop(t_max=0.5)).drift[-1])


@pytest.mark.parametrize("name", ["linear", "relu", "quadratic"])
def test_the_drift_of_a_descent_step_is_exact(name):
    c, eta = case(name), 0.05
    model, r, phi = c.model, c.model.samples.problem.r, EVERY[name]
    R = c.reduced()
    run = gradient_descent(model, R, eta * len(c.X) / 2, [1], limit(model, 1, eta * len(c.X) / 2))
    velocity = model.lift(model.motion_at(R).G)
    np.testing.assert_allclose(
        neuron_imbalance(run.R, r, phi.degree),
        neuron_imbalance(R, r, phi.degree) + eta**2 * neuron_imbalance(velocity, r, phi.degree),
        atol=1e-13,
    )


@pytest.mark.parametrize("name", EVERY)
def test_the_kernel_product_is_the_motion_of_the_residual(name):
    """E' = -K E, by a small step of the flow."""
    c = case(name)
    model, R, r = c.model, c.reduced(), c.model.samples.problem.r
    motion = model.motion_at(R)
    product = Tangent.at(model, model.hidden(R), R[r:]).product(motion.E)
    dt = 1e-6
    moved = [model.motion_at(R + sign * dt * model.lift(motion.G)).E for sign in (1, -1)]
    np.testing.assert_allclose(product, -(moved[0] - moved[1]) / (2 * dt), atol=1e-6 * np.abs(product).max())


def test_the_spectrum_bounds_the_jacobian():
    for name in ("tanh", "quadratic", "relu", "linear"):
        c = case(name)
        model, R, r = c.model, c.reduced(), c.model.samples.problem.r
        spectrum = Spectrum(model)
        spectrum.update(model.hidden(R), R[r:], model.motion_at(R).E)
        jacobian = np.empty((R.size, R.size))
        for k in range(R.size):
            e = np.zeros(R.size)
            e[k] = 1e-6
            up, down = (model.lift(model.motion_at(R + s * e.reshape(R.shape)).G) for s in (1, -1))
            jacobian[:, k] = (up - down).ravel() / 2e-6
        largest = np.abs(np.linalg.eigvalsh((jacobian + jacobian.T) / 2)).max()
        assert largest <= spectrum.radius <= 3 * largest


def test_the_integrator_is_chosen_by_stiffness_kinks_and_the_kernels_movement():
    smooth, kinked = case("tanh").model, case("relu").model
    assert choose_integrator(smooth, 10, 1e-4) == "explicit"
    assert choose_integrator(smooth, 100, 1e-8) == "explicit"
    assert choose_integrator(smooth, 1e4, 1e-4) == "stabilized"
    assert choose_integrator(kinked, 1, 1e-4) == "stabilized"
    assert choose_integrator(kinked, 1, 1e-4, 1e-3) == "exponential"
    assert choose_integrator(smooth, 30, 1e-4, 1e-5) == "exponential"
    assert choose_integrator(smooth, 30, 1e-6, 1e-5) == "explicit"
    assert choose_integrator(smooth, 1e4, 1e-6, 1e-5) == "exponential"
    assert choose_integrator(kinked, 1e4, 1e-4, 0.5) == "stabilized"
    assert choose_integrator(smooth, 1e4, 1e-4, 0.5) == "exponential"
    assert choose_integrator(smooth, 10, 1e-4, 0.5) == "explicit"


def test_bad_arguments_are_named():
    c = case("tanh")
    with pytest.raises(ValueError, match="method must be one of explicit, stabilized, exponential"):
        gradient_flow(c.model, c.reduced(), [], Stop(), "euler")
    with pytest.raises(ValueError, match="tol must be"):
        gradient_flow(c.model, c.reduced(), [], Stop(), tol=1e-14)
    with pytest.raises(ValueError, match="increasing"):
        gradient_flow(c.model, c.reduced(), [0.2, 0.1], Stop(t_max=1.0))
    with pytest.raises(ValueError, match="step_size must be"):
        gradient_descent(c.model, c.reduced(), 0, [1], Stop())
    with pytest.raises(ValueError, match="momentum must be"):
        gradient_descent(c.model, c.reduced(), 0.1, [1], Stop(), 1.0)
    with pytest.raises(ValueError, match="iterations must increase"):
        gradient_descent(c.model, c.reduced(), 1e-3, [5, 3], Stop(t_max=10.0))
    with pytest.raises(DivergenceError, match="step_size 1000"):
        gradient_descent(case("linear").model, c.reduced(), 1000, [500], Stop())


@pytest.mark.slow
def test_wide_spectra_take_a_tenth_of_the_gradients_of_dop853():
    """cond(Sigma_x) = 1e3, at equal error of the final state; DOP853 is scipy's, at its best tolerance of eight."""
    rng = np.random.default_rng(0)
    X, Y, _ = draw_data(30, 80, 1, rng, "geometric", 1e3)
    model = Model(read_samples(X, Y), activation("erf"))
    R = rng.standard_normal((model.samples.problem.k, 60)) * 60**-0.5
    T = 2000.0
    truth = gradient_flow(model, R, [], Stop(t_max=T), "explicit", 1e-11).R

    def rhs(_, y):
        return model.lift(model.motion_at(y.reshape(R.shape)).G).ravel()

    peers = []
    for rtol in 10.0 ** np.arange(-2, -10, -1):
        run = solve_ivp(rhs, (0, T), R.ravel(), method="DOP853", rtol=rtol, atol=rtol * np.abs(R).max())
        peers.append((np.linalg.norm(run.y[:, -1].reshape(R.shape) - truth), run.nfev))
    for tol in (1e-3, 1e-4):
        ours = gradient_flow(model, R, [], Stop(t_max=T), "exponential", tol)
        error = np.linalg.norm(ours.R - truth)
        fewest = min(count for found, count in peers if found <= error)
        assert 10 * ours.evaluations <= fewest


@pytest.mark.parametrize(("sigma_U", "sigma_V", "T"), [(1.0, 1 / 60, 0.2), (60**-0.5, 60**-0.5, 10.0)])
def test_on_narrow_spectra_the_explicit_pair_takes_no_more_gradients_than_dop853_at_equal_error(sigma_U, sigma_V, T):
    rng = np.random.default_rng(0)
    X, Y, _ = draw_data(20, 80, 1, rng)
    model = Model(read_samples(X, Y), activation("erf"))
    R0 = np.vstack([sigma_U * rng.standard_normal((20, 60)), sigma_V * rng.standard_normal((1, 60))])

    def peer(rtol):
        def rhs(_, y):
            return model.lift(model.motion_at(y.reshape(R0.shape)).G).ravel()

        run = solve_ivp(rhs, (0, T), R0.ravel(), method="DOP853", rtol=rtol, atol=rtol * np.abs(R0).max())
        return run.y[:, -1].reshape(R0.shape), run.nfev

    truth, _ = peer(1e-13)
    peers = [(np.linalg.norm(R - truth), count) for R, count in map(peer, 10.0 ** -np.arange(2.0, 12.5, 0.5))]
    for tol in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
        run = gradient_flow(model, R0, [], Stop(t_max=T), "explicit", tol)
        error = np.linalg.norm(run.R - truth)
        assert error < tol / 100 * np.linalg.norm(truth)
        assert run.evaluations <= min(count for found, count in peers if found <= error)


@given(end=st.floats(1e-3, 1e3), dt=st.floats(1e-2, 1e3))
def test_steps_towards_an_end_hit_it_and_the_last_ones_are_equally_long(end, dt):
    t, made = 0.0, []
    while t < end and len(made) < 2000:
        h, t1 = step_towards(end, t, dt)
        assert 0 < h <= dt * (1 + 1e-12)
        made.append(h)
        t = t1
    if len(made) < 2000:
        assert t == end
        assert len(made) <= np.ceil(end / dt * (1 - 1e-9)) + 1
        np.testing.assert_allclose(made[-3:], made[-1], rtol=1e-6)
