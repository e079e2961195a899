"""Hostile input: whatever is given is taken or refused by the error that is promised, in bounded time and memory.

The number of inputs is that of INPUTS; the quick tests take a hundredth of it. FUZZ=20 takes 20 times as many, from
other seeds than FUZZ=1: see `make fuzz`.
"""

import os
import random
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io.core import DatasetError
from pydantic import ValidationError

from implicit_bias.cli import implicit_bias
from implicit_bias.own_data.files import read_table
from implicit_bias.own_data.numbers import to_matrix
from implicit_bias.own_data.tables import as_frame
from implicit_bias.sweeps.data import DataSets, Reparametrization
from implicit_bias.sweeps.datasets import ArrayDataset
from implicit_bias.sweeps.parameters import Sweep
from implicit_bias.sweeps.studies import Verification

INPUTS = {"parameters": 70_000, "partitions": 25_000, "matrices": 15_000, "commands": 1_000}
FUZZ = int(os.environ.get("FUZZ", "1"))
BATCH = 50
"""Inputs of one example of Hypothesis, which draws their seed: an example costs more than an input."""
MEMORY = 2**30
SECONDS = 60

SIZES = [pytest.param(0.01, id="quick"), pytest.param(FUZZ, id="all", marks=pytest.mark.slow)]

JUNK: list[Any] = [
    None, True, False, 0, -1, 1, 7, 2**31, 2**53, 2**63, 2**64, 10**400, -(2**200), 0.0, -0.0, 1e-320, 1e308, -1e308,
    float("nan"), float("inf"), float("-inf"), "", " ", "0", "1:5", "5:1:0", "0:99999999", "1:2:3:4", "0:9 " * 500,
    "9" * 5000, "²", "½", "\0", "\ud800", "../../etc/passwd", "a\nb", "nan", "1e999", "gaussian", "-1:3", ":", "::",
    b"bytes", b"\xff", [], [[]], [None], {}, {"": ""}, {"a": {"a": {}}}, [1] * 500, list(range(50)), (1, 2), {1},
    "!!python/object/apply:os.system [ls]", 1j, object, "wide", "alpha", [0.1, 0.5], "dask", "tcp://x:y", ["gaussian"],
]  # fmt: skip

SEEDS: dict[Callable[[Any], Any], dict[str, Any]] = {
    Sweep.model_validate: {
        "title": "t", "figure": "width", "problem": "p", "redraw_data": False, "widths": "10:50:10", "seeds": "0:4",
        "alpha": 0.5, "solvers": ["gradient_flow"], "step_size": 0.1, "stop": {"tolerance": 1e-8, "relative": False},
        "cases": None, "initialization": "gaussian", "delta": 0.05, "curve_points": 60, "workers": -1,
        "backend": "loky", "address": None, "seed": 0, "flow_tolerance": 1e-8, "sampler": "auto",
    },
    lambda values: Sweep.model_validate({**values, "figure": "imbalance", "alpha": []}): {
        "title": "t", "problem": "p", "widths": 500, "seeds": 0, "step_size": 1e-3,
        "cases": {"pairs": [[0.1, 0.2]], "product": 0.1, "ratios": [1.0, 2.0], "balanced": True},
    },
    DataSets.model_validate: {
        "a": {"n": 5, "D": 9, "m": 1, "rank": 3, "spectrum": "geometric", "cond": 10.0, "noise_std": 0.1, "draws": 2},
        "b2": {"n": 100, "held_out": 3, "theta_std": 1.0, "seed": 4},
    },
    Reparametrization.model_validate: {"rank_rtol": 1e-9},
    Verification.model_validate: {
        "problems": 5, "seeds": 3, "draws": 2, "widths": [10, 1000, 10**6], "alphas": [0.3, 0.5], "delta": 0.1,
    },
}  # fmt: skip

RECORD = {
    "curve/loss": np.geomspace(1, 1e-9, 6),
    "metric/distance": 0.25,
    "param/solver": "flow λ",
    "state": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "names": np.array(["a", "βγ"]),
    "flag": True,
}

counted: dict[str, int] = {}


