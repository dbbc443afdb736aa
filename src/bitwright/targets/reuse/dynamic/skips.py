"""`Skips`: which redundant work a layer leaves out, each mechanism a switch of its own.

Every mechanism is exact: it leaves work out only where the output bit is already certain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from bitwright.errors import ConfigError

Bounds = Literal["none", "naive", "tight", "parent"]
TileOrder = Literal["natural", "variance", "learned"]
ChannelOrder = Literal["natural", "parents", "variance", "learned"]

CALIBRATED = ("variance", "learned")
"""Orders that come from images, of tiles and of channels."""
MAX_WIDTH = 64
"""A tile is one 64-bit word at most."""


@dataclass(frozen=True)
class Skips:
    """What is left out, and in which order the rest is done.

    Parameters
    ----------
    width
        Bits in a tile of the fan-in, 1 to 64. The last tile may hold fewer.
    bounds
        What is known of a count of matches while r inputs are left, p matches so far; a bit is
        decided when all counts within the bounds lie on one side of the threshold.

        - ``none``: nothing; all tiles are done.
        - ``naive``: p .. p + r.
        - ``tight``: the ones left in the activations, a, and in the kernel, k, are known too:
          p + abs(a + k - r) .. p + r - abs(a - k).
        - ``parent``: as tight; and where a similar kernel, the parent, has been done further in
          the same window, its matches give or take the places where the two kernels differ.
    tile_order
        Which tiles come first.

        - ``natural``: as they lie in the fan-in (kernel row, kernel column, channel).
        - ``variance``: those whose counts vary most over calibration windows and kernels.
        - ``learned``: the order in which `bounds` decide soonest on calibration windows, found
          from the last tile to the first one.
    channel_order
        Which kernels come first in a window. It matters to `inclusion` and to the bounds
        ``parent``, which work from kernels done before.

        - ``natural``: as they are stored.
        - ``parents``: along a spanning tree of similar kernels, so that each one's nearest
          neighbour comes before it.
        - ``variance``: those whose counts vary most over calibration windows.
        - ``learned``: so that most is saved on calibration windows; with the bounds ``parent``,
          the parents are those that save most there.
    inclusion
        Use that one kernel's bit can imply another one's: kernels that differ in h places have
        counts that differ by at most h. Where one includes the other, that is the whole of what
        set inclusion says of two bits.
    pool
        Stop at the first window of a max-pool that decides it.
    constants
        Leave out neurons whose bit is the same for every reachable count, and inputs that are the
        same in every image: bits of such neurons in the layer before, and padding of -1 or +1.

    Raises
    ------
    ConfigError
        If a setting is unknown or out of range.
    """

    width: int = 32
    bounds: Bounds = "tight"
    tile_order: TileOrder = "natural"
    channel_order: ChannelOrder = "natural"
    inclusion: bool = True
    pool: bool = True
    constants: bool = True

    def __post_init__(self) -> None:
        if type(self.width) is not int or not 1 <= self.width <= MAX_WIDTH:
            raise ConfigError(f"a tile cannot have {self.width} bits", f"take 1 to {MAX_WIDTH}")
        for name, known in (
            ("bounds", Bounds), ("tile_order", TileOrder), ("channel_order", ChannelOrder),
        ):  # fmt: skip
            value = getattr(self, name)
            if value not in get_args(known):
                raise ConfigError(
                    f"there is no {name} '{value!s:.40}'", f"take {', '.join(get_args(known))}"
                )

    @property
    def needs_calibration(self) -> bool:
        """Whether an order comes from images."""
        return self.tile_order in CALIBRATED or self.channel_order in CALIBRATED


NO_SKIPS = Skips(bounds="none", inclusion=False, pool=False, constants=False)
"""All work is done."""
