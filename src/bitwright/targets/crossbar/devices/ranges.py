"""Ranges of a device's numbers: what is in none of them is refused before any work.

Requirements:

- A range is wider than any device's, and narrow enough that nothing overflows in it.
- What is no number at all is refused as well: texts and booleans, which Python would compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

from bitwright.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """Numbers between two others, which are in it.

    Parameters
    ----------
    low, high
        In `unit`.
    unit
        Of the numbers, or empty.
    infinite
        Whether infinity is in it as well.
    """

    low: float
    high: float
    unit: str = ""
    infinite: bool = False

    def __contains__(self, value: object) -> bool:
        """Whether a value is a number of the range."""
        if not isinstance(value, Real) or isinstance(value, bool):
            return False
        number = float(value)
        return self.low <= number <= self.high or (self.infinite and number == float("inf"))

    def __str__(self) -> str:
        """Name the range as an error does."""
        unit = f" {self.unit}" if self.unit else ""
        infinite = ", or inf" if self.infinite else ""
        return f"{self.low:g} to {self.high:g}{unit}{infinite}"


def check(thing: object, ranges: Mapping[str, Range]) -> None:
    """Refuse a thing one of whose attributes is not in its range.

    Raises
    ------
    ConfigError
        Naming the attribute, its value and the range.
    """
    for name, allowed in ranges.items():
        value = getattr(thing, name)
        if value not in allowed:
            raise ConfigError(f"{name} is {value}", f"give {allowed}")
