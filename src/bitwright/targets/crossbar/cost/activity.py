"""What a layer's arrays do for an image: all that its energy and latency are worked out from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from bitwright.errors import ConfigError
from bitwright.targets.base import Counters
from bitwright.targets.crossbar.design import Design, Flips
from bitwright.targets.crossbar.flips import Granularity

Mapping = Literal["and", "xnor"]
STATIC: tuple[Flips, ...] = ("static", "both", "random")
"""Flips for which columns hold a bit."""
DYNAMIC: tuple[Flips, ...] = ("dynamic", "both", "random")
"""Flips for which word lines are inverted, and columns hold a constant."""


@dataclass(frozen=True, kw_only=True)
class Activity:
    """A layer's arrays and what they do for one image, on average.

    Parameters
    ----------
    name
        Of the layer.
    rows, columns
        Of an array, in cells.
    row_tiles
        Tiles of the layer, of all its groups: each is the rows of an array.
    column_tiles
        Arrays that the columns of a tile take: all get the same word-line pulses.
    groups
        Reads of a tile one after another: 1, unless only some word lines are on at once.
    fan_in, outputs
        Inputs of an output, and channels of the output.
    windows
        Positions at which the layer is computed, of an image.
    adc_bits
        Of the converters.
    mapping
        "and": a cell for each weight. "xnor": two, complementary.
    flips
        Which vectors are inverted; "random" takes what "both" takes.
    granularity
        What shares a flip: a "read", a "tile" (which takes what a read takes), or all tiles
        ("kernel").
    reads
        Reads of tiles: ``windows`` times the reads of all tiles, if none is left out.
    conversions
        Columns converted, over all reads.
    word_lines
        Pulses on word lines: the sum of A' over all reads of tiles.
    on_cells
        Cells that conduct: the sum of W'A' over all conversions.
    current
        Sum of the columns' currents, as solved, over all conversions; in units of the current of a
        cell that is on at the whole read voltage, so `on_cells` with ideal wires.
    inverted_reads
        Reads whose sub-vector of activations is inverted.
    flipped_columns
        Columns that are stored inverted, of all tiles.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    name: str
    rows: int
    columns: int
    row_tiles: int
    column_tiles: int
    fan_in: int
    outputs: int
    windows: int
    adc_bits: int
    reads: float
    conversions: float
    word_lines: float
    on_cells: float
    current: float
    groups: int = 1
    mapping: Mapping = "and"
    flips: Flips = "none"
    granularity: Granularity = "read"
    inverted_reads: float = 0.0
    flipped_columns: int = 0

    def __post_init__(self) -> None:
        least = {
            "rows": 1, "columns": 1, "row_tiles": 1, "column_tiles": 1, "groups": 1, "fan_in": 1,
            "outputs": 1, "windows": 1, "adc_bits": 1, "reads": 1, "conversions": 1,
            "word_lines": 0, "on_cells": 0, "current": 0, "inverted_reads": 0, "flipped_columns": 0,
        }  # fmt: skip
        for field, smallest in least.items():
            value = getattr(self, field)
            if not smallest <= value < float("inf"):
                raise ConfigError(
                    f"{field} of layer {self.name} is {value}", f"give {smallest} or more"
                )
        for field, known in (("mapping", Mapping), ("flips", Flips), ("granularity", Granularity)):
            value = getattr(self, field)
            if value not in get_args(known):
                raise ConfigError(
                    f"{field} of layer {self.name} is '{value}'",
                    "use " + ", ".join(get_args(known)),
                )
        if self.mapping == "xnor" and self.flips != "none":
            raise ConfigError(
                "complementary cells conduct as much whatever is flipped",
                "use mapping = 'and' with flips, or flips = 'none'",
            )

    @property
    def arrays(self) -> int:
        """How many the layer takes."""
        return self.row_tiles * self.column_tiles

    @property
    def inputs(self) -> int:
        """Inputs of an array, each with its own register."""
        return self.rows if self.mapping == "and" else max(self.rows // 2, 1)

    @property
    def inputs_at_once(self) -> int:
        """Inputs of a read."""
        return -(-self.inputs // self.groups)

    @property
    def used_columns(self) -> int:
        """Columns of an array that are converted, on average, rounded up."""
        whole = -(-self.conversions // self.reads)
        return int(min(-(-whole // self.column_tiles), self.columns))


def full_range_bits(inputs: int, flips: Flips = "none") -> int:
    """Return the bits of a converter whose step is one cell and whose range is never left.

    A column that is stored with at most half ones, or read with at most half of its word lines on,
    counts to half of its inputs only: BinSparX saves a bit of the converter.
    """
    if inputs < 1:
        raise ConfigError(f"a read of {inputs} inputs counts nothing", "give 1 or more")
    most = inputs if flips in ("none", "random") else max(inputs // 2, 1)
    return most.bit_length()


def activities(
    design: Design, counters: Counters, *, adc_bits: int | None = None, plain: bool = False
) -> tuple[Activity, ...]:
    """Return the activity of every layer of a design that was simulated.

    Parameters
    ----------
    counters
        Of `bitwright.targets.crossbar.simulate`, added up over any number of images.
    adc_bits
        Of the converters, where the configuration leaves them open; None for `full_range_bits`.
    plain
        Return what the same arrays would do without flips: the same bits counted as they are. The
        current follows the cells that conduct, so what more current loses in the wires is left out;
        simulate with ``flips = "none"`` for that.
    """
    config = design.config
    made = []
    for name, layer in design.layers.items():
        images = counters.get(f"images/{name}", 0)
        if not images:
            continue
        each = {
            what: counters[f"{what}/{name}"] / images
            for what in (
                "reads", "conversions", "word_lines", "plain_word_lines", "on_cells",
                "plain_on_cells", "inverted_reads", "current",
            )
        }  # fmt: skip
        # What counts as one cell may be fitted; a cell's own current is not.
        ideal = design.gain(name)
        columns = max(tile.weights.shape[1] for tile in layer.tiles)
        inputs = max(part.stop - part.start for tile in layer.tiles for part in tile.reads)
        groups = max(len(tile.reads) for tile in layer.tiles)
        # Half of a kernel, or of a tile, may be more than half of a read.
        halved = config.flip_granularity == "read" or (
            config.flip_granularity == "tile" and groups == 1
        )
        bits = config.adc_bits or adc_bits
        found = Activity(
            name=name,
            rows=config.rows,
            columns=config.columns,
            row_tiles=len(layer.tiles),
            column_tiles=-(-columns // config.columns),
            groups=groups,
            fan_in=layer.fan_in,
            outputs=len(layer.dot.weights),
            windows=layer.windows,
            adc_bits=bits or full_range_bits(inputs, config.flips if halved else "none"),
            mapping=config.mapping,
            flips=config.flips,
            granularity=config.flip_granularity,
            reads=each["reads"],
            conversions=each["conversions"],
            word_lines=each["word_lines"],
            on_cells=each["on_cells"],
            current=each["current"] * ideal,
            inverted_reads=each["inverted_reads"],
            flipped_columns=sum(int(tile.flipped.sum()) for tile in layer.tiles),
        )
        if plain:
            share = found.current / each["on_cells"] if each["on_cells"] else 1.0
            found = replace(
                found,
                flips="none",
                adc_bits=bits or full_range_bits(inputs),
                word_lines=each["plain_word_lines"],
                on_cells=each["plain_on_cells"],
                current=share * each["plain_on_cells"],
                inverted_reads=0.0,
                flipped_columns=0,
            )
        made.append(found)
    return tuple(made)
