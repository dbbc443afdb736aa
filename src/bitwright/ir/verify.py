"""The rules of a whole program: `infer_types` accepts one or says why not.

Types are derived here and stored nowhere, so a file cannot contradict itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from bitwright.ir import ops as o
from bitwright.ir.limits import MAX_OPS, MAX_TENSOR_ELEMENTS, MAX_TOTAL_ELEMENTS
from bitwright.ir.rules import Tensors, check, check_name, check_value, constants, infer_op
from bitwright.ir.types import ValueType


def infer_types(
    input_name: str,
    input_type: ValueType,
    ops: Sequence[o.Op],
    tensors: Tensors,
    outputs: Sequence[str],
) -> dict[str, ValueType]:
    """Return the type of every value of a program, in order of definition.

    Parameters
    ----------
    input_name, input_type
        The program's only input.
    ops
        In an order in which every value is defined before it is used.
    tensors
        The constants by name: bool (True is +1), int8, int32 or int64.
    outputs
        The values that a run returns.

    Raises
    ------
    ProgramError
        If a rule of ``docs/ir.md`` is broken; the message names the op.
    """
    check_name(input_name, "the input")
    check_value(input_name, input_type)
    for name, tensor in tensors.items():
        check_name(name, "a tensor")
        check(tensor.size <= MAX_TENSOR_ELEMENTS, name, f"has {tensor.size} elements")
    check(len(ops) <= MAX_OPS, "the program", f"has {len(ops)} ops, more than {MAX_OPS}")
    types: dict[str, ValueType] = {input_name: input_type}
    total, read = input_type.size, 0
    for op in ops:
        check_name(op.output, f"the output of a {op.kind}")
        check(op.output not in types, op.output, "is defined twice")
        read += sum(tensor.size for tensor in constants(op, tensors).values())
        check(read <= MAX_TENSOR_ELEMENTS, op.output, "makes the constants of all ops too large")
        types[op.output] = infer_op(op, types, tensors)
        total += types[op.output].size
        check(total <= MAX_TOTAL_ELEMENTS, op.output, "makes the values of one image too large")
    check(len(outputs) > 0, "the program", "has no outputs")
    check(len(set(outputs)) == len(outputs), "the program", "names an output twice")
    for name in outputs:
        check(name in types, name, "is an output, but no op defines it")
    return types
