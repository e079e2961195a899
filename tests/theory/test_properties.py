"""Every bound and invariant on problems of any size, rank, conditioning, noise and scale: what `claims` checks."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from implicit_bias.theory.claims import problems
from implicit_bias.theory.claims.catalogue import CLAIMS

COUNTEREXAMPLES = {claim.name for claim in CLAIMS if claim.kind == "counterexample"}


@st.composite
def networks(draw):
    n, D, m = draw(st.integers(1, 7)), draw(st.integers(1, 10)), draw(st.integers(1, 4))
    rank, h = draw(st.integers(1, min(n, D))), draw(st.integers(1, 16))
    cond = 10 ** draw(st.floats(0, 4)) if rank > 1 else 1.0
    noise = draw(st.sampled_from([0.0, 1e-3, 1.0]))
    sigma_u, sigma_v = (10 ** draw(st.floats(-1.5, 0.5)) for _ in range(2))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    return problems.random_network((n, D, m, rank, h), cond, noise, sigma_u, sigma_v, rng)


@settings(max_examples=25)
@given(network=networks(), seed=st.integers(0, 10_000), periods=st.sampled_from([problems.SHORT, 150.0]))
def test_no_claim_is_violated_on_any_network(network, seed, periods):
    checks = problems.check_network(network, periods, np.random.default_rng(seed), deep=False)
    assert {name: check for name, check in checks.items() if check.violated and name not in COUNTEREXAMPLES} == {}
