"""The kernel that adds up shared sums: 512 windows at a time, one vector a plane of bits.

Requirements:

- A plane is 64 bytes: a bit of 512 windows. Inputs, carries and sums all lie in one array of
  planes, which stays in the L1 or L2 cache; tables name planes by their byte offset in it
  (`bitwright.native.shared_sums` makes them).
- A sum has W planes, the lowest first, and is exact modulo ``2**W``: a carry out of the last plane
  is dropped. While a node is worked out its planes stay in registers.
- Inputs of one weight and one sign are added up by groups of eight, sixteen where there are so
  many. What carries out of a group, at 8 or 16 times the weight, is stored, and added up in fours
  once all groups are done.

A full adder takes three bits to two, so n bits of one weight need nearly n of them, however they
are grouped; each is two instructions (``vpternlogq``). Two negative inputs cost no more:
``a ^ ~x ^ ~y = a ^ x ^ y``, and ``maj(a, ~x, ~y)`` is one instruction as well.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from bitwright.native import simd
from bitwright.native.simd import I32, I64, LANES, V64

PLANE_BYTES = 64
GROUP = 8
"""Inputs that are added up together."""

(
    LIST, PAIRS0, MIXED0, PLAIN0, ODD0, EVEN0, PAIRS1, MIXED1, PLAIN1, ODD1, EVEN1, ADDED, TAKEN,
    SLOT, OUT, FIELDS,
) = range(16)  # fmt: skip
"""Fields of a node, int64.

``LIST`` is where its list of offsets starts. The list holds the inputs of weight 1, then those of
weight 2, each as groups: `PAIRS` pairs of groups of negative inputs, then a `MIXED` pair (0 or 1)
of negative and positive ones, `PLAIN` pairs of positive ones, then one more group (0 or 1) of
negative (`ODD`) or of positive ones (`EVEN`). Then come the sums that are `ADDED` and those that
are `TAKEN` away. ``SLOT`` is the offset that the node's own sum goes to, 0 if nothing reads it;
``OUT`` the offset that its neuron's bit goes to, -1 if it is no neuron's.
"""

_MAJORITY, _PARITY = 0xE8, 0x96
_MAJORITY_OF_NEGATIVES = 0x71
"""maj(a, not x, not y), a being the highest bit of a row's number."""

_NOTHING = ir.Constant(V64, None)
_EVERYTHING = ir.Constant(V64, [-1] * LANES)


def _adder(
    builder: ir.IRBuilder, a: ir.Value, x: ir.Value, y: ir.Value, *, negative: bool = False
) -> tuple[ir.Value, ir.Value]:
    """Emit the sum and the carry of three bits, of a and the complements of x and y if negative."""
    if simd.level() == "avx512":
        # LLVM does not find the one instruction for a majority; it takes two or three.
        table = _MAJORITY_OF_NEGATIVES if negative else _MAJORITY
        return _ternary(builder, a, x, y, _PARITY), _ternary(builder, a, x, y, table)
    differ = builder.xor(x, y)
    if negative:
        x = builder.not_(x)
    return builder.xor(a, differ), builder.xor(x, builder.and_(differ, builder.xor(a, x)))


def _ternary(builder: ir.IRBuilder, a: ir.Value, x: ir.Value, y: ir.Value, table: int) -> ir.Value:
    kind = ir.FunctionType(V64, [V64, V64, V64, I32])
    name = "llvm.x86.avx512.pternlog.q.512"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [a, x, y, ir.Constant(I32, table)])


class _Sum:
    """The planes of a sum, in registers; planes beyond the last are dropped."""

    def __init__(self, builder: ir.IRBuilder, planes: list[ir.Value]) -> None:
        self.builder = builder
        self.slots = [simd.variable(builder, V64, plane) for plane in planes]

    def read(self, first: int, count: int) -> list[ir.Value]:
        """Return some planes, zeros beyond the last."""
        found = [self.builder.load(slot, typ=V64) for slot in self.slots[first : first + count]]
        return found + [_NOTHING] * (count - len(found))

    def write(self, first: int, planes: list[ir.Value]) -> None:
        """Replace some planes."""
        for slot, plane in zip(self.slots[first:], planes, strict=False):
            self.builder.store(plane, slot)

    def carry(self, first: int, bits: ir.Value) -> None:
        """Add bits at a plane."""
        for k in range(first, len(self.slots)):
            (plane,) = self.read(k, 1)
            self.write(k, [self.builder.xor(plane, bits)])
            bits = self.builder.and_(plane, bits)


