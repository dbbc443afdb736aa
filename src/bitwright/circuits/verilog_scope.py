"""One use of a Verilog module: its nets, and gates for its expressions and primitives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from bitwright.circuits.nets import Nets, Place
from bitwright.circuits.verilog_tree import (
    Assignment,
    Constant,
    Expression,
    Instance,
    Module,
    Operation,
    Reference,
)
from bitwright.errors import CircuitError

ADDER_PORTS = ({"a"}, {"b"}, {"c", "ci", "cin"}, {"s", "sum"}, {"co", "cout", "carry"})
VOTE_PORTS = ({"a"}, {"b"}, {"c"}, {"y", "z", "o", "out", "m"})
COMMON_CELLS = {
    **dict.fromkeys(("fa", "fulladder", "full_adder"), ("FA", ADDER_PORTS)),
    **dict.fromkeys(
        ("ha", "halfadder", "half_adder"), ("HA", tuple(ADDER_PORTS[i] for i in (0, 1, 3, 4)))
    ),
    **dict.fromkeys(("maj", "maj3", "majority"), ("MAJ3", VOTE_PORTS)),
}
"""Cells known by name (in lower case): their kind, and what their ports may be called."""

MOST_BITS = 1 << 16


class Scope:
    """The nets of one use of a module."""

    def __init__(self, module: Module, nets: Nets, prefix: str) -> None:
        self.module = module
        self.nets = nets
        self.prefix = prefix
        self.bits: dict[str, list[int]] = {}
        for name, net in module.nets.items():
            step = 1 if net.first >= net.last else -1
            indices = range(net.last, net.first + step, step)
            if len(indices) > MOST_BITS:
                raise CircuitError(f"{net.place}: '{name}' has {len(indices)} bits", "have fewer")
            single = net.first == net.last == 0
            self.bits[name] = [
                nets.new(f"{prefix}{name}" if single else f"{prefix}{name}[{i}]") for i in indices
            ]

    def assign(self, item: Assignment) -> None:
        """Add ``assign target = value``."""
        self.drive(self.targets(item.target), item.value, item.place)

    def drive(self, targets: Sequence[int], value: Expression, place: Place) -> None:
        """Let nets be driven by an expression."""
        sources = self.value(value, len(targets))
        if len(sources) != len(targets):
            raise width_error(place, "an assignment", len(targets), len(sources))
        for target, source in zip(targets, sources, strict=True):
            self.nets.connect(target, source, place)

    def targets(self, expression: Expression) -> list[int]:
        """Return the nets that are assigned to, the lowest bit first."""
        if isinstance(expression, Reference):
            return self.reference(expression)
        if isinstance(expression, Operation) and expression.operator == "{":
            parts = [self.targets(part) for part in reversed(expression.operands)]
            return [net for part in parts for net in part]
        raise CircuitError(
            f"{expression.place}: an expression cannot be driven", "assign to a net, or bits of one"
        )

    def reference(self, item: Reference) -> list[int]:
        """Return the nets of a reference, the lowest bit first; unknown names are new nets."""
        if item.name not in self.bits:
            if item.select is not None:
                raise CircuitError(
                    f"{item.place}: '{item.name}' is not declared", "declare it as a wire"
                )
            # Verilog's rule: a name that is not declared is a wire of one bit.
            self.bits[item.name] = [self.nets.new(f"{self.prefix}{item.name}")]
        bits = self.bits[item.name]
        if item.select is None:
            return bits
        net = self.module.nets.get(item.name)
        low, high = (net.last, net.first) if net else (0, 0)
        step = 1 if high >= low else -1
        first, last = ((index - low) * step for index in item.select)
        if not 0 <= last <= first < len(bits):
            raise CircuitError(
                f"{item.place}: '{item.name}' has no bits {item.select[0]}..{item.select[1]}",
                f"it has {high}..{low}",
            )
        return bits[last : first + 1]

    def value(self, item: Expression, width: int | None = None) -> list[int]:
        """Return the nets of an expression; a constant without a size takes the given width."""
        if isinstance(item, Reference):
            return self.reference(item)
        if isinstance(item, Constant):
            bits = item.bits
            if not item.sized and width is not None and width > len(bits):
                bits += (0,) * (width - len(bits))
            return [self.nets.constant(bit, item.place) for bit in bits]
        if item.operator == "{":
            joined: list[int] = []
            for part in reversed(item.operands):
                joined += self.value(part)
                if len(joined) > MOST_BITS:
                    raise CircuitError(f"{item.place}: '{{' joins too many bits", "join fewer")
            return joined
        if item.operator == "?":
            condition, yes, no = item.operands
            return self.choice(item, self.value(condition, 1), self.value(yes), self.value(no))
        inner = item.operands[0]
        if item.operator == "~":
            binary = isinstance(inner, Operation) and inner.operator in "&|^"
            if isinstance(inner, Operation) and binary and len(inner.operands) == 2:
                return self.gates({"&": "NAND2", "|": "NOR2", "^": "XNOR2"}[inner.operator], inner)
            sources = self.value(inner, width)
            return [self.nets.gate("NOT", (source,), item.place) for source in sources]
        return self.gates(
            {"&": "AND2", "|": "OR2", "^": "XOR2", "~^": "XNOR2"}[item.operator], item
        )

    def gates(self, kind: str, item: Operation) -> list[int]:
        """Return the nets of gates of two inputs, bit by bit."""
        widths = [len(self.value(x)) for x in item.operands if isinstance(x, Reference)]
        values = [self.value(operand, max(widths, default=1)) for operand in item.operands]
        for value in values:
            if len(value) != len(values[0]):
                raise width_error(
                    item.place, f"an operand of '{item.operator}'", len(values[0]), len(value)
                )
        return [
            reduce(lambda a, b: self.nets.gate(kind, (a, b), item.place), bits)
            for bits in zip(*values, strict=True)
        ]

    def choice(
        self, item: Operation, condition: list[int], yes: list[int], no: list[int]
    ) -> list[int]:
        """Return the nets of ``condition ? yes : no``."""
        if len(condition) != 1:
            raise width_error(item.place, "the condition of '?'", 1, len(condition))
        if len(yes) != len(no):
            raise width_error(item.place, "the second value of '?'", len(yes), len(no))
        return [
            self.nets.gate("MUX2", (condition[0], a, b), item.place)
            for a, b in zip(yes, no, strict=True)
        ]

    def primitive(self, item: Instance) -> None:
        """Add a gate primitive: its output comes first, of ``not`` and ``buf`` its input last."""
        simple = item.kind in ("not", "buf")
        driven = max(len(item.positions) - 1, 1) if simple else 1
        nets = [
            self.targets(position) if i < driven else self.value(position, 1)
            for i, position in enumerate(item.positions)
        ]
        least = 2 if simple else 3
        if item.ports or len(nets) < least or any(len(net) != 1 for net in nets):
            raise CircuitError(
                f"{item.place}: the {len(nets)} connections of '{item.kind}' do not fit",
                f"connect at least {least}, of one bit each and by position",
            )
        bits = [net[0] for net in nets]
        if simple:
            for target in bits[:-1]:
                if item.kind == "not":
                    self.nets.gate("NOT", bits[-1:], item.place, [target])
                else:
                    self.nets.connect(target, bits[-1], item.place)
            return
        target, *sources = bits
        kind = item.kind.upper()
        base = {"NAND": "AND", "NOR": "OR", "XNOR": "XOR"}.get(kind, kind)
        while len(sources) > 3:
            sources = [self.nets.gate(f"{base}3", sources[:3], item.place), *sources[3:]]
        self.nets.gate(f"{kind}{len(sources)}", sources, item.place, [target])


def common_cell(scope: Scope, item: Instance) -> None:
    """Add an instance of a cell that is known by its name."""
    known = COMMON_CELLS.get(item.kind.lower())
    if known is None:
        raise CircuitError(
            f"{item.place}: unknown cell '{item.kind}'", "define it as a module in the same file"
        )
    kind, roles = known
    nets: list[list[int]] = []
    ports = {name.lower(): expression for name, expression in item.ports.items()}
    for index, names in enumerate(roles):
        found = [name for name in names if name in ports]
        expression = ports.pop(found[0]) if len(found) == 1 else None
        drives = index >= (2 if kind == "HA" else 3)
        if expression is None and not drives:
            break
        if expression is None:
            nets.append([scope.nets.new()])
        else:
            nets.append(scope.targets(expression) if drives else scope.value(expression, 1))
    if len(nets) < len(roles) or ports or item.positions or any(len(net) != 1 for net in nets):
        wanted = ", ".join("/".join(sorted(role)) for role in roles)
        raise CircuitError(
            f"{item.place}: the connections of '{item.kind}' do not fit",
            f"connect one bit each by name to {wanted}, or define the module",
        )
    bits = [net[0] for net in nets]
    fan_in = 2 if kind == "HA" else 3
    scope.nets.gate(kind, bits[:fan_in], item.place, bits[fan_in:])


def width_error(place: Place, what: str, wanted: int, found: int) -> CircuitError:
    """Return the error of a wrong number of bits."""
    return CircuitError(
        f"{place}: {what} has {found} bits where {wanted} are needed",
        "select the bits that are meant",
    )
