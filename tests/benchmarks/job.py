"""Where the time of the main job goes: a real `kedro run` in a throwaway project, timed from within by a hook."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.harness import duration, table
from tests.support.project import make_project

PROBE = Path(__file__).with_name("probe.py")


def job(quick: bool = False) -> None:
    env = "smoke" if quick else "base"
    print(f"kedro run --pipelines=implicit_bias --env={env}: elapsed time, on all cores, MLflow store in SQLite.\n")
    report = profile(env)
    total = report["total"]
    rows = [(name, duration(s), f"{s / total:.0%}") for name, s in report["stages"].items()]
    table("stage | elapsed time | share", [*rows, ("total", duration(total), "")])
    rows = [(name, duration(s), f"{s / total:.0%}") for name, s in report["within"].items()]
    table("of which | elapsed time | share", rows)
    peak = f"{report['peak']:.0f} (largest worker {report['peak_worker']:.0f})"
    points = report["points"]
    table(
        "points | seconds a point | CPU time | peak memory (MB)",
        [(points, f"{total / points:.2f}", duration(report["cpu"]), peak)],
    )


def profile(env: str) -> dict:
    """Run the job and return what the probe saw."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "KEDRO_"))}
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        report = project.path / "report.json"
        before = os.times()
        subprocess.run(
            [sys.executable, str(PROBE), str(report), env],
            cwd=project.path,
            env=kept | {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=True,
        )
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        return json.loads(report.read_text()) | {"cpu": spent}
