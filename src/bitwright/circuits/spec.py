"""Which popcount: a family and its settings, as TOML and the command line give them.

``maj:L=2,keep=0.6,grouping=channel`` is two levels of majorities on 60 % of the inputs. A `Spec`
knows no fan-in; `make` builds its circuit for one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

from bitwright.circuits.and_or import SIZES, count_by_and_or
from bitwright.circuits.circuit import Circuit
from bitwright.circuits.columns import count_by_columns
from bitwright.circuits.counters import count_by_counters
from bitwright.circuits.grouping import Grouping, Shape, check_order, input_order, spread
from bitwright.circuits.local_threshold import count_by_votes
from bitwright.circuits.majority import ARITIES, GAINS, count_by_majority
from bitwright.circuits.netlist import read_netlist
from bitwright.circuits.nets import Interface
from bitwright.circuits.ripple import count_by_ripple_tree
from bitwright.circuits.truncation import truncate
from bitwright.errors import CircuitError, ConfigError, UnknownNameError


@dataclass(frozen=True, kw_only=True)
class Spec(ABC):
    """What every family has.

    Parameters
    ----------
    keep
        The share of the inputs that are counted at all, evenly spread over the order. The value
        then stands for all inputs: its divisor is not 1.
    truncate
        How many of the lowest sum bits are dropped.
    centre
        Whether a constant makes up for what is lost on average at a density of 1/2.
    grouping
        Which inputs are neighbours (`bitwright.circuits.grouping.Grouping`).
    seed
        Of the grouping ``random``.
    order
        A permutation of the inputs instead of a grouping, such as one learned from data; it holds
        for one fan-in.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    family: ClassVar[str]
    keep: float = 1.0
    truncate: int = 0
    centre: bool = False
    grouping: Grouping = "natural"
    seed: int = 0
    order: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _require(0 < self.keep <= 1, "keep", self.keep, "a share in (0, 1]")
        _require(self.truncate >= 0, "truncate", self.truncate, "a number of bits")
        known = get_args(Grouping)
        _require(self.grouping in known, "grouping", self.grouping, "one of " + ", ".join(known))
        _require(self.seed >= 0, "seed", self.seed, "an integer of at least 0")

    @property
    def group_sizes(self) -> tuple[int, ...]:
        """How many inputs meet in a gate, how many of those gates in one of the next level, ...

        Nothing where it makes no difference which inputs meet.
        """
        return ()

    def kept(self, inputs: int) -> tuple[int, ...]:
        """Return the places in the order whose inputs are counted, all others are left out."""
        return spread(inputs, max(1, round(self.keep * inputs)))

    def grouped(self, inputs: int) -> tuple[int, ...]:
        """Return those of the places that are counted whose inputs meet in gates."""
        return self.kept(inputs)

    @abstractmethod
    def count(self, inputs: int) -> Circuit:
        """Return the family's count of `inputs` bits in natural order."""

    def __str__(self) -> str:
        changed = [
            f"{field.name}={_text(getattr(self, field.name))}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return self.family + (":" + ",".join(changed) if changed else "")


@dataclass(frozen=True, kw_only=True)
class Exact(Spec):
    """Full-adder column compression: the exact count."""

    family: ClassVar[str] = "exact"

    def count(self, inputs: int) -> Circuit:  # noqa: D102 - as in `Spec`
        return count_by_columns(inputs)


@dataclass(frozen=True, kw_only=True)
class RippleTree(Spec):
    """A tree of ripple-carry adders: the exact count."""

    family: ClassVar[str] = "ripple"

    def count(self, inputs: int) -> Circuit:  # noqa: D102 - as in `Spec`
        return count_by_ripple_tree(inputs)


@dataclass(frozen=True, kw_only=True)
class Counters(Spec):
    """6:3 counters: the exact count."""

    family: ClassVar[str] = "counter63"

    def count(self, inputs: int) -> Circuit:  # noqa: D102 - as in `Spec`
        return count_by_counters(inputs)


@dataclass(frozen=True, kw_only=True)
class Majority(Spec):
    """Levels of majority gates (`bitwright.circuits.majority.count_by_majority`).

    The family ``xnormaj`` is this one with ``gain=1``.
    """

    family: ClassVar[str] = "maj"
    levels: int = 1
    arity: int = 3
    gain: int = 2
    share: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(0 <= self.levels <= 16, "levels", self.levels, "0 to 16")
        _require(self.arity in ARITIES, "arity", self.arity, "3, 5 or 7")
        _require(self.gain in GAINS, "gain", self.gain, "1 or 2")
        _require(0 <= self.share <= 1, "share", self.share, "a share in [0, 1]")

    @property
    def group_sizes(self) -> tuple[int, ...]:  # noqa: D102 - as in `Spec`
        return (self.arity,) * self.levels

    def grouped(self, inputs: int) -> tuple[int, ...]:  # noqa: D102 - as in `Spec`
        kept = self.kept(inputs)
        return tuple(kept[i] for i in spread(len(kept), round(self.share * len(kept))))

    def count(self, inputs: int) -> Circuit:  # noqa: D102 - as in `Spec`
        return count_by_majority(
            inputs, self.levels, self.arity, self.gain, self.share, self.centre
        )


@dataclass(frozen=True, kw_only=True)
class AndOr(Spec):
    """AND-OR gates, then majorities (`bitwright.circuits.and_or.count_by_and_or`)."""

    family: ClassVar[str] = "andor"
    size: int = 4
    levels: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.size in SIZES, "size", self.size, "2 or 4")
        _require(0 <= self.levels <= 16, "levels", self.levels, "0 to 16")

    @property
    def group_sizes(self) -> tuple[int, ...]:  # noqa: D102 - as in `Spec`
        return (self.size, *(3,) * self.levels)

    def count(self, inputs: int) -> Circuit:  # noqa: D102 - as in `Spec`
        return count_by_and_or(inputs, self.size, self.levels)


