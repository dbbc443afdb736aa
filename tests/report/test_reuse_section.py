"""What the page says of reuse: the full cost, what was chosen, what is left, the accelerator."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from tests.explore.chain import chain, images
from tests.report.browser import charts, opened, points, width_on_a_phone
from tests.report.reader import Reader

from bitwright import flow
from bitwright.cli import evaluate
from bitwright.records import Measurement
from bitwright.report import render, write_report
from bitwright.report.sections import reuse
from bitwright.targets.reuse.design import Config
from bitwright.targets.reuse.lower import lower
from bitwright.targets.reuse.measure import measure
from bitwright.targets.reuse.prices import Piece, PieceTable
from bitwright.targets.reuse.simulate import simulate

SOURCE = "pieces of <tiny> & co"
PARTS = ("sums of inputs", "sums of nodes", "control")
BEFORE, AFTER = (9.0, 0.0, 1.0), (3.0, 2.0, 1.0)
LAYERS = {"d2": "clusters", "a/b": "dense", "<i>d4</i>": "tiles(9)"}
"""Layers and what is chosen; the last one's bits are not skipped."""
ENERGY = {
    "d2": {"dense": 4.0, "clusters": 1.0, "tiles(9)": 2.0},
    "a/b": {"dense": 2.0, "clusters": 3.0, "tiles(9)": 5.0},
    "<i>d4</i>": {"dense": 4.0, "tiles(9)": 3.0},
}
LEFT = {"d2": 0.25, "a/b": 1.0, "<i>d4</i>": 0.125}
SKIPPING = {"after_constants": 0.9, "after_pool": 0.7, "after_inclusion": 0.6, "done": 0.45}
DECIDED = {"d2": (0.1, 0.2, 0.3, 0.4), "a/b": (0.0, 1.0)}


def of_network():
    yield Measurement("operations_left", 0.4, "share", "counted", "bits of inputs read")
    for which, values in (("", AFTER), ("_dense", BEFORE)):
        for name, unit, value in (
            ("energy", "nJ/image", sum(values)),
            ("area", "um2", 7.0 if which else 14.0),
            ("luts", "LUT", 100 if which else 40),
            ("flip_flops", "bit", 0 if which else 30),
            ("delay", "ps", 500.0),
        ):
            yield Measurement(f"{name}{which}", value, unit, "estimated", SOURCE)
        for part, value in zip(PARTS, values, strict=True):
            yield Measurement(f"energy{which}/{part}", value, "nJ/image", "estimated", SOURCE)
    yield Measurement("energy_saved", 0.4, "share", "estimated", SOURCE)


def of_layers():
    for name, chosen in LAYERS.items():
        saved = 1 - ENERGY[name][chosen] / ENERGY[name]["dense"]
        source = f"{chosen}; {SOURCE}"
        yield Measurement(f"operations_left/{name}", LEFT[name], "share", "counted", chosen)
        yield Measurement(f"energy_saved/{name}", saved, "share", "estimated", source)
        for which, energy in ENERGY[name].items():
            end = f"{which}/{name}"
            share = 1.0 if which == "dense" else LEFT[name]
            yield Measurement(f"operations_left:{end}", share, "share", "counted")
            yield Measurement(f"energy:{end}", energy, "nJ/image", "estimated", SOURCE)
            yield Measurement(f"adders:{end}", 10 * energy, "full adder", "counted")


def of_skipping():
    yield Measurement("sample_images", 5, "image", "counted")
    for name, decided in DECIDED.items():
        for step, share in SKIPPING.items():
            yield Measurement(f"skipping_{step}/{name}", share, "share", "simulated")
        for tile, share in enumerate(decided):
            yield Measurement(f"deciding_tile:{tile}/{name}", share, "share", "simulated")


def of_accelerator():
    for name, ours, dense, unit, method in (
        ("cycles", 300, 600, "cycle", "counted"),
        ("cycles/d2", 100, 400, "cycle", "counted"),
        ("cycles/a/b", 200, 200, "cycle", "counted"),
        ("images_per_kj", 800.0, 500.0, "1/kJ", "estimated"),
        ("operations_per_joule", 8e9, 5e9, "1/J", "estimated"),
        ("pe_utilisation", 0.6, 0.9, "share", "counted"),
    ):
        metric, slash, layer = name.partition("/")
        yield Measurement(name, ours, unit, method, "a board")
        yield Measurement(f"{metric}_dense{slash}{layer}", dense, unit, method, "a board")


