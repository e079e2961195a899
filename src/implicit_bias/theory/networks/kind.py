"""What a kind of network is to its gradient flow on L = 1/2 ||E||_F^2 + const."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from implicit_bias.theory.networks.vectors import Weights
from implicit_bias.theory.problem import Array

Task = TypeVar("Task")
"""What it is trained on: a Problem, or with an activation a Model."""


@dataclass(frozen=True)
class NetworkKind(Generic[Task]):
    """One kind of network. Each of its functions takes what it is trained on, and its weights.

    Attributes:
        description: what such networks are called.
        residual: E, what the loss measures, of any shape.
        velocity: d(weights)/dt of the flow, minus the gradient of L.
        kernel: (E.size, E.size) matrix K of the tangent kernel: dE/dt = -K E for E as a vector.
        imbalance: what the flow conserves, of any shape; empty where nothing is.
        gram: (m, m) M^T M of the law: given the run, the end-to-end matrix outside the data is sigma_U Z M with
            independent N(0, 1) entries Z; None where no law is known.
    """

    description: str
    residual: Callable[[Task, Weights], Array]
    velocity: Callable[[Task, Weights], Weights]
    kernel: Callable[[Task, Weights], Array]
    imbalance: Callable[[Task, Weights], Array]
    gram: Callable[[Task, Weights], Array] | None = None
