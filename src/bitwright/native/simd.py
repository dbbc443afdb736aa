"""Vectors for Numba: eight 64-bit lanes, emitted as LLVM vector IR, and what the processor has.

Requirements:

- One source serves AVX-512, AVX2 and plain x86-64 (or any other processor): LLVM legalises the
  vector types for the processor that Numba compiles for; only tile shapes depend on the level.
- The level follows Numba's own target, so ``NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=`` tests the
  AVX2 path on a machine that has more (the name alone leaves the machine's features on).
- Addresses are plain integers: the caller keeps the arrays alive and in bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import llvmlite.binding as llvm
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, registry

Level = Literal["avx512", "avx2", "portable"]

LANES = 8
I8, I16, I32, I64 = (ir.IntType(n) for n in (8, 16, 32, 64))
V64 = ir.VectorType(I64, LANES)
V32 = ir.VectorType(I32, 2 * LANES)
V16 = ir.VectorType(I16, 4 * LANES)
ALIGNMENT = 64

# `bitwright.native.binary` writes out instructions; Numba itself never needs the parser for them.
llvm.initialize_native_asmparser()


@cache
def level() -> Level:
    """Return the widest vector unit that code compiled by Numba here may use.

    LLVM is asked rather than the processor: it compiles an eight-lane popcount for Numba's target
    and the registers in the assembly tell.
    """
    assembly = _assembly(lambda builder, at: popcount(builder, load(builder, at, V64)))
    if "vpopcntq" in assembly and "zmm" in assembly:
        return "avx512"
    # AVX-512 without a popcount for vectors (Skylake to Cascade Lake) does as AVX2 does, in zmm.
    return "avx2" if "ymm" in assembly or "zmm" in assembly else "portable"


@cache
def has_dot_products() -> bool:
    """Whether AVX-512 can multiply four bytes with four and add all, in one instruction (VNNI)."""
    if level() != "avx512":
        return False

    def pairs(builder: ir.IRBuilder, at: ir.Value) -> ir.Value:
        kind = ir.FunctionType(V32, [V16, V16])
        name = "llvm.x86.avx512.pmaddw.d.512"
        multiply = cgutils.get_or_insert_function(builder.module, kind, name)
        x, y = load(builder, at, V16), load(builder, offset(builder, at, 64), V16)
        total = load(builder, offset(builder, at, 128), V32)
        return builder.add(total, builder.call(multiply, [x, y]))

    # Naming the instruction's intrinsic would abort where it is missing; LLVM forms it by itself.
    return "vpdpwssd" in _assembly(pairs)


def _assembly(emit: Callable[[ir.IRBuilder, ir.Value], ir.Value]) -> str:
    """Return what Numba's target makes of a function of one address, which it loads and stores."""
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64]), "probe")
    builder = ir.IRBuilder(function.append_basic_block())
    store(builder, emit(builder, function.args[0]), function.args[0])
    builder.ret_void()
    # Numba pins the name of its target machine no better than this; the contract is its version.
    machine = registry.cpu_target.target_context.codegen()._tm
    return str(machine.emit_assembly(llvm.parse_assembly(str(module))))


def aligned(shape: tuple[int, ...], dtype: npt.DTypeLike, slack: int = 0) -> npt.NDArray[Any]:
    """Return zeros on a 64-byte boundary, with `slack` readable bytes behind them."""
    kind = np.dtype(dtype)
    count = math.prod(shape) * kind.itemsize
    raw = np.zeros(count + ALIGNMENT + slack, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + count].view(kind).reshape(shape)


def pointer(builder: ir.IRBuilder, address: ir.Value, kind: ir.Type) -> ir.Value:
    """Return an integer address as a pointer."""
    return builder.inttoptr(address, ir.PointerType(kind))


def load(builder: ir.IRBuilder, address: ir.Value, kind: ir.Type, align: int = 1) -> ir.Value:
    """Load a scalar or vector from an address."""
    value = builder.load(pointer(builder, address, kind), typ=kind)
    value.align = align
    return value


def store(builder: ir.IRBuilder, value: ir.Value, address: ir.Value, align: int = 1) -> None:
    """Store a scalar or vector at an address."""
    builder.store(value, pointer(builder, address, value.type)).align = align


def splat(builder: ir.IRBuilder, scalar: ir.Value, kind: ir.VectorType) -> ir.Value:
    """Return a vector with a scalar in every lane."""
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
    everywhere = ir.Constant(ir.VectorType(I32, kind.count), None)
    return builder.shuffle_vector(first, undefined, everywhere)


def words(builder: ir.IRBuilder, address: ir.Value, count: int) -> list[ir.Value]:
    """Load neighbouring 32-bit words, each into all lanes of a vector."""
    places = [offset(builder, address, 4 * k) for k in range(count)]
    return [splat(builder, load(builder, place, I32), V32) for place in places]


def popcount(builder: ir.IRBuilder, vector: ir.Value) -> ir.Value:
    """Count the ones of each lane."""
    if vector.type == V32 and level() == "avx2":
        return _popcount_of_bytes(builder, vector)
    return _unary(builder, "llvm.ctpop", vector)


def _popcount_of_bytes(builder: ir.IRBuilder, vector: ir.Value) -> ir.Value:
    """Count by bytes, which AVX2 looks up, and add four: two multiplications by ones do that.

    LLVM by itself takes five instructions to add them.
    """
    halves = []
    for first in (0, LANES):
        lanes = ir.Constant(ir.VectorType(I32, LANES), list(range(first, first + LANES)))
        half = builder.shuffle_vector(vector, ir.Constant(V32, ir.Undefined), lanes)
        count = _unary(builder, "llvm.ctpop", builder.bitcast(half, ir.VectorType(I8, 4 * LANES)))
        for name, large in (("ub.sw", I16), ("wd", I32)):
            result = ir.VectorType(large, count.type.count // 2)
            kind = ir.FunctionType(result, [count.type, count.type])
            add = cgutils.get_or_insert_function(
                builder.module, kind, f"llvm.x86.avx2.pmadd.{name}"
            )
            ones = ir.Constant(count.type, [1] * count.type.count)
            count = builder.call(add, [count, ones])
        halves.append(count)
    both = ir.Constant(ir.VectorType(I32, 2 * LANES), list(range(2 * LANES)))
    return builder.shuffle_vector(*halves, both)


def _unary(builder: ir.IRBuilder, name: str, vector: ir.Value) -> ir.Value:
    kind = ir.FunctionType(vector.type, [vector.type])
    name = f"{name}.v{vector.type.count}i{vector.type.element.width}"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [vector])


def offset(builder: ir.IRBuilder, address: ir.Value, count: int) -> ir.Value:
    """Return an address moved by a constant number of bytes."""
    return builder.add(address, ir.Constant(I64, count)) if count else address


def variable(builder: ir.IRBuilder, kind: ir.Type, initial: ir.Value) -> ir.Value:
    """Return a stack slot that LLVM turns into a register, set to an initial value."""
    slot = cgutils.alloca_once(builder, kind)
    builder.store(initial, slot)
    return slot
