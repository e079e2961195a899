"""How a step that was tried sets the size of the next one."""

import numpy as np


def factor(error: float, allowed: float, order: int) -> float:
    """What the step size is multiplied by, between 0.2 and 6; 0.1 after a step that is not finite."""
    if not np.isfinite(error):
        return 0.1
    if error <= 1e-12 * allowed:
        return 6.0
    return float(min(max(0.9 * (allowed / error) ** (1 / order), 0.2), 6.0))
