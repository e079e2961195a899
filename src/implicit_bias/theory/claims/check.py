"""What checking a claim on one problem gives: whether its hypotheses are met, and how far it is from breaking."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from implicit_bias.theory.problem import Array

ROUNDING = 1e-9
"""Largest relative error of an identity computed by algebra alone."""
INTEGRATED = 1e-6
"""Largest relative error of an identity along an integrated flow."""
SLACK = 1e-6
"""How far above 1, relatively, an inequality along an integrated flow may be measured."""
VISIBLE = 1e-6
"""Relative size from which a counterexample is seen: well above rounding and integration error."""


@dataclass(frozen=True)
class Check:
    """A claim on one problem: it holds while ratio <= limit.

    Attributes:
        met: whether its hypotheses are met; nothing is claimed otherwise.
        ratio: smaller over larger side of an inequality, or the relative error of an identity; NaN never holds.
        limit: the largest ratio at which the claim holds.
    """

    met: bool
    ratio: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether the claim holds, whatever its hypotheses."""
        return bool(self.ratio <= self.limit)

    @property
    def violated(self) -> bool:
        """Whether the claim fails although its hypotheses are met."""
        return self.met and not self.holds


def at_most(measured: ArrayLike, bound: ArrayLike, met: bool = True, error: float = 0.0) -> Check:
    """measured <= bound, entry by entry, where `measured` is known to within `error`."""
    measured, bound = np.broadcast_arrays(np.maximum(np.asarray(measured, float) - error, 0.0), np.asarray(bound))
    ratio = np.divide(measured, bound, out=np.full(measured.shape, np.inf), where=bound > 0)
    return Check(met, float(np.max(np.where(measured == 0, 0.0, ratio), initial=0.0)), 1 + SLACK)


def decays(excess: Array, bound: Array, error: float, met: bool = True) -> Check:
    """excess <= bound along a run (T,) that starts at both: guaranteed over measured decay, -log(. / start), at most 1.

    `error` is that of ||E|| = (2 excess)^{1/2}.
    """
    norm = np.maximum(np.sqrt(2 * excess[1:]) - error, 0.0)
    with np.errstate(divide="ignore"):
        measured = -np.log(norm**2 / (2 * excess[0]))
        guaranteed = -np.log(bound[1:] / excess[0])
    compared = np.isfinite(measured)
    return at_most(np.where(compared, guaranteed, 0.0), np.where(compared, measured, 1.0), met)


def equal(a: ArrayLike, b: ArrayLike, met: bool = True, limit: float = ROUNDING, scale: float = 0.0) -> Check:
    """a = b, by ||a - b|| relative to the largest of ||a||, ||b|| and `scale`; 0 / 0 is 0."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    error, size = float(np.linalg.norm(a - b)), max(float(np.linalg.norm(a)), float(np.linalg.norm(b)), scale)
    return Check(met, error / size if error != 0 else 0.0, limit)


def worst(*checks: Check) -> Check:
    """Parts of one claim: of those whose hypotheses are met the one closest to breaking counts."""
    candidates = [check for check in checks if check.met] or list(checks)
    return max(candidates, key=lambda check: check.ratio / check.limit if check.ratio >= 0 else np.inf)


def seen(size: float, scale: float, met: bool = True) -> Check:
    """A counterexample: `size`, which a stronger claim would have at zero, is not zero relative to `scale`."""
    return Check(met, VISIBLE * scale / size if size > 0 else float("inf"), 1.0)


def relative(part: Array, *factors: Array) -> float:
    """||part|| over the product of the norms of `factors`; 0 where part is 0."""
    size = float(np.linalg.norm(part))
    return size / float(np.prod([np.linalg.norm(factor) for factor in factors])) if size else 0.0
