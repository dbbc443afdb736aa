"""Structural Verilog to a `Circuit`: instances are taken apart, expressions become gates.

A module of the file that computes what a kind of cell computes, whatever its name and its insides,
becomes that cell: so full and half adders and majority gates stay whole. So do instances of the
usual cell names without a definition. Other modules are flattened.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bitwright.circuits.cells import Match, match
from bitwright.circuits.circuit import Circuit
from bitwright.circuits.evaluate import evaluate
from bitwright.circuits.nets import Interface, Nets
from bitwright.circuits.verilog_scope import Scope, common_cell, width_error
from bitwright.circuits.verilog_syntax import parse_modules
from bitwright.circuits.verilog_tree import (
    PRIMITIVES,
    Assignment,
    Expression,
    Instance,
    Module,
)
from bitwright.errors import CircuitError

DEEPEST = 64
"""How many modules may be used within each other."""


def read_verilog(text: str, file: str = "netlist", interface: Interface | None = None) -> Circuit:
    """Return the circuit of a structural Verilog text.

    Parameters
    ----------
    text
        The text; `bitwright.circuits.verilog_syntax` says what of the language is understood.
    file
        Its name, for errors.
    interface
        Which module, inputs, output and weights.

    Returns
    -------
    circuit
        With all gates of the text, needed or not, in its order if that is one in which each gate
        reads only what is defined before it.

    Raises
    ------
    CircuitError
        If the text is no structural Verilog or no popcount: a loop, an undriven net, an unknown
        cell, a wrong number of connections. The message names the line.
    """
    modules = {}
    for module in parse_modules(text, file):
        if module.name in modules:
            raise CircuitError(
                f"{module.place}: module '{module.name}' is defined twice", "leave one of them"
            )
        modules[module.name] = module
    wanted = interface or Interface()
    top = _top(modules, wanted, file)
    return _Reader(modules).read(top, wanted, file)


def _top(modules: dict[str, Module], interface: Interface, file: str) -> Module:
    if not modules:
        raise CircuitError(f"{file} defines no module", "give a file of structural Verilog")
    used = {item.kind for m in modules.values() for item in m.items if isinstance(item, Instance)}
    tops = [name for name in modules if name not in used]
    name = interface.top or (tops[0] if len(tops) == 1 else None)
    if name not in modules:
        cause = f"{file}: no module '{name}'" if name else f"{file}: {len(tops)} modules may be top"
        raise CircuitError(cause, "name the top: " + ", ".join(tops or modules))
    return modules[name]


class _Reader:
    def __init__(self, modules: dict[str, Module]) -> None:
        self.modules = modules
        self.matches: dict[str, Match | None] = {}
        self.open: list[str] = []

    def read(self, top: Module, interface: Interface, file: str) -> Circuit:
        """Return the circuit of a module."""
        nets = Nets()
        scope = Scope(top, nets, "")
        inputs = interface.inputs or tuple(_ports(top, "input"))
        if sorted(inputs) != sorted(_ports(top, "input")):
            known = ", ".join(_ports(top, "input"))
            raise CircuitError(f"{file}: {inputs} are not the inputs", f"name all of: {known}")
        for name in inputs:
            for net in scope.bits[name]:
                nets.input(net, top.nets[name].place)
        outputs = _ports(top, "output")
        output = interface.output or (outputs[0] if len(outputs) == 1 else None)
        if output not in outputs:
            raise CircuitError(
                f"{file}: module '{top.name}' has {len(outputs)} outputs, none chosen"
                if output is None
                else f"{file}: module '{top.name}' has no output '{output}'",
                "choose one of: " + (", ".join(outputs) or "(it has none)"),
            )
        self.fill(scope)
        place = top.nets[output].place
        circuit = nets.circuit(scope.bits[output], _own_interface(top, interface), place)
        bit = top.attributes.get("bitwright_is_bit") == "1"
        divisor = _number(top, "bitwright_divisor", 1)
        return replace(circuit, divisor=divisor, is_bit=bit)

    def fill(self, scope: Scope) -> None:
        """Add a module's gates, and those of its instances."""
        if scope.module.name in self.open or len(self.open) > DEEPEST:
            raise CircuitError(
                f"{scope.module.place}: module '{scope.module.name}' is used within itself",
                "break the recursion",
            )
        self.open.append(scope.module.name)
        for item in scope.module.items:
            if isinstance(item, Assignment):
                scope.assign(item)
            elif item.kind in PRIMITIVES:
                scope.primitive(item)
            elif item.kind in self.modules:
                self.instance(scope, item, self.modules[item.kind])
            else:
                common_cell(scope, item)
        self.open.pop()

    def instance(self, scope: Scope, item: Instance, module: Module) -> None:
        """Add an instance of a module: as one cell if it is one, otherwise flattened."""
        ports = _connections(item, module)
        if module.name not in self.matches:
            self.matches[module.name] = self.find_match(module)
        inner = Scope(module, scope.nets, f"{scope.prefix}{item.name}.")
        for name, expression in ports.items():
            if expression is None:
                continue
            bits = inner.bits[name]
            if module.nets[name].direction == "input":
                scope.drive(bits, expression, item.place)
            else:
                targets = scope.targets(expression)
                if len(targets) != len(bits):
                    raise width_error(item.place, f"port '{name}'", len(bits), len(targets))
                for target, bit in zip(targets, bits, strict=True):
                    scope.nets.connect(target, bit, item.place)
        found = self.matches[module.name]
        if found is None:
            self.fill(inner)
            return
        inputs = [inner.bits[name][0] for name in _ports(module, "input")]
        outputs = [inner.bits[name][0] for name in _ports(module, "output")]
        scope.nets.gate(
            found.kind,
            [inputs[i] for i in found.inputs],
            item.place,
            [outputs[i] for i in found.outputs],
        )

    def find_match(self, module: Module) -> Match | None:
        """Return the kind of cell that a module computes, if it is a small one."""
        inputs, outputs = _ports(module, "input"), _ports(module, "output")
        single = all(net.first == net.last for net in module.nets.values())
        if not (single and 1 <= len(inputs) <= 3 and 1 <= len(outputs) <= 2):
            return None
        rows = np.arange(1 << len(inputs))
        patterns = (rows[:, None] >> np.arange(len(inputs)) & 1).astype(np.bool_)
        tables = []
        for output in outputs:
            circuit = self.read(module, Interface(output=output, weights=(1,)), module.place.file)
            tables.append(int(evaluate(circuit, patterns) @ (1 << rows)))
        return match(len(inputs), tables)


