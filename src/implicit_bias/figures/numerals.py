"""Numbers as a person writes them, in plain text."""

import math

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 6) -> str:
    """A number to so many digits, as a multiple of a power of ten where it is very large or small."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else "∞" if value > 0 else "\N{MINUS SIGN}∞"
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{float(f'{value:.{digits}g}'):,.6g}".replace("-", "\N{MINUS SIGN}")
    mantissa, exponent = f"{value:.{min(digits, 4) - 1}e}".split("e")
    power = power_of_ten(int(exponent))
    return power if float(mantissa) == 1 else f"{float(mantissa):g}×{power}".replace("-", "\N{MINUS SIGN}")


def spread(mean: float, deviation: float) -> str:
    """A mean with its standard deviation, both to the second digit of the deviation; alone where there is no spread."""
    if not math.isfinite(mean) or not deviation > 1e-6 * abs(mean):
        return number(mean, 4)
    place = 1 - math.floor(math.log10(deviation)) if math.isfinite(deviation) else 0
    if not (math.isfinite(deviation) and -5 < place < 6):
        return f"{number(mean, 4)} ± {number(deviation, 2)}"
    shown = (f"{round(value, place):,.{max(place, 0)}f}" for value in (mean, deviation))
    return " ± ".join(shown).replace("-", "\N{MINUS SIGN}")


def percent(part: float) -> str:
    """A part of 1 in percent, with as many digits as tell it from 100 %."""
    nines = -math.floor(math.log10(1 - part)) - 1 if 0 < part < 1 else 0
    return f"{100 * part:.{max(4, nines + 1)}g} %"


def power_of_ten(exponent: int) -> str:
    """A power of ten with its exponent raised."""
    return "10" + str(exponent).translate(SUPERSCRIPTS)
