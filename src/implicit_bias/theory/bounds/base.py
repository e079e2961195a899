"""What a bound is: a right-hand side and the hypotheses that it rests on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from implicit_bias.theory.problem import Array


@dataclass(frozen=True)
class Bound:
    """A guarantee and the hypotheses it rests on.

    Attributes:
        stated: the right-hand side as it is stated, whether its hypotheses are met or not.
        hypotheses: name -> met; None for what cannot be checked from the data.
        vacuous: what is known without the bound; -infinity where it is a lower bound and nothing is.
    """

    stated: Array
    hypotheses: dict[str, bool | None]
    vacuous: float = np.inf

    @property
    def applies(self) -> bool:
        """Whether every checkable hypothesis is met."""
        return not self.unmet

    @property
    def unmet(self) -> list[str]:
        """Names of the hypotheses that fail."""
        return [name for name, met in self.hypotheses.items() if met is False]

    @property
    def value(self) -> Array:
        """What is guaranteed: the right-hand side, and the vacuous bound where a hypothesis fails."""
        return self.stated if self.applies else np.full_like(self.stated, self.vacuous)

    def assuming(self, name: str, met: bool) -> "Bound":
        """The same bound under one more hypothesis; nothing is known where it fails."""
        nothing = np.copysign(np.inf, self.vacuous)
        return Bound(self.stated, self.hypotheses | {name: met}, self.vacuous if met else nothing)


def decay(rate: ArrayLike, t: ArrayLike) -> Array:
    """rate * t, and 0 where the rate is 0 even if t is infinite."""
    rate, t = np.broadcast_arrays(np.asarray(rate, float), np.asarray(t, float))
    return np.multiply(rate, t, out=np.zeros(rate.shape), where=rate > 0)
