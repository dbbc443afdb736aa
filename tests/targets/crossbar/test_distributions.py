"""Distributions of partial sums on a sample, against plain counts; maps of the IR drop."""

from __future__ import annotations

import numpy as np
import pytest
from tests.networks import classifier, labelled

from bitwright import flow
from bitwright.errors import ConfigError, UnknownNameError
from bitwright.ir import Conv2d, Flatten, Int, Lookup, Program, Threshold, reference
from bitwright.targets.crossbar import TARGET
from bitwright.targets.crossbar.arrays import CHUNK, Arrays
from bitwright.targets.crossbar.design import Config
from bitwright.targets.crossbar.distributions import POSITIONS, bin_width
from bitwright.targets.crossbar.ir_drop import ir_drop
from bitwright.targets.crossbar.lower import lower
from bitwright.targets.crossbar.measure import measure
from bitwright.targets.crossbar.simulate import simulate

WIRES = {"source_ohm": 20.0, "bit_ohm": 30.0, "driver_ohm": 50.0, "sink_ohm": 50.0}
LINEAR = {"technology": "linear", "rows": 32, "device": {"on_ohm": 20e3}, "wires": WIRES}


def network(seed=0, padding=(1, 1, 1, 1), pad_value=0):
    """8-bit pixels, a convolution of integers, one of bits, and their thresholds."""
    rng = np.random.default_rng(seed)
    return Program(
        input_name="image",
        input_type=Int((6, 5, 1), 0, 255),
        ops=(
            Lookup(output="levels", inputs=("image",), table="table"),
            Conv2d(output="d1", inputs=("levels",), weights="d1.w"),
            Threshold(output="b1", inputs=("d1",), thresholds="d1.t", rising="d1.r"),
            Conv2d(
                output="d2", inputs=("b1",), weights="d2.w", padding=padding, pad_value=pad_value
            ),
            Threshold(output="b2", inputs=("d2",), thresholds="d2.t", rising="d2.r"),
            Flatten(output="flat", inputs=("b2",)),
        ),
        tensors={
            "table": np.arange(-255, 256, 2, dtype=np.int32),
            "d1.w": rng.random((9, 3, 3, 1)) < 0.5,
            "d1.t": rng.integers(-300, 300, 9, dtype=np.int32),
            "d1.r": rng.random(9) < 0.5,
            "d2.w": rng.random((7, 3, 3, 9)) < 0.7,
            "d2.t": rng.integers(-6, 6, 7, dtype=np.int32),
            "d2.r": rng.random(7) < 0.5,
        },
        outputs=("flat",),
        name="bits",
    )


def pixels(count, seed=0, shape=(6, 5, 1)):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def run(program, images, threads=1, **settings):
    design = lower(program, TARGET.configure(settings))
    counters = simulate(design, images, threads).counters
    return design, counters, {m.metric: m for m in measure(design, counters)}


def columns(design, name, image):
    """Yield each column's conducting rows and its current, for every read and window."""
    arrays = Arrays(design.layers[name], 0, design.config, design.cell, design.ladder)
    value = reference.run(design.program, image[None], {"b1"})["b1"]
    for read in arrays.reads(value):
        for window in range(len(read.lines)):
            for column in range(read.cells.shape[1]):
                rows = [
                    read.first + k
                    for k in range(len(read.cells))
                    if read.lines[window, k] and read.cells[k, column]
                ]
                yield rows, read.currents[window, column]