@contextmanager
def bounded() -> Iterator[None]:
    """End what takes too much memory or time."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"a batch took more than {SECONDS} s")

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fuzz(name: str, size: float, check: Callable[[random.Random], None], batch: int = BATCH) -> None:
    """Check the inputs that seeds make, as many as there are to be."""
    examples = -(-int(INPUTS[name] * size) // batch)
    counted[name] = 0

    @settings(max_examples=examples, derandomize=FUZZ == 1)
    @given(st.integers(0, 2**64 - 1))
    def run(seed: int) -> None:
        rng = random.Random(seed)
        with bounded():
            for _ in range(batch):
                check(rng)
                counted[name] += 1

    run()
    assert counted[name] >= 0.9 * INPUTS[name] * size  # Hypothesis stops early where it meets equal seeds


def attempt(function: Callable[..., Any], *arguments: Any, refused: type[Exception]) -> tuple[Any, str]:
    """What a function returns; or None, and the message of its refusal."""
    try:
        return function(*arguments), ""
    except refused as error:
        return None, str(error)


@pytest.fixture(autouse=True)
def _said(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    if "all" in request.node.name:
        with capsys.disabled():
            print(f"\n{request.node.name}: {counted} inputs so far")


def mutated(value: Any, rng: random.Random) -> Any:
    """A value with one or a few of its parts replaced by junk, dropped, or named otherwise."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(list(value))
        rest = {each: entry for each, entry in value.items() if each != name}
        kind = rng.random()
        if kind < 0.1:
            return rest
        if kind < 0.15:
            return rest | {rng.choice(["", "../x", "a b", "A", "x" * 300, "é"]): value[name]}
        return value | {name: mutated(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.5:
        place = rng.randrange(len(value))
        return [*value[:place], mutated(value[place], rng), *value[place + 1 :]]
    if isinstance(value, str) and rng.random() < 0.5:
        return damaged(value.encode(errors="replace"), rng).decode(errors="replace")
    return rng.choice(JUNK)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Bytes with some flipped, cut off, repeated, replaced or put in."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 8, 30))
        match rng.randrange(5):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[rng.randrange(len(data) + 1) :][:length]
            case 3:
                data[at : at + length] = rng.choice((b"\xff", b"\0", b"9", b"\x7f")) * length
            case _:
                data[at:at] = rng.randbytes(length)
    return bytes(data)


@pytest.mark.parametrize("size", SIZES)
def test_parameters_are_taken_or_refused(size: float) -> None:
    models = list(SEEDS.items())

    def check(rng: random.Random) -> None:
        validate, values = rng.choice(models)
        given = values
        for _ in range(rng.choice((1, 1, 2, 3))):
            given = mutated(given, rng)
        model, _ = attempt(validate, given if isinstance(given, dict) else {"title": given}, refused=ValidationError)
        if isinstance(model, Sweep) and len(model.widths) * len(model.seeds) <= 1000:
            points = model.points()
            assert len({point.key for point in points}) == len(points)
            assert all(0 < point.sigma_u < np.inf and 0 < point.sigma_v < np.inf for point in points)

    fuzz("parameters", size, check)


@pytest.mark.parametrize("size", SIZES)
def test_partitions_are_read_or_refused(size: float, tmp_path: Path) -> None:
    path = tmp_path / "point.npz"
    dataset = ArrayDataset(filepath=str(path))
    dataset.save(RECORD)
    content = path.read_bytes()

    def check(rng: random.Random) -> None:
        path.write_bytes(damaged(content, rng))
        loaded, message = attempt(dataset.load, refused=DatasetError)
        assert "\n" not in message
        for name in (loaded or {}).keys() & RECORD.keys():  # what is read is what was written
            np.testing.assert_array_equal(loaded[name], RECORD[name])

    fuzz("partitions", size, check)


MATRICES = (b"a,b,c\n1,2,3\n4,5.5,-6e-3\n", b"1;2\n3;4\n", "\ufeffx\n1\n2\n\n3\n".encode(), b'"1","2"\r\n3,4\r\n')


def read_numbers(path: Path) -> np.ndarray:
    """The numbers of a file, as every command reads them."""
    return to_matrix(str(path), as_frame(str(path), read_table(path))).numbers


@pytest.mark.parametrize("size", SIZES)
def test_matrices_are_read_or_refused(size: float, tmp_path: Path) -> None:
    np.save(tmp_path / "seed.npy", np.arange(6.0).reshape(2, 3))
    array = (tmp_path / "seed.npy").read_bytes()

    def check(rng: random.Random) -> None:
        suffix, content = rng.choice(((".npy", array), (".csv", rng.choice(MATRICES))))
        path = tmp_path / f"x{suffix}"
        path.write_bytes(damaged(content, rng))
        matrix, message = attempt(read_numbers, path, refused=ValueError)
        if matrix is None:
            assert str(path) in message
            assert len(message) < 2000
        else:
            assert matrix.ndim == 2
            assert np.isfinite(matrix).all()

    fuzz("matrices", size, check)


@pytest.mark.parametrize("size", SIZES)
def test_commands_end_with_an_answer_or_a_message(size: float, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savetxt("x.csv", rng.standard_normal((6, 9)), delimiter=",")
    np.savetxt("y.csv", rng.standard_normal((6, 1)), delimiter=",")
    good = ["width", "--x", "x.csv", "--y", "y.csv", "--epsilon", "0.1", "--delta", "0.05", "--alpha", "0.5", "--json"]
    words = ["plan", "sync", "--env", "..", "--x", "--y", "", "nan", "-1", "1e400", "é", "--help", "/", "x.csv", "0.3"]
    runner = CliRunner()

    def check(rng: random.Random) -> None:
        arguments = list(good)
        for _ in range(rng.choice((1, 2, 3))):
            at = rng.randrange(len(arguments) + 1)
            if rng.random() < 0.3:
                Path("x.csv").write_bytes(damaged(Path("y.csv").read_bytes(), rng))
            elif rng.random() < 0.3:
                del arguments[at : at + 1]
            else:
                arguments[at : at + rng.choice((0, 1))] = [rng.choice(words)]
        result = runner.invoke(implicit_bias, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), (arguments, result.exception)
        assert result.exit_code in (0, 1, 2)

    fuzz("commands", size, check, batch=10)