def _plane(builder: ir.IRBuilder, base: ir.Value, entry: ir.Value) -> ir.Value:
    """Load the plane whose offset lies at an address."""
    place = builder.sext(simd.load(builder, entry, I32, 4), I64)
    return simd.load(builder, builder.add(base, place), V64, PLANE_BYTES)


def _group(
    builder: ir.IRBuilder, low: list[ir.Value], base: ir.Value, entries: ir.Value, negative: bool
) -> ir.Value:
    """Emit the sum of the lowest three planes and eight inputs, in place; return what carries."""
    x = [_plane(builder, base, simd.offset(builder, entries, 4 * k)) for k in range(GROUP)]
    fours = []
    for k in (0, 4):
        low[0], first = _adder(builder, low[0], x[k], x[k + 1], negative=negative)
        low[0], second = _adder(builder, low[0], x[k + 2], x[k + 3], negative=negative)
        low[1], four = _adder(builder, low[1], first, second)
        fours.append(four)
    low[2], eight = _adder(builder, low[2], *fours)
    return eight


def _inputs(
    builder: ir.IRBuilder,
    total: _Sum,
    column: int,
    base: ir.Value,
    entry: ir.Value,
    counts: list[ir.Value],
    carries: ir.Value,
) -> None:
    """Emit the loops that add inputs of weight ``2**column``; `entry` moves behind the last."""
    room = simd.variable(builder, I64, carries)

    def add(*signs: bool) -> None:
        low = total.read(column, 4)
        at = builder.load(entry, typ=I64)
        eights = [
            _group(builder, low, base, simd.offset(builder, at, 4 * GROUP * k), negative)
            for k, negative in enumerate(signs)
        ]
        if len(eights) == 1:
            high = low[3]
            low[3], carry = builder.xor(high, eights[0]), builder.and_(high, eights[0])
        else:
            low[3], carry = _adder(builder, low[3], *eights)
        place = builder.load(room, typ=I64)
        simd.store(builder, carry, place, PLANE_BYTES)
        builder.store(simd.offset(builder, place, PLANE_BYTES), room)
        builder.store(simd.offset(builder, at, 4 * GROUP * len(signs)), entry)
        total.write(column, low)

    kinds = ((True, True), (True, False), (False, False), (True,), (False,))
    for count, signs in zip(counts, kinds, strict=True):
        with cgutils.for_range(builder, count):
            add(*signs)
    end = builder.load(room, typ=I64)
    with builder.if_then(builder.icmp_unsigned("!=", end, carries)):
        for k in range(3):
            simd.store(builder, _NOTHING, simd.offset(builder, end, PLANE_BYTES * k), PLANE_BYTES)
        stored = builder.lshr(builder.sub(end, carries), ir.Constant(I64, 6))
        fours = builder.lshr(builder.add(stored, ir.Constant(I64, 3)), ir.Constant(I64, 2))
        with cgutils.for_range(builder, fours) as loop:
            at = builder.add(carries, builder.shl(loop.index, ir.Constant(I64, 8)))
            x = [simd.load(builder, simd.offset(builder, at, 64 * k), V64, 64) for k in range(4)]
            one, two = total.read(column + 4, 2)
            one, first = _adder(builder, one, x[0], x[1])
            one, second = _adder(builder, one, x[2], x[3])
            two, four = _adder(builder, two, first, second)
            total.write(column + 4, [one, two])
            total.carry(column + 6, four)


