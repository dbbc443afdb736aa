"""The native engine: programs at the speed of the processor's vector units (Numba)."""

from bitwright.native.engine import NativeProgram, run
from bitwright.native.simd import level

__all__ = ["NativeProgram", "level", "run"]
