"""What every frontend does with ops: name them, type them as they come, collect their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.ir.rules import infer_op
from bitwright.ir.types import ValueType

Array = npt.NDArray[Any]


class Emitter:
    """A program that grows op by op.

    Parameters
    ----------
    input_name, input_type
        The program's only input.
    """

    def __init__(self, input_name: str, input_type: ValueType) -> None:
        self.input_name = input_name
        self.types: dict[str, ValueType] = {input_name: input_type}
        self.ops: list[o.Op] = []
        self.tensors: dict[str, Array] = {}

    def fresh(self, name: str) -> str:
        """Return the name, with a number behind it if a value has it already."""
        name = name if name[0].isalpha() else f"layer{name}"
        candidate, number = name, 1
        while candidate in self.types:
            number += 1
            candidate = f"{name}_{number}"
        return candidate

    def emit(self, op: o.Op, **tensors: Array) -> str:
        """Add an op with its tensors by field; return the name of its value.

        Raises
        ------
        ProgramError
            If the op breaks a rule of the IR.
        """
        self.tensors.update({getattr(op, field): array for field, array in tensors.items()})
        self.types[op.output] = infer_op(op, self.types, self.tensors)
        self.ops.append(op)
        return op.output

    def program(
        self,
        outputs: tuple[str, ...],
        *,
        name: str,
        classes: tuple[str, ...],
        metadata: Mapping[str, str],
    ) -> Program:
        """Return the program, verified as a whole; ops that no output needs are left out."""
        needed = set(outputs)
        for op in reversed(self.ops):
            if op.output in needed:
                needed.update(op.inputs)
        return Program(
            input_name=self.input_name,
            input_type=self.types[self.input_name],
            ops=tuple(op for op in self.ops if op.output in needed),
            tensors=self.tensors,
            outputs=outputs,
            name=name,
            classes=classes,
            metadata=metadata,
        )

    # The ops that frontends write most.

    def conv2d(self, output: str, source: str, weights: Array, **attributes: Any) -> str:
        """Add a convolution with kernels (out, kh, kw, in): bool or int8."""
        op = o.Conv2d(output=output, inputs=(source,), weights=f"{output}.weights", **attributes)
        return self.emit(op, weights=weights)

    def dense(self, output: str, source: str, weights: Array) -> str:
        """Add a dense layer with rows (out, in): bool or int8."""
        op = o.Dense(output=output, inputs=(source,), weights=f"{output}.weights")
        return self.emit(op, weights=weights)

    def threshold(self, output: str, source: str, thresholds: Array, rising: Array) -> str:
        """Add thresholds, one a channel."""
        op = o.Threshold(
            output=output,
            inputs=(source,),
            thresholds=f"{output}.thresholds",
            rising=f"{output}.rising",
        )
        return self.emit(op, thresholds=thresholds.astype(np.int32), rising=rising.astype(np.bool_))
