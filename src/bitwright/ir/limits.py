"""How large a program may be, so that a hostile file cannot cost more memory than stated."""

from __future__ import annotations

MAX_OPS = 4096
MAX_VALUE_ELEMENTS = 2**24
"""The largest value of one image: 16 M elements, 64 MiB as 32-bit integers."""
MAX_TOTAL_ELEMENTS = 2**27
"""The sum of all values of one image."""
MAX_TENSOR_ELEMENTS = 2**28
"""The largest constant, and the sum over all ops of the constants that they use.

Verifying reads a constant once for each op that uses it: the sum bounds the time that it takes.
"""
MAX_KERNEL = 256
MAX_SHIFT = 61
MAX_LOOKUP = 2**16
MAX_CHANNEL_PADDING = 2**20
