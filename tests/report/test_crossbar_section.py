"""What the page says of crossbars: accuracy, layers, partial sums, IR drop, costs."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from tests.explore.chain import chain, images
from tests.report.browser import charts, opened, points, width_on_a_phone
from tests.report.reader import Reader

from bitwright import flow
from bitwright.records import Measurement
from bitwright.report import render, write_report
from bitwright.report.sections import circuit_errors, crossbar, crossbar_sums
from bitwright.report.sections.crossbar_positions import RARE
from bitwright.targets import get_target
from bitwright.targets.crossbar.ir_drop import ir_drop

SPACE = "\N{NO-BREAK SPACE}"
CONFIG = {
    "technology": "linear",
    "rows": 32,
    "columns": 16,
    "device": {"on_ohm": 10e3},
    "wires": {"source_ohm": 10.0, "bit_ohm": 10.0},
}
LAYERS = ["d2", "d3", "d4", "scores"]
SOURCE = "formulas of <tiny> & co"
COUNT = 20


def evaluated(**settings):
    network = replace(chain(), name="<b>chain</b>")
    config = CONFIG | settings
    return flow.evaluate(network, images(2, COUNT), target="crossbar", config=config, threads=1)


def without_costs(evaluation):
    """Return the evaluation as if nothing had been priced."""
    kept = [m for m in evaluation.record.measurements if m.method != "estimated"]
    return with_measurements(evaluation, kept)


def with_measurements(evaluation, measurements):
    record = replace(evaluation.record, measurements=tuple(measurements))
    return replace(evaluation, record=record)


@pytest.fixture(scope="module")
def exact():
    network = replace(chain(), name="<b>chain</b>")
    return flow.evaluate(network, images(2, COUNT), target="exact")


@pytest.fixture(scope="module")
def flipped():
    return evaluated(flips="both")


@pytest.fixture(scope="module")
def plain():
    return evaluated()


@pytest.fixture(scope="module")
def page(exact, flipped):
    return Reader(crossbar.render([exact, flipped]))


def titled(page, start):
    """Return the figures whose caption begins so."""
    captions = [caption.text for caption in page.all("figcaption")]
    return [f for f, text in zip(page.figures(), captions, strict=True) if text.startswith(start)]


def spans(evaluation, metric, layer):
    """Return the values of a metric by their first partial sum, in ascending order."""
    found = {}
    for m in evaluation.record.measurements:
        head, _, name = m.metric.partition("/")
        what, _, span = head.partition(":")
        if (what, name) == (metric, layer):
            found[int(span.partition("..")[0])] = m.value
    return dict(sorted(found.items()))


def test_the_first_sentence_has_the_exact_networks_accuracy(page, exact, flipped):
    first, second, *_ = page.all("p")
    ours, theirs = flipped.record["accuracy"].value, exact.record["accuracy"].value
    assert ours != theirs
    assert first.text.startswith(
        "On arrays of 32 rows by 16 columns of linear cells, with columns and activations flipped "
        f"(BinSparX), <b>chain</b> is right on {100 * ours:.1f}{SPACE}% of {COUNT} images ("
    )
    assert f"simulated; the exact network on {100 * theirs:.1f}{SPACE}% simulated" in first.text
    saved = flipped.record["partial_sum_saved"].value
    assert saved > 0
    assert second.text.startswith(f"{100 * saved:.1f}{SPACE}% fewer cells conduct than without")
    assert second.text.endswith("counted.")


def test_the_exact_network_runs_only_where_it_is_not_on_the_page(exact, flipped, monkeypatch):
    alone = Reader(crossbar.render([flipped])).all("p")[0].text
    monkeypatch.setattr(flow, "evaluate", None)
    assert Reader(crossbar.render([exact, flipped])).all("p")[0].text == alone


def test_errors_of_layers_are_those_of_the_record(page, flipped):
    record = flipped.record
    (figure,) = titled(page, "How many inputs agree")
    squares, means = figure["data"]
    assert figure["layout"]["yaxis"]["ticktext"] == LAYERS
    assert squares["x"] == [record[f"count_error_rms/{name}"].value for name in LAYERS]
    assert means["x"] == [record[f"count_error_mean/{name}"].value for name in LAYERS]
    worst = LAYERS[int(np.argmax(squares["x"]))]
    (caption,) = [e.text for e in page.all("figcaption") if "furthest off" in e.text][:1]
    assert f"{worst} is furthest off" in caption
    rows = {row[0]: row[1:] for row in page.table("Layers on arrays")[1:]}
    assert list(rows) == LAYERS
    for name in LAYERS:
        assert rows[name][0] == f"{100 * record[f'dots_off/{name}'].value:.2f}{SPACE}%"
        saved = record[f"partial_sum_saved/{name}"].value
        assert rows[name][-1] == f"{100 * saved:.2f}{SPACE}%"
    assert rows["scores"][1] == "\N{EN DASH}"


def test_partial_sums_are_drawn_with_flips_and_without(page, flipped, plain):
    for name in LAYERS:
        histogram, errors = titled(page, f"{name}:")
        bars, outline = histogram["data"]
        own = spans(flipped, "partial_sum", name)
        assert bars["x"] == list(own)
        assert bars["y"] == pytest.approx([100 * share for share in own.values()])
        assert sum(bars["y"]) == pytest.approx(100)
        # The outline's area is all columns, and its steps are what the plain design has.
        x, y = np.array(outline["x"]), np.array(outline["y"])
        assert (np.diff(x) * (y[1:] + y[:-1]) / 2).sum() == pytest.approx(100)
        for low, share in spans(plain, "partial_sum", name).items():
            steps = [h for a, b, h in zip(x, x[1:], y, strict=False) if a < low < b]
            assert steps == pytest.approx([100 * share])
        band, means = errors["data"]
        wanted = spans(flipped, "partial_sum_error", name)
        assert means["x"] == list(wanted)
        assert means["y"] == pytest.approx(list(wanted.values()))
        spread = list(spans(flipped, "partial_sum_deviation", name).values())
        high, low = band["y"][: len(spread)], band["y"][len(spread) :][::-1]
        assert np.subtract(high, low) == pytest.approx(2 * np.array(spread), abs=1e-12)
        assert errors["layout"]["xaxis"] == histogram["layout"]["xaxis"]


def test_of_many_layers_those_are_drawn_that_are_furthest_off(flipped, monkeypatch):
    monkeypatch.setattr(crossbar_sums, "DRAWN", 2)
    page = Reader(crossbar.render([flipped]))
    off = {name: flipped.record[f"count_error_rms/{name}"].value for name in LAYERS}
    worst = sorted(LAYERS, key=lambda name: -off[name])[:2]
    assert [bool(titled(page, f"{name}:")) for name in LAYERS] == [n in worst for n in LAYERS]
    assert [e for e in page.all("p") if e.text.startswith("The 2 layers that are furthest off.")]


def test_exact_layers_are_listed_and_not_drawn(flipped):
    exact = [
        replace(m, value=0.0) if m.metric == "count_error_rms/d3" else m
        for m in flipped.record.measurements
    ]
    page = Reader(crossbar.render([with_measurements(flipped, exact)]))
    (figure,) = titled(page, "How many inputs agree")
    assert figure["layout"]["yaxis"]["ticktext"] == ["d2", "d4", "scores"]
    assert [e for e in page.all("figcaption") if "Layers that are exact are not drawn." in e.text]
    assert [row[0] for row in page.table("Layers on arrays")[1:]] == LAYERS


def test_without_flips_nothing_is_compared(plain):
    page = Reader(crossbar.render([without_costs(plain)]))
    assert "cells conduct for an image, in 4 layers on arrays counted." in page.all("p")[1].text
    histogram, _ = titled(page, "d2:")
    assert len(histogram["data"]) == 1
    captions = [e.text for e in page.all("figcaption")]
    assert sum(text.startswith("without flips:") for text in captions) == 1
    assert sum(text.startswith("flips: both:") for text in captions) == 1


def test_positions_are_drawn_where_there_are_enough(page, flipped):
    (figure,) = titled(page, "Error by where")
    record = {m.metric: m.value for m in flipped.record.measurements}
    errors = [record[f"count_error_rms/{trace['name']}"] for trace in figure["data"]]
    assert errors == sorted(errors, reverse=True)
    for trace in figure["data"]:
        name = trace["name"]
        often = [k for k in range(8) if record.get(f"position_share:{k}/{name}", 0) >= RARE]
        assert trace["x"] == often
        assert trace["y"] == [record[f"position_effect:{k}/{name}"] for k in often]
    assert page.table("Errors by position")[0][1] == "far end"


def test_the_map_is_that_of_the_design(page, flipped):
    record = flipped.record
    worst = max(LAYERS, key=lambda name: record[f"count_error_rms/{name}"].value)
    target = get_target("crossbar")
    most = 0.0
    for start, flips in (("without flips:", "none"), ("flips: both:", "both")):
        (figure,) = titled(page, start)
        (drawn,) = figure["data"]
        config = target.configure(CONFIG | {"flips": flips})
        design = target.lower(flipped.program, config)
        layer = design.layers[worst]
        rows, columns = layer.dot.windows.counts
        where = len(layer.tiles) // 2, rows // 2 * columns + columns // 2
        volts = ir_drop(design, worst, where[0], flipped.data.images[0], where[1])
        lost = 1 - volts / design.ladder.read_volt
        assert np.array(drawn["z"]) == pytest.approx(lost, abs=1e-5)
        most = max(most, lost.max())
        assert drawn["zmax"] >= most - 1e-5
    assert most > 0.01
    note = next(e.text for e in page.all("p") if "read voltage at each cell" in e.text)
    assert f"tile {where[0]} of {worst} at window {where[1]} of the first image" in note


@pytest.mark.parametrize(
    ("settings", "maps"),
    [({"technology": "ideal", "device": {}, "wires": {}}, 0), ({"mapping": "xnor"}, 1),
     ({"flips": "random"}, 2), ({"rows": 600}, 0)],
)  # fmt: skip
def test_maps_of_other_designs(settings, maps):
    page = Reader(crossbar.render([evaluated(**settings)]))
    drawn = [f for f in page.figures() if f["data"][0]["type"] == "heatmap"]
    assert len(drawn) == maps
    assert bool([e for e in page.all("h3") if e.text == "IR drop of a tile"]) == bool(maps)


@pytest.mark.parametrize("rows", [512, 513])
def test_a_map_of_too_many_rows_is_left_out_and_said_to_be(rows):
    page = Reader(crossbar.render([evaluated(rows=rows)]))
    drawn = [f for f in page.figures() if f["data"][0]["type"] == "heatmap"]
    notes = [e.text for e in page.all("p") if e.text.startswith("No IR drop")]
    assert bool(drawn) == (rows == 512)
    said = "No IR drop of a tile is drawn: arrays have 513 rows, and maps have 512 at most."
    assert notes == ([] if rows == 512 else [said])


def test_a_map_that_cannot_be_had_is_explained(flipped):
    """The calibration images of a record may not be on the machine that writes the page."""
    config = dict(flipped.record.config) | {"row_order": "active", "calibration": "nowhere.npz"}
    moved = replace(flipped, record=replace(flipped.record, config=config))
    page = Reader(crossbar.render([moved]))
    (note,) = [e.text for e in page.all("p") if e.text.startswith("No IR drop")]
    assert "nowhere.npz" in note
    assert not [f for f in page.figures() if f["data"][0]["type"] == "heatmap"]


ITEMS = {"cells": 6e-9, "ADC": 3e-9, **{f"part {k}": (9 - k) * 1e-11 for k in range(6)}}


def priced(evaluation, *, before=True):
    """Return the evaluation with costs of its own, in place of the models'."""
    added = []
    for kind, unit in (("energy", "J/image"), ("latency", "s/image"), ("area", "m2")):
        for of, factor in (("network", 1.0), ("plain", 2.0)) if before else (("network", 1.0),):
            added.append(Measurement(f"{kind}/{of}", 1.0, unit, "estimated", SOURCE))
            for item, value in ITEMS.items():
                name = f"{kind}_{item.replace(' ', '_')}/{of}"
                added.append(Measurement(name, factor * value, unit, "estimated", SOURCE))
    if before:
        for name, share in (
            ("energy_saved", 0.5), ("energy_saved_same_adc", -0.25), ("latency_paid", -0.125),
            ("area_paid", 0.75),
        ):  # fmt: skip
            added.append(Measurement(name, share, "share", "estimated", SOURCE))
    bare = without_costs(evaluation)
    return with_measurements(bare, [*bare.record.measurements, *added])


