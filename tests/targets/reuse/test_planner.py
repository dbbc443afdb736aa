"""Plans, their execution, and what is measured of them."""

from dataclasses import replace

import numpy as np
import pytest
from tests.native.sketch import random_batch
from tests.networks import classifier, labelled
from tests.targets.reuse.dynamic.skippable import one_layer, random_network

from bitwright import flow
from bitwright.errors import ConfigError, UnknownNameError
from bitwright.ir import Bits, Int, Program, reference
from bitwright.ir import ops as o
from bitwright.targets import get_target
from bitwright.targets.reuse import execute
from bitwright.targets.reuse.planner import plannable, shape_of
from bitwright.targets.reuse.prices import Price, load_pieces
from bitwright.targets.reuse.proof import check

TARGET = get_target("reuse")
METHODS = ("spanning", "steiner", "clusters", "tiles", "tables", "subexpressions")


def lowered(program, **settings):
    return TARGET.lower(program, TARGET.configure(settings))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_every_method_computes_random_networks_with_padding_and_shortcuts(method, seed):
    program = random_network(seed)
    images = random_batch(program, 5, np.random.default_rng(seed))
    design = lowered(program, methods=(method,), widths=(5,))
    graphs = {name: (plan.dot, plan.graph) for name, plan in design.plans.items()}
    found = execute.run(program, graphs, images, threads=2)
    expected = reference.run(program, images)
    for name in expected:
        assert np.array_equal(found[name], expected[name])
    for plan in design.plans.values():
        assert check(plan.graph, plan.dot.numbers.reshape(len(plan.dot.weights), -1)).holds


@pytest.mark.parametrize(
    "layer",
    [
        {"neurons": 1}, {"kinds": "equal"}, {"kinds": "alike"}, {"kernel": 1, "shape": (3, 3, 1)},
        {"padding": (1, 1, 1, 1), "pad_value": 0}, {"padding": (1, 0, 2, 1), "pad_value": -1},
        {"stride": (2, 2)},
    ],
)  # fmt: skip
def test_small_and_odd_layers_are_planned(layer):
    program = one_layer(seed=3, **layer)
    images = random_batch(program, 4, np.random.default_rng(0))
    for engine in ("reference", "native"):
        design = lowered(program, widths=(9, 64), engine=engine)
        found = TARGET.simulate(design, images, 1).outputs
        for name, value in reference.run(program, images).items():
            assert np.array_equal(found[name], value)
    (plan,) = design.plans.values()
    assert plan.chosen.cost.energy_j <= plan.dense.cost.energy_j


@pytest.mark.parametrize("order", ["kernel", "stored", "similar"])
def test_tiles_may_hold_any_inputs(order):
    program = one_layer(neurons=20, kinds="alike")
    images = random_batch(program, 4, np.random.default_rng(0))
    for methods in (("tiles",), ("tables",)):
        design = lowered(program, methods=methods, widths=(6,), input_order=order)
        graphs = {name: (plan.dot, plan.graph) for name, plan in design.plans.items()}
        found = execute.run(program, graphs, images)
        for name, value in reference.run(program, images).items():
            assert np.array_equal(found[name], value)


def test_progress_is_told_of_each_layer():
    program, told = random_network(1), []
    TARGET.lower(program, TARGET.config(), lambda done, of: told.append((done, of)))
    assert told == [(k + 1, len(plannable(program))) for k in range(len(plannable(program)))]


def test_equal_kernels_are_added_up_once():
    (plan,) = lowered(one_layer(kinds="equal", neurons=8)).plans.values()
    assert plan.chosen.operations == plan.shape.fan_in


def test_the_planner_does_nothing_where_that_is_cheapest():
    program = one_layer(neurons=16, shape=(4, 4, 20))
    for plan in lowered(program, style="programmed").plans.values():
        assert plan.chosen is plan.dense
    for plan in lowered(program, methods=()).plans.values():
        assert plan.chosen.method == "dense"
        assert plan.chosen.operations == plan.shape.neurons * plan.shape.fan_in


def test_objectives_choose_what_they_make_small():
    program = one_layer(neurons=32, shape=(4, 4, 20), kinds="alike")
    for objective, field in (("area", "area"), ("luts", "luts")):
        (plan,) = lowered(program, objective=objective, methods=METHODS).plans.values()
        least = min(getattr(c.cost.total, field) for c in plan.candidates)
        assert getattr(plan.chosen.cost.total, field) == least