@pytest.fixture(scope="module")
def exact():
    return flow.evaluate(chain(), images(2, 20), target="exact")


def recorded(evaluation, *parts):
    measurements = (*evaluation.record.measurements, *itertools.chain(*parts))
    return replace(
        evaluation, record=replace(evaluation.record, target="reuse", measurements=measurements)
    )


@pytest.fixture(scope="module")
def reused(exact):
    return recorded(exact, of_network(), of_layers(), of_skipping())


@pytest.fixture(scope="module")
def accelerated(exact):
    return recorded(exact, of_network(), of_layers(), of_skipping(), of_accelerator())


def figure(page, number):
    return page.figures()[number]


def test_the_first_sentence_has_the_full_cost_beside_the_operations(reused):
    (first, *_) = Reader(reuse.render([reused])).all("p")
    assert first.text == (
        "In the 3 layers of chain with weights of one bit, 40.0\N{NO-BREAK SPACE}% of the energy "
        "is saved, all parts of the datapath included: 6.000 instead of 10.00 nJ/image estimated. "
        "XNORs left: 40.0\N{NO-BREAK SPACE}% counted. Bits changed: none."
    )


@pytest.mark.parametrize(
    ("saved", "said"),
    [(-0.25, "25.0\N{NO-BREAK SPACE}% more energy is taken"), (0.0, "no energy is saved")],
)
def test_a_loss_is_called_one(exact, saved, said):
    network = [m for m in of_network() if m.metric != "energy_saved"]
    network.append(Measurement("energy_saved", saved, "share", "estimated", SOURCE))
    (first, *_) = Reader(reuse.render([recorded(exact, network, of_layers())])).all("p")
    assert said in first.text


def test_costs_stand_before_and_after(reused):
    page = Reader(reuse.render([reused]))
    traces = figure(page, 0)["data"]
    assert [trace["name"] for trace in traces] == list(PARTS)
    assert [trace["x"] for trace in traces] == [list(b) for b in zip(BEFORE, AFTER, strict=True)]
    assert len({trace["marker"]["color"] for trace in traces}) == len(PARTS)
    totals = {row[0]: row[1:4] for row in page.table("Full cost of the network")[1:]}
    assert totals["Energy"] == ["10.00", "6.000", "0.600"]
    assert totals["Area"] == ["7.000", "14.00", "2.000"]
    assert totals["Flip-flops"] == ["0", "30", "\N{EN DASH}"]
    assert page.table("Energy by part")[1] == ["sums of inputs", "9.000", "3.000", "0.333"]


def test_each_candidate_is_compared_with_doing_nothing(reused):
    page = Reader(reuse.render([reused]))
    head, *rows, foot = page.table("Plans by layer")
    assert head[5:] == ["dense", "clusters", "tiles(9)"]
    space, dash = "\N{NO-BREAK SPACE}", "\N{EN DASH}"
    assert rows == [
        ["d2", "clusters", f"25.0{space}%", f"25.0{space}%", f"75.0{space}%", "1.000", "0.250",
         "0.500"],
        ["a/b", "dense", f"100.0{space}%", f"100.0{space}%", f"0.0{space}%", "1.000", "1.500",
         "2.500"],
        ["<i>d4</i>", "tiles(9)", f"12.5{space}%", f"75.0{space}%", f"25.0{space}%", "1.000", dash,
         "0.750"],
    ]  # fmt: skip
    # One method everywhere: 2 + 5 + 3 of 10; clusters are no candidate of the last layer.
    assert foot == [
        "All", "", f"40.0{space}%", f"60.0{space}%", f"40.0{space}%", "1.000", dash, "1.000",
    ]  # fmt: skip
    (region,) = page.all("div", role="region", **{"aria-label": "Plans by layer"})
    bold = [e.text for e in page.all("strong") if region in e.parents]
    assert bold == ["0.250", "1.000", "0.750"]


