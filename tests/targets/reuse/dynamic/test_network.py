"""Whole programs that skip: the reference's outputs, whatever is left out."""

import os
from pathlib import Path

import numpy as np
import pytest
from tests.native.random_programs import random_program
from tests.native.sketch import Sketch, every_kind, random_batch, same
from tests.native.test_circuit_graph import residual
from tests.networks import classifier, labelled
from tests.targets.reuse.dynamic.skippable import one_layer, random_network

from bitwright.data import load
from bitwright.errors import ConfigError, DataError, UnknownNameError
from bitwright.frontends.finn import import_finn
from bitwright.frontends.topology import load_topology
from bitwright.ir import Bits, Int, Program, reference
from bitwright.ir import ops as o
from bitwright.ir.work import count_work
from bitwright.native import NativeProgram
from bitwright.targets.reuse.dynamic import (
    NO_SKIPS,
    SkipNetwork,
    Skips,
    run_layer,
    skip_layers,
)
from bitwright.targets.reuse.dynamic.constants import constant_bits

EVERY = Skips(width=20, bounds="parent", channel_order="parents")


@pytest.mark.parametrize(("make", "count"), [(random_network, 25), (random_program, 25)])
def test_random_programs_equal_the_reference(make, count):
    kinds = []
    for seed in range(400, 400 + count):
        program = make(seed)
        layers = skip_layers(program)
        kinds += [(layer.pool is not None, layer.pool_first) for layer in layers.values()]
        rng = np.random.default_rng(seed)
        batch = random_batch(program, int(rng.integers(1, 20)), rng)
        expected = reference.run(program, batch)
        skips = (Skips(), EVERY)[seed % 2]
        run = SkipNetwork(program, skips).run(batch, threads=1 + seed % 2)
        same(run.outputs, expected)
        assert run.counters.keys() == layers.keys()
        if layers and seed % 5 == 0:
            plain = SkipNetwork(program, skips).run(batch, threads=1, twin="plain")
            same(plain.outputs, expected)
            assert plain.counters == run.counters
    if make is random_network:
        assert min(kinds.count(k) for k in [(False, False), (True, False), (True, True)]) > 5


@pytest.mark.parametrize("program", [classifier(), classifier(3), *every_kind().values()])
def test_programs_equal_the_engine(program):
    images = random_batch(program, 5, np.random.default_rng(0))
    network = SkipNetwork(program, EVERY)
    run = network.run(images, twin="plain")
    same(run.outputs, NativeProgram(program).run(images))
    assert network.run(images).counters == run.counters
    last = list(network.layers)[-1:]
    part = SkipNetwork(program, EVERY, layers=last)
    same(part.run(images).outputs, run.outputs)
    assert list(part.layers) == last


def test_dot_products_that_feed_arithmetic_are_done_in_full():
    program = residual(1)
    network = SkipNetwork(program, Skips())
    full = {
        work.op.output: work.binary_operations
        for work in count_work(program)
        if work.binary_operations
    }
    assert full
    assert network.full == {n: ops for n, ops in full.items() if n not in network.layers}
    assert len(network.full) > 0
    images = random_batch(program, 20, np.random.default_rng(0))
    same(network.run(images).outputs, reference.run(program, images))


def two_layers():
    s = Sketch(Bits((6, 6, 10)), 3)
    bits = s.threshold(s.conv("x", 12, padding=(1, 1, 1, 1)))
    pooled = s.pool(bits)
    second = s.threshold(s.conv(pooled, 5, 2))
    return s.program(second, pooled)


def test_layers_read_what_layers_before_them_made(monkeypatch):
    program = two_layers()
    first, second = skip_layers(program)
    images = random_batch(program, 3, np.random.default_rng(0))
    network = SkipNetwork(program, Skips())
    seen = {}
    module = __import__(SkipNetwork.__module__, fromlist=["run_layer"])

    def wrong(prepared, bits, **how):
        seen[prepared.layer.name] = bits
        made, counters = run_layer(prepared, bits, **how)
        return (~made if prepared.layer.name == first else made), counters

    monkeypatch.setattr(module, "run_layer", wrong)
    outputs = network.run(images, threads=1).outputs
    right = reference.run(program, images)
    np.testing.assert_array_equal(seen[second], ~right[program.outputs[1]])
    assert (outputs[program.outputs[0]] != right[program.outputs[0]]).any()


