"""A design's layers on the accelerator's model: what each asks, with and without what it skips.

Requirements:

- Only layers of bits run on it. Tiles are those of a machine that works tile by tile: rows of
  kernels are not crossed where tiles used are known from images.
- Each mechanism has an array of its own, as large as the part allows: one that does less in an
  element has more of them. The dense array is the baseline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.ir.types import Bits
from bitwright.native import NativeProgram
from bitwright.native.convolution import Dot
from bitwright.targets.reuse.accelerator import (
    Accelerator,
    LayerLoad,
    Run,
    distinct_patterns,
    find_part,
    simulate,
)
from bitwright.targets.reuse.dynamic import SkipNetwork, tiles_used

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Runs:
    """An image on the accelerator.

    Parameters
    ----------
    dense
        Nothing skipped.
    patterns
        Patterns of tiles counted once for all channels.
    skipping
        Early decisions and pools, from the tiles that images used; None without images.
    images
        How many those were.
    """

    dense: Run
    patterns: Run
    skipping: Run | None
    images: int

    @property
    def by_name(self) -> Mapping[str, Run]:
        """All that there are."""
        found = {"dense": self.dense, "patterns": self.patterns}
        return found | ({"skipping": self.skipping} if self.skipping is not None else {})


def run_on(
    part: str, tile: int, dots: Mapping[str, Dot], skipping: SkipNetwork, images: Array | None
) -> Runs:
    """Run the layers of bits on a part.

    Parameters
    ----------
    part
        The FPGA's name.
    tile
        Bits that an element takes in a cycle.
    dots
        All layers with weights of one bit, by name.
    skipping
        What is decided early; its tiles are as wide.
    images
        (N, *input shape) from which tiles used come; None for none.

    Raises
    ------
    UnknownNameError
        If there is no such part.
    ConfigError
        If the network does not fit the part.
    """
    binary = {name: dot for name, dot in dots.items() if isinstance(dot.value, Bits)}
    loads = [_load(name, dot, tile, skipping) for name, dot in binary.items()]
    base = Accelerator(part=find_part(part), tile=tile, schedule="dataflow")
    sharing = Accelerator(part=base.part, tile=tile, schedule="dataflow", reuse=True, tile_units=8)
    found = None
    if images is not None:
        early = Accelerator(part=base.part, tile=tile, schedule="dataflow", early=True, pool=True)
        found = simulate(early, _used(binary, tile, skipping, images))
    count = 0 if images is None else len(images)
    return Runs(simulate(base, loads), simulate(sharing, loads), found, count)


def _load(name: str, dot: Dot, tile: int, skipping: SkipNetwork) -> LayerLoad:
    kernels = dot.weights.reshape(len(dot.weights), -1)
    return LayerLoad(
        name, dot.windows.number, len(kernels), kernels.shape[1], tile,
        distinct=distinct_patterns(kernels, tile), pool=_pool(name, skipping),
    )  # fmt: skip


def _pool(name: str, skipping: SkipNetwork) -> int:
    """Return how many windows make a bit, where pools do not overlap or reach over the border."""
    found = skipping.layers.get(name)
    if found is None:
        return 1
    members = found.layer.members()
    whole = members.size == found.layer.windows and bool((members >= 0).all())
    return int(members.shape[1]) if whole else 1


def _used(
    dots: Mapping[str, Dot], tile: int, skipping: SkipNetwork, images: Array
) -> list[LayerLoad]:
    """Return the loads with the tiles that images take; layers that cannot skip take all."""
    engine = NativeProgram(skipping.program, keep=list({dot.source for dot in dots.values()}))
    values = engine.run(images)
    loads = []
    for name, dot in dots.items():
        plain = _load(name, dot, tile, skipping)
        prepared = skipping.layers.get(name)
        if prepared is None:
            used = np.full((len(images), plain.windows, plain.channels), plain.tiles)
            loads.append(_with(plain, used, plain.tiles))
            continue
        counted = tiles_used(prepared, values[dot.source]).astype(np.int64)
        if plain.pool > 1:
            counted = counted[:, prepared.layer.members().ravel()]
        loads.append(_with(plain, counted, prepared.tiles))
    return loads


def _with(load: LayerLoad, used: Array, tiles: int) -> LayerLoad:
    return LayerLoad(
        load.name, load.windows, load.channels, load.fan_in, load.tile,
        tiles=tiles, used=used, pool=load.pool,
    )  # fmt: skip