@dataclass(frozen=True, kw_only=True)
class Votes(Spec):
    """Local thresholds and a vote (`bitwright.circuits.local_threshold.count_by_votes`)."""

    family: ClassVar[str] = "lta"
    size: int = 64
    local: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.size >= 1, "size", self.size, "at least 1")
        _require(0 < self.local <= 1, "local", self.local, "a share in (0, 1]")

    def count(self, inputs: int) -> Circuit:  # noqa: D102 - as in `Spec`
        return count_by_votes(inputs, self.size, self.local)


@dataclass(frozen=True, kw_only=True)
class Netlist(Spec):
    """A structural Verilog or BLIF file (`bitwright.circuits.netlist.read_netlist`).

    Its fan-in must be the number of inputs.
    """

    family: ClassVar[str] = "netlist"
    path: str = ""
    top: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(bool(self.path), "path", self.path, "the path of a .v or .blif file")

    def count(self, inputs: int) -> Circuit:  # noqa: D102 - as in `Spec`
        circuit = read_netlist(Path(self.path), Interface(top=self.top or None))
        if circuit.inputs != inputs:
            raise CircuitError(
                f"{self.path} has {circuit.inputs} inputs, and {inputs} bits are to be counted",
                "choose a netlist of that fan-in, or keep=... to count so many",
            )
        return circuit


FAMILIES: dict[str, type[Spec]] = {
    kind.family: kind for kind in (Exact, RippleTree, Counters, Majority, AndOr, Votes, Netlist)
}
"""Every family by name; ``xnormaj`` is `Majority` with gain 1."""

SHORT = {"L": "levels"}


