"""The rank is that of the data before they were rounded, whatever they were stored in, shifted and scaled by."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from implicit_bias.own_data.prepare import prepare_data
from implicit_bias.own_data.rounding import error_norm, rounding_deviation
from implicit_bias.pipelines.reparametrization import reparametrize_data, reparametrized, said_of_rank
from implicit_bias.sweeps.data import OwnData, Reparametrization
from implicit_bias.theory.problem import Problem, doubtful_ranks, reparametrize
from implicit_bias.theory.rounding import rounding_norm

RANK = 5
BY_NOISE = Reparametrization()


def significant(X: np.ndarray, digits: int) -> np.ndarray:
    return np.array([[float(f"{value:.{digits}g}") for value in row] for row in X])


FORMS = {
    "float64": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "float32 as float64": lambda X: X.astype(np.float32).astype(float),
    "float32 in text": lambda X: X.astype(np.float32).astype(str).astype(float),
    "4 decimals": lambda X: X.round(4),
    "1 decimal": lambda X: X.round(1),
    "3 digits": lambda X: significant(X, 3),
    "3 digits as float32": lambda X: significant(X, 3).astype(np.float32),
}


def low_rank(n: int, D: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """X (n, D) of rank RANK and Y (n, 1) from it with noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, RANK)) @ rng.standard_normal((RANK, D))
    return X, X @ rng.standard_normal((D, 1)) / D + 0.1 * rng.standard_normal((n, 1))


def prepared(X: Any, Y: Any, **parameters: Any) -> dict[str, Any]:
    return prepare_data(X, OwnData(**parameters), Y)["own-draw=0"]


@pytest.mark.parametrize("scale_x", ["none", "columns", "table"])
@pytest.mark.parametrize("center_x", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("n", "D"), [(30, 100), (100, 30)])
def test_the_rank_is_that_before_rounding(n: int, D: int, form: str, center_x: bool, scale_x: str) -> None:
    X, Y = low_rank(n, D)
    data = prepared(FORMS[form](X), Y, center_x=center_x, scale_x=scale_x)
    problem = reparametrized(data, BY_NOISE)
    assert problem.r == RANK
    assert said_of_rank(problem, data, BY_NOISE) == ""
    exact = reparametrized(prepared(X, Y, center_x=center_x, scale_x=scale_x), Reparametrization(rank=RANK))
    norms = [np.linalg.norm(each.min_norm_coordinates) for each in (problem, exact)]
    np.testing.assert_allclose(*norms, rtol=0.01 if form in ("1 decimal", "3 digits") else 3e-3)


@pytest.mark.parametrize("form", [form for form in FORMS if form != "float16"])
@pytest.mark.parametrize("offset", [300.0, 2e4])
def test_an_offset_that_is_subtracted_leaves_its_rounding(form: str, offset: float) -> None:
    X, Y = low_rank(30, 100)
    shifted = FORMS[form](X + offset)
    if form.startswith("3 digits"):
        shifted = FORMS["4 decimals"](X + offset)
    problem = reparametrized(prepared(shifted, Y, center_x=True), BY_NOISE)
    assert problem.r == RANK


