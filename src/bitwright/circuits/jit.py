"""Circuits compiled to vector code: 512 samples at a time, one neuron after the other.

Requirements:

- Samples lie bit-sliced: a vector of 512 bits holds one wire of 512 samples.
- The sign of a weight inverts an input. What a cell next to the inputs computes depends on its at
  most three signs only, so all its variants are computed once (``prepare``) and shared by all
  neurons; each neuron picks its own.
- The rest of a circuit is straight-line code in depth-first order, so that few wires are alive at a
  time and stay in registers. LLVM makes one instruction of functions of three inputs where the
  processor has it (``vpternlogq``), and legalises the vectors where it is narrower.
- Weighted outputs become binary planes; a comparison with a threshold is one carry through them.

The emitted functions take addresses (int64) and return nothing:

- ``prepare(places, table)``: `places` is an array of addresses, one vector for each input.
- ``decide(table, picks, limits, out)``: one neuron's bit; `picks` and `limits` are rows of
  `Compiled.picks` and `Compiled.limits`.
- ``count(table, picks, nothing, out)``: one neuron's planes, one vector after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import llvmlite.binding as llvm
import numpy as np
import numpy.typing as npt
from llvmlite import ir

from bitwright.circuits.cells import KINDS
from bitwright.circuits.circuit import Cell, Circuit

SAMPLES = 512
"""Samples in a vector."""

VECTOR_BYTES = SAMPLES // 8

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_WORDS = ir.VectorType(_I64, SAMPLES // 64)
_RAW = Cell("RAW", ())


@dataclass(frozen=True)
class _Wire:
    """A vector in code that is being emitted; operators emit instructions."""

    builder: ir.IRBuilder
    value: ir.Value

    def __and__(self, other: _Wire) -> _Wire:
        return _Wire(self.builder, self.builder.and_(self.value, other.value))

    def __or__(self, other: _Wire) -> _Wire:
        return _Wire(self.builder, self.builder.or_(self.value, other.value))

    def __xor__(self, other: _Wire) -> _Wire:
        return _Wire(self.builder, self.builder.xor(self.value, other.value))

    def __invert__(self) -> _Wire:
        return _Wire(self.builder, self.builder.not_(self.value))


@dataclass(frozen=True)
class _Source:
    """A wire of which every variant lies in the table, from entry `first` on.

    It is output `output` of `cell`, whose inputs are the circuit's; or an input itself.
    """

    wire: int
    cell: Cell
    output: int
    inputs: tuple[int, ...]
    first: int


class Compiled:
    """A circuit as machine code.

    Parameters
    ----------
    circuit
        The circuit.

    Notes
    -----
    The addresses are good as long as the object lives.
    """

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self._makers = _makers(circuit)
        self._sources = _find_sources(circuit, self._makers)
        self._columns, self.least = _columns(circuit)
        self.planes = _plane_count(self._columns)

    @property
    def table_bytes(self) -> int:
        """Size of the table that ``prepare`` fills in, on a 64-byte boundary."""
        last = self._sources[-1] if self._sources else None
        return 0 if last is None else (last.first + (1 << len(last.inputs))) * VECTOR_BYTES

    def picks(self, negative: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
        """Return which variants neurons take, (neurons, sources).

        Parameters
        ----------
        negative
            Where an input is inverted, (neurons, inputs).
        """
        signs = np.asarray(negative, np.int32)
        picked = np.zeros((len(signs), len(self._sources)), np.int32)
        for s, source in enumerate(self._sources):
            variant = sum(signs[:, wire] << i for i, wire in enumerate(source.inputs))
            picked[:, s] = (source.first + variant) * VECTOR_BYTES
        return picked

    def limits(
        self, thresholds: npt.NDArray[np.int64], rising: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.int64]:
        """Return what ``decide`` compares with, (neurons, planes + 1).

        Parameters
        ----------
        thresholds, rising
            A neuron's bit is ``value >= threshold`` where it is rising, ``value <= threshold``
            elsewhere; (neurons,).
        """
        flipped = ~np.asarray(rising, np.bool_)
        # y <= t is not (y >= t + 1); planes count from `least`.
        bounds = np.asarray(thresholds, np.int64) + flipped - self.least
        never = bounds >= 1 << self.planes
        bounds = np.where(never | (bounds < 0), 0, bounds)
        zeros = ~bounds[:, None] >> np.arange(self.planes) & 1
        return -np.concatenate([zeros, (never ^ flipped)[:, None]], axis=1).astype(np.int64)

    @cached_property
    def prepare(self) -> int:
        """The address of ``prepare``."""
        return self._code("prepare", 2, self._emit_prepare)

    @cached_property
    def decide(self) -> int:
        """The address of ``decide``."""
        return self._code("decide", 4, self._emit_decide)

    @cached_property
    def count(self) -> int:
        """The address of ``count``."""
        return self._code("count", 4, self._emit_count)

    def _code(self, name: str, arguments: int, emit: Callable[[_Code], None]) -> int:
        module = ir.Module()
        kind = ir.FunctionType(ir.VoidType(), [_I64] * arguments)
        function = ir.Function(module, kind, name)
        builder = ir.IRBuilder(function.append_basic_block())
        emit(_Code(module, builder, list(function.args)))
        builder.ret_void()
        engine = _compile(module)
        self._engines.append(engine)
        return int(engine.get_function_address(name))

    @cached_property
    def _engines(self) -> list[llvm.ExecutionEngine]:
        return []

    def _emit_prepare(self, code: _Code) -> None:
        places, table = code.arguments
        groups: dict[tuple[str, int], list[_Source]] = {}
        for source in self._sources:
            groups.setdefault((source.cell.kind, source.output), []).append(source)
        for (kind, output), sources in groups.items():
            rows = [[*(8 * w for w in s.inputs), s.first * VECTOR_BYTES] for s in sources]
            with code.rows(rows, f"{kind}.{output}") as numbers:
                *inputs, first = numbers
                wires = [code.load(code.number(code.sum(places, at))) for at in inputs]
                for variant in range(1 << len(wires)):
                    signed = [~w if variant >> i & 1 else w for i, w in enumerate(wires)]
                    made = signed[0] if kind == _RAW.kind else code.cell(kind, signed)[output]
                    code.store(made, code.sum(table, first, variant * VECTOR_BYTES))

    def _emit_planes(self, code: _Code) -> list[_Wire]:
        """Emit the circuit but for its sources; return its planes, the lowest first."""
        table, picks = code.arguments[:2]
        index = {source.wire: s for s, source in enumerate(self._sources)}
        made: dict[int, _Wire] = {}

        def wire(number: int) -> _Wire:
            if number in index:  # anew for each reader: it need not stay in a register
                at = code.small(code.sum(picks, 4 * index[number]))
                return code.load(code.sum(table, at))
            return made[number]

        columns: dict[int, list[_Wire]] = {}
        for column, outputs in self._columns.items():
            for number, inverted in outputs:
                for cell, first in self._order(number, made, index):
                    results = code.cell(cell.kind, [wire(w) for w in cell.inputs])
                    made.update(zip(range(first, first + len(results)), results, strict=True))
                found = wire(number)
                columns.setdefault(column, []).append(~found if inverted else found)
        return _add_up(code, columns, self.planes)

    def _order(
        self, wire: int, made: dict[int, _Wire], index: dict[int, int]
    ) -> Iterator[tuple[Cell, int]]:
        """Yield the cells that a wire still needs, each when its inputs have been made."""
        stack = [wire]
        while stack:
            number = stack[-1]
            if number in made or number in index:
                stack.pop()
                continue
            cell, output = self._makers[number]
            missing = [w for w in cell.inputs if w not in made and w not in index]
            if missing:
                stack += reversed(missing)
            else:
                yield cell, number - output

    def _emit_decide(self, code: _Code) -> None:
        limits, out = code.arguments[2:]
        carry = code.constant(one=True)
        for k, plane in enumerate(self._emit_planes(code)):
            limit = code.everywhere(code.sum(limits, 8 * k))
            carry = (plane & limit) | (carry & (plane | limit))
        code.store(carry ^ code.everywhere(code.sum(limits, 8 * self.planes)), out)

    def _emit_count(self, code: _Code) -> None:
        out = code.arguments[3]
        for k, plane in enumerate(self._emit_planes(code)):
            code.store(plane, code.sum(out, k * VECTOR_BYTES))


def _makers(circuit: Circuit) -> dict[int, tuple[Cell, int]]:
    """Return for each wire that is no input its cell, and which output of it."""
    return {
        first + output: (cell, output)
        for cell, first in circuit.placed()
        for output in range(KINDS[cell.kind].fan_out)
    }


def _find_sources(circuit: Circuit, makers: dict[int, tuple[Cell, int]]) -> list[_Source]:
    def near(cell: Cell) -> bool:
        return bool(cell.inputs) and all(wire < circuit.inputs for wire in cell.inputs)

    used = {output.wire for output in circuit.outputs}
    for cell in circuit.cells:
        if not near(cell):
            used.update(cell.inputs)
    sources: list[_Source] = []
    entries = 0
    for wire in sorted(used):
        cell, output = (_RAW, 0) if wire < circuit.inputs else makers[wire]
        if cell is _RAW or near(cell):
            inputs = (wire,) if cell is _RAW else cell.inputs
            sources.append(_Source(wire, cell, output, inputs, entries))
            entries += 1 << len(inputs)
    return sources


def _columns(circuit: Circuit) -> tuple[dict[int, list[tuple[int, bool]]], int]:
    """Return the wires in each binary column, inverted if the weight is negative, and the rest."""
    columns: dict[int, list[tuple[int, bool]]] = {}
    least = circuit.offset
    for output in circuit.outputs:
        inverted = output.weight < 0  # -w x is w (1 - x) - w
        least += min(output.weight, 0)
        weight = abs(output.weight)
        for column in range(weight.bit_length()):
            if weight >> column & 1:
                columns.setdefault(column, []).append((output.wire, inverted))
    return columns, least


def _plane_count(columns: dict[int, list[tuple[int, bool]]]) -> int:
    return sum(len(wires) << column for column, wires in columns.items()).bit_length()


def _add_up(code: _Code, columns: dict[int, list[_Wire]], planes: int) -> list[_Wire]:
    """Emit adders until each column holds one wire."""
    for column in range(planes):
        wires = columns.setdefault(column, [])
        while len(wires) > 1:
            taken = [wires.pop(0) for _ in range(min(3, len(wires)))]
            total, carry = code.cell("FA" if len(taken) == 3 else "HA", taken)
            wires.append(total)
            columns.setdefault(column + 1, []).append(carry)
    zero = code.constant(one=False)
    return [columns[column][0] if columns[column] else zero for column in range(planes)]


class _Code:
    """A function that is being emitted."""

    def __init__(self, module: ir.Module, builder: ir.IRBuilder, arguments: list[ir.Value]) -> None:
        self.module = module
        self.builder = builder
        self.arguments = arguments

    def sum(self, *parts: ir.Value | int) -> ir.Value:
        total = None
        for part in parts:
            value = ir.Constant(_I64, part) if isinstance(part, int) else part
            total = value if total is None else self.builder.add(total, value)
        return total

    def _at(self, address: ir.Value, kind: ir.Type) -> ir.Value:
        return self.builder.inttoptr(address, ir.PointerType(kind))

    def number(self, address: ir.Value) -> ir.Value:
        """Load an int64."""
        return self.builder.load(self._at(address, _I64), typ=_I64)

    def small(self, address: ir.Value) -> ir.Value:
        """Load an int32 as an int64."""
        return self.builder.zext(self.builder.load(self._at(address, _I32), typ=_I32), _I64)

    def load(self, address: ir.Value) -> _Wire:
        value = self.builder.load(self._at(address, _WORDS), typ=_WORDS)
        value.align = VECTOR_BYTES
        return _Wire(self.builder, value)

    def store(self, wire: _Wire, address: ir.Value) -> None:
        self.builder.store(wire.value, self._at(address, _WORDS)).align = VECTOR_BYTES

    def everywhere(self, address: ir.Value) -> _Wire:
        """Load an int64 into all parts of a vector."""
        undefined = ir.Constant(_WORDS, ir.Undefined)
        first = self.builder.insert_element(undefined, self.number(address), ir.Constant(_I32, 0))
        lanes = ir.Constant(ir.VectorType(_I32, _WORDS.count), None)
        return _Wire(self.builder, self.builder.shuffle_vector(first, undefined, lanes))

    def constant(self, *, one: bool) -> _Wire:
        return _Wire(self.builder, ir.Constant(_WORDS, [-1 if one else 0] * _WORDS.count))

    def cell(self, kind: str, inputs: Sequence[_Wire]) -> tuple[_Wire, ...]:
        if not inputs:
            return (self.constant(one=kind == "CONST1"),)
        return KINDS[kind].function(*inputs)

    @contextmanager
    def rows(self, rows: list[list[int]], name: str) -> Iterator[list[ir.Value]]:
        """Emit a loop over rows of numbers; within it they are int64."""
        flat = [number for row in rows for number in row]
        kind = ir.ArrayType(_I32, len(flat))
        table = ir.GlobalVariable(self.module, kind, name)
        table.initializer = ir.Constant(kind, flat)
        table.global_constant = True
        table.linkage = "internal"
        base = self.builder.ptrtoint(table, _I64)
        before = self.builder.block
        body = self.builder.append_basic_block()
        self.builder.branch(body)
        self.builder.position_at_end(body)
        index = self.builder.phi(_I64)
        index.add_incoming(ir.Constant(_I64, 0), before)
        width = len(rows[0])
        row = self.sum(base, self.builder.mul(index, ir.Constant(_I64, 4 * width)))
        yield [self.small(self.sum(row, 4 * k)) for k in range(width)]
        following = self.sum(index, 1)
        index.add_incoming(following, self.builder.block)
        after = self.builder.append_basic_block()
        more = self.builder.icmp_unsigned("<", following, ir.Constant(_I64, len(rows)))
        self.builder.cbranch(more, body, after)
        self.builder.position_at_end(after)


def _compile(module: ir.Module) -> llvm.ExecutionEngine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    features["prefer-256-bit"] = False
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=2, jit=True
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(str(module)), machine)
    engine.finalize_object()
    return engine
