"""When the run of a point ends, whatever the kind of its network."""

from implicit_bias.sweeps.parameters import Stopping, Sweep
from implicit_bias.theory.problem import Problem
from implicit_bias.theory.solvers.stopping import Stop


def stop_rule(problem: Problem, initial: float, sweep: Sweep) -> Stop:
    """The sweep's stopping rule in flow time and in the units of L, from the initial excess loss L - L*."""
    rule: Stopping = sweep.stop
    excess = (rule.tolerance or 0.0) * (initial if rule.relative else problem.n / 2)
    t_max = float(problem.flow_time(rule.max_iterations, sweep.step_size))
    return Stop(excess=excess, stationary=rule.stationary, t_max=t_max)
