"""When a run ends."""

from dataclasses import dataclass

TOLERANCE, STATIONARY, TIME_LIMIT, ITERATION_LIMIT = "tolerance", "stationary", "time limit", "iteration limit"


@dataclass(frozen=True)
class Stop:
    """The first of these ends a run.

    Attributes:
        excess: the excess loss L - L* is at or below this value; 0 stops at an exact zero alone.
        stationary: the speed ||d[U1; V]/dt||_F is at or below this fraction of its initial value. The exponential flow
            goes to t = infinity instead; the explicit one takes its own tolerance where that is larger, and with it
            may end in the slow modes of ill-conditioned data.
        t_max: flow time limit.
    """

    excess: float = 0.0
    stationary: float = 1e-13
    t_max: float = float("inf")