def test_what_is_skippable():
    program = two_layers()
    first, second = skip_layers(program).values()
    assert first.pool is not None
    assert not first.pool_first
    assert first.bits == program.outputs[1]
    assert second.pool is None
    assert second.dot.source == first.bits
    # A threshold's bits that others read too stay, and the pool is not the layer's.
    s = Sketch(Bits((6, 6, 10)), 3)
    bits = s.threshold(s.conv("x", 12))
    shared = s.program(s.pool(bits), bits)
    (layer,) = skip_layers(shared).values()
    assert layer.pool is None
    assert layer.bits == bits
    # A dot product that is an output, one of integers, and a grouped one cannot skip.
    s = Sketch(Bits((6, 6, 10)), 3)
    value = s.conv("x", 12)
    grouped = s.threshold(s.conv("x", 4, groups=2))
    assert skip_layers(s.program(s.threshold(value), value, grouped)) == {}
    program = classifier()
    assert list(skip_layers(program)) == ["d2"]
    assert skip_layers(program)["d2"].pool_first


@pytest.mark.parametrize("seed", range(60, 90))
def test_constant_bits_are_constant(seed):
    program = random_program(seed, 6, 14)
    names = [name for name, value in program.types.items() if isinstance(value, Bits)]
    known = constant_bits(program)
    assert list(known) == names
    batch = random_batch(program, 12, np.random.default_rng(seed))
    values = reference.run(program, batch, names)
    for name in names:
        flat = values[name].reshape(-1, values[name].shape[-1])
        for channel in np.flatnonzero(known[name] >= 0):
            assert (flat[:, channel] == known[name][channel]).all()


def test_constants_pass_through_pools_flattenings_and_integers():
    s = Sketch(Bits((4, 4, 3)), 1)
    dead = s.threshold(s.conv("x", 3, 1), [-9, 9, 1], np.ones(3, bool))
    pooled = s.pool(dead)
    flat = s.add(o.Flatten, pooled)
    value = s.dense(flat, 4)
    weights = s.tensors[f"{value}.weights"]
    # Two of three inputs are known: dot products lie within known +- 4.
    known = np.where(weights.reshape(4, 4, 3)[..., :2], 1, -1) @ [1, -1]
    limits = known.sum(axis=1) + np.array([4, 5, -4, -5])
    after = s.threshold(value, limits, [True, True, True, True])
    found = constant_bits(s.program(after))
    assert found["x"].tolist() == [-1, -1, -1]
    assert found[dead].tolist() == found[pooled].tolist() == [1, 0, -1]
    assert found[flat].tolist() == [1, 0, -1] * 4
    assert found[after].tolist() == [-1, 0, 1, 1]


def test_padding_widens_what_pixels_reach():
    s = Sketch(Int((3, 3, 1), 5, 10), 0)
    value = s.conv("x", 2, 2, padding=(1, 0, 0, 0), pad_value=0)
    s.tensors[f"{value}.weights"][:] = True
    bits = s.threshold(value, [10, 20], [True, True])
    program = s.program(bits)
    # Four pixels of 5 reach 20, but two of them and two padded taps 10 only.
    assert constant_bits(program)[bits].tolist() == [-1, -1]
    images = np.full((1, 3, 3, 1), 5)
    found = reference.run(program, images)[bits]
    assert found.all(axis=(0, 1, 2)).tolist() == [True, False]
    s.tensors[f"{bits}.thresholds"][:] = [0, 41]
    assert constant_bits(s.program(bits))[bits].tolist() == [1, 0]


def test_networks_learn_their_order_from_images():
    program = two_layers()
    rng = np.random.default_rng(0)
    images = rng.random((30, 6, 6, 10)) < np.arange(10) / 10
    skips = Skips(width=5, tile_order="learned", pool=False)
    with pytest.raises(ConfigError, match="give calibration images"):
        SkipNetwork(program, skips)
    network = SkipNetwork(program, skips, calibration=images)
    run = network.run(images)
    same(run.outputs, reference.run(program, images))
    natural = SkipNetwork(program, Skips(width=5, pool=False)).run(images)
    learned = sum(c.done for c in run.counters.values())
    assert learned < sum(c.done for c in natural.counters.values())


