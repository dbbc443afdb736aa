"""The intermediate representation: exact integer programs and what they mean (NumPy only)."""

from bitwright.ir.codec import load, save
from bitwright.ir.ops import (
    OPS,
    Add,
    Affine,
    ArgMax,
    Conv2d,
    Dense,
    Flatten,
    Lookup,
    MaxPool2d,
    Offset,
    Op,
    PadChannels,
    PiecewiseLinear,
    Subsample,
    SumPool2d,
    Threshold,
)
from bitwright.ir.program import FORMAT_VERSION, Program, check_batch
from bitwright.ir.types import MAX_INT, Bits, Int, ValueType
from bitwright.ir.work import Work, count_work

__all__ = [
    "FORMAT_VERSION",
    "MAX_INT",
    "OPS",
    "Add",
    "Affine",
    "ArgMax",
    "Bits",
    "Conv2d",
    "Dense",
    "Flatten",
    "Int",
    "Lookup",
    "MaxPool2d",
    "Offset",
    "Op",
    "PadChannels",
    "PiecewiseLinear",
    "Program",
    "Subsample",
    "SumPool2d",
    "Threshold",
    "ValueType",
    "Work",
    "check_batch",
    "count_work",
    "load",
    "save",
]
