"""The claims: each holds on sound input, and each reports a violation when what it is given is broken."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from implicit_bias.theory.claims import bias, chance, degenerate, problems, table
from implicit_bias.theory.claims import imbalance as claims
from implicit_bias.theory.claims.catalogue import CLAIMS
from implicit_bias.theory.claims.check import Check, at_most, decays, equal, seen, worst
from implicit_bias.theory.claims.network import (
    Network,
    balanced,
    end_to_end_orthogonal,
    flow,
    in_invariant_set,
    lift,
    make_network,
)
from implicit_bias.theory.initialization import gaussian as initialization
from implicit_bias.theory.networks.two_layer import Imbalance, imbalance
from implicit_bias.theory.solvers.trajectory import Trajectory

T = 0.3


@dataclass(frozen=True)
class Sound:
    """A network, what becomes of it, and what its claims take."""

    network: Network
    after: Network
    trajectory: Trajectory
    end: Network
    start: Imbalance


@pytest.fixture(scope="module")
def sound() -> Sound:
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((4, 7)), rng.standard_normal((4, 2))
    network = make_network(X, Y, 0.6 * rng.standard_normal((7, 9)), 0.4 * rng.standard_normal((2, 9)))
    trajectory = problems.train(network.problem, network.state)
    return Sound(network, flow(network, T), trajectory, lift(network, trajectory.R), imbalance(network.state))


def unseen_moved(network: Network) -> Network:
    """The network with another U2."""
    return network.with_weights(network.U + 0.1 * (np.eye(7)[:, :1] @ np.ones((1, 9))), network.V)


def wrong_problem(network: Network) -> Network:
    """The network with singular values that are not those of its data."""
    return replace(network, problem=replace(network.problem, sigma=1.01 * network.problem.sigma))


def pushed(network: Network) -> Network:
    """The network with slightly wrong weights."""
    return network.with_weights(1.001 * network.U, network.V)


def more(start: Imbalance) -> Imbalance:
    """An imbalance that promises a hundred times too much."""
    return replace(start, c=100 * start.c)


def slow(trajectory: Trajectory) -> Trajectory:
    """The run at a twentieth of its speed, and stopped too early."""
    return replace(trajectory, excess=trajectory.excess**0.05 * trajectory.excess[0] ** 0.95)


def conserved(s: Sound, broken: bool) -> Check:
    return claims.conserved(s.network, pushed(s.after) if broken else s.after, s.trajectory.drift)


def drift(s: Sound, broken: bool) -> Check:
    return claims.conserved(s.network, s.after, s.trajectory.drift + (1e-3 if broken else 0.0))


def rank(s: Sound, broken: bool) -> Check:
    smaller = replace(s.network.problem, sigma=s.network.problem.sigma[:-1])
    return claims.rank(replace(s.network, problem=smaller) if broken else s.network)


def theorem_1(s: Sound, broken: bool) -> Check:
    return claims.loss_bounds(s.network.problem, s.start, slow(s.trajectory) if broken else s.trajectory)["thm1"]


def theorem_1_imbalance(s: Sound, broken: bool) -> Check:
    return claims.loss_bounds(s.network.problem, more(s.start) if broken else s.start, s.trajectory)["thm1"]


def no_brackets(s: Sound, broken: bool) -> Check:
    return claims.no_brackets(s.network, more(s.start) if broken else s.start)


def converges(s: Sound, broken: bool) -> Check:
    return claims.converges(s.network.problem, s.start, slow(s.trajectory) if broken else s.trajectory)


def path(s: Sound, broken: bool) -> Check:
    return claims.path(s.network.problem, s.network.state, more(s.start) if broken else s.start, s.trajectory)


def orthogonal_layers(s: Sound, broken: bool) -> Check:
    state = initialization.orthogonal_layers(s.network.state)
    start = imbalance(state)
    return claims.orthogonal_layers(state, more(start) if broken else start)


def unequal_scales(s: Sound, broken: bool) -> Check:
    state = claims.align(s.network.state, 0.5, np.ones((2, 4)) + np.eye(2, 4))
    start = imbalance(state)
    return claims.unequal_scales(state, replace(start, c=start.c / 10) if broken else start)


def instantaneous_rate(s: Sound, broken: bool) -> Check:
    start = more(s.start) if broken else s.start
    return claims.instantaneous_rate(s.network.problem, start, s.network.state.R)


def certified_curve(s: Sound, broken: bool) -> Check:
    return claims.loss_bounds(s.network.problem, s.start, slow(s.trajectory) if broken else s.trajectory)["certified"]


def restarted_margin(s: Sound, broken: bool) -> Check:
    return claims.loss_bounds(s.network.problem, s.start, slow(s.trajectory) if broken else s.trajectory)["restart"]


def margin_bound(s: Sound, broken: bool) -> Check:
    return claims.margin_bound(s.network.problem, s.start, slow(s.trajectory) if broken else s.trajectory, 3)


def loss_split(s: Sound, broken: bool) -> Check:
    return bias.loss_split(wrong_problem(s.network) if broken else s.network)


def dynamics(s: Sound, broken: bool) -> Check:
    return bias.dynamics(wrong_problem(s.network) if broken else s.network)


def unseen_constant(s: Sound, broken: bool) -> Check:
    return bias.unseen_constant(s.network, unseen_moved(s.after) if broken else s.after)


def decomposition(s: Sound, broken: bool) -> Check:
    return bias.decomposition(replace(s.network, state=s.after.state) if broken else s.network)


def visible_limit(s: Sound, broken: bool) -> Check:
    return bias.visible_limit(pushed(s.end) if broken else s.end, met=True)


def limit(s: Sound, broken: bool) -> Check:
    return bias.limit(unseen_moved(s.network) if broken else s.network, s.end, met=True)


def invariant_set(s: Sound, broken: bool) -> Check:
    inside = in_invariant_set(s.network)
    return bias.invariant_set(inside, s.after if broken else flow(inside, T))


def orthogonality_dynamics(s: Sound, broken: bool) -> Check:
    return bias.orthogonality_dynamics(wrong_problem(s.network) if broken else s.network)


def min_norm(s: Sound, broken: bool) -> Check:
    inside = in_invariant_set(s.network)
    return bias.min_norm(inside, s.end if broken else lift(inside, s.trajectory.R), met=True)


def not_enough(s: Sound, broken: bool) -> Check:
    half = end_to_end_orthogonal(s.network)
    return bias.not_enough(half, lift(in_invariant_set(s.network) if broken else half, s.trajectory.R), met=True)


def regression(s: Sound, broken: bool) -> Check:
    theta = s.network.problem.Phi1 @ (s.network.U1 @ s.network.V.T)
    start = s.network.theta if broken else theta
    return bias.regression(s.network, theta, bias.regression_flow(s.network, start))


def certificate(s: Sound, broken: bool) -> Check:
    beyond = replace(s.trajectory, R=10 * s.trajectory.R)
    return bias.certificate(s.network.problem, s.network.state, beyond if broken else s.trajectory)


def same_trajectory(s: Sound, broken: bool) -> Check:
    rng = np.random.default_rng(5)
    first, second = (balanced(s.network, problems.orthonormal(9, 2, rng)) for _ in range(2))
    return bias.same_trajectory(flow(first, T), flow(second, 1.01 * T if broken else T))


def ntk_scaling(s: Sound, broken: bool) -> Check:
    alpha, h = 0.4, 9
    tilde = s.network.with_weights(h**alpha * s.network.U, h**alpha * s.network.V)
    time = T if broken else h ** (2 * alpha) * T
    return bias.ntk_scaling(s.after, flow(tilde, time, bias.ntk_gain(h, 2, alpha)), alpha)


CASES: list[Callable[[Sound, bool], Check]] = [
    conserved, drift, rank, theorem_1, theorem_1_imbalance, no_brackets, converges, path, orthogonal_layers,
    unequal_scales, loss_split,
    instantaneous_rate, certified_curve, restarted_margin, margin_bound, dynamics, unseen_constant, decomposition,
    visible_limit, limit, invariant_set, orthogonality_dynamics, min_norm, not_enough, regression, certificate,
    same_trajectory, ntk_scaling,
]  # fmt: skip


@pytest.mark.parametrize("claim", CASES, ids=lambda claim: claim.__name__)
def test_a_claim_holds_on_sound_input_and_breaks_on_broken(sound, claim):
    whole, broken = claim(sound, False), claim(sound, True)
    assert whole.met
    assert whole.holds, whole
    assert broken.violated, broken


def test_zero_stays_and_only_zero_is_claimed_to(sound):
    network = sound.network
    assert bias.zero_is_equilibrium(network.with_weights(0 * network.U, 0 * network.V)).holds
    other = bias.zero_is_equilibrium(network)
    assert not other.met
    assert not other.holds


def test_hypotheses_are_looked_at(sound):
    network, start = sound.network, sound.start
    narrow = network.with_weights(network.U[:, :3], network.V[:, :3])
    assert not claims.no_brackets(narrow, imbalance(narrow.state)).met
    assert not claims.loss_bounds(network.problem, replace(start, c=0.0), sound.trajectory)["thm1"].met
    assert not claims.orthogonal_layers(network.state, start).met
    assert not claims.unequal_scales(network.state, start).met
    assert not bias.min_norm(network, sound.end, met=True).met
    assert not bias.invariant_set(network, sound.after).met
    assert not bias.same_trajectory(network, network).met
    assert not bias.not_enough(in_invariant_set(network), sound.end, met=True).met


def test_checks_never_hold_on_what_is_not_a_number():
    assert not Check(True, float("nan"), 1.0).holds
    assert at_most([1.0, 2.0], [1.0, 1.0]).violated
    assert at_most([1.0, 2.0], [1.0, 1.0], error=1.0).holds
    assert at_most([0.0], [0.0]).holds
    assert at_most([1e-300], [0.0]).violated
    assert equal([0.0], [0.0]).holds
    assert seen(0.0, 1.0).violated
    assert worst(Check(False, 9.0, 1.0), Check(True, 0.5, 1.0)) == Check(True, 0.5, 1.0)
    assert worst(Check(True, float("nan"), 1.0), Check(True, 0.5, 1.0)).violated
    level = np.array([1.0, 0.5, 0.1])
    assert decays(level, level, 0.0).ratio == pytest.approx(1)
    assert decays(level, level**1.1, 0.0).violated
    assert decays(level, np.array([1.0, 0.5, 0.0]), 0.0).violated


def test_every_claim_is_in_the_catalogue_once():
    checks = problems.check_problem(np.random.default_rng(0))
    names = [claim.name for claim in CLAIMS]
    assert len(set(names)) == len(names)
    random = {*table.LEMMA, "lemma_1", *table.THEOREM, "law", "half", "power", "quarter"}
    assert set(checks) | random == set(names)


def test_frequencies_and_trends_are_rejected_where_they_are_wrong():
    rng = np.random.default_rng(0)
    sound, broken = rng.random(400) < 0.95, rng.random(400) < 0.7
    assert not chance.frequency(sound, 0.95).rejected
    assert chance.frequency(broken, 0.95).rejected
    assert not chance.frequency(np.ones(400, bool), 0.95).rejected
    assert chance.frequency(np.ones(400, bool), 0.95, exactly=True).rejected
    widths = np.geomspace(1e3, 1e9, 4)
    distances = widths**-0.5 * np.exp(0.1 * rng.standard_normal((40, 4)))
    assert chance.trend(widths, distances, -0.5).slope == pytest.approx(-0.5, abs=0.02)
    assert not chance.trend(widths, distances, -0.5, exactly=True).rejected
    assert not chance.trend(widths, distances, -0.3).rejected
    assert chance.trend(widths, distances, -0.3, exactly=True).rejected
    assert chance.trend(widths, distances, -0.7).rejected
    assert chance.uniform(rng.random(500)) > 1e-6 > chance.uniform(rng.random(500) ** 2)


def test_the_width_from_which_a_claim_holds():
    often, rarely = chance.Frequency(0.99, 1.0), chance.Frequency(0.5, 0.0)
    widths = np.array([10, 20, 30])
    assert chance.first_width(widths, [rarely, often, often], 0.95) == 20
    assert chance.first_width(widths, [often, rarely, often], 0.95) == 30
    assert chance.first_width(widths, [often, often, often], 0.95) == 10
    assert chance.first_width(widths, [often, often, rarely], 0.95) == np.inf


def random_rows(break_it: Callable[[np.ndarray, np.ndarray], None]) -> dict[str, table.Row]:
    """Rows of the random claims from made-up measurements that obey all of them before they are broken."""
    rng = np.random.default_rng(1)
    widths, alphas, seeds = [100, 1000, 10**6], [0.25, 0.4, 0.5], 60
    initial = np.full((seeds, 3, 3, 5, 3), 0.5)
    rank = rng.random((seeds, 3, 3))
    exponents = 0.5 - 2 * np.array(alphas)
    distance = np.array(widths) ** exponents[:, None] * np.exp(0.1 * rng.standard_normal((seeds, 3, 3)))
    bounded = np.full_like(rank, 0.1)
    trained = np.stack([distance, bounded, bounded, rank / 0.95, rank], axis=-1)
    break_it(initial, trained)
    rows = table.claim_rows({}, initial, trained, widths, alphas, 0.05)
    return {row["claim"]: row for row in rows}


def break_nothing(initial, trained):
    pass


def break_lemma(initial, trained):
    initial[:, 1, -1, :, 0] = 2.0
    initial[:, 0, :, :, 1] = 2.0  # alpha = 1/4 is not covered


def break_lemma_jointly(initial, trained):
    for part in range(3):  # each fails as often as it may, never two at once
        initial[:15, 1, -1, part, part] = 2.0


def break_lemma_at_small_width(initial, trained):
    initial[:, :, 0] = 2.0


def break_theorem_2(initial, trained):
    trained[:, 2, -1, 1] = 2.0


def break_theorem_2_in_frobenius_norm(initial, trained):
    trained[:, 1, -1, 2] = 2.0


def break_law(initial, trained):
    trained[..., 4] **= 2


def break_power(initial, trained):
    trained[:, :, :, 0] *= np.array([100, 1000, 10**6]) ** 0.2


@pytest.mark.parametrize(
    ("break_it", "violated"),
    [
        (break_nothing, set()),
        (break_lemma, {"lemma_17", "lemma_1"}),
        (break_lemma_jointly, {"lemma_1"}),
        (break_lemma_at_small_width, set()),
        (break_theorem_2, {"thm2"}),
        (break_theorem_2_in_frobenius_norm, {"thm2_F"}),
        (break_law, {"law"}),
        (break_power, {"half", "quarter"}),
    ],
)
def test_random_claims_are_violated_where_a_test_rejects_them(monkeypatch, break_it, violated):
    kept = {*table.LEMMA, "lemma_1", *table.THEOREM, "law", "half", "quarter"}
    monkeypatch.setattr(table, "catalogue", lambda: [claim for claim in CLAIMS if claim.name in kept])
    rows = random_rows(break_it)
    assert {name for name, row in rows.items() if row["violations"]} == violated


def test_deterministic_rows_count_what_is_met_and_held():
    met, limit = np.array([True, True, False]), np.ones(3)
    identity = next(claim for claim in CLAIMS if claim.name == "thm1")
    row = table._deterministic(identity, met, np.array([0.5, np.nan, 7.0]), limit)
    assert (row["trials"], row["met"], row["held"], row["violations"]) == (3, 2, 1, 1)
    shown = next(claim for claim in CLAIMS if claim.kind == "counterexample")
    assert table._deterministic(shown, met, np.array([0.5, 7.0, 7.0]), limit)["violations"] == 0
    assert table._deterministic(shown, met, np.array([7.0, 7.0, 7.0]), limit)["violations"] == 1


def test_lifting_undoes_the_reduction(sound):
    same = lift(sound.network, sound.network.state.R)
    np.testing.assert_allclose(same.U, sound.network.U, atol=1e-14)
    np.testing.assert_allclose(same.V, sound.network.V, atol=1e-14)


@pytest.mark.parametrize("kind", degenerate.KINDS)
def test_lifting_the_reduced_state_gives_the_network_back(kind: str) -> None:
    rng = np.random.default_rng(5)
    network = degenerate.degenerate(kind, problems.draw_network(rng), rng)
    lifted = lift(network, network.state.R)
    for ours, theirs in ((lifted.U, network.U), (lifted.V, network.V)):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * np.abs(network.U).max())


@pytest.mark.parametrize("index", [651, 1295])
def test_a_projected_start_ends_in_the_hidden_directions_of_its_network(index: int) -> None:
    # constant weights: rank 1; where U2 is projected, [U1; V] holds rounding errors of a second direction
    assert problems.kind_of(index) == "constant weights"
    checks = problems.check_index(0, index)
    assert not [name for name, check in checks.items() if check.violated]
