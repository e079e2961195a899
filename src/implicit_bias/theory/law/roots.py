"""Roots of many equations at once, and of one whose slope is known."""

from collections.abc import Callable

import numpy as np

from implicit_bias.theory.problem import Array

MOST_STEPS = 200
ROUNDING = 2 * float(np.finfo(float).eps)
CLOSE = 1e-6
"""Value of a function from which a step of Newton's method leaves about its square."""


def roots(f: Callable[[Array], Array], low: Array, high: Array, precision: float = ROUNDING) -> Array:
    """(q,) roots to a relative precision, f (q,) -> (q,) having unlike signs at low and high (q,) (Chandrupatla 1997).

    Each step is an inverse quadratic interpolation where that is monotone, otherwise a bisection.
    `scipy.optimize.elementwise.find_root` takes the same steps at five times the cost for few equations.
    """
    a, f_a, b, f_b = low, f(low), high, f(high)
    share = np.full(len(low), 0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(MOST_STEPS):
            x = a + share * (b - a)
            f_x = f(x)
            same = np.signbit(f_x) == np.signbit(f_a)
            c, f_c = np.where(same, a, b), np.where(same, f_a, f_b)
            b, f_b = np.where(same, b, a), np.where(same, f_b, f_a)
            a, f_a = x, f_x
            least = precision * np.minimum(np.abs(a), np.abs(b)) / np.abs(b - a)
            if np.all((least > 0.5) | (f_a == 0) | (f_b == 0) | (a == b)):
                break
            xi, phi = (a - b) / (c - b), (f_a - f_b) / (f_c - f_b)
            step = f_a / (f_b - f_a) * f_c / (f_b - f_c) + (c - a) / (b - a) * f_a / (f_c - f_a) * f_b / (f_c - f_b)
            share = np.where((phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi), step, 0.5)
            share = np.clip(share, np.minimum(least, 0.5), np.maximum(1 - least, 0.5))
    return np.where(np.abs(f_a) < np.abs(f_b), a, b)


def newton(f: Callable[[float], tuple[float, float]], start: float, low: float, high: float, *, rising: bool) -> float:
    """The root in [low, high] of a monotone f: x -> (value, slope), values of about 1 being large.

    Newton's steps; one that leaves the bracket is a bisection. The step from a value below CLOSE is the last one.
    """
    x = min(max(start, low), high)
    for _ in range(MOST_STEPS):
        value, slope = f(x)
        if value == 0:
            break
        low, high = (low, x) if (value > 0) == rising else (x, high)
        before, x = x, x - value / slope if slope else np.inf
        if not low <= x <= high:
            x = (low + high) / 2
        elif abs(value) < CLOSE or x == before:
            break
        if high - low <= ROUNDING * max(abs(low), abs(high)):
            break
    return x
