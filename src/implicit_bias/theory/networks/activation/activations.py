"""Activations by name, and of one's own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import pi, sqrt

import numpy as np
from scipy.special import erf, ndtr

from implicit_bias.theory.named import named
from implicit_bias.theory.networks.activation import closed
from implicit_bias.theory.problem import Array

Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Activation:
    """A function phi applied to each hidden unit.

    Attributes:
        name: its name.
        value: phi, elementwise.
        derivative: phi', elementwise; at a kink any value between the one-sided derivatives.
        degree: k with phi(c z) = c^k phi(z) for c > 0, None if there is none.
        kinks: points where phi or a derivative of it jumps.
        integrals: closed forms of its Gaussian integrals; None where they are computed by quadrature.
        both: (phi(z), phi'(z)) at once, where that is cheaper.
    """

    name: str
    value: Function
    derivative: Function
    degree: float | None = None
    kinks: tuple[float, ...] = ()
    integrals: closed.Integrals | None = field(default=None, repr=False)
    both: Callable[[Array], tuple[Array, Array]] | None = field(default=None, repr=False)

    @property
    def linear(self) -> bool:
        """Whether the network is the linear one."""
        return self.name == "linear"

    def evaluate(self, z: Array) -> tuple[Array, Array]:
        """phi(z) and phi'(z), shapes of z."""
        return (self.value(z), self.derivative(z)) if self.both is None else self.both(z)


def _density(z: Array) -> Array:
    return np.exp(-0.5 * z * z) / sqrt(2 * pi)


def _tanh(z: Array) -> tuple[Array, Array]:
    value = np.tanh(z)
    return value, 1 - value * value


def _gelu(z: Array) -> tuple[Array, Array]:
    below = ndtr(z)
    return z * below, below + z * _density(z)


def leaky_relu(slope: float = 0.01) -> Activation:
    """max(z, 0) + slope min(z, 0).

    Raises:
        ValueError: slope is not finite.
    """
    if not np.isfinite(slope):
        raise ValueError(f"slope must be finite, got {slope}")
    return Activation(
        "leaky_relu",
        lambda z: np.where(z > 0, z, slope * z),
        lambda z: np.where(z > 0, 1.0, slope),
        degree=1.0,
        kinks=(0.0,),
        integrals=closed.piecewise_linear(1.0, slope),
    )


ACTIVATIONS = {
    "linear": Activation("linear", lambda z: z, np.ones_like, 1.0, integrals=closed.piecewise_linear(1.0, 1.0)),
    "relu": Activation(
        "relu",
        lambda z: np.maximum(z, 0.0),
        lambda z: (z > 0).astype(float),
        degree=1.0,
        kinks=(0.0,),
        integrals=closed.piecewise_linear(1.0, 0.0),
    ),
    "leaky_relu": leaky_relu(),
    "erf": Activation("erf", erf, lambda z: 2 / sqrt(pi) * np.exp(-z * z), integrals=closed.ERF),
    "tanh": Activation("tanh", np.tanh, lambda z: _tanh(z)[1], both=_tanh),
    "gelu": Activation("gelu", lambda z: z * ndtr(z), lambda z: _gelu(z)[1], both=_gelu),
    "quadratic": Activation("quadratic", np.square, partial(np.multiply, 2.0), 2.0, integrals=closed.QUADRATIC),
}
"""Name -> activation."""


def activation(name: str) -> Activation:
    """The activation of a name, or of an import path `package.module:object`, which `own_activation` makes.

    Raises:
        ValueError: there is none.
    """
    return named("activation", name, ACTIVATIONS, Activation)


PROBES = np.linspace(-3.05, 3.05, 62)


def own_activation(
    value: Function,
    derivative: Function,
    name: str = "own",
    degree: float | None = None,
    kinks: tuple[float, ...] = (),
) -> Activation:
    """An activation of one's own, as `Activation` describes; its integrals are computed by quadrature.

    Raises:
        ValueError: value or derivative does not map an array to a finite one of its shape, they disagree away from the
            kinks, or value is not homogeneous of the given degree.
    """
    if name in ACTIVATIONS:
        raise ValueError(f"name must not be that of a built-in activation, got {name!r}")
    for label, function in (("value", value), ("derivative", derivative)):
        image = np.asarray(function(PROBES.copy()))
        if image.shape != PROBES.shape or not np.all(np.isfinite(image)):
            raise ValueError(f"{label} must map an array of finite numbers to one of the same shape")
    smooth = np.min(np.abs(PROBES[:, None] - np.array([*kinks, np.inf])), axis=1) > 1e-3
    step = 1e-5
    slope = (value(PROBES + step) - value(PROBES - step)) / (2 * step)
    gap = np.where(smooth, np.abs(slope - derivative(PROBES)), 0.0)
    worst = int(np.argmax(gap))
    if gap[worst] > 1e-4 * (1 + np.abs(slope).max()):
        raise ValueError(
            f"derivative must be that of value, got {derivative(PROBES)[worst]:.6g} at {PROBES[worst]:.4g}, where "
            f"differences of value give {slope[worst]:.6g}; a kink there must be named in kinks"
        )
    if degree is not None:
        scale = np.abs(value(PROBES)).max()
        if not np.allclose(value(2 * PROBES), 2.0**degree * value(PROBES), rtol=1e-9, atol=1e-9 * scale):
            raise ValueError(f"degree must be that of value: value(2 z) is not 2^{degree:g} value(z)")
    return Activation(name, value, derivative, degree, tuple(map(float, kinks)))
