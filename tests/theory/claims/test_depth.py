"""Claims on deep networks: each holds on sound input and reports a violation when what it is given is broken."""

from dataclasses import replace

import numpy as np
import pytest

from implicit_bias.theory.claims import depth
from implicit_bias.theory.claims.problems import draw_network, kind_of
from implicit_bias.theory.networks.deep.starts import reduce_deep


def parts(layers: int):
    """A deep network of so many layers, its end and its reduced run."""
    for seed in range(100):
        rng = np.random.default_rng([2, seed])
        deep = depth.draw_deep(draw_network(rng), rng)
        if len(deep.layers) == layers and deep.problem.r > 1 and min(W.shape[1] for W in deep.layers[:-1]) > 4:
            state = reduce_deep(deep.problem, list(deep.layers))
            t = depth.short_time(deep.problem, state.layers)
            return deep, state, deep.flow(t), depth.train(deep.problem, state, t), t
    raise AssertionError


@pytest.fixture(scope="module", params=[2, 3, 4])
def sound(request):
    return parts(request.param)


def pushed(deep):
    """The network with slightly wrong weights."""
    return replace(deep, layers=tuple(1.001 * W for W in deep.layers))


def test_claims_hold_on_sound_networks_and_break_on_broken_ones(sound):
    deep, state, after, run, t = sound
    other = replace(deep, layers=(deep.layers[0] + depth.another(deep, np.random.default_rng(0)), *deep.layers[1:]))
    fast = replace(run, head_least=100 * run.head_least, tail_least=100 * run.tail_least)
    pairs = [
        (depth.reduced(after, run), depth.reduced(pushed(after), run)),
        (depth.conserved(deep, after, run.drifts), depth.conserved(deep, pushed(after), run.drifts)),
        (depth.conserved(deep, after, run.drifts), depth.conserved(deep, after, run.drifts + 1e-3)),
        (depth.frozen(deep, after, other.flow(t)), depth.frozen(deep, after, pushed(after))),
        (depth.certified(deep.problem, run), depth.certified(deep.problem, fast)),
    ]
    if state.depth == 2:
        pairs.append((depth.two_layers(deep, run, t), depth.two_layers(deep, run, 1.1 * t)))
    for whole, broken in pairs:
        assert whole.met
        assert whole.holds, whole
        assert broken.violated, broken


def test_hypotheses_are_looked_at():
    deep, _, _, run, t = parts(4)
    assert not depth.two_layers(deep, run, t).met
    assert not depth.leak(parts(2)[0]).met


@pytest.mark.parametrize("layers", [3, 4])
def test_the_leak_bounds_how_far_a_run_strays(layers):
    deep = parts(layers)[0]
    cut, broken = (
        depth.leak(deep),
        depth.leak(deep, lambda start, t: replace(start, layers=(100 * start.layers[0], *start.flow(t).layers[1:]))),
    )
    assert cut.met
    assert cut.holds
    assert broken.violated


def test_bounds_that_promise_too_much_are_violated():
    deep, state, _, run, _ = parts(3)
    fast = replace(state, layers=(100 * state.layers[0], state.layers[1] / 100, 100 * state.layers[2]))
    bound = depth.guaranteed(deep.problem, fast, run)
    assert bound.met
    assert bound.violated


def test_problems_of_every_kind_have_a_deep_network():
    every = {kind_of(index) for index in range(2000)}
    assert len(every) > 2
    assert {kind_of(index) for index in range(2000) if depth.has_deep(index)} == every


def test_other_problems_meet_no_hypothesis():
    rng = np.random.default_rng(0)
    assert depth.no_deep_claims().keys() == depth.deep_claims(draw_network(rng), rng).keys()
    assert not any(each.met for each in depth.no_deep_claims().values())
