"""Emitted code as Numba intrinsics of integer arguments."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def intrinsic_of(emit: Callable[[ir.IRBuilder, list[ir.Value]], None], count: int):
    """Return a Numba intrinsic of `count` int64 arguments that returns nothing.

    Parameters
    ----------
    emit
        Called with the builder and the arguments, all integers.
    count
        3 to 6 of them.
    """

    def typed(*_arguments):
        def codegen(context, builder, _signature, arguments):
            emit(builder, list(arguments))
            return context.get_dummy_value()

        return types.void(*[types.int64] * count), codegen

    return intrinsic(_ARITIES[count](typed))


# Numba counts the arguments in a function's signature, so each number of them has its own.
_ARITIES = {
    3: lambda typed: lambda _typing, _a, _b, _c: typed(),
    4: lambda typed: lambda _typing, _a, _b, _c, _d: typed(),
    5: lambda typed: lambda _typing, _a, _b, _c, _d, _e: typed(),
    6: lambda typed: lambda _typing, _a, _b, _c, _d, _e, _f: typed(),
}