SETTINGS = {
    "plain": LINEAR,
    "flips": LINEAR | {"flips": "both"},
    "reads": LINEAR | {"flips": "static", "word_lines": 10},
    "xnor": LINEAR | {"mapping": "xnor"},
    "wide bins": LINEAR | {"rows": 100, "flips": "both"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_histograms_and_errors_equal_direct_counts(name):
    images = pixels(3)
    design, _, found = run(network(), images, **SETTINGS[name])
    unit = design.ladder.read_volt / design.cell.on_ohm
    width = bin_width(design.layers["d2"])
    assert width == (2 if name == "wide bins" else 1)
    errors, places = {}, {}
    for rows, current in columns(design, "d2", images[0]):
        error = round(current / unit) - len(rows)
        errors.setdefault(len(rows) // width * width, []).append(error)
        if rows:
            place = int(POSITIONS * np.mean(rows) / design.config.rows)
            places.setdefault(place, []).append((len(rows) // width, error))
    total = sum(map(len, errors.values()))
    drawn = [m for m in found if m.startswith("partial_sum:")]
    assert len(drawn) == len(errors)
    for low, own in errors.items():
        end = f"{low}..{low + width}/d2"
        assert found[f"partial_sum:{end}"].value == pytest.approx(len(own) / total)
        assert found[f"partial_sum_error:{end}"].value == pytest.approx(np.mean(own))
        assert found[f"partial_sum_deviation:{end}"].value == pytest.approx(np.std(own), abs=1e-9)
    assert sum(found[m].value for m in drawn) == pytest.approx(1)
    assert min(np.mean(own) for own in errors.values()) < -0.5, "the wires do nothing"
    assert len(places) == sum(m.startswith("position_effect:") for m in found)
    above = sum(map(len, places.values()))
    alike = {}
    for own in places.values():
        for size, error in own:
            alike.setdefault(size, []).append(error)
    for place, own in places.items():
        end = f"{place}/d2"
        effect = np.mean([error - np.mean(alike[size]) for size, error in own])
        assert found[f"position_share:{end}"].value == pytest.approx(len(own) / above)
        assert found[f"position_error:{end}"].value == pytest.approx(np.mean([e for _, e in own]))
        assert found[f"position_effect:{end}"].value == pytest.approx(effect, abs=1e-9)


def test_sums_without_flips_are_those_of_a_design_without_them():
    images = pixels(2)
    _, _, flipped = run(network(), images, **LINEAR, flips="both")
    _, _, plain = run(network(), images, **LINEAR)
    own = {
        metric.removeprefix("plain_"): m.value
        for metric, m in flipped.items()
        if metric.startswith("plain_partial_sum:")
    }
    assert own == pytest.approx(
        {name: m.value for name, m in plain.items() if name.startswith("partial_sum:")}
    )
    assert not [name for name in plain if name.startswith("plain_partial_sum:")]


def test_histograms_add_up_to_what_is_counted_elsewhere():
    images = pixels(4)
    _, counters, _ = run(network(), images, **LINEAR, flips="both", sample=4)
    numbers = {k: v for k, v in counters.items() if k.startswith("sums:")}
    assert sum(numbers.values()) == counters["conversions/d2"]
    for which, total in (("sums", "on_cells"), ("plain_sums", "plain_on_cells")):
        cells = sum(
            int(key.partition(":")[2].partition("/")[0].partition("@")[0]) * number
            for key, number in counters.items()
            if key.startswith(f"{which}:")
        )
        assert cells == counters[f"{total}/d2"]


@pytest.mark.parametrize("settings", [LINEAR, LINEAR | {"mapping": "xnor"}], ids=["and", "xnor"])
@pytest.mark.parametrize("pad_value", [-1, 0, 1])
def test_wrong_dot_products_and_bits_are_counted(settings, pad_value):
    program = network(pad_value=pad_value)
    images = pixels(3)
    design, _, found = run(program, images, **settings, sample=3)
    exact = reference.run(program, images, {"b1", "d2", "b2"})
    arrays = Arrays(design.layers["d2"], 0, design.config, design.cell, design.ladder)
    dots, _ = arrays.dots(exact["b1"], design.sensing["d2"])
    off = dots.reshape(exact["d2"].shape) - exact["d2"]
    assert found["sample_images"].value == 3
    assert found["dots_off/d2"].value == pytest.approx(np.mean(off != 0))
    assert found["dots_off/d2"].value > 0
    assert found["count_error_mean/d2"].value == pytest.approx(off.mean() / 2)
    assert found["count_error_rms/d2"].value == pytest.approx(np.sqrt((off**2).mean()) / 2)
    made = {"d2": lambda _: (exact["d2"] + off).astype(np.int64)}
    bits = dict(reference.trace(program, images, made))["b2"]
    wrong = np.mean(bits != exact["b2"])
    assert found["flip_rate/d2"].value == pytest.approx(wrong)
    # The layers before are exact, so the network's bits are wrong where its own are.
    assert found["propagated_flip_rate/b2"].value == pytest.approx(wrong)


def test_ideal_cells_are_never_off():
    _, _, found = run(classifier(), labelled().images[:5], technology="ideal", flips="both")
    layers = ("d2", "scores")
    assert all(
        found[f"{what}/{n}"].value == 0 for n in layers for what in ("dots_off", "count_error_rms")
    )
    errors = [m.value for name, m in found.items() if name.startswith("partial_sum_error:")]
    assert errors
    assert not any(errors)
    assert found["propagated_flip_rate/b2"].value == 0
    # A pool stands between this layer and its threshold.
    assert "flip_rate/d2" not in found
    assert "propagated_flip_rate/b1" not in found, "it comes before all arrays"


def test_a_sample_is_the_same_whatever_the_threads():
    images = pixels(2 * CHUNK + 3)
    settings = LINEAR | {"flips": "random", "adc_noise": 0.3, "sample": CHUNK + 2}
    _, one, _ = run(network(), images, threads=1, **settings)
    _, three, _ = run(network(), images, threads=3, **settings)
    assert one == three
    assert one["sample_images"] == CHUNK + 2
    _, alone, _ = run(network(), images[: CHUNK + 2], threads=1, **settings)
    assert {k: v for k, v in alone.items() if ":" in k} == {
        k: v for k, v in one.items() if ":" in k
    }


def test_no_sample_gives_no_distributions():
    images = pixels(2)
    _, counters, found = run(network(), images, **LINEAR, sample=0)
    assert "sample_images" not in found
    assert not [name for name in counters if ":" in name]
    _, sampled, _ = run(network(), images, **LINEAR)
    assert counters.items() <= sampled.items()


def test_records_hold_them_as_details():
    record = flow.evaluate(
        classifier(), labelled(count=5), target="crossbar", config=LINEAR, threads=1
    ).record
    details = [m for m in record.measurements if m.detail]
    assert {m.metric.partition(":")[0] for m in details} == {
        "partial_sum", "partial_sum_error", "partial_sum_deviation", "position_share",
        "position_error", "position_effect",
    }  # fmt: skip


@pytest.mark.parametrize("technology", ["linear", "sram8t", "reram1t1r"])
@pytest.mark.parametrize("settings", [{}, {"flips": "both", "word_lines": 10}, {"mapping": "xnor"}])
def test_an_ir_drop_map_carries_the_columns_currents(technology, settings):
    """The drops give back each cell's current, and these are the column's as solved fast."""
    settings = {"technology": technology, "rows": 32, "sigma": 0.2} | settings
    design = lower(network(), TARGET.configure(settings | {"wires": WIRES}))
    image = pixels(1)[0]
    arrays = Arrays(design.layers["d2"], 0, design.config, design.cell, design.ladder)
    bits = reference.run(design.program, image[None], {"b1"})["b1"]
    every = [read for read in arrays.reads(bits) if read.number == 1]
    read = every[-1]
    window = int(read.lines.sum(axis=1).argmax())
    volts = ir_drop(design, "d2", 1, image, window, read=len(every) - 1)
    assert volts.shape == (32, 7)
    source, bit = design.ladder.rail_resistances()
    found = np.linalg.solve(source + bit, design.ladder.read_volt - volts)
    assert found.sum(axis=0) == pytest.approx(read.currents[window], rel=1e-6)
    on = np.zeros(volts.shape, bool)
    on[read.first : read.first + len(read.cells)] = read.lines[window][:, None] & read.cells
    unit = design.ladder.read_volt / design.cell.on_ohm
    assert on.any()
    assert (found[on] > 0.2 * unit).all()
    # A stored 0 on a word line that is on conducts a little.
    assert (np.abs(found[~on]) < 0.1 * unit).all()


def test_linear_cells_currents_follow_from_the_map():
    design = lower(network(), Config(**LINEAR))
    image = pixels(1)[0]
    volts = ir_drop(design, "d2", 0, image, 7)
    arrays = Arrays(design.layers["d2"], 0, design.config, design.cell, design.ladder)
    bits = reference.run(design.program, image[None], {"b1"})["b1"]
    read = next(iter(arrays.reads(bits)))
    on = read.lines[7][:, None] & read.cells
    found = (volts[read.first :] * on).sum(axis=0) / design.cell.on_ohm
    assert found == pytest.approx(read.currents[7], rel=1e-9)
    first = ir_drop(design, "d2", 0, image, 7, columns=3)
    assert first == pytest.approx(volts[:, :3], rel=1e-12)


def test_flips_leave_more_of_the_voltage():
    program = network(3)
    image = pixels(1)[0]
    mean = {
        flips: ir_drop(lower(program, Config(**LINEAR, flips=flips)), "d2", 0, image, 7).mean()
        for flips in ("none", "both")
    }
    assert mean["both"] > mean["none"]


@pytest.mark.parametrize(
    ("where", "said"),
    [(("d1", 0, 0, 0), "d1"), (("d2", 9, 0, 0), "no tile 9"), (("d2", 0, 30, 0), "no window 30"),
     (("d2", 0, 0, 1), "no read 1"), (("d2", 0, -1, 0), "no window -1")],
)  # fmt: skip
def test_maps_of_what_is_not_there_are_refused(where, said):
    layer, tile, window, read = where
    design = lower(network(), Config(**LINEAR))
    with pytest.raises((ConfigError, UnknownNameError), match=said):
        ir_drop(design, layer, tile, pixels(1)[0], window, read=read)


def test_ideal_cells_have_no_map():
    with pytest.raises(ConfigError, match="no circuit"):
        ir_drop(lower(network(), Config(technology="ideal")), "d2", 0, pixels(1)[0], 0)
