"""What a certificate says; `bitwright.certify` makes one.

The JSON form is a public contract: fields are added, never renamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from bitwright.records import DataInfo, wilson

TOP1 = 0.999
"""The share of images on which a fixed-point program must decide as float64 does."""


@dataclass(frozen=True)
class Agreement:
    """How many of so many images."""

    count: int
    total: int

    @property
    def share(self) -> float:
        """The count as a share of all."""
        return self.count / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share."""
        return wilson(self.count, self.total)

    def to_json(self) -> dict[str, Any]:
        """Return the agreement as JSON-ready data."""
        return {
            "count": self.count,
            "total": self.total,
            "share": self.share,
            "interval_95": list(self.interval),
        }


@dataclass
class LayerComparison:
    """One value of the program beside the framework's.

    Attributes
    ----------
    name, kind
        The value; "bits", "integers" or "stored" (real numbers in fixed point).
    elements
        How many numbers were compared.
    differing
        Bits or integers that differ: the sum of the next four.
    ties
        At an input of exactly 0 in the framework, where the program says +1.
    rounding
        At an input within float rounding of 0.
    following
        In images in which a layer before differs already.
    unexplained
        All others.
    largest_error
        Of stored values, in images in which no layer before differs; None if there are none.
    given_equal_inputs
        Bits that differ if the framework's layer gets the program's own input; None where it is
        not run by itself.
    """

    name: str
    kind: Literal["bits", "integers", "stored"]
    elements: int = 0
    differing: int = 0
    ties: int = 0
    rounding: int = 0
    following: int = 0
    unexplained: int = 0
    largest_error: float | None = None
    given_equal_inputs: int | None = None


class Layers(tuple[LayerComparison, ...]):
    """The layers in the program's order."""

    __slots__ = ()

    def sum(self, kind: str, count: str) -> int:
        """Return the sum of a count over the layers of a kind."""
        return sum(int(getattr(layer, count)) for layer in self if layer.kind == kind)


@dataclass(frozen=True)
class Divergence:
    """One element in which the two differ.

    Attributes
    ----------
    image, layer, position
        Where: the image's number, the value, the index in its shape.
    program, source
        What both say; a bit is -1 or +1.
    source_input
        For a bit, the real number that the framework took the sign of.
    cause
        Why.
    """

    image: int
    layer: str
    position: tuple[int, ...]
    program: float
    source: float
    source_input: float | None
    cause: str

    def __str__(self) -> str:
        of = "" if self.source_input is None else f" (sign of {self.source_input:.6g})"
        return (
            f"image {self.image}, layer '{self.layer}', position {self.position}: "
            f"program {self.program:g}, source {self.source:g}{of}; {self.cause}"
        )


@dataclass(frozen=True, eq=False)
class Certificate:
    """A framework's model and a program, compared on a data set.

    Attributes
    ----------
    model, program, source
        The program's name and digest; the model's name.
    exact
        Whether the program stores no real values.
    reference
        The arithmetic of the framework that layers and verdict speak of.
    data
        The images.
    layers
        Layer by layer.
    agreement
        Images with the same decision: of the program and "float32", of it and "float64", and
        "between" the two.
    accuracy
        Of "program", "float32" and "float64".
    first_divergence, first_unexplained
        The first of all, and the first that neither ties nor rounding explain.
    not_compared
        Bits of the program that the framework does not show.
    rounding_bound
        What counts as rounding: an input of at most so many times the layer's largest.
    versions
        Of what the comparison depends on.
    """

    model: str
    program: str
    source: str
    exact: bool
    reference: Literal["float32", "float64"]
    data: DataInfo
    layers: Layers
    agreement: Mapping[str, Agreement]
    accuracy: Mapping[str, Agreement]
    first_divergence: Divergence | None
    first_unexplained: Divergence | None
    not_compared: tuple[str, ...]
    rounding_bound: float
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def objections(self) -> tuple[str, ...]:
        """Why it does not hold, in words; empty if it holds."""
        found = []
        if self.first_unexplained is not None:
            found.append(f"unexplained difference at {self.first_unexplained}")
        if not self.exact and self.agreement["float64"].share < TOP1:
            agreed = self.agreement["float64"]
            found.append(
                f"{agreed.count} of {agreed.total} decisions agree with float64, "
                f"fewer than {TOP1:.1%}"
            )
        if self.exact:
            rounding = self.layers.sum("bits", "rounding")
            if rounding:
                found.append(
                    f"{rounding} bits differ by float32 rounding, in a program that is exact"
                )
            apart = self.agreement["float32"].total - self.agreement["float32"].count
            if apart and not any(layer.differing for layer in self.layers):
                found.append(f"{apart} decisions differ from float32 where no layer does")
            if self.not_compared:
                found.append(f"the source does not show the bits {', '.join(self.not_compared)}")
        return tuple(found)

    @property
    def holds(self) -> bool:
        """Whether the program is what the framework's model is, by the `rule`."""
        return not self.objections

    @property
    def rule(self) -> str:
        """What the verdict goes by."""
        if self.exact:
            return "exact: against float32, no bit differs but at ties and what follows from them"
        return (
            f"fixed point: at least {TOP1:.1%} of the decisions agree with float64, "
            "and ties or rounding explain the first difference of every image"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON-ready data."""
        first, unexplained = self.first_divergence, self.first_unexplained
        return {
            "holds": self.holds,
            "rule": self.rule,
            "objections": list(self.objections),
            "model": self.model,
            "program": self.program,
            "source": self.source,
            "reference": self.reference,
            "data": self.data.to_json(),
            "agreement": {name: a.to_json() for name, a in self.agreement.items()},
            "accuracy": {name: a.to_json() for name, a in self.accuracy.items()},
            "first_divergence": None if first is None else asdict(first),
            "first_unexplained": None if unexplained is None else asdict(unexplained),
            "not_compared": list(self.not_compared),
            "rounding_bound": self.rounding_bound,
            "layers": [asdict(layer) for layer in self.layers],
            "versions": dict(self.versions),
        }