def test_costs_stand_item_by_item(flipped):
    page = Reader(crossbar.render([priced(flipped)]))
    for start, unit, factor in (
        ("Energy", "energy, nJ/image", 1e9), ("Latency", "latency, ns/image", 1e9),
        ("Area", "area, mm\N{SUPERSCRIPT TWO}", 1e6),
    ):  # fmt: skip
        (figure,) = titled(page, start)
        assert figure["layout"]["xaxis"]["title"]["text"] == unit
        names = [trace["name"] for trace in figure["data"]]
        assert names[:2] == ["cells", "ADC"]
        assert names[-1] == "other items"
        assert len({trace["marker"]["color"] for trace in figure["data"]}) == len(names) == 7
        sums = np.sum([trace["x"] for trace in figure["data"]], axis=0)
        assert sums == pytest.approx(np.array([2, 1]) * sum(ITEMS.values()) * factor)
    rows = page.table("Energy of an image by item")
    assert rows[1] == ["cells", "12.00", "6.000"]
    assert len(rows) == 1 + len(ITEMS) + 1
    (said,) = [e.text for e in page.all("p") if e.text.startswith("Beside the same arrays")]
    changes = (f"energy -50.0{SPACE}%", f"energy with equal converters +25.0{SPACE}%",
               f"latency -12.5{SPACE}%", f"area +75.0{SPACE}%")  # fmt: skip
    assert f"flips: {', '.join(changes)} estimated." in said


