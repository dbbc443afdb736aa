"""The accelerator: closed forms against a loop over cycles, sizes against the part, origins."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.targets.reuse.accelerator.plain_accelerator import run_elements, run_patterns

from bitwright.circuits import evaluate
from bitwright.errors import ConfigError, UnknownNameError
from bitwright.targets.reuse.accelerator import pieces
from bitwright.targets.reuse.accelerator.cycles import (
    Cycles,
    Geometry,
    every_tile,
    shared_patterns,
    some_tiles,
)
from bitwright.targets.reuse.accelerator.energy import Coefficients
from bitwright.targets.reuse.accelerator.loads import LayerLoad, distinct_patterns
from bitwright.targets.reuse.accelerator.model import Accelerator, simulate
from bitwright.targets.reuse.accelerator.parts import PARTS, find_part
from bitwright.targets.reuse.accelerator.resources import bram18, lut_memory, section
from bitwright.targets.reuse.accelerator.sizing import Needs

Z100, Z020 = PARTS["XC7Z100"], PARTS["XC7Z020"]
REASONS = [f.name for f in fields(Cycles) if f.name not in {"cycles", "counted"}]


def layer(name="l", windows=12, channels=10, fan_in=40, tile=8, **more):
    return LayerLoad(name, windows, channels, fan_in, tile, **more)


@st.composite
def cases(draw):
    pool = draw(st.sampled_from([1, 1, 2, 4]))
    windows = pool * draw(st.integers(1, 5))
    channels, tiles = draw(st.integers(1, 7)), draw(st.integers(1, 6))
    images = draw(st.integers(1, 2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = images, windows, channels
    load = layer(
        windows=windows,
        channels=channels,
        fan_in=4 * tiles,
        tile=4,
        distinct=rng.integers(1, channels + 1, tiles),
        used=rng.integers(0, tiles + 1, shape),
        fires=rng.random(shape) < 0.4,
        pool=pool,
    )
    geometry = Geometry(draw(st.integers(1, 4)), draw(st.integers(1, 8)), draw(st.integers(1, 3)))
    return load, geometry, draw(st.integers(1, 4))


def adds_up(found, geometry):
    return math.isclose(
        sum(getattr(found, reason) for reason in REASONS), found.cycles * geometry.pes
    )


@settings(max_examples=150, deadline=None)
@given(cases(), st.booleans())
def test_all_tiles_take_what_the_loop_takes(case, pool):
    load, geometry, stages = case
    found = every_tile(load, geometry, stages, pool=pool)
    done = np.full((load.windows, load.channels), load.tiles)
    slow = run_elements(done, load.tiles, geometry, stages, "none", load.pool if pool else 1)
    assert found.cycles == slow["cycles"]
    assert {name: getattr(found, name) for name in REASONS} == {n: slow[n] for n in REASONS}
    assert adds_up(found, geometry)


@settings(max_examples=250, deadline=None)
@given(cases(), st.sampled_from(["none", "own", "any"]), st.booleans(), st.booleans())
def test_some_tiles_take_what_the_loop_takes(case, queue, early, pool):
    load, geometry, stages = case
    done = load.tiles_done(early, pool)
    if done is None:
        done = np.full((1, load.windows, load.channels), load.tiles)
    found = some_tiles(load, done, geometry, stages, queue=queue, pool=pool)
    slow = [
        run_elements(image, load.tiles, geometry, stages, queue, load.pool if pool else 1)
        for image in done
    ]
    for name in ("cycles", *REASONS):
        mean = sum(image[name] for image in slow) / len(done)
        assert math.isclose(getattr(found, name), mean), name
    assert adds_up(found, geometry)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_shared_patterns_take_what_the_loop_takes(case):
    load, geometry, stages = case
    found = shared_patterns(load, geometry, stages)
    slow = run_patterns(load, geometry, stages)
    for name in ("cycles", "counted", *REASONS):
        assert getattr(found, name) == slow[name], name
    assert adds_up(found, geometry)


def test_cycles_worked_out_by_hand():
    # 12 windows in 3 batches of 4 lanes, 10 channels in 2 rounds of 6, 5 tiles; 2 stages to drain.
    load = layer(distinct=np.array([9, 1, 1, 5, 1]))
    assert every_tile(load, Geometry(4, 6), 3).cycles == 3 * 2 * 5 + 2
    # A tile takes max(ceil(d / 2), 2): 5, 2, 2, 3, 2. The first step only fills: 5; the last one
    # only adds up: 2.
    steps = [5, 2, 2, 3, 2] * 3
    assert shared_patterns(load, Geometry(4, 6, 2), 3).cycles == 5 + sum(steps[1:]) + 2 + 2


@pytest.mark.parametrize(
    ("used", "cycles"),
    [
        # 5, 3, 3, 5 cycles. none: max(5, 3) + max(3, 5); own: 5 + 3 and 3 + 5;
        # any: the first PE does channels 0 and 3, the second one 1 and 2.
        ((5, 1, 1, 5), {"none": 10, "own": 8, "any": 10}),
        # 5, 3, 5, 3, 3 cycles. own: 5 + 5 + 3 and 3 + 3; any: 0, 3 and 4, until 11, and 1, 2
        ((5, 1, 5, 1, 1), {"none": 13, "own": 13, "any": 11}),
    ],
)
def test_queues_worked_out_by_hand(used, cycles):
    # Two columns, three stages: a stop takes effect two tiles after the one that decided.
    load = layer(windows=1, channels=len(used), used=np.array([[used]]))
    found = {
        queue: some_tiles(load, load.used, Geometry(1, 2), 3, queue=queue).cycles - 2
        for queue in cycles
    }
    assert found == cycles


def test_a_decided_pool_leaves_its_later_windows_out():
    used = np.full((1, 4, 2), 5)
    fires = np.zeros((1, 4, 2), bool)
    fires[0, 1, 0] = True
    load = layer(windows=4, channels=2, used=used, fires=fires, pool=4)
    assert load.tiles_done(early=False, pool=True)[0].tolist() == [[5, 5], [5, 5], [0, 5], [0, 5]]
    assert load.tiles_done(early=False, pool=False) is None
    assert load.tiles_done(early=True, pool=False) is used


def test_part_of_the_windows_stands_for_all():
    rng = np.random.default_rng(3)
    used = rng.integers(0, 6, (2, 12, 10))
    load = layer(windows=48, used=used)
    array = Geometry(2, 5)
    found = some_tiles(load, used, array, 3)
    sample = some_tiles(replace(load, windows=12), used, array, 3)
    assert found.cycles - 2 == pytest.approx(4 * (sample.cycles - 2))
    assert adds_up(found, array)
    run = simulate(Accelerator(tile=8, early=True), [load])
    cycles = next(m for m in run.measurements() if m.metric == "cycles/l")
    assert cycles.method == "estimated"
    assert "12 of 48 windows" in cycles.source


def test_distinct_patterns_are_counted_up_to_complement():
    kernels = np.array([[1, 1, 0, 0, 1], [0, 0, 1, 0, 1], [1, 0, 0, 1, 0]], bool)
    # 11/00/10, 00/10/01, 1/1/0
    assert distinct_patterns(kernels, 2).tolist() == [2, 2, 1]
    assert distinct_patterns(kernels, 5).tolist() == [3]
    assert distinct_patterns(np.vstack([kernels, ~kernels]), 5).tolist() == [3]


# --- what it takes of a part ---------------------------------------------------------------------


def test_memories_are_as_large_as_the_guides_say():
    assert [bram18(w, d) for w, d in ((36, 512), (37, 512), (36, 513), (18, 1024), (9, 2048))] == [
        1, 2, 2, 1, 1,
    ]  # fmt: skip
    assert bram18(1, 16384) == 1
    assert bram18(72, 1024) == 4
    # RAM32M and RAM64M are four look-up tables
    assert [lut_memory(w, d) for w, d in ((6, 32), (7, 32), (3, 64), (3, 33), (3, 65))] == [
        4, 8, 4, 4, 8,
    ]  # fmt: skip


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 3, 5, 7, 8, 9])
def test_a_tile_of_activations_meets_a_tile_of_weights(bits, wide):
    inputs = np.array(list(itertools.product([False, True], repeat=2 * bits)))[:: 1 + bits // 6]
    matches = (inputs[:, :bits] == inputs[:, bits:]).sum(axis=1)
    assert np.array_equal(evaluate(pieces.xnor_popcount(bits, wide), inputs), matches)


@pytest.mark.parametrize("bits", [27, 64])
def test_a_wide_tile_meets_its_weights(bits):
    inputs = np.random.default_rng(bits).random((500, 2 * bits)) < 0.5
    inputs[0, :bits] = inputs[0, bits:]
    matches = (inputs[:, :bits] == inputs[:, bits:]).sum(axis=1)
    assert matches[0] == bits
    assert np.array_equal(evaluate(pieces.xnor_popcount(bits), inputs), matches)


@pytest.mark.tool("yosys")
@pytest.mark.parametrize(
    ("piece", "size"),
    [("xnor_popcount", 9), ("accumulate", 8), ("compare", 8), ("mux", 8)],
)
def test_the_table_is_what_synthesis_says(piece, size):
    assert pieces.measure(piece, size) == pieces.table()[piece][size]


def test_the_table_is_whole_and_costs_grow():
    for piece, sizes in pieces.SIZES.items():
        costs = [pieces.luts(piece, size) for size in sizes]
        assert all(cost > 0 for cost in costs)
        assert costs == sorted(costs)
    below, above = pieces.luts("xnor_popcount", 48), pieces.luts("xnor_popcount", 64)
    assert below < pieces.luts("xnor_popcount", 56) < above
    assert pieces.luts("xnor_popcount", 49) > below
    with pytest.raises(ConfigError, match="size 65 is not known"):
        pieces.luts("xnor_popcount", 65)
    with pytest.raises(ConfigError, match="no piece 'adder'"):
        pieces.designs("adder", 4)


def test_the_table_is_written_as_it_is_read(monkeypatch):
    class Count:
        luts, versions = 7, {"yosys": "9"}

    monkeypatch.setattr(pieces, "count_luts", lambda _: Count)
    seen = []
    table = json.loads(pieces.table_text(lambda *entry: seen.append(entry)))
    shipped = {p: [str(size) for size in costs] for p, costs in pieces.table().items()}
    assert {p: list(costs) for p, costs in table["luts"].items()} == shipped
    assert set(table["luts"]["mux"].values()) == {7}
    assert table["versions"] == {"yosys": "9"}
    assert len(seen) == sum(map(len, shipped.values()))


def test_the_array_is_as_large_as_the_part_allows():
    loads = [layer("a", 400, 64, 576, 32), layer("b", 100, 128, 576, 32)]
    accelerator = Accelerator()
    (array,) = simulate(accelerator, loads).sections
    assert array.resources.fits(accelerator.budget)
    lanes, columns = array.geometry.lanes, array.geometry.columns
    one_more = section(loads, Geometry(lanes + 1, columns), early=False, queue="none")
    assert lanes == 400 or not one_more.fits(accelerator.budget)
    for other in (64, 128):
        (found,) = simulate(replace(accelerator, columns=other), loads).sections
        needs = Needs(early=False, pool=False, queue="none", tile_units=0, stages=3)
        cycles = [
            sum(needs.cycles(load, g) for load in loads) for g in (found.geometry, array.geometry)
        ]
        assert cycles[0] >= cycles[1]


def test_settings_of_the_array_are_kept():
    run = simulate(Accelerator(lanes=3, columns=7), [layer(tile=32)])
    assert run.sections[0].geometry == Geometry(3, 7)
    assert run.pes == 21


def test_arrays_of_a_dataflow_are_balanced():
    loads = [
        layer("big", 400, 64, 576, 32),
        layer("small", 25, 64, 128, 32),
        layer("dense", 1, 100, 512, 32),
    ]
    accelerator = Accelerator(part=Z020, schedule="dataflow")
    run = simulate(accelerator, loads)
    assert run.resources.fits(accelerator.budget)
    assert [one.loads[0].name for one in run.sections] == ["big", "small", "dense"]
    assert run.interval == max(layer.cycles.cycles for layer in run.layers)
    assert run.latency == sum(layer.cycles.cycles for layer in run.layers)
    assert run.sections[0].geometry.pes > 10 * run.sections[1].geometry.pes
    assert sum(run.shares.values()) == pytest.approx(1)
    # a smaller part is slower
    small = simulate(replace(accelerator, usable=0.2), loads)
    assert small.interval > run.interval
    shared = simulate(replace(accelerator, schedule="shared"), loads)
    assert shared.interval == shared.latency


def test_layers_of_a_dataflow_may_share_patterns_or_not():
    rng = np.random.default_rng(0)
    kernels = rng.random((64, 576)) < 0.5
    loads = [
        layer("a", 100, 64, 576, 9, distinct=distinct_patterns(kernels, 9)),
        layer("b", 100, 64, 576, 9),
    ]
    accelerator = Accelerator(tile=9, reuse=True, schedule="dataflow")
    units = [one.geometry.tile_units for one in simulate(accelerator, loads).sections]
    assert units == [4, 0]
    with pytest.raises(ConfigError, match="'b' does not say how many distinct"):
        simulate(replace(accelerator, schedule="shared"), loads)


def test_a_queue_needs_its_own_weights():
    loads = [layer("a", 100, 64, 576, 32)]
    dense, own, every = (
        section(loads, Geometry(2, 8), early=True, queue=queue) for queue in ("none", "own", "any")
    )
    assert dense.bram36 < own.bram36 < every.bram36
    assert dense.memory_luts == 0 < own.memory_luts
    assert dense.luts < own.luts


@pytest.mark.parametrize("schedule", ["shared", "dataflow"])
@pytest.mark.parametrize("mechanism", [{}, {"early": True, "pool": True}, {"reuse": True}])
def test_odd_layers_have_an_array(schedule, mechanism):
    loads = [
        layer("one channel", 4, 1, 40, 8, distinct=np.ones(5, int), used=np.full((1, 4, 1), 5)),
        layer("under a tile", 4, 6, 3, 8, distinct=np.array([4]), used=np.ones((1, 4, 6), int)),
        layer("all equal", 1, 9, 16, 8, distinct=np.ones(2, int), used=np.full((1, 1, 9), 2)),
        layer(
            "nothing to do", 1, 4, 16, 8, distinct=np.ones(2, int), used=np.zeros((1, 1, 4), int)
        ),
        layer("wide", 1, 9000, 16, 8, distinct=np.full(2, 255), used=np.ones((1, 1, 9000), int)),
    ]
    run = simulate(Accelerator(tile=8, schedule=schedule, **mechanism), loads)
    assert sum(run.shares.values()) == pytest.approx(1)
    assert run.interval > 0
    assert run.resources.fits(Accelerator().budget)


# --- the whole ------------------------------------------------------------------------------------


def two_layers(rng=None):
    rng = rng or np.random.default_rng(1)
    return [
        layer("a", 32, 20, 72, 8, pool=4, used=rng.integers(1, 10, (2, 32, 20)),
              fires=rng.random((2, 32, 20)) < 0.3),
        layer("b", 1, 12, 180, 8, used=rng.integers(1, 24, (2, 1, 12))),
    ]  # fmt: skip


def test_mechanisms_save_cycles_on_the_same_array():
    loads = two_layers()
    dense = Accelerator(tile=8, lanes=2, columns=5)
    cycles = [
        simulate(replace(dense, **more), loads).interval
        for more in ({}, {"early": True}, {"early": True, "pool": True})
    ]
    assert cycles[0] > cycles[1]
    assert cycles[0] > cycles[2]
    early = replace(dense, early=True, pool=True, queue="own")
    assert early.dense() == dense
    assert simulate(early, loads).interval < cycles[2]


def test_numbers_say_where_they_come_from():
    run = simulate(Accelerator(tile=8, lanes=2, columns=5, early=True), two_layers())
    found = {m.metric: m for m in run.measurements()}
    assert len(found) == len(run.measurements())
    assert found["cycles_per_image"].method == "counted"
    assert found["cycles_per_image"].value == run.interval
    assert found["images_per_second"].value == pytest.approx(200e6 / run.interval)
    assert "200 MHz" in found["images_per_second"].source
    assert found["operations_per_second"].value == pytest.approx(
        (32 * 20 * 72 + 12 * 180) * 200e6 / run.interval
    )
    joules = found["energy_per_image"].value
    parts = ("logic", "clock", "block_ram", "static")
    assert sum(found[f"energy_{part}"].value for part in parts) == pytest.approx(joules)
    assert found["energy_per_image_low"].value < joules < found["energy_per_image_high"].value
    assert found["images_per_kj"].value == pytest.approx(1000 / joules)
    assert found["operations_per_joule"].value == pytest.approx(run.operations / joules)
    assert "DS512" not in found["energy_per_image"].source  # the short form names provenance
    assert "derived" in found["energy_per_image"].source
    assert "DS190" in found["accelerator_luts"].source
    assert "yosys" in found["accelerator_luts"].source
    for name, measurement in found.items():
        counted = name.startswith(("cycles", "latency", "pe_")) or name == "accelerator_pes"
        assert measurement.method == ("counted" if counted else "estimated")


def test_energy_is_the_sum_of_its_events():
    load = layer(windows=3, channels=4, fan_in=16, tile=8)
    run = simulate(Accelerator(tile=8, lanes=1, columns=2, stages=1), [load])
    # 3 windows, 2 rounds, 2 tiles
    assert run.interval == 12
    element = pieces.luts("xnor_popcount", 8) + pieces.luts("accumulate", 6)
    assert run.activity.lut_cycles == 3 * 4 * 2 * element
    # each cycle one word of weights and one of activations; 6 thresholds; 12 bits written
    assert run.activity.words == 12 + 12 + 6 + 1
    assert run.activity.flip_flop_cycles == 12 * run.resources.flip_flops
    known = run.energy()
    assert known.static == pytest.approx(12 / 200e6 * Z100.static_w)
    assert known.block_ram == pytest.approx(31 * Coefficients().block_ram.value)


def test_every_coefficient_has_a_range_and_a_source():
    for field in fields(Coefficients):
        coefficient = getattr(Coefficients(), field.name)
        assert coefficient.low <= coefficient.value <= coefficient.high
        assert coefficient.source
        assert coefficient.provenance in {"published", "derived", "assumed"}


def test_parts_are_those_of_the_data_sheet():
    has = {p.name: (p.luts, p.flip_flops, p.bram36, p.dsps, p.memory_luts) for p in PARTS.values()}
    assert has == {
        "XC7Z020": (53_200, 106_400, 140, 220, 17_400),
        "XC7Z045": (218_600, 437_200, 545, 900, 70_400),
        "XC7Z100": (277_400, 554_800, 755, 2_020, 108_200),
    }
    assert find_part("xc7z045") is PARTS["XC7Z045"]
    with pytest.raises(UnknownNameError, match="XC7Z100"):
        find_part("xc7z200")


# --- what is refused ------------------------------------------------------------------------------


def test_weights_beyond_the_chip_are_refused():
    load = layer("fc", 1, 4096, 4096, 32)
    with pytest.raises(ConfigError, match=r"16,777,216 bits, .* holds 5,160,960: take a larger"):
        simulate(Accelerator(part=Z020), [load])
    assert simulate(Accelerator(part=Z100), [load]).interval > 0


def test_an_array_that_does_not_fit_is_refused():
    load = layer("c", 400, 64, 576, 64)
    with pytest.raises(ConfigError, match=r"1 PEs needs .* of 532 look-up tables"):
        simulate(Accelerator(part=Z020, tile=64, usable=0.01), [load])
    with pytest.raises(ConfigError, match=r"64,000 PEs|64000 PEs"):
        simulate(Accelerator(tile=64, lanes=1000, columns=64), [load])
    with pytest.raises(ConfigError, match="take queue 'none'"):
        simulate(
            Accelerator(part=Z020, tile=64, lanes=4, columns=64, queue="any", usable=1.0),
            [load, layer("d", 100, 256, 2304, 64)],
        )
    with pytest.raises(ConfigError, match="of 532 look-up tables"):
        simulate(Accelerator(part=Z020, tile=64, usable=0.01, schedule="dataflow"), [load])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"schedule": "serial"}, "no schedule 'serial'"),
        ({"queue": "yes"}, "no queue 'yes'"),
        ({"tile": 1}, "tile is 1"),
        ({"tile": 65}, "tile is 65"),
        ({"clock_hz": 0}, "clock_hz is 0"),
        ({"clock_hz": math.nan}, "clock_hz is nan"),
        ({"stages": 0}, "stages is 0"),
        ({"lanes": 0}, "lanes is 0"),
        ({"columns": 8, "schedule": "dataflow"}, "columns of 8"),
        ({"reuse": True, "early": True}, "switch off either reuse"),
        ({"usable": 1.5}, "usable is 1.5"),
    ],
)
def test_settings_out_of_range_are_refused(more, message):
    with pytest.raises(ConfigError, match=message):
        Accelerator(**more)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"windows": 0}, "windows is 0"),
        ({"tiles": 4}, "4 tiles of 8 bits do not make 40"),
        ({"pool": 5}, "no whole number of pools"),
        ({"distinct": np.ones(4, int)}, "distinct patterns do not fit"),
        ({"distinct": np.full(5, 11)}, "distinct patterns do not fit"),
        ({"used": np.ones((1, 13, 10), int)}, "of shape"),
        ({"used": np.full((1, 12, 10), 6)}, r"beyond 0\.\.5"),
        ({"used": np.ones((0, 12, 10), int)}, "of shape"),
        ({"fires": np.ones((1, 12, 10), bool)}, "say nothing"),
        ({"used": np.ones((1, 12, 10), int), "fires": np.ones((1, 12, 9), bool)}, "fires is of"),
    ],
)
def test_loads_that_do_not_fit_are_refused(more, message):
    with pytest.raises(ConfigError, match=message):
        layer(**more)


def test_loads_that_do_not_fit_the_accelerator_are_refused():
    with pytest.raises(ConfigError, match="no layer runs"):
        simulate(Accelerator(), [])
    with pytest.raises(ConfigError, match="tiles of 8 bits, the PEs take 32"):
        simulate(Accelerator(), [layer()])
    with pytest.raises(ConfigError, match="how many tiles decide"):
        simulate(Accelerator(tile=8, early=True), [layer()])
    with pytest.raises(ConfigError, match="how many distinct patterns"):
        simulate(Accelerator(tile=8, reuse=True), [layer()])


@pytest.mark.tool("yosys")
def test_the_command_makes_the_table_of_pieces_anew(bitwright, tmp_path, monkeypatch):
    shipped = {size: pieces.luts("accumulate", size) for size in (4,)}
    monkeypatch.setattr(pieces, "SIZES", {"accumulate": tuple(shipped)})
    file = tmp_path / "luts.json"
    code, out, _ = bitwright("study", "accelerator-pieces", "-o", file)
    assert code == 0
    assert str(file) in out
    made = json.loads(file.read_text())
    assert made["luts"] == {"accumulate": {str(size): n for size, n in shipped.items()}}
    assert made["made_by"].startswith("bitwright study accelerator-pieces")