@pytest.mark.parametrize("bounds", ["tight", "parent"])
@pytest.mark.parametrize("how", ["variance", "learned"])
def test_networks_take_channels_in_the_order_of_images(how, bounds):
    skips = Skips(width=20, bounds=bounds, channel_order=how, tile_order="variance")
    with pytest.raises(ConfigError, match="give calibration images"):
        SkipNetwork(two_layers(), skips)
    for seed in range(400, 403):
        program = random_network(seed)
        rng = np.random.default_rng(seed)
        network = SkipNetwork(program, skips, calibration=random_batch(program, 5, rng))
        images = random_batch(program, 7, rng)
        run = network.run(images)
        same(run.outputs, reference.run(program, images))
        plain = network.run(images, twin="plain")
        same(plain.outputs, run.outputs)
        assert plain.counters == run.counters


def test_batches_of_any_size():
    program, images = classifier(), labelled(count=35).images
    network = SkipNetwork(program, Skips())
    whole = network.run(images, threads=2)
    one = network.run(images, threads=1)
    assert whole.counters == one.counters
    assert whole.counters["d2"].images == 35
    same(whole.outputs, NativeProgram(program).run(images))
    none = network.run(images[:0])
    same(none.outputs, NativeProgram(program).run(images[:0]))
    assert none.counters["d2"].dense == 0
    assert none.counters["d2"].share == 0
    with pytest.raises(DataError):
        network.run(images[:, :3])


def test_unknown_layers_are_refused():
    with pytest.raises(UnknownNameError, match="known: d2"):
        SkipNetwork(classifier(), Skips(), layers=["d1"])


def test_a_program_without_skippable_layers_just_runs():
    s = Sketch(Bits((4, 4, 3)), 0)
    program = s.program(s.conv("x", 5), "x")
    images = random_batch(program, 3, np.random.default_rng(0))
    run = SkipNetwork(program, Skips()).run(images)
    same(run.outputs, reference.run(program, images))
    assert run.counters == {}


# The share of operations left on the first 100 test images, measured independently.
PUBLISHED = {
    "naive": (0.916, 0.960, 0.946, 0.974, 0.981, 0.963, 0.960),
    "naive, pools": (0.799, 0.960, 0.827, 0.974, 0.981, 0.963, 0.960),
}


def cnv(shared: Path) -> tuple[Program, np.ndarray]:
    path = shared / "models" / "bnn-pynq" / "cifar10" / "cnvW1A1"
    if not path.is_dir():
        pytest.skip(f"no {path}")
    data = load(
        "cifar10",
        split="test",
        data_dir=os.environ.get("BITWRIGHT_DATA", shared / "datasets"),
        limit=100,
        download=False,
    )
    return import_finn(path, load_topology("cnv")), data.images


def test_shares_of_cnv_are_those_known(shared):
    program, images = cnv(shared)
    layers = skip_layers(program)
    assert list(layers) == [f"dot{k}" for k in range(1, 8)]
    names = sorted({name for layer in layers.values() for name in (layer.dot.source, layer.bits)})
    values = NativeProgram(program, names).run(images)
    for case, expected in PUBLISHED.items():
        skips = Skips(bounds="naive", pool="pools" in case, inclusion=False, constants=False)
        shares = []
        for layer in layers.values():
            bits, counters = run_layer(layer, values[layer.dot.source], skips)
            np.testing.assert_array_equal(
                bits.reshape(values[layer.bits].shape), values[layer.bits]
            )
            shares.append(counters.share)
        assert shares == pytest.approx(expected, abs=0.001)


def test_cnv_as_a_whole_equals_the_engine(shared):
    program, images = cnv(shared)
    images = images[:100]
    expected = NativeProgram(program).run(images)
    full = sum(work.binary_operations for work in count_work(program))
    before = None
    for skips in (NO_SKIPS, Skips(bounds="naive"), Skips(), Skips(bounds="parent")):
        network = SkipNetwork(program, skips)
        run = network.run(images)
        same(run.outputs, expected)
        dense = sum(counters.dense for counters in run.counters.values())
        assert dense + len(images) * sum(network.full.values()) == len(images) * full
        done = sum(counters.done for counters in run.counters.values())
        assert done == dense if before is None else done < before
        before = done
    network = SkipNetwork(program, Skips())
    few = {name: network.run(images[:1], twin=name) for name in ("kernel", "plain")}
    assert few["kernel"].counters == few["plain"].counters
    same(few["plain"].outputs, {name: value[:1] for name, value in expected.items()})


def test_one_layer_programs_are_networks():
    program = one_layer(1, pool={"kernel": (2, 2), "stride": (2, 2)})
    images = random_batch(program, 3, np.random.default_rng(0))
    same(SkipNetwork(program, EVERY).run(images).outputs, reference.run(program, images))