def test_what_is_done_and_skipped_adds_up(reused):
    page = Reader(reuse.render([reused]))
    drawn = figure(page, 1)
    *stack, xnors, energy = drawn["data"]
    for k in range(2):
        shares = [trace["x"][k] for trace in stack]
        assert shares == pytest.approx([0.45, 0.15, 0.1, 0.2, 0.1])
        assert len({trace["y"][k] for trace in stack}) == 1
    assert [trace["name"] for trace in stack[1:]] == [
        "skipped: bounds", "skipped: inclusion", "skipped: pool", "skipped: constants",
    ]  # fmt: skip
    assert xnors["x"] == list(LEFT.values())
    assert energy["x"] == [0.25, 1.0, 0.75]
    assert drawn["layout"]["yaxis"]["ticktext"][2] == "&lt;i&gt;d4&lt;/i&gt;"
    row = page.table("Operations left by layer")[1]
    said = ["90.0", "70.0", "60.0", "45.0", "25.0", "25.0"]
    assert row == ["d2", *(f"{share}\N{NO-BREAK SPACE}%" for share in said)]


def test_the_filled_part_of_a_row_is_the_work(reused):
    page = Reader(reuse.render([reused]))
    full, first, second = figure(page, 2)["data"]
    for trace, decided in ((first, DECIDED["d2"]), (second, DECIDED["a/b"])):
        last = len(decided) - 1
        assert len(trace["x"]) == last
        filled = -np.dot(trace["y"], trace["width"]) / -full["y"][0]
        assert filled == pytest.approx(np.dot(decided, np.arange(last + 1)) / last)
        assert trace["x"][0] - trace["width"][0] / 2 == 0
        assert trace["x"][-1] + trace["width"][-1] / 2 == 1
    space = "\N{NO-BREAK SPACE}"
    rows = page.table("Deciding tiles")[1:]
    assert rows[0] == ["d2", "3", "2.000", f"30.0{space}%", f"40.0{space}%"]
    assert rows[1] == ["a/b", "1", "1.000", f"0.0{space}%", f"100.0{space}%"]


def test_the_accelerators_numbers_are_shown_if_the_record_has_them(reused, accelerated):
    without, page = Reader(reuse.render([reused])), Reader(reuse.render([accelerated]))
    assert len(without.figures()) == 3
    assert not [e for e in without.all("h3") if "accelerator" in e.text]
    captions = [caption.text for caption in without.all("figcaption")]
    assert sum("is not in this record" in caption for caption in captions) == 2
    captions = [caption.text for caption in page.all("figcaption")]
    assert sum("62.5\N{NO-BREAK SPACE}% of the dense array" in caption for caption in captions) == 2
    rows = {row[0]: row[1:4] for row in page.table("Accelerator")[1:]}
    assert rows["Cycles for an image"] == ["300", "600", "0.500"]
    assert rows["Images per kJ"] == ["800.0", "500.0", "1.600"]
    assert rows["Operations per joule"][2] == "1.600"
    (heading,) = [e.text for e in page.all("h3") if "accelerator" in e.text]
    assert heading == "chain on the accelerator"
    dense, ours = figure(page, 3)["data"]
    assert (dense["x"], ours["x"]) == ([400, 200], [100, 200])


def test_every_chart_and_table_says_how_its_numbers_were_got(accelerated):
    page = Reader(reuse.render([accelerated]))
    badges = [e for e in page.all("span") if e.attributes.get("class", "").startswith("badge")]
    places = [*page.all("figcaption"), *page.all("caption")]
    assert len(places) == 4 + 6
    for place in places:
        assert [badge for badge in badges if place in badge.parents], place.text
    own = [place.text for place in places if "full energy" in place.text]
    assert own
    assert all(SOURCE in text for text in own)


def test_operations_never_stand_alone(exact):
    network = [m for m in of_network() if m.metric != "energy_saved"]
    assert reuse.render([recorded(exact, network, of_layers(), of_skipping())]) == ""