@pytest.mark.parametrize("mean", [0.0, 300.0, -1e6, 1e9])
def test_centred_rows_are_dependent_however_large_the_mean(mean: float) -> None:
    """To rank n - 1, without being told of the rounding: what is left of the mean is at the scale of the result."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((20, 300))
    B = A @ rng.standard_normal((300, 1)) / 17 + 5
    data = prepared(A + mean, B, center_x=True)
    H = np.eye(20) - 1 / 20
    norm = np.linalg.norm(np.linalg.lstsq(H @ A, H @ H @ B, rcond=1e-10)[0])
    for problem in (reparametrize(data["X"], data["Y"]), reparametrized(data, BY_NOISE)):
        assert problem.r == 19
        np.testing.assert_allclose(
            np.linalg.norm(problem.min_norm_coordinates), norm, rtol=max(1e-9, 1e-15 * abs(mean))
        )


def test_an_array_of_short_floats_has_their_rounding() -> None:
    X, Y = low_rank(30, 100)
    for dtype in (np.float32, np.float16):
        assert reparametrize(X.astype(dtype), Y).r == RANK


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("copies", [1, 4])
@pytest.mark.parametrize("seed", range(5))
def test_the_bound_holds_for_errors_that_were_made(form: str, copies: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((8, 20)) * np.logspace(-2, 2, 20)
    X = np.tile(X, (copies, copies))
    stored = FORMS[form](X)
    values, eps = stored.astype(float), np.full(X.shape[1], np.finfo(stored.dtype).eps)
    bound = error_norm(values, rounding_deviation(values, eps))
    error = np.linalg.norm(values - X, 2)
    if form != "float64":
        assert 0 < error < bound
    assert bound < 0.05 * np.linalg.norm(X, 2)


def test_random_errors_exceed_the_bound_as_rarely_as_said_and_come_near() -> None:
    rng = np.random.default_rng(0)
    for deviation in (np.ones(40), np.logspace(0, -3, 40)):
        norms = [np.linalg.norm(rng.standard_normal((10, 40)) * deviation, 2) for _ in range(1000)]
        bound = rounding_norm(deviation, 10)
        assert max(norms) < bound < 4 * np.median(norms)  # false alarm below 4e-3


@given(st.integers(-200, 200))
def test_the_rank_and_its_cut_scale_with_the_data(exponent: int) -> None:
    X, Y = low_rank(12, 20)
    stored, g = X.astype(np.float32).astype(float), 2.0**exponent
    data = prepared(stored * g, Y, center_x=True)
    assert reparametrize(data["X"], Y, rounding=data["rounding"]).r == RANK


@pytest.mark.parametrize(
    "X",
    [
        np.random.default_rng(0).integers(0, 2, (12, 30)).astype(float),
        np.random.default_rng(0).integers(0, 5, (12, 30)) / 4,
        np.random.default_rng(0).integers(0, 10, (12, 30)) / 10,
        np.random.default_rng(0).integers(0, 2**40, (12, 30)).astype(float),
    ],
    ids=["indicators", "quarters", "tenths below 1", "large integers"],
)
def test_settings_and_counts_are_exact(X: np.ndarray) -> None:
    Y = np.random.default_rng(1).standard_normal((12, 1))
    data = prepared(X, Y)
    assert data["rounding"] < 1e-12 * np.linalg.norm(X, 2)
    assert reparametrized(data, BY_NOISE).r == 12


def test_a_column_constant_but_for_rounding_is_constant() -> None:
    X, Y = low_rank(30, 100)
    X[:, 3] = 300 * (1 + np.finfo(float).eps * np.random.default_rng(0).integers(-1, 2, 30))
    data = prepared(X, Y, center_x=True, scale_x="columns")
    assert not data["X"][:, 3].any()
    assert reparametrized(data, BY_NOISE).r == RANK


def decaying(n: int = 20, D: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """X (n, D) with singular values 10, 5, 2.5, ..., to 4 decimals."""
    rng = np.random.default_rng(0)
    W, Phi = (np.linalg.qr(rng.standard_normal((size, n)))[0] for size in (n, D))
    return (W * (10 * 0.5 ** np.arange(n)) @ Phi.T).round(4), rng.standard_normal((n, 1))


def test_a_spectrum_without_a_gap_is_reported_with_the_ranks_to_choose_from(caplog: pytest.LogCaptureFixture) -> None:
    X, Y = decaying()
    data = prepared(X, Y)
    fields = reparametrize_data({"own-draw=0": lambda: data}, BY_NOISE)["own-draw=0"]
    sigma = np.linalg.svd(X, compute_uv=False)
    low, high = (int(np.sum(sigma > factor * data["rounding"])) for factor in (10, 1))
    assert low < high < 20
    assert Problem(**fields).r == high
    assert f"the rank may be {low} to {high}" in caplog.text
    caplog.clear()
    for rule in (
        Reparametrization(rank=low),
        Reparametrization(rank_rtol=float((sigma[low - 1] * sigma[low]) ** 0.5 / sigma[0])),
    ):
        assert Problem(**reparametrize_data({"own-draw=0": lambda: data}, rule)["own-draw=0"]).r == low
    assert not caplog.text


def test_the_ranks_between_which_to_choose_are_counted_from_ten_times_the_cut() -> None:
    assert doubtful_ranks(np.array([100.0, 11.0, 9.0, 2.0, 0.5]), 1.0) == (2, 4)
    assert doubtful_ranks(np.array([100.0, 11.0, 0.9]), 1.0) is None


def test_a_rank_is_given_once_and_within_reach() -> None:
    with pytest.raises(ValueError, match=r"give either rank or rank_rtol, got 3 and 0.1"):
        Reparametrization(rank=3, rank_rtol=0.1)
    X, Y = low_rank(6, 9)
    assert reparametrize(X, Y, rank=3).r == 3
    with pytest.raises(ValueError, match="rank must be from 1 to 6, got 7"):
        reparametrize(X, Y, rank=7)
    with pytest.raises(ValueError, match="rounding must be finite and >= 0, got -1"):
        reparametrize(X, Y, rounding=-1.0)
    with pytest.raises(ValueError, match=r"its largest singular value .* is below its rounding, 1e"):
        reparametrize(X, Y, rounding=1e9)
