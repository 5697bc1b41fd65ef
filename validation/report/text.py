"""Numbers as the report prints them."""

from __future__ import annotations

import math

PLUS_MINUS = "\N{PLUS-MINUS SIGN}"


def dose(value: float) -> str:
    """A dose in Gy, to the cGy."""
    return f"{value:.2f}"


def signed(value: float, digits: int) -> str:
    """A difference with its sign; zero has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def with_sigma(value: float, sigma: float | None) -> str:
    """A value to two decimals with its sigma."""
    text = f"{round(value, 2) + 0.0:.2f}"  # no negative zero
    if sigma is None:
        return text
    return f"{text} {PLUS_MINUS} {small(sigma)}"


def small(sigma: float) -> str:
    """A sigma to two decimals, never printed as zero unless it is; infinite is what nobody knows."""
    if math.isinf(sigma):
        return "unknown"
    return "<0.01" if 0 < sigma < 0.005 else f"{sigma:.2f}"


def percent(fraction: float) -> str:
    """A fraction in percent; NaN is what nobody knows."""
    return "unknown" if math.isnan(fraction) else f"{100 * fraction:.2f} %"


def number(value: float) -> str:
    """A count with separators, a part of one to two decimals."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def duration(seconds: float) -> str:
    """A time in the units one would say it in."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