def test_costs_without_flips_have_one_bar(flipped):
    page = Reader(crossbar.render([priced(flipped, before=False)]))
    (figure,) = titled(page, "Energy")
    assert {len(trace["x"]) for trace in figure["data"]} == {1}


def test_what_the_target_says_of_costs_is_drawn(page, flipped):
    record = flipped.record
    for kind, start in (("energy", "Energy"), ("latency", "Latency"), ("area", "Area")):
        (figure,) = titled(page, start)
        before, ours = np.sum([trace["x"] for trace in figure["data"]], axis=0)
        wanted = record[f"{kind}/network"].value / record[f"{kind}/plain"].value
        assert ours / before == pytest.approx(wanted)


def test_a_record_without_costs_shows_none(flipped):
    page = Reader(crossbar.render([without_costs(flipped)]))
    assert not titled(page, "Energy")
    assert "What it takes" not in [e.text for e in page.all("h3")]


def test_designs_stand_beside_each_other(exact, flipped, plain):
    page = Reader(crossbar.render([exact, plain, flipped]))
    figure, *_ = page.figures()
    bars, marks = figure["data"]
    accuracies = [e.record["accuracy"].value for e in (plain, flipped)]
    assert bars["x"] == accuracies
    assert marks["x"] == [exact.record["accuracy"].value] * 2
    assert figure["layout"]["yaxis"]["ticktext"] == ["flips: none", "flips: both"]
    rows = page.table("Designs beside each other")[1:]
    assert [row[0] for row in rows] == ["crossbar (1): flips: none", "crossbar (2): flips: both"]
    for row, accuracy in zip(rows, accuracies, strict=True):
        assert row[4] == f"{100 * (accuracy - exact.record['accuracy'].value):+.1f}"
    groups = [e.text for e in page.all("h3", class_="group")]
    assert groups == ["crossbar (1): flips: none", "crossbar (2): flips: both"]


