"""Programs of one op, for the tests of single rules and meanings."""

from __future__ import annotations

from typing import Any

import numpy as np

from bitwright.ir import OPS, Program, ValueType, reference


def one_op(kind: str, *inputs: ValueType, tensors: Any = None, **attributes: Any) -> Program:
    """Return a program of one op, ``y``; it reads the input ``x`` once for each type given.

    All types must be equal: an op of two inputs reads the same value twice.
    """
    tensors = tensors or {}
    op = OPS[kind](
        output="y", inputs=("x",) * len(inputs), **{name: name for name in tensors}, **attributes
    )
    return Program(input_name="x", input_type=inputs[0], ops=(op,), tensors=tensors, outputs=("y",))


def result(program: Program, batch: Any) -> np.ndarray:
    """Return the value ``y`` of a program on a batch."""
    return reference.run(program, batch)["y"]
