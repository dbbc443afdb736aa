"""One read of one tile: what is in the cells and on the word lines is what is simulated."""

import numpy as np
import pytest
from tests.networks import classifier, labelled

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.ir import reference
from bitwright.targets import get_target
from bitwright.targets.crossbar.operating_point import operating_point
from bitwright.targets.crossbar.simulate import arrays_of
from bitwright.targets.crossbar.solver.columns import Columns

TARGET = get_target("crossbar")
PROGRAM = classifier(shape=(4, 4, 1))
IMAGE = labelled(3, (4, 4, 1), count=1).images[0]
IDEAL_WIRES = {"wires": {"source_ohm": 0.0, "bit_ohm": 0.0}}


def design_of(**settings):
    plain = {"technology": "linear", "rows": 64} | settings
    return TARGET.lower(PROGRAM, TARGET.configure(plain), None)


def test_tiles_of_all_inputs_make_the_layer_s_dot_products():
    design = design_of(**IDEAL_WIRES)
    exact = reference.run(PROGRAM, IMAGE[None], {"scores", "flat"})
    total = np.zeros(4)
    for number, tile in enumerate(design.layers["scores"].tiles):
        point = operating_point(design, "scores", number, IMAGE)
        used = slice(64 - len(tile.inputs), None)
        assert np.array_equal(point.active[used], exact["flat"][0][tile.inputs])
        assert not point.active[: used.start].any()
        stored, on = point.weights[used] > 0.5, point.active[used]
        total += 4 * (on @ stored.astype(int)) - 2 * stored.sum(0) - 2 * on.sum() + len(on)
    assert np.array_equal(total, exact["scores"][0])


@pytest.mark.parametrize(
    "settings",
    [
        {"flips": "both", "technology": "sram8t"},
        {"flips": "random", "technology": "sram8t", "word_lines": 20},
        {"mapping": "xnor", "technology": "reram1t1r"},
        {"sigma": 0.3, "stuck_on": 0.05, "technology": "reram1t1r", "adc_noise": 0.5},
    ],
    ids="-".join,
)
def test_a_tile_s_currents_are_the_simulated_ones(settings):
    design = design_of(**settings)
    # What the arrays of d2 make of the image is what those of the last layer are given.
    value = {}
    arrays = arrays_of(design)

    def given(name):
        def compute(bits):
            value[name] = bits
            dots, _ = arrays[name].dots(bits, design.sensing[name])
            return dots.astype(np.int64).reshape(1, *PROGRAM.types[name].shape)

        return compute

    list(reference.trace(PROGRAM, IMAGE[None], {name: given(name) for name in arrays}))
    for layer, tile, position, read in (("d2", 3, 5, 0), ("d2", 0, 0, 0), ("scores", 1, 0, -1)):
        reads = design.layers[layer].tiles[tile].reads
        number = read % len(reads)
        point = operating_point(design, layer, tile, IMAGE, position, number)
        found = [r for r in arrays[layer].reads(value[layer]) if r.number == tile][number]
        solved = Columns(point.ladder, point.cell, point.weights).solve(point.active[None])
        assert np.allclose(solved.currents[0], found.currents[position], rtol=1e-6, atol=1e-18)


@pytest.mark.parametrize(("mapping", "word_lines"), [("and", 0), ("xnor", 9)])
def test_inputs_are_the_arrays_or_the_exact_network_s(mapping, word_lines):
    settings = {"mapping": mapping, "word_lines": word_lines, "adc_noise": 9.0, "seed": 1}
    design = design_of(**settings)
    exact = reference.run(PROGRAM, IMAGE[None], {"flat"})["flat"][0]
    tile = design.layers["scores"].tiles[1]
    wrong = 0
    for number, rows in enumerate(tile.reads):
        made, given = (
            operating_point(design, "scores", 1, IMAGE, 0, number, exact=which)
            for which in (False, True)
        )
        bits = exact[tile.inputs[rows]]
        lines = bits if mapping == "and" else np.stack([bits, ~bits], axis=1).ravel()
        first = design.ladder.rows - (len(tile.inputs) - rows.start) * len(lines) // len(bits)
        used = slice(first, first + len(lines))
        assert np.array_equal(given.active[used], lines)
        assert given.active.sum() == lines.sum()
        assert np.array_equal(given.weights, made.weights)
        wrong += (given.active != made.active).sum()
    assert wrong > 0, "arrays with so much noise are wrong"


@pytest.mark.parametrize(
    ("asked", "error", "named"),
    [
        (("d9", 0, IMAGE), UnknownNameError, "d9"),
        (("d1", 0, IMAGE), UnknownNameError, "d1"),
        (("d2", 10, IMAGE), ConfigError, "tile 10 of 'd2'"),
        (("d2", -1, IMAGE), ConfigError, "tile -1"),
        (("d2", 0, IMAGE, 16), ConfigError, "window 16"),
        (("d2", 0, IMAGE, -1), ConfigError, "window -1"),
        (("d2", 0, IMAGE, 0, 1), ConfigError, "read 1"),
    ],
)
def test_what_does_not_exist_is_named(asked, error, named):
    with pytest.raises(error, match=named):
        operating_point(design_of(), *asked)


def test_ideal_cells_are_no_circuit():
    with pytest.raises(ConfigError, match="no circuit"):
        operating_point(design_of(technology="ideal"), "d2", 0, IMAGE)
