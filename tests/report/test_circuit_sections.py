"""What the page says of approximate popcounts: flips, errors of the count, costs."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from tests.explore.chain import chain, images
from tests.report.browser import charts, opened, points
from tests.report.reader import Reader

from bitwright import flow
from bitwright.records import Measurement
from bitwright.report import render, write_report
from bitwright.report.sections import circuit_costs, circuit_errors


@pytest.fixture(scope="module")
def approximate():
    """An evaluation with majorities in two layers of three."""
    config = {"circuits": {"d2": "maj", "d3": "maj:L=2"}, "layers": ["d2"], "circuit": "maj"}
    return flow.evaluate(chain(), images(2, 70), target="majority", config=config, threads=1)


@pytest.fixture(scope="module")
def exact():
    return flow.evaluate(chain(), images(2, 70), target="exact")


def with_measurements(evaluation, *added):
    record = evaluation.record
    return replace(evaluation, record=replace(record, measurements=(*record.measurements, *added)))


def test_flips_and_errors_are_those_of_the_record(approximate):
    page = Reader(circuit_errors.render([approximate]))
    flips, *errors = page.figures()
    record = approximate.record
    own, network = flips["data"]
    layers = flips["layout"]["yaxis"]["ticktext"]
    assert layers[:2] == ["d2", "d3"]
    for k, layer in enumerate(own["y"]):
        assert own["x"][k] == 100 * record[f"flip_rate/{layers[layer]}"].value
    bits = {"d2": "b2", "d3": "b3", "d4": "b4"}
    for k, layer in enumerate(network["y"]):
        name = f"propagated_flip_rate/{bits[layers[layer]]}"
        assert network["x"][k] == 100 * record[name].value
    assert len(errors) == 2
    for layer, figure in zip(("d2", "d3"), errors, strict=True):
        (bars,) = figure["data"]
        assert sum(bars["y"]) == pytest.approx(100)
        mean = sum(x * y for x, y in zip(bars["x"], bars["y"], strict=True)) / 100
        assert mean == pytest.approx(record[f"count_error_mean/{layer}"].value, abs=0.01)
    rows = page.table("Errors by layer")
    assert [row[0] for row in rows[1:3]] == ["d2", "d3"]


def test_bins_are_read_whatever_a_layer_is_called():
    given = [
        Measurement(f"count_error/{layer}/{span}", 0.5, "share", "simulated")
        for layer in ("a/b", "1..2")
        for span in ("0..4", "-8..-4")
    ]
    others = [
        Measurement(name, 1, "count", "simulated")
        for name in ("count_error_mean/a", "count_error/x", "count_error/a/most")
    ]
    found = circuit_errors.histograms([*given, *others])
    assert {layer: [(b.low, b.high) for b in bins] for layer, bins in found.items()} == {
        "a/b": [(-8, -4), (0, 4)], "1..2": [(-8, -4), (0, 4)],
    }  # fmt: skip


def test_cells_stand_beside_exact_ones(approximate):
    figure, *_ = Reader(circuit_costs.render([approximate])).figures()
    theirs, ours = figure["data"]
    record = approximate.record
    kinds = ("full_adders", "half_adders", "gates")
    assert theirs["x"] == [record[f"exact_popcount_{kind}"].value for kind in kinds]
    assert ours["x"] == [record[f"popcount_{kind}"].value for kind in kinds]


def test_area_and_energy_are_shown_if_the_record_has_them(approximate):
    source = "yosys 0; library <tiny>"
    added = [
        Measurement(f"{which}popcount_{metric}/{layer}", value, "fJ/op", "synthesised", source)
        for metric in ("area", "energy")
        for layer, value in (("d2", 5.0), ("d3", 7.0))
        for which in ("", "exact_")
    ]
    lone = Measurement("popcount_delay/d9", 1.0, "ps", "synthesised")
    page = Reader(circuit_costs.render([with_measurements(approximate, *added, lone)]))
    cells, area, energy, delay = page.figures()
    assert delay["layout"]["yaxis"]["ticktext"] == ["d2", "d3"]
    assert cells["data"][0]["name"] == "exact"
    for figure, metric in ((area, "area"), (energy, "energy")):
        assert [trace["x"] for trace in figure["data"]] == [[5.0, 7.0]] * 2
        assert figure["layout"]["xaxis"]["title"]["text"] == f"{metric}, fJ/op"
        assert figure["layout"]["yaxis"]["ticktext"] == ["d2", "d3"]
    assert any("library <tiny>" in caption.text for caption in page.all("figcaption"))


def test_gates_of_each_layer_are_shown_without_a_library(approximate, exact):
    pages = (
        circuit_costs.render([approximate]),
        render([exact, approximate]),
        render([approximate, approximate]),
    )
    record = approximate.record
    for text, times in zip(pages, (1, 1, 2), strict=True):
        figures = [
            figure
            for figure in Reader(text).figures()
            if figure["layout"]["xaxis"].get("title", {}).get("text")
            in ("area, GE", "delay, level")
        ]
        assert len(figures) == 2 * times
        for figure, metric in zip(figures, ("area", "delay") * times, strict=True):
            assert figure["layout"]["yaxis"]["ticktext"] == ["d2", "d3"]
            assert [trace["x"] for trace in figure["data"]] == [
                [record[f"{start}popcount_{metric}/{layer}"].value for layer in ("d2", "d3")]
                for start in ("exact_", "")
            ]


def test_flips_of_networks_trained_with_circuits_have_a_remark(approximate):
    config = {**approximate.record.config, "thresholds": "unchanged"}
    trained = replace(approximate, record=replace(approximate.record, config=config))
    said = [
        "trained with these circuits" in circuit_errors.render([one])
        for one in (approximate, trained)
    ]
    assert said == [False, True]


def test_warnings_stand_above_the_numbers(approximate, exact):
    assert not Reader(render([approximate])).all("p", class_="warning")
    source = "only 3 images, & few; it <got> worse"
    warned = with_measurements(
        approximate, Measurement("warnings", 2, "warning", "counted", source)
    )
    texts = ["only 3 images, & few", "it <got> worse"]
    for given, start in (([warned], "Warning: "), ([exact, warned], "Warning, majority: ")):
        found = Reader(render(given)).all("p", class_="warning")
        assert [one.text for one in found] == [start + text for text in texts]


def test_a_record_without_such_numbers_shows_nothing(exact, approximate):
    assert circuit_errors.render([exact]) == circuit_costs.render([exact]) == ""
    text = render([exact])
    assert "Errors of the popcounts" not in text
    both = Reader(circuit_errors.render([exact, approximate]))
    assert [heading.text for heading in both.all("h3", class_="group")] == ["majority"]


def test_histograms_are_drawn_and_not_listed(approximate):
    page = Reader(render([approximate]))
    names = [row[0] for row in page.table("Measurements")]
    assert "flip rate/d2" in names
    assert not [name for name in names if name.startswith("count error/")]


@pytest.mark.tool("chromium")
def test_the_charts_are_drawn(approximate, tmp_path):
    path = tmp_path / "report.html"
    write_report([approximate], path)
    page = opened(path)
    (section,) = page.all("section", id="circuit-errors")
    inside = [section in plot.parents for plot, _ in charts(page)]
    flips, *errors = itertools.compress(points(page), inside)
    record = approximate.record
    assert flips == sum("flip_rate/" in m.metric for m in record.measurements)
    assert sum(errors) == sum(m.metric.startswith("count_error/") for m in record.measurements)
