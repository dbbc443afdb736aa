"""Popcounts as structural Verilog of generic cells, by column compression; exact or majority."""

from __future__ import annotations

import numpy as np


def popcount(n: int, *, levels: int = 0, threshold: int | None = None) -> str:
    """Return a module ``pc`` whose output is the count of its inputs, or whether it reaches one.

    Parameters
    ----------
    n
        The number of inputs, ``in[n-1:0]``.
    levels
        How often groups of three bits are replaced by their majority first.
    threshold
        With one, ``out[0]`` is count >= threshold; without, ``out`` is the count.
    """
    maker = _Maker()
    bits = [f"in[{i}]" for i in range(n)]
    for _ in range(levels):
        groups = range(0, len(bits) - 2, 3)
        bits = [maker.majority(*bits[i : i + 3]) for i in groups] + bits[len(bits) // 3 * 3 :]
    columns = {0: bits}
    while any(len(column) > 1 for column in columns.values()):
        following: dict[int, list[str]] = {}
        for weight, column in sorted(columns.items()):
            rest = list(column)
            while len(rest) >= 3 or len(rest) == len(column) == 2:
                taken, rest = rest[:3], rest[3:]
                total, carry = maker.adder(*taken)
                following.setdefault(weight, []).append(total)
                following.setdefault(weight + 1, []).append(carry)
            following.setdefault(weight, []).extend(rest)
        columns = following
    width = max(columns) + 1
    count = ", ".join(
        columns[weight][0] if columns.get(weight) else "1'b0" for weight in reversed(range(width))
    )
    outputs = 1 if threshold is not None else width
    compared = f"count >= {width}'d{threshold}" if threshold is not None else "count"
    return (
        f"module pc(input [{n - 1}:0] in, output [{outputs - 1}:0] out);\n"
        + "".join(f"  wire w{i};\n" for i in range(maker.wires))
        + "".join(maker.lines)
        + f"  wire [{width - 1}:0] count = {{{count}}};\n  assign out = {compared};\nendmodule\n"
    )


def expected(
    inputs: np.ndarray, outputs: int, *, levels: int = 0, threshold: int | None = None
) -> np.ndarray:
    """Return what ``popcount`` should give, of shape (vectors, outputs)."""
    bits = inputs
    for _ in range(levels):
        groups = bits.shape[1] // 3
        grouped = bits[:, : 3 * groups].reshape(len(bits), groups, 3)
        bits = np.concatenate([grouped.sum(2) >= 2, bits[:, 3 * groups :]], axis=1)
    count = bits.sum(1)
    if threshold is not None:
        return (count >= threshold)[:, None]
    return (count[:, None] >> np.arange(outputs) & 1).astype(bool)


class _Maker:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.wires = 0

    def wire(self) -> str:
        self.wires += 1
        return f"w{self.wires - 1}"

    def majority(self, a: str, b: str, c: str) -> str:
        y = self.wire()
        self.lines.append(f"  BW_MAJ3 m_{y}(.a({a}), .b({b}), .c({c}), .y({y}));\n")
        return y

    def adder(self, *bits: str) -> tuple[str, str]:
        s, co = self.wire(), self.wire()
        pins = ", ".join(f".{pin}({bit})" for pin, bit in zip("abc", bits, strict=False))
        kind = "BW_FA" if len(bits) == 3 else "BW_HA"
        self.lines.append(f"  {kind} a_{s}({pins}, .s({s}), .co({co}));\n")
        return s, co
