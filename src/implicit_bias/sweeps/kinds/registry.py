"""Sweeps by their kind of network; a kind without a row of its own is trained as any linear network is."""

from implicit_bias.sweeps.kinds.activation import ActivationSweep
from implicit_bias.sweeps.kinds.base import SweepKind
from implicit_bias.sweeps.kinds.deep import DeepSweep
from implicit_bias.sweeps.kinds.general import GeneralSweep
from implicit_bias.sweeps.kinds.two_layer import TwoLayerSweep

SWEEP_KINDS: dict[str, SweepKind] = {kind.name: kind for kind in (TwoLayerSweep(), DeepSweep(), ActivationSweep())}
"""Name of a kind of network -> sweeps of it."""


def sweep_kind(name: str) -> SweepKind:
    """Sweeps of the kind of network of this name, or of this import path `package.module:object`.

    Raises:
        ValueError: there is none.
    """
    return SWEEP_KINDS.get(name) or GeneralSweep(name)