def test_layers_of_integers_are_planned_and_those_of_integer_weights_are_not():
    program = classifier(0)
    dots = plannable(program)
    assert dots
    for name, dot in dots.items():
        shape = shape_of(program, name, dot)
        assert dot.weights.dtype == np.bool_
        if isinstance(dot.value, Int):
            assert shape.input_bits == (dot.value.hi - dot.value.lo).bit_length()
        else:
            assert shape.input_bits == 1


def test_a_network_without_binary_weights_is_refused():
    program = Program(
        name="wide", input_name="x", input_type=Int((4,), -3, 3),
        ops=(o.Dense(output="d", inputs=("x",), weights="w"),), outputs=("d",),
        tensors={"w": np.array([[1, 2, 3, 4]], np.int8)},
    )  # fmt: skip
    with pytest.raises(ConfigError, match="no layer with weights of one bit"):
        lowered(program)


def test_parts_of_costs_add_up_to_what_is_measured():
    record = flow.evaluate(classifier(2), labelled(2, count=30), target="reuse").record
    found = {m.metric: m for m in record.measurements}
    for which in ("", "_dense"):
        start = f"energy{which}/"
        parts = sum(m.value for name, m in found.items() if name.startswith(start))
        assert parts == pytest.approx(found[f"energy{which}"].value)
    saved = 1 - found["energy"].value / found["energy_dense"].value
    assert found["energy_saved"].value == pytest.approx(saved)
    assert found["energy"].method == "estimated"
    assert "asap7" in found["energy"].source
    assert found["operations_left"].method == "counted"


def test_skipping_is_counted_on_the_sample_alone():
    program, data = classifier(1), labelled(1, count=30)
    found = {m.metric for m in flow.evaluate(program, data, target="reuse").record.measurements}
    assert any(name.startswith("skipping_done/") for name in found)
    none = flow.evaluate(program, data, target="reuse", config={"sample": 0}).record
    assert not any(m.metric.startswith("skipping_") for m in none.measurements)


def test_an_accelerator_is_modelled_where_a_part_is_named():
    program, data = classifier(1), labelled(1, count=20)
    record = flow.evaluate(program, data, target="reuse", config={"part": "XC7Z100"}).record
    found = {m.metric: m for m in record.measurements}
    assert found["images_per_kj_dense"].method == "estimated"
    assert found["cycles_per_image_dense"].value > 0
    with pytest.raises(UnknownNameError, match="XC7Z100"):
        lowered(program, part="XC7Z10")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"methods": ("magic",)}, "methods"),
        ({"widths": (1,)}, "widths"),
        ({"skips": {"tile_order": "learned"}}, "calibration"),
        ({"pieces": "/no/such/file.json"}, "no/such"),
        ({"skips": {"width": 0}}, "tile"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, named):
    with pytest.raises(ConfigError, match=named):
        lowered(classifier(0), **settings)


def test_prices_between_sizes_lie_between_them():
    table = load_pieces("asap7")
    by_size = {p.size: p for p in table.pieces if (p.kind, p.width) == ("sum", 1)}
    for size in (16, 64, 576):
        exact = table.each("sum", size) * by_size[size].adders
        assert exact.energy_j == pytest.approx(by_size[size].energy_j)
        assert exact.area == pytest.approx(by_size[size].area)
    low, middle, high = (table.each("sum", size).energy_j for size in (128, 200, 256))
    assert min(low, high) <= middle <= max(low, high)
    assert table.each("sum", 10**6) == table.each("sum", 1152)
    assert Price(1, 2, 3, 4) + Price(1, 1, 1, 1) * 2 == Price(3, 4, 5, 6)


def test_a_chain_of_merges_costs_the_sum_of_its_steps():
    table = load_pieces("asap7")
    chain = {p.size: p for p in table.pieces if p.kind == "merge"}
    first, second = table.merged(1), table.merged(2)
    added = chain[2].adders - chain[1].adders
    total = first.energy_j * chain[1].adders + second.energy_j * added
    assert total == pytest.approx(chain[2].energy_j)
    assert table.merged(100) == table.merged(20)


def test_programs_of_bits_alone_are_planned():
    program = one_layer(shape=(4, 4, 3))
    assert isinstance(program.input_type, Bits)
    assert lowered(program).plans


def test_a_wrong_plan_shows_in_the_outputs():
    program = one_layer(neurons=5)
    design = lowered(program, methods=("clusters",))
    ((name, plan),) = design.plans.items()
    turned = plan.graph.coefficients.copy()
    turned[0] = -turned[0]
    wrong = replace(plan.graph, coefficients=turned)
    images = random_batch(program, 20, np.random.default_rng(1))
    found = execute.run(program, {name: (plan.dot, wrong)}, images)
    expected = reference.run(program, images)
    assert any((found[key] != expected[key]).any() for key in expected)
