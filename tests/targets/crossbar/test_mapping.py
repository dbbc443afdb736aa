"""Arrays of ideal cells equal the program bit for bit, however layers are cut and flipped."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitwright.errors import ConfigError
from bitwright.ir import Bits, Conv2d, Program, reference
from bitwright.targets import get_target
from bitwright.targets.crossbar.arrays import Arrays
from bitwright.targets.crossbar.flips import sparsify, word_line_flips
from bitwright.targets.crossbar.mapping import binary_dots, cut

TARGET = get_target("crossbar")


def convolution(
    seed=0, shape=(5, 6, 8), outputs=12, kernel=3, padding=1, pad=0, groups=1, stride=1
):
    """One convolution of bits."""
    rng = np.random.default_rng(seed)
    # Weights that are all alike would take no array.
    ones = rng.uniform(0.05, 0.95)
    weights = rng.random((outputs, kernel, kernel, shape[2] // groups)) < ones
    return Program(
        input_name="bits",
        input_type=Bits(shape),
        ops=(
            Conv2d(
                output="dots",
                inputs=("bits",),
                weights="w",
                padding=(padding,) * 4,
                pad_value=pad,
                stride=(stride, stride),
                groups=groups,
            ),
        ),
        tensors={"w": weights},
        outputs=("dots",),
        name="one",
    )


def batch(program, seed=0, count=3):
    rng = np.random.default_rng(seed)
    return rng.random((count, *program.input_type.shape)) < rng.random()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999),
    rows=st.integers(2, 90),
    word_lines=st.integers(0, 20),
    flips=st.sampled_from(["none", "static", "dynamic", "both", "random"]),
    granularity=st.sampled_from(["read", "tile", "kernel"]),
    pad=st.sampled_from([-1, 0, 1]),
    groups=st.sampled_from([1, 2, 4]),
    stride=st.sampled_from([1, 2]),
    mapping=st.sampled_from(["and", "xnor"]),
)
def test_ideal_arrays_equal_the_program(
    seed, rows, word_lines, flips, granularity, pad, groups, stride, mapping
):
    program = convolution(seed, pad=pad, groups=groups, stride=stride)
    images = batch(program, seed)
    config = TARGET.configure(
        {
            "technology": "ideal",
            "rows": rows,
            "word_lines": word_lines,
            "flips": "none" if mapping == "xnor" else flips,
            "flip_granularity": granularity,
            "mapping": mapping,
            "seed": seed,
        }
    )
    found = TARGET.simulate(TARGET.lower(program, config), images, 1).outputs["dots"]
    assert np.array_equal(found, reference.run(program, images)["dots"])


@pytest.mark.parametrize("technology", ["linear", "sram8t", "reram1t1r"])
@pytest.mark.parametrize("flips", ["none", "both"])
def test_circuits_without_resistance_equal_the_program(technology, flips):
    program = convolution(3, groups=2)
    images = batch(program, 3)
    config = {
        "technology": technology,
        "rows": 20,
        "flips": flips,
        "wires": {"source_ohm": 0, "bit_ohm": 0, "driver_ohm": 0, "sink_ohm": 0},
        "device": {"on_off_ratio": 1e9},
    }
    found = TARGET.simulate(TARGET.lower(program, TARGET.configure(config)), images, 1)
    assert np.array_equal(found.outputs["dots"], reference.run(program, images)["dots"])


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 999),
    rows=st.integers(1, 90),
    word_lines=st.integers(0, 30),
    groups=st.sampled_from([1, 2, 4]),
)
def test_each_weight_lies_in_one_cell(seed, rows, word_lines, groups):
    program = convolution(seed, groups=groups)
    dot = binary_dots(program)["dots"]
    layer = cut("dots", dot, rows, word_lines)
    channels = program.input_type.shape[2]
    of_group = channels // groups
    seen = np.zeros((12, 3 * 3 * channels), int)
    for tile in layer.tiles:
        assert len(tile.inputs) == len(tile.weights) <= rows
        covered = np.concatenate([np.arange(len(tile.inputs))[read] for read in tile.reads])
        assert np.array_equal(covered, np.arange(len(tile.inputs)))
        assert all(read.stop - read.start <= (word_lines or rows) for read in tile.reads)
        outputs = np.arange(12)[tile.outputs]
        seen[np.ix_(outputs, tile.inputs)] += 1
        for row, place in enumerate(tile.inputs):
            tap, channel = divmod(int(place), channels)
            weights = dot.weights.reshape(12, 9, of_group)[outputs, tap, channel % of_group]
            assert np.array_equal(tile.weights[row], weights)
    group = np.arange(12) // (12 // groups)
    assert np.array_equal(seen, group[:, None] == np.arange(9 * channels) % channels // of_group)


@pytest.mark.parametrize("granularity", ["read", "tile", "kernel"])
def test_a_flipped_column_holds_at_most_half_ones(granularity):
    layer = cut("dots", binary_dots(convolution(5))["dots"], 20, 6)
    flipped = sparsify(layer, granularity)
    plain = sum(int(tile.stored.sum()) for tile in layer.tiles)
    assert sum(int(tile.stored.sum()) for tile in flipped.tiles) <= plain
    total = np.zeros(12, int)
    for tile in flipped.tiles:
        total += tile.stored.sum(axis=0)
        if granularity == "tile":
            assert (2 * tile.stored.sum(axis=0) <= len(tile.inputs)).all()
        if granularity == "read":
            for read in tile.reads:
                part = tile.stored[read]
                assert (2 * part.sum(axis=0) <= len(part)).all()
    assert (2 * total <= layer.fan_in).all()


def test_word_lines_are_flipped_where_most_are_on():
    rng = np.random.default_rng(0)
    layer = cut("dots", binary_dots(convolution(5))["dots"], 20, 6)
    bits = rng.random((50, 72)) < 0.6
    for tile in layer.tiles:
        flips = word_line_flips(bits, None, tile, "read")
        for k, read in enumerate(tile.reads):
            part = bits[:, tile.inputs[read]]
            applied = part ^ flips[:, k : k + 1]
            assert (2 * applied.sum(axis=1) <= part.shape[1]).all()
            assert np.array_equal(flips[:, k], 2 * part.sum(axis=1) > part.shape[1])


def drawn_flips(granularity, word_lines=6, groups=1, seed=7):
    """Return a layer with random flips and, by read, which word lines they invert."""
    program = convolution(5, groups=groups)
    settings = {"technology": "ideal", "rows": 20, "word_lines": word_lines, "flips": "random"}
    config = TARGET.configure(settings | {"flip_granularity": granularity, "seed": seed})
    design = TARGET.lower(program, config)
    patterns = Arrays(design.layers["dots"], 0, config, None, None).patterns(batch(program, 5))
    return design.layers["dots"], [(p.number, p.inverted) for p in patterns]


def test_random_flips_are_drawn_for_each_read_by_default():
    assert TARGET.configure({}).flip_granularity == "read"
    layer, inverted = drawn_flips("read")
    rng = np.random.default_rng([7, 0])
    for tile in layer.tiles:
        assert np.array_equal(tile.flipped, rng.random((len(tile.reads), 12)) < 0.5)
    images = batch(convolution(5), 5)
    reads = sum(len(tile.reads) for tile in layer.tiles)
    keys = [zlib.crc32(np.packbits(image).tobytes()) for image in images]
    drawn = [np.random.default_rng([7, 0, 0, key]).random((30, reads)) < 0.5 for key in keys]
    found = np.stack([mask for _, mask in inverted], axis=1)
    assert np.array_equal(found, np.concatenate(drawn))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("granularity", ["tile", "kernel"])
def test_what_shares_a_random_flip_is_flipped_alike(granularity, groups):
    layer, inverted = drawn_flips(granularity, groups=groups)
    columns, word_lines = {}, {}
    for number, tile in enumerate(layer.tiles):
        assert len(tile.reads) > 1
        assert (tile.flipped == tile.flipped[0]).all()
        key = number if granularity == "tile" else tile.outputs.start
        columns.setdefault(key, []).append(tile.flipped[0])
    for number, mask in inverted:
        word_lines.setdefault(number if granularity == "tile" else "all", []).append(mask)
    for shared in (columns, word_lines):
        once = [masks[0] for masks in shared.values()]
        assert all((mask == masks[0]).all() for masks in shared.values() for mask in masks)
        assert 0.3 < np.mean(np.concatenate(once)) < 0.7, "one in two"
        assert len({mask.tobytes() for mask in once}) == len(once), "each is drawn for itself"
    tiles = len(layer.tiles)
    expected = (tiles, tiles) if granularity == "tile" else (groups, 1)
    assert (len(columns), len(word_lines)) == expected


def test_a_flip_of_a_tile_that_is_read_at_once_is_that_of_its_read():
    (of_read, read), (of_tile, tile) = (drawn_flips(kind, 0) for kind in ("read", "tile"))
    for one, other in zip(of_read.tiles, of_tile.tiles, strict=True):
        assert np.array_equal(one.flipped, other.flipped)
    for (_, one), (_, other) in zip(read, tile, strict=True):
        assert np.array_equal(one, other)


def test_padding_of_zeros_never_turns_on_and_counts_in_no_majority():
    layer = cut("dots", binary_dots(convolution(5))["dots"], 72)
    valid = np.zeros((1, 72), np.bool_)
    valid[0, :5] = True
    bits = np.zeros((1, 72), np.bool_)
    bits[0, :3] = True
    assert word_line_flips(bits, valid, layer.tiles[0], "read").all()


def test_flips_with_complementary_cells_are_refused():
    with pytest.raises(ConfigError, match="complementary"):
        TARGET.lower(convolution(), TARGET.configure({"mapping": "xnor", "flips": "both"}))


def test_a_program_without_a_binary_layer_is_refused():
    program = convolution()
    integers = np.where(program.tensors["w"], 3, -3).astype(np.int8)
    other = Program(
        input_name="bits",
        input_type=program.input_type,
        ops=program.ops,
        tensors={"w": integers},
        outputs=("dots",),
        name="integers",
    )
    with pytest.raises(ConfigError, match="no layer of bits"):
        TARGET.lower(other, TARGET.configure({}))
