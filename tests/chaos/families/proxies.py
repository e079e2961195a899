"""A way to the server that loses requests or answers."""

import random
from functools import partial

from tests.chaos.fault import Fault
from tests.chaos.lane import Lane
from tests.chaos.process import QUICK
from tests.chaos.server import MODES, Rule, serve

REQUESTS = (
    "runs/create",
    "runs/create",
    "log-batch",
    "log-batch",
    "runs/update",
    "runs/search",
    "runs/set-tag",
    "set-experiment-tag",
    "experiments/create",
    "log-inputs",
    "mlflow-artifacts/artifacts",
    "",
)
"""Parts of addresses; the last is all of them."""


def draw(rng: random.Random) -> Fault:
    """A kind of request of which every k-th gets lost, or its answer does."""
    rule = Rule(rng.choice(REQUESTS), rng.choice((1, 2, 3, 3, 5, 8)), rng.choice(MODES), rng.random() < 0.4)
    syncs = rng.random() < 0.5
    name = f"{'the' if rule.once else 'every'} {rule.every}th {rule.path or 'request'} {rule.mode}"
    return Fault("proxies", f"{name}{' sync' if syncs else ''}", "empty", partial(_through, rule), syncs)


def _through(rule: Rule, lane: Lane) -> list[str]:
    lane.tracked = lane.root / "server"
    address, stop = serve(lane.tracked, lane.project / "mlflow.db")
    lane.ends.append(stop)
    lane.env = {"MLFLOW_TRACKING_URI": address} | QUICK
    rule.write(lane.tracked)
    result = lane.run()
    rule.lift(lane.tracked)
    return [result.complaint] if result.complaint else []
