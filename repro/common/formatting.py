"""How numbers, durations, sizes and errors are written wherever people read them."""

from __future__ import annotations

import math
import re
import textwrap
from typing import Any

from repro.uncertainty import SMALLEST

# First lines of messages by which Keras and TensorFlow say where, not what.
FRAMES = ("Exception encountered when calling", "in user code:")
LONGEST_LINE = 500


def format_number(value: float) -> str:
    """Format a measured number: four significant digits, infinities as signs.

    Example:
        >>> format_number(-0.123456)
        '−0.1235'
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{0.0 if abs(value) <= SMALLEST else value:.4g}".replace("-", "−")


def format_effect(effect: float, low: float, high: float) -> str:
    """Format an effect with its interval.

    Example:
        >>> format_effect(0.5, 0.25, math.inf)
        '0.5 [0.25, ∞]'
    """
    return f"{format_number(effect)} [{format_number(low)}, {format_number(high)}]"


def format_duration(seconds: float) -> str:
    """Format a time, given in seconds, in the unit that suits it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def format_size(memory: int) -> str:
    """Format an amount of memory, given in bytes."""
    return f"{memory / 2**30:.1f} GiB" if memory >= 2**30 else f"{memory / 2**20:.0f} MiB"


def finite(value: Any) -> Any:
    """Return plain data as strict JSON can hold it: infinities and NaN become None, mappings have text as keys."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def printable(text: str) -> str:
    """Escape characters that a terminal would obey rather than show, and those that cannot be encoded."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message that says what is wrong, without bold face; else the error's type."""
    lines = [re.sub(r"\x1b\[\d*m", "", line).strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(FRAMES)]
    return textwrap.shorten(telling[0], width=LONGEST_LINE) if telling else type(error).__name__


def one_line(error: BaseException) -> str:
    """Return the type of an error and the first line of its message."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]