def _sums(
    builder: ir.IRBuilder,
    total: _Sum,
    base: ir.Value,
    entry: ir.Value,
    count: ir.Value,
    *,
    negative: bool,
) -> None:
    """Emit the loop that adds other sums, or the complements of their planes."""
    with cgutils.for_range(builder, count):
        at = builder.load(entry, typ=I64)
        place = builder.add(base, builder.sext(simd.load(builder, at, I32, 4), I64))
        builder.store(simd.offset(builder, at, 4), entry)
        carry: ir.Value = _NOTHING
        for k in range(len(total.slots)):
            (plane,) = total.read(k, 1)
            other = simd.load(builder, simd.offset(builder, place, PLANE_BYTES * k), V64, 64)
            if negative:
                other = builder.not_(other)
            plane, carry = _adder(builder, plane, other, carry)
            total.write(k, [plane])


def _everywhere(builder: ir.IRBuilder, row: ir.Value, k: int) -> ir.Value:
    """Load int64 k of a row into all lanes."""
    number = simd.load(builder, simd.offset(builder, row, 8 * k), I64, 8)
    return simd.splat(builder, number, V64)


@intrinsic
def _node(typingctx, planes, base, record, tables, carries, out):
    """Work out one node: its planes go to its slot, its neuron's bit to `out`.

    Parameters
    ----------
    planes
        A tuple as long as a sum has planes: its length is known to the compiler.
    base
        Address of the array of planes.
    record
        Address of the node's fields.
    tables
        Addresses of the lists, of the node's constant (a word a plane) and its limits (one more).
    carries
        Address of room for carries.
    out
        Address of the neurons' bits.
    """
    width = len(planes)

    def emit(context, builder, signature, args):
        _, base, record, tables, carries, out = args
        lists, constant, limits = (builder.extract_value(tables, k) for k in range(3))
        fields = [simd.load(builder, simd.offset(builder, record, 8 * k), I64, 8)
                  for k in range(FIELDS)]  # fmt: skip
        total = _Sum(builder, [_everywhere(builder, constant, k) for k in range(width)])
        entry = simd.variable(builder, I64, builder.add(lists, fields[LIST]))
        for column, first in enumerate((PAIRS0, PAIRS1)):
            counts = fields[first : first + 5]
            _inputs(builder, total, column, base, entry, counts, carries)
        _sums(builder, total, base, entry, fields[ADDED], negative=False)
        _sums(builder, total, base, entry, fields[TAKEN], negative=True)
        made = total.read(0, width)
        with builder.if_then(builder.icmp_signed("!=", fields[SLOT], ir.Constant(I64, 0))):
            slot = builder.add(base, fields[SLOT])
            for k, plane in enumerate(made):
                place = simd.offset(builder, slot, PLANE_BYTES * k)
                simd.store(builder, plane, place, PLANE_BYTES)
        with builder.if_then(builder.icmp_signed(">=", fields[OUT], ir.Constant(I64, 0))):
            carry: ir.Value = _EVERYTHING
            for k, plane in enumerate(made):
                _, carry = _adder(builder, carry, plane, _everywhere(builder, limits, k))
            bit = builder.xor(carry, _everywhere(builder, limits, width))
            simd.store(builder, bit, builder.add(out, fields[OUT]), PLANE_BYTES)
        return context.get_dummy_value()

    return types.void(planes, base, record, tables, carries, out), emit


@njit(cache=True, nogil=True)
def decide(planes, nodes, lists, constants, limits, carries, array, out):
    """Work out all nodes of a graph for 512 windows.

    Parameters
    ----------
    planes
        A tuple as long as sums have planes.
    nodes
        int64 (nodes, FIELDS).
    lists
        int32 offsets, as the nodes say.
    constants
        int64 (nodes, planes): what each node starts from, 0 or -1 for each plane.
    limits
        int64 (nodes, planes + 1): complement of what a sum is compared with, then whether the bit
        is inverted; each 0 or -1.
    carries
        Offset of the room for carries in the array.
    array
        uint64 (planes, 8), aligned: the inputs are filled in.
    out
        uint64 (neurons or more, 8), aligned.
    """
    base = array.ctypes.data
    places = lists.ctypes.data
    for k in range(nodes.shape[0]):
        tables = (
            places,
            constants.ctypes.data + k * constants.strides[0],
            limits.ctypes.data + k * limits.strides[0],
        )
        record = nodes.ctypes.data + k * nodes.strides[0]
        _node(planes, base, record, tables, base + carries, out.ctypes.data)