def test_a_record_without_such_numbers_shows_nothing(exact, reused):
    assert reuse.render([exact]) == ""
    assert "Reuse and skipping" not in render([exact])
    both = Reader(reuse.render([exact, reused]))
    assert [heading.text for heading in both.all("h3", class_="group")] == ["reuse"]


def test_a_plan_alone_needs_no_sample(exact):
    page = Reader(reuse.render([recorded(exact, of_network(), of_layers())]))
    _, drawn = page.figures()
    assert len(drawn["data"]) == 2
    assert "Which tile decides" not in [e.text for e in page.all("h3")]


def test_what_is_read_together_is_drawn_and_not_listed(accelerated):
    names = [row[0] for row in Reader(render([accelerated])).table("Measurements")]
    assert "energy saved/d2" in names
    assert "cycles dense/a/b" in names
    assert not [name for name in names if ":" in name]


@pytest.mark.parametrize(
    ("metric", "detail"),
    [
        ("energy:tiles(9)/a/b", True),
        ("deciding_tile:0/d2", True),
        ("count_error/d2/0..4", True),
        ("count_error_mean/d2", False),
        ("energy/sums of inputs", False),
        ("energy_saved/layer:2", False),
    ],
)
def test_details_are_known_by_name(metric, detail):
    assert Measurement(metric, 1, "share", "counted").detail == detail


def test_the_terminal_lists_no_details(accelerated, capsys):
    evaluate._print([accelerated], layers=True)
    out = capsys.readouterr().out
    assert "operations_left/d2" in out
    assert "tiles(9)" not in out
    assert "deciding_tile" not in out


def table_of_pieces():
    """Prices that are not those of any library."""
    pieces = [
        Piece("sum", size, width, (size - 1) * width, size, 1e-11, size * 1e-15, size)
        for size in (9, 576)
        for width in (1, 3)
    ]
    pieces += [
        Piece("merge", size, 8, 8 * size, size, 1e-11, size * 1e-15, size) for size in (1, 2)
    ]
    pieces += [
        Piece(kind, 2, 1, 0, 1, 1e-11, 1e-15, 1)
        for kind in ("match", "select", "compare", "register")
    ]
    return PieceTable("tiny", "um2", 0.7, tuple(pieces), {"yosys": "0"})


@pytest.fixture(scope="module")
def real(exact, tmp_path_factory):
    """What the target itself says of a small network."""
    file = tmp_path_factory.mktemp("pieces") / "pieces.json"
    file.write_text(table_of_pieces().text)
    config = Config(pieces=str(file), methods=("spanning", "tiles"), sample=3)
    design = lower(chain(), config)
    found = measure(design, simulate(design, images(2, 3).images, 1).counters)
    return recorded(exact, found)


def test_the_targets_own_record_is_understood(real):
    page = Reader(reuse.render([real]))
    cost, left, tiles = page.figures()
    record = real.record
    assert sum(trace["x"][1] for trace in cost["data"]) == pytest.approx(record["energy"].value)
    rows = page.table("Plans by layer")[1:-1]
    assert [row[0] for row in rows] == ["d1", "d2", "d3", "d4", "scores"]
    assert all(row[1] in ("dense", "spanning", "tiles(9)") for row in rows)
    assert left["data"][0]["x"] == [
        m.value for m in record.measurements if m.metric.startswith("skipping_done/")
    ]
    assert len(tiles["data"]) == 1 + len(left["data"][0]["x"])


@pytest.mark.tool("chromium")
def test_the_charts_are_drawn(accelerated, tmp_path):
    path = tmp_path / "report.html"
    write_report([accelerated], path)
    page = opened(path)
    (section,) = page.all("section", id="reuse")
    inside = [section in plot.parents for plot, _ in charts(page)]
    # Parts before and after; stacks of two layers, plans of three; tiles and the full rows; cycles.
    drawn = list(itertools.compress(points(page), inside))
    assert drawn == [2 * len(PARTS), 5 * 2 + 2 * 3, 3 + 1 + 2, 2 * 2]


@pytest.mark.tool("chromium")
def test_a_phone_need_not_scroll_sideways(accelerated, tmp_path):
    write_report([accelerated], tmp_path / "report.html")
    assert width_on_a_phone(tmp_path / "report.html") == 380
