"""Points on workers that die, and engines that cannot be used. The clusters themselves: test_clusters.py."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from implicit_bias.pipelines.initialization import plan_points
from implicit_bias.sweeps.calls import WINDOW, BatchSize, batch_on_worker, on_worker, window
from implicit_bias.sweeps.clusters import DISTRIBUTED, LOOK, EngineError, _watch
from implicit_bias.sweeps.parameters import Engine, Sweep
from implicit_bias.sweeps.processes import Processes
from implicit_bias.sweeps.workers import TRIES, check_engine, compute

TWO = Engine(workers=2)


def square(number: int) -> int:
    return number**2


def die_the_first_time(number: int, mark: str) -> int:
    if number == 5 and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def die_at_three(number: int, log: str) -> int:
    with open(log, "a") as file:
        file.write(f"{number} ")
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def raise_(number: int) -> int:
    raise ValueError(f"got {number}")


def endless(number: int, folder: str) -> None:
    Path(folder, str(os.getpid())).touch()
    while True:
        pass


def run(function: Any, count: int, *more: Any, engine: Engine = TWO) -> list[tuple[str, Any]]:
    calls = ((str(i), (i, *more)) for i in range(count))
    return list(compute(function, calls, "failed: {}".format, engine, count))


def test_a_killed_worker_loses_no_call_and_repeats_none(tmp_path):
    results = run(die_the_first_time, 12, str(tmp_path / "mark"))
    assert (tmp_path / "mark").exists()
    assert sorted(results, key=lambda result: int(result[0])) == [(str(i), i**2) for i in range(12)]


def has_imported(name: str) -> bool:
    return name in sys.modules


def test_processes_that_start_early_import_before_they_are_used():
    """One that is slow to start may find that another one has done its part; Ctrl-C is heard here again."""
    name, processes = "xml.dom.minidom", Processes(2)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    processes.start([name])
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    calls = iter([(str(i), (name,)) for i in range(24)])
    assert any(found for _, found in processes.results(has_imported, calls))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_main_process_however_it_ends(tmp_path, number):
    command = f"from tests.sweeps.test_workers import endless, run; run(endless, 4, {str(tmp_path)!r})"
    with subprocess.Popen([sys.executable, "-c", command], stderr=subprocess.PIPE) as main:
        wait_until(lambda: len(list(tmp_path.iterdir())) == 2, main)
        main.send_signal(number)
    wait_until(lambda: not any(map(is_alive, tmp_path.iterdir())), main)


def is_alive(worker: Path) -> bool:
    try:
        return Path(f"/proc/{worker.name}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(happened: Any, main: subprocess.Popen[bytes], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, main.returncode
        time.sleep(0.1)


@pytest.mark.slow
def test_a_call_that_kills_its_worker_whenever_it_is_tried_fails_alone(tmp_path):
    results = run(die_at_three, 6, str(tmp_path / "log"))
    assert len(results) == 6
    failed = dict(results).pop("3")
    assert failed.startswith(f"failed: its worker process died each of {TRIES} times")
    assert {key: value for key, value in results if key != "3"} == {str(i): i**2 for i in range(6) if i != 3}
    tried = (tmp_path / "log").read_text().split().count("3")
    assert TRIES <= tried <= TRIES + 3  # by itself, and once in each of the halves 6, 3, 2 of the window


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_call_raises_is_raised_here(workers):
    with pytest.raises(ValueError, match=r"got [012]$"):  # whichever of them was first
        run(raise_, 1 if workers == 1 else 3, engine=Engine(workers=workers))


def test_a_call_is_taken_when_there_is_room_for_it():
    taken = []

    def calls():
        for i in range(10_000):
            taken.append(i)
            yield str(i), (i,)

    results = compute(square, calls(), str, TWO, 10_000)
    next(results)
    assert len(taken) <= 2 * 32
    results.close()


@pytest.mark.parametrize("backend", ["dask"])
def test_a_backend_whose_package_is_missing_is_refused(backend, monkeypatch):
    monkeypatch.delitem(sys.modules, DISTRIBUTED, raising=False)  # of a test before this one
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "site-packages" not in path])
    monkeypatch.setattr(sys, "meta_path", [each for each in sys.meta_path if "editable" not in repr(each)])
    with pytest.raises(EngineError, match=rf"pip install 'kedro-implicit-bias\[{backend}\]'"):
        check_engine(Engine(backend=backend))


def test_a_cluster_that_has_lost_its_last_worker_is_said_once(caplog):
    looks = iter([{"a": 1}, {}, {}, {"b": 1}, {}])

    class Client:
        status = "running"

        def ncores(self):
            try:
                return next(looks)
            except StopIteration:
                self.status = "closed"
                return {}

    _watch(Client(), "tcp://nowhere:1", look=0)
    assert [record.message.partition(":1 ")[2] for record in caplog.records if ":1 " in record.message] == [
        "has no worker left, the run waits for one; Ctrl-C ends it",
        "has workers again",
        "has no worker left, the run waits for one; Ctrl-C ends it",
    ]
    assert 3 * LOOK <= 30  # seconds within which it is said, two looks and what they take


def test_a_sweep_without_its_cluster_is_refused_before_it_is_planned():
    pytest.importorskip("distributed")
    sweep = Sweep(
        title="", figure="width", problem="p", widths=[1], seeds=[0], alpha=[0.5], step_size=1.0,
        backend="dask", address="tcp://127.0.0.1:1",
    )  # fmt: skip
    with pytest.raises(EngineError, match=r"backend dask: tcp://127.0.0.1:1 cannot be used: .*Connection refused"):
        plan_points({}, {}, sweep)


@pytest.mark.parametrize("backend", ["loky", "dask"])
@pytest.mark.parametrize("address", ["127.0.0.1:99999", "tcp://", "nowhere.invalid:1"])
def test_addresses_that_lead_nowhere(backend, address):
    if backend == "loky":
        with pytest.raises(ValueError, match="address is that of a cluster"):
            Engine(backend=backend, address=address)
    else:
        pytest.importorskip("distributed")
        with pytest.raises(EngineError, match=r"backend dask: .* cannot be used"):
            check_engine(Engine(backend=backend, address=address))


def test_a_window_has_few_calls_where_their_arrays_are_large_and_one_per_worker_at_least():
    def calls(size):
        return ((str(i), (i, {"x": np.broadcast_to(0.0, size), "name": "x"})) for i in range(100))

    assert len(window(calls(10), 2 * WINDOW, 2)) == 2 * WINDOW
    assert len(window(calls(10**7), 2 * WINDOW, 2)) == 4  # 80 MB each: the fourth passes 250 MB
    assert len(window(calls(10**9), 2 * WINDOW, 2)) == 2
    rest = calls(10)
    assert [len(window(rest, WINDOW)) for _ in range(5)] == [32, 32, 32, 4, 0]


def test_a_batch_ends_early_where_its_calls_are_long_and_has_at_least_one():
    batch = [(str(i), (i,)) for i in range(5)]
    assert batch_on_worker(square, batch, 60.0)[0] == [(str(i), i**2) for i in range(5)]
    results, seconds = batch_on_worker(square, batch, 0.0)
    assert (results, seconds > 0) == ([("0", 0)], True)


@given(st.floats(1e-6, 1e3), st.integers(1, 16))
def test_a_batch_takes_its_target_or_is_a_single_call_or_as_many_as_it_may_have(each, count):
    size = BatchSize(0.1, 16)
    assert size.calls == 1
    size.measured(count, count * each)
    assert size.calls == 16 or size.calls == 1 or 0.05 < size.calls * each <= 0.1 * (1 + 1e-9)
    assert 1 <= size.calls <= 16
    size.measured(1, 10.0)
    assert size.calls == 1  # at once
    for _ in range(40):
        size.measured(1, 1e-4)
    assert size.calls == 16


def test_arrays_at_odd_addresses_give_the_same_bits():
    A = np.random.default_rng(0).standard_normal((20, 6))
    odd = np.frombuffer(b"\0" * 4 + A.tobytes(), dtype=np.uint8)[4:].view(A.dtype).reshape(A.shape)
    assert not odd.flags.aligned
    (_, same), (_, computed) = (on_worker(_gram, "key", ({"A": array},)) for array in (A, odd))
    np.testing.assert_array_equal(computed, same)


def _gram(record):
    assert record["A"].flags.aligned
    return record["A"] @ (record["A"].T @ np.ones((20, 8)))
