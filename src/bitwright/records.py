"""What Bitwright says about a network: numbers that carry their origin.

A `Measurement` without a method cannot be built, so a number of unknown origin cannot be printed.
The JSON form of a `Record` is a public contract: fields are added, never renamed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Method = Literal["counted", "simulated", "synthesised", "estimated"]
"""How a number was got.

``counted``: exact, from the program and the data. ``simulated``: ran through the target's
simulator. ``synthesised``: from a tool's report on emitted RTL. ``estimated``: from a model that
`Measurement.source` names.
"""
HISTOGRAM = "count_error/"
"""How the metrics of histograms begin: ``count_error/<layer>/<from>..<to>``."""
WARNINGS, BETWEEN = "warnings", "; "
"""The metric that counts warnings, and what separates them in its source."""
Z95 = 1.959963984540054
"""The standard normal quantile of 0.975."""


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a binomial proportion, for `total` of at least 1.

    Notes
    -----
    E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22
    (1927) 209-212. Unlike the normal approximation it stays within 0..1 and holds for 0 of n.
    """
    share, spread = count / total, Z95 * Z95 / total
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Measurement:
    """One number: what, how much, in which unit, and how it was got."""

    metric: str
    value: float | int
    unit: str
    method: Method
    source: str = ""

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ValueError(f"method of {self.metric!r} must be one of {get_args(Method)}")

    @property
    def detail(self) -> bool:
        """Whether it is one of very many that are read together: of a histogram, of candidates.

        JSON has them and pages draw them; lists of measurements leave them out. Apart from the
        bins of histograms they are named ``metric:which/of what``.
        """
        return self.metric.startswith(HISTOGRAM) or ":" in self.metric.partition("/")[0]

    def to_json(self) -> dict[str, Any]:
        """Return the measurement as JSON-ready data; an empty source is left out."""
        record = {
            "metric": self.metric,
            "value": self.value,
            "unit": self.unit,
            "method": self.method,
        }
        return record | ({"source": self.source} if self.source else {})


@dataclass(frozen=True)
class DataInfo:
    """Which images a record speaks of; `digest` is the SHA-256 of their pixels and labels."""

    name: str
    split: str
    count: int
    digest: str

    def to_json(self) -> dict[str, Any]:
        """Return the description as JSON-ready data."""
        return {
            "name": self.name,
            "split": self.split,
            "count": self.count,
            "digest": self.digest,
        }


@dataclass(frozen=True)
class Record:
    """All that one evaluation of one program on one target found."""

    program: str
    model: str
    target: str
    config: Mapping[str, Any]
    data: DataInfo
    measurements: tuple[Measurement, ...]
    versions: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, metric: str) -> Measurement:
        """Return the measurement of that name.

        Raises
        ------
        KeyError
            If the record has no such metric.
        """
        for measurement in self.measurements:
            if measurement.metric == metric:
                return measurement
        raise KeyError(metric)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the numbers should know."""
        found = (m.source.split(BETWEEN) for m in self.measurements if m.metric == WARNINGS)
        return tuple(text for texts in found for text in texts)

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON-ready data, in the published layout."""
        return {
            "program": self.program,
            "model": self.model,
            "target": self.target,
            "config": dict(self.config),
            "data": self.data.to_json(),
            "measurements": [measurement.to_json() for measurement in self.measurements],
            "versions": dict(self.versions),
        }
