"""When a run ends."""

from dataclasses import dataclass

TOLERANCE, STATIONARY, ALGEBRAIC, SADDLE = "tolerance", "stationary", "algebraic", "saddle"
TIME_LIMIT, ITERATION_LIMIT, SLOW = "time limit", "iteration limit", "slow"
"""Why a run ended: its loss is as asked; it is at a minimum of the loss for the hidden directions that it has, or is
there to rounding after a decay as a power of time, not as an exponential; it rests
at another equilibrium, with nothing beyond rounding errors that would leave it; it reached a limit; it is a descent
whose speed is at or below `stationary` of the initial one though it has not arrived."""

RESOLVED = 1e-20
"""In its last, endless step a run is sampled until the excess loss has fallen by this factor."""


@dataclass(frozen=True)
class Stop:
    """The first of these ends a run.

    Attributes:
        excess: the excess loss L - L* is at or below this value; 0 stops at an exact zero alone.
        stationary: for descent, the speed ||d[U1; V]/dt||_F is at or below this fraction of its initial value, not near
            a saddle that it leaves.
        t_max: flow time limit; no state beyond it is recorded.
    """

    excess: float = 0.0
    stationary: float = 1e-13
    t_max: float = float("inf")