def _ports(module: Module, direction: str) -> list[str]:
    return [name for name in module.ports if module.nets[name].direction == direction]


def _connections(item: Instance, module: Module) -> dict[str, Expression | None]:
    """Return what each port of an instance is connected to."""
    given = dict(zip(module.ports, item.positions, strict=False)) | item.ports
    both = bool(item.positions and item.ports)
    missing = [name for name in _ports(module, "input") if given.get(name) is None]
    if both or len(item.positions) > len(module.ports) or missing or set(given) - set(module.ports):
        raise CircuitError(
            f"{item.place}: the connections of '{item.kind}' do not fit its ports",
            f"connect {', '.join(module.ports)}, all inputs among them, by position or by name",
        )
    return given


def _own_interface(top: Module, interface: Interface) -> Interface:
    """Return the interface with what the module's attributes say."""
    weights, offset = interface.weights, interface.offset
    if weights is None and "bitwright_weights" in top.attributes:
        words = top.attributes["bitwright_weights"].split()
        try:
            weights = tuple(int(word) for word in words)
        except ValueError as error:
            raise CircuitError(
                f"{top.place}: the attribute bitwright_weights holds no integers", "correct it"
            ) from error
    if offset is None:
        offset = _number(top, "bitwright_offset", 0)
    return replace(interface, weights=weights, offset=offset)


def _number(top: Module, attribute: str, default: int) -> int:
    try:
        return int(top.attributes.get(attribute, default))
    except ValueError as error:
        raise CircuitError(
            f"{top.place}: the attribute {attribute} is no integer", "correct it"
        ) from error
