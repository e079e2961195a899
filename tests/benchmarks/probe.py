"""Run the main job of the project in the working folder and write to a file where the time went.

python probe.py report.json base
"""

import time

begun = time.perf_counter()

import json  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
from functools import wraps  # noqa: E402
from pathlib import Path  # noqa: E402

from kedro.framework.hooks import hook_impl  # noqa: E402
from kedro.framework.project import configure_project  # noqa: E402
from kedro.framework.session import KedroSession  # noqa: E402

from implicit_bias.hooks import tracking  # noqa: E402

STAGES = {
    "generate_data": "data",
    "reparametrize": "data",
    "plan": "initialisation",
    "initialize": "initialisation",
    "train": "training",
    "evaluate": "evaluation and figures of points",
}


class Probe:
    """Times nodes from the start of one to the start of the next, so that what they yield and save is in it."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self.within = {"loading datasets": 0.0, "saving datasets": 0.0, "tracking": 0.0}
        self.points = 0
        self._stage, self._since, self._started = "start: imports, configuration, catalog", begun, 0.0

    def turn(self, stage: str) -> None:
        now = time.perf_counter()
        self.stages[self._stage] = self.stages.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now

    @hook_impl
    def before_node_run(self, node):
        name = node.name.rpartition(".")[2]
        self.turn(next((stage for start, stage in STAGES.items() if name.startswith(start)), "reporting"))

    @hook_impl
    def after_pipeline_run(self):
        self.turn("end")

    @hook_impl(tryfirst=True)
    def before_dataset_saved(self, data):
        self._started = time.perf_counter()

    @hook_impl(tryfirst=True)
    def after_dataset_saved(self, dataset_name, data):
        self.within["saving datasets"] += time.perf_counter() - self._started
        self.points += len(data) if dataset_name.endswith(".trajectories") else 0

    @hook_impl
    def before_dataset_loaded(self):
        self._started = time.perf_counter()

    @hook_impl(tryfirst=True)
    def after_dataset_loaded(self):
        self.within["loading datasets"] += time.perf_counter() - self._started

    def timed(self, function):
        """The hook, its time counted as tracking."""

        @wraps(function)
        def wrapper(*args, **kwargs):
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.within["tracking"] += time.perf_counter() - start

        return wrapper


def main(report: str, env: str) -> None:
    probe = Probe()
    for name in ("before_pipeline_run", "after_pipeline_run", "after_dataset_loaded", "after_dataset_saved"):
        setattr(tracking.TrackingHooks, name, probe.timed(getattr(tracking.TrackingHooks, name)))
    configure_project("implicit_bias")
    with KedroSession.create(Path.cwd(), env=env) as session:
        session._hook_manager.register(probe)
        session.run(pipeline_names=["implicit_bias"])
    probe.turn("end")
    unit = 2**20 if sys.platform == "darwin" else 1024
    peak, worker = (
        resource.getrusage(who).ru_maxrss / unit for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    found = {
        "total": sum(probe.stages.values()),
        "stages": probe.stages,
        "within": probe.within,
        "points": probe.points,
        "peak": peak,
        "peak_worker": worker,
    }
    Path(report).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