def test_every_chart_and_table_says_how_its_numbers_were_got(exact, flipped, plain):
    page = Reader(crossbar.render([exact, plain, flipped]))
    badges = [e for e in page.all("span") if e.attributes.get("class", "").startswith("badge")]
    for place in [*page.all("figcaption"), *page.all("caption")]:
        assert [badge for badge in badges if place in badge.parents], place.text


def test_other_targets_and_records_without_such_numbers_show_nothing(exact, flipped):
    assert crossbar.render([exact]) == ""
    assert "Crossbars" not in render([exact])
    assert crossbar.render([with_measurements(flipped, exact.record.measurements)]) == ""


def test_a_record_without_a_sample_has_no_distributions():
    page = Reader(crossbar.render([evaluated(sample=0)]))
    assert "Partial sums" not in [e.text for e in page.all("h3")]
    assert [row[0] for row in page.table("Layers on arrays")[1:]] == LAYERS


def test_flipped_bits_are_shown_with_those_of_other_targets(flipped):
    page = Reader(circuit_errors.render([flipped]))
    (note, *_) = page.all("p")
    assert note.text == (
        "From a sample of the simulation: 1 image, all windows and neurons of each layer."
    )
    own, network = page.figures()[0]["data"]
    rates = [flipped.record[f"flip_rate/{name}"].value for name in LAYERS[:-1]]
    assert own["x"] == pytest.approx([100 * rate for rate in rates])
    assert len(network["x"]) == 3


@pytest.mark.tool("chromium")
def test_the_charts_are_drawn(exact, flipped, plain, tmp_path):
    path = tmp_path / "report.html"
    write_report([exact, plain, flipped], path)
    page = opened(path)
    (section,) = page.all("section", id="crossbar")
    inside = [section in plot.parents for plot, _ in charts(page)]
    drawn = list(itertools.compress(points(page), inside))
    # Bars and marks of two designs, then of each: two bars a layer.
    assert drawn[0] == 4
    assert drawn[1] == 2 * len(LAYERS)
    maps = [
        sum(e.tag == "image" for e in within)
        for (_, within), here in zip(charts(page), inside, strict=True)
        if here
    ]
    assert sum(maps) >= 4
    assert all(points or image for points, image in zip(drawn, maps, strict=True))


@pytest.mark.tool("chromium")
def test_a_phone_need_not_scroll_sideways(exact, flipped, tmp_path):
    write_report([exact, flipped], tmp_path / "report.html")
    assert width_on_a_phone(tmp_path / "report.html") == 380