def make(spec: Spec | str, inputs: int, shape: Shape | None = None) -> Circuit:
    """Return the circuit of a spec for one fan-in.

    Parameters
    ----------
    spec
        A spec, or its text.
    inputs
        The number of input bits, at least 1.
    shape
        The kernel's (kh, kw, cin), whose product is `inputs`; needed for groupings by kernel
        position only.

    Returns
    -------
    circuit
        Its input i is the i-th bit in natural order, whatever the grouping.

    Raises
    ------
    ConfigError
        If the spec or the shape is not valid.
    CircuitError
        If there is no such circuit of this fan-in.
    """
    spec = parse(spec) if isinstance(spec, str) else spec
    if inputs < 1:
        raise CircuitError(
            f"a popcount of {inputs} inputs counts nothing", "give a fan-in of at least 1"
        )
    if spec.order:
        order = check_order(spec.order, inputs)
    else:
        order = input_order(spec.grouping, inputs, shape, spec.seed)
    kept = spec.kept(inputs)
    circuit = spec.count(len(kept))
    if spec.truncate:
        circuit = truncate(circuit, spec.truncate, spec.centre)
    if len(kept) < inputs:
        scale = Fraction(inputs, len(kept))
        circuit = circuit.scale(scale.numerator, scale.denominator)
    return circuit.rewire([order[i] for i in kept], inputs)


def parse(text: str) -> Spec:
    """Return the spec of a text ``family:key=value,key=value``.

    Booleans are ``true`` and ``false`` (a bare key is true), permutations numbers with spaces
    between them. ``L`` is short for ``levels``.

    Raises
    ------
    ConfigError
        If the family, a key or a value is not known.
    """
    family, _, rest = text.partition(":")
    settings: dict[str, Any] = {"family": family.strip()}
    for item in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = (part.strip() for part in item.partition("="))
        if SHORT.get(key, key) in settings:
            raise ConfigError(f"'{text}' sets '{key}' twice", "set it once")
        settings[SHORT.get(key, key)] = value if equals else "true"
    return from_settings(settings)


def from_settings(settings: dict[str, Any]) -> Spec:
    """Return the spec of a table with a key ``family``, as a TOML file has it.

    Values may be texts, as in `parse`, or of their own type.

    Raises
    ------
    ConfigError
        If the family, a key or a value is not known.
    """
    given = {SHORT.get(key, key): value for key, value in settings.items()}
    family = str(given.pop("family", "exact"))
    if family == "xnormaj":
        _require("gain" not in given, "gain", given.get("gain"), "it with the family 'maj'")
        return _typed(Majority, {**given, "gain": 1})
    if family not in FAMILIES:
        unknown = UnknownNameError("popcount", family, [*FAMILIES, "xnormaj"])
        raise ConfigError(unknown.cause, unknown.way_out)
    return _typed(FAMILIES[family], given)


def _typed(kind: type[Spec], given: dict[str, Any]) -> Spec:
    hints = {field.name: get_type_hints(kind)[field.name] for field in fields(kind)}
    for key in given:
        if key not in hints:
            unknown = UnknownNameError(f"setting of popcount '{kind.family}'", key, hints)
            raise ConfigError(unknown.cause, unknown.way_out)
    return kind(**{key: _value(key, value, hints[key]) for key, value in given.items()})


def _value(key: str, value: Any, hint: Any) -> Any:
    """Return a setting as its type; texts are read, other values must have it already."""
    try:
        if get_origin(hint) is tuple:
            parts = value.split() if isinstance(value, str) else value
            return tuple(_integer(part) for part in parts)
        if hint is bool:
            return {"true": True, "false": False}[str(value).lower()]
        if hint is int:
            return _integer(value)
        if hint is float:
            return float(value)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"setting '{key}' of a popcount is '{value}'", f"give {_KINDS.get(hint, 'integers')}"
        ) from error
    return str(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and value != int(value)):
        raise ValueError(value)
    return int(value)


_KINDS = {bool: "true or false", int: "an integer", float: "a number"}


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _require(holds: bool, key: str, value: Any, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"setting '{key}' of a popcount is {value!r}", f"give {wanted}")
