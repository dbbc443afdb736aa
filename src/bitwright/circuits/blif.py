"""BLIF to a `Circuit`: every cover table becomes gates.

Berkeley Logic Interchange Format (UC Berkeley, 1992): ``.model``, ``.inputs``, ``.outputs``,
``.names`` with its cover, ``.subckt`` of a model of the same file, ``.end``. Latches are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from bitwright.circuits.circuit import Circuit
from bitwright.circuits.nets import Interface, Nets, Place
from bitwright.errors import CircuitError

MOST_VARIABLES = 12
"""Inputs of a cover: it is expanded to a truth table."""

DEEPEST = 64
"""How many models may be used within each other."""

_BLIF = "only .model, .inputs, .outputs, .names, .subckt and .end are read"


@dataclass
class _Names:
    """A cover: its nets, the output last, and its rows."""

    nets: list[str]
    place: Place
    rows: list[tuple[str, str, Place]] = field(default_factory=list)


@dataclass
class _Subcircuit:
    model: str
    pins: dict[str, str]
    place: Place


@dataclass
class _Model:
    name: str
    place: Place
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    items: list[_Names | _Subcircuit] = field(default_factory=list)


def read_blif(text: str, file: str = "netlist", interface: Interface | None = None) -> Circuit:
    """Return the circuit of a BLIF text.

    Parameters
    ----------
    text
        The text.
    file
        Its name, for errors.
    interface
        Which model and weights; the order of inputs is that of the names. `output` is the name of
        a bus ``output[i]``, by default all outputs. Bits of a bus come from the lowest up.

    Raises
    ------
    CircuitError
        If the text is no BLIF or no popcount; the message names the line.
    """
    models = _parse(text, file)
    wanted = interface or Interface()
    if not models:
        raise CircuitError(f"{file} defines no model", "give a file of BLIF: .model, .inputs, ...")
    name = wanted.top or next(iter(models))
    if name not in models:
        raise CircuitError(f"{file}: there is no model '{name}'", "known: " + ", ".join(models))
    model = models[name]
    nets = Nets()
    known: dict[str, int] = {}
    for port in _in_order(model.inputs):
        known[port] = nets.new(port)
        nets.input(known[port], model.place)
    _fill(nets, models, model, known, "", (name,))
    outputs = [
        port
        for port in _in_order(model.outputs)
        if wanted.output is None or port.partition("[")[0] == wanted.output
    ]
    if not outputs:
        raise CircuitError(
            f"{model.place}: no output '{wanted.output}'", "known: " + ", ".join(model.outputs)
        )
    return nets.circuit([_net(nets, known, port, "") for port in outputs], wanted, model.place)


def _in_order(names: list[str]) -> list[str]:
    """Return ports as they come, those of one bus by index."""
    buses: dict[str, list[tuple[int, str]]] = {}
    for position, name in enumerate(names):
        found = re.fullmatch(r"(.*)\[(\d+)\]", name)
        bus, index = (found[1], int(found[2])) if found else (f"{name} ", position)
        buses.setdefault(bus, []).append((index, name))
    return [name for bus in buses.values() for _, name in sorted(bus)]


def _lines(text: str, file: str) -> Iterator[tuple[list[str], Place]]:
    """Yield the words of each line, with continued lines joined and comments gone."""
    words: list[str] = []
    place = Place(file, 1)
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].rstrip()
        place = place if words else Place(file, number)
        words += content.removesuffix("\\").split()
        if words and not content.endswith("\\"):
            yield words, place
            words = []
    if words:
        yield words, place


def _parse(text: str, file: str) -> dict[str, _Model]:
    models: dict[str, _Model] = {}
    model: _Model | None = None
    cover: _Names | None = None
    for words, place in _lines(text, file):
        key, rest = words[0], words[1:]
        if not key.startswith("."):
            if cover is None or len(words) > 2:
                raise CircuitError(f"{place}: '{' '.join(words)}' is no row of a cover", _BLIF)
            cover.rows.append((words[0] if rest else "", words[-1], place))
            continue
        cover = None
        if key == ".model" and len(rest) == 1:
            if rest[0] in models:
                raise CircuitError(
                    f"{place}: model '{rest[0]}' is defined twice", "leave one of them"
                )
            model = models[rest[0]] = _Model(rest[0], place)
        elif key == ".end":
            model = None
        elif model is None:
            raise CircuitError(f"{place}: '{key}' stands outside of a model", _BLIF)
        elif key == ".inputs":
            model.inputs += rest
        elif key == ".outputs":
            model.outputs += rest
        elif key == ".names" and rest:
            cover = _Names(rest, place)
            model.items.append(cover)
        elif key == ".subckt" and rest and all("=" in pin for pin in rest[1:]):
            pins = dict(pin.split("=", 1) for pin in rest[1:])
            model.items.append(_Subcircuit(rest[0], pins, place))
        else:
            raise CircuitError(f"{place}: '{' '.join(words)}' is not understood", _BLIF)
    return models


def _net(nets: Nets, known: dict[str, int], name: str, prefix: str) -> int:
    if name not in known:
        known[name] = nets.new(prefix + name)
    return known[name]


def _fill(
    nets: Nets,
    models: dict[str, _Model],
    model: _Model,
    known: dict[str, int],
    prefix: str,
    open_models: tuple[str, ...],
) -> None:
    """Add a model's gates, and those of its sub-circuits."""
    for number, item in enumerate(model.items):
        if isinstance(item, _Names):
            inputs = [_net(nets, known, name, prefix) for name in item.nets[:-1]]
            target = _net(nets, known, item.nets[-1], prefix)
            nets.connect(target, nets.table(inputs, _table(item), item.place), item.place)
            continue
        inner = models.get(item.model)
        if inner is None or item.model in open_models or len(open_models) > DEEPEST:
            raise CircuitError(
                f"{item.place}: '{item.model}' is unknown, or used within itself, or too deep",
                "define it as a model of the same file",
            )
        ports = {*inner.inputs, *inner.outputs}
        if set(item.pins) - ports or set(inner.inputs) - set(item.pins):
            raise CircuitError(
                f"{item.place}: the pins do not fit the ports of '{item.model}'",
                f"connect {', '.join(inner.inputs + inner.outputs)}",
            )
        below = f"{prefix}{item.model}{number}."
        names: dict[str, int] = {}
        for port, name in item.pins.items():
            outside = _net(nets, known, name, prefix)
            inside = _net(nets, names, port, below)
            target, source = (inside, outside) if port in inner.inputs else (outside, inside)
            nets.connect(target, source, item.place)
        _fill(nets, models, inner, names, below, (*open_models, item.model))


def _table(item: _Names) -> int:
    """Return a cover as a truth table: bit r is the value where input i is bit i of r."""
    variables = len(item.nets) - 1
    if variables > MOST_VARIABLES:
        raise CircuitError(
            f"{item.place}: a cover of {variables} inputs", f"split it: at most {MOST_VARIABLES}"
        )
    everything = (1 << (1 << variables)) - 1
    covered, values = 0, set()
    for pattern, value, place in item.rows:
        if len(pattern) != variables or set(pattern) - set("01-") or value not in ("0", "1"):
            raise CircuitError(
                f"{place}: row '{pattern} {value}' does not fit {variables} inputs",
                "write one of 0, 1 and - for each input, then 0 or 1",
            )
        values.add(value)
        rows = [0]
        for i, letter in enumerate(pattern):
            bits = {"0": (0,), "1": (1,), "-": (0, 1)}[letter]
            rows = [row | bit << i for row in rows for bit in bits]
        for row in rows:
            covered |= 1 << row
    if len(values) > 1:
        raise CircuitError(f"{item.place}: a cover with both 0 and 1", "write one of the two")
    return everything & ~covered if "0" in values else covered
