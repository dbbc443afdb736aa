"""What stands in the page: the record's numbers, names as they are, and nothing from elsewhere."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from plotly import graph_objects
from scipy.stats import binomtest
from tests.networks import classifier, labelled
from tests.report.reader import Reader

from bitwright import flow
from bitwright.data import Dataset
from bitwright.ir.work import count_work
from bitwright.records import Measurement, wilson
from bitwright.report import SECTIONS, Section, render
from bitwright.report.charts import plotly_js
from bitwright.report.html import Html
from bitwright.report.numbers import interval, percent, plain
from bitwright.report.outcomes import confusion, titles
from bitwright.report.sections import samples


@pytest.fixture(scope="module", params=["grey", "colour"])
def one(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def several(grey, colour):
    extra = (
        Measurement("energy", 1.25e-9, "J/image", "estimated", "a model"),
        Measurement("cells", 1234567, "cell", "synthesised", "yosys 0.50"),
    )
    record = replace(grey.record, target="other", config={"depth": 3, "mode": "<i>"})
    record = replace(record, measurements=record.measurements + extra)
    return [grey, replace(grey, record=record), colour]


def values(page):
    return [float(e.attributes["value"]) for e in page.all("data")]


def test_every_measurement_with_unit_and_method(one):
    page = Reader(render([one]))
    rows = page.table("Measurements")[1:]
    assert len(rows) == len(one.record.measurements)
    for row, m in zip(rows, one.record.measurements, strict=True):
        assert row == [m.metric.replace("_", " "), plain(m.value), m.unit, m.method, m.source]
    assert {m.value for m in one.record.measurements} <= set(values(page))
    (title,) = page.all("title")
    assert one.record.model in title.text
    assert one.record.data.name in title.text
    digests = {e.attributes.get("title") for e in page.all("code")}
    assert {one.record.program, one.record.data.digest} <= digests


def test_several_evaluations_side_by_side(several):
    page = Reader(render(several))
    head, *rows = page.table("Measurements")
    assert head[2:] == list(titles(several))
    assert len(set(head)) == 5
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name["energy"] == [
        "J/image",
        "\N{EN DASH}",
        "1.250e-09 estimateda model",
        "\N{EN DASH}",
    ]
    assert "1,234,567 synthesised" in by_name["cells"][2]
    assert ["mode", "\N{EN DASH}", "<i>", "\N{EN DASH}"] in page.table("Settings")
    # the first two agree in every score, so their decisions are shown once
    kinds = [figure["data"][0]["type"] for figure in page.figures()]
    assert kinds.count("heatmap") == 2
    groups = [e.text for e in page.all("h3", class_="group")]
    assert ", ".join(head[2:4]) in groups


def test_names_of_equal_targets_differ(grey):
    assert titles([grey]) == ("exact",)
    assert titles([grey, grey]) == ("exact (1)", "exact (2)")


def test_names_are_text(grey):
    written = render([grey], command="echo '<script>alert(2)</script>'")
    page = Reader(written)
    assert not [
        e
        for e in page.elements
        if "alert" in e.text and e.tag == "script" and e.attributes.get("type") is None
    ]
    assert all(e.attributes["src"].startswith("data:image/png;base64,") for e in page.all("img"))
    (title,) = page.all("title")
    assert grey.record.model in title.text
    assert [e.text for e in page.all("pre")] == ["echo '<script>alert(2)</script>'"]
    names = page.table("Accuracy by class")
    assert [row[0] for row in names[1:]] == list(grey.program.classes)
    # Plotly reads HTML in its texts
    ticks = page.figures()[0]["layout"]["yaxis"]["ticktext"]
    assert not any("<" in tick for tick in ticks)
    assert ticks[0].startswith('&lt;script&gt;alert("x")')


def test_nothing_is_loaded_from_elsewhere(several):
    written = render(several)
    page = Reader(written)
    for element in page.elements:
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
                assert value.startswith(("data:image/png;base64,", "#")), value
        assert "style" not in element.attributes or "url(" not in element.attributes["style"]
        assert element.tag not in ("link", "iframe", "object", "embed", "base", "form")
    for style in page.all("style"):
        assert not re.search(r"url\(|@import|https?:", style.text)
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.attributes["content"].startswith("default-src 'none'; ")
    assert "http" not in policy.attributes["content"]
    own = written.replace(plotly_js(), "")
    assert len(written) - len(own) == len(plotly_js()), "the library stands in the page once"
    assert len(own) < 300_000
    places = {e.attributes["href"][1:] for e in page.all("a")}
    assert places <= {e.attributes.get("id") for e in page.elements}


def test_charts_tables_and_images_can_be_read_without_seeing(one):
    page = Reader(render([one]))
    plots = page.all("div", class_="plot")
    assert len(plots) == len(page.figures()) == 3
    assert all(e.attributes["role"] == "img" and e.attributes["aria-label"] for e in plots)
    assert all(e.attributes["alt"] for e in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(e.attributes["scope"] in ("row", "col") for e in page.all("th"))
    (root,) = page.all("html")
    assert root.attributes["lang"] == "en"
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))


def test_plotly_knows_all_of_our_figures(one):
    colours = re.compile(r'"--[a-z]+"')
    for figure in Reader(render([one])).figures():
        figure["data"] = [dict(trace) for trace in figure["data"]]
        for trace in figure["data"]:
            trace.pop("colorscale", None)
            for part in ("marker", "error_x", "textfont"):
                if str(trace.get(part, {}).get("color", "")).startswith("--"):
                    trace[part]["color"] = "#123456"
        drawn = graph_objects.Figure(figure["data"], figure["layout"])
        assert not colours.search(drawn.to_json())


def test_confusion_and_accuracy_by_class(one):
    page = Reader(render([one]))
    counts = np.zeros((10, 10), int)
    for true, predicted in zip(one.data.labels, one.predicted, strict=True):
        counts[true, predicted] += 1
    np.testing.assert_array_equal(confusion(one), counts)
    shown = np.array([[int(n) for n in row[1:]] for row in page.table("Confusion matrix")[1:]])
    np.testing.assert_array_equal(shown, counts)
    heat = page.figures()[0]["data"][0]
    np.testing.assert_array_equal([[int(n or 0) for n in row] for row in heat["text"]], counts)
    np.testing.assert_allclose(
        heat["z"], counts / np.maximum(counts.sum(1, keepdims=True), 1), atol=1e-4
    )
    for row, name, total, right in zip(
        page.table("Accuracy by class")[1:],
        one.data.classes,
        counts.sum(1),
        np.diagonal(counts),
        strict=True,
    ):
        assert row[:3] == [name, str(total), str(right)]
        assert row[3:] == [percent(right / total), interval(int(right), int(total))]
    right, total = one.record["correct"].value, len(one.data)
    assert interval(right, total) in page.all("main")[0].text


def test_work_op_by_op(one):
    page = Reader(render([one]))
    _, *rows, foot = page.table("Work op by op")
    work = count_work(one.program)
    total = sum(w.operations for w in work)
    assert len(rows) == len(work)
    for row, w in zip(rows, work, strict=True):
        numbers = (w.binary_operations, w.integer_operations, w.weight_bits, w.thresholds)
        share = percent(w.operations / total) if w.operations else "\N{EN DASH}"
        assert row == [
            w.op.output,
            w.op.kind,
            str(one.program.types[w.op.output]),
            *(f"{n:,}" if n else "\N{EN DASH}" for n in numbers),
            share,
        ]
    assert foot[3] == plain(one.record["binary_operations"].value)
    assert foot[4] == plain(one.record["integer_operations"].value)
    bars = page.figures()[2]["data"]
    drawn = {name: x for trace in bars for name, x in zip(trace["y"], trace["x"], strict=True)}
    assert list(dict(sorted(drawn.items())).values()) == [
        w.operations for w in work if w.operations
    ]


def test_sample_images(one):
    page = Reader(render([one]))
    chosen = samples.choose(one)
    assert len(chosen) == 12
    assert len(set(chosen)) == 12
    right = (one.predicted == one.data.labels)[chosen]
    assert right.sum() == min(6, one.record["correct"].value)
    for image, index, hit in zip(page.all("img"), chosen, right, strict=True):
        png = base64.b64decode(image.attributes["src"].partition(",")[2])
        pixels = np.asarray(Image.open(io.BytesIO(png)))
        np.testing.assert_array_equal(
            pixels.reshape(one.data.images.shape[1:]), one.data.images[index]
        )
        card = image.parents[-1]
        assert card.attributes["class"] == ("sample right" if hit else "sample wrong")
        true, predicted = one.data.labels[index], one.predicted[index]
        assert f"true {one.data.classes[true]}" in card.text
        assert f"predicted {one.data.classes[predicted]}" in card.text
        assert f"{one.scores[index, true]:,}" in card.text
        assert f"{one.scores[index].max():,}" in card.text


def test_images_of_two_channels_show_the_first():
    image = np.arange(24, dtype=np.uint8).reshape(3, 4, 2)
    png = base64.b64decode(samples.data_uri(image).partition(",")[2])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), image[..., 0])


@pytest.mark.parametrize("right", [0, 2, 80])
def test_the_choice_of_images_takes_what_there_is(grey, right):
    predicted = (grey.data.labels + (np.arange(80) >= right)) % 10
    chosen = samples.choose(replace(grey, predicted=predicted))
    assert len(chosen) == 12
    assert (chosen < right).sum() == (12 if right == 80 else min(right, 6))


@pytest.mark.parametrize("classes", [1, 2, 30, 120])
def test_few_and_many_classes(classes):
    program = replace(classifier(classes=classes), classes=())
    data = labelled(classes=classes, count=200)
    result = flow.evaluate(program, data)
    page = Reader(render([result]))
    kinds = [trace["type"] for figure in page.figures() for trace in figure["data"]]
    assert ("heatmap" in kinds) == (classes <= 100)
    assert len(page.table("Accuracy by class")) == classes + 1


def test_an_image_and_a_network_without_names():
    data = Dataset("one", "all", np.zeros((1, 8, 8, 1), np.uint8), np.zeros(1, np.int64), ("only",))
    program = replace(classifier(classes=3, name=""), classes=())
    page = Reader(render([flow.evaluate(program, data)]))
    assert "unnamed network on one" in page.all("h1")[0].text
    assert [row[0] for row in page.table("Accuracy by class")[1:]] == [
        "class 0",
        "class 1",
        "class 2",
    ]


def test_sections_can_be_added_and_left_out(grey):
    more = Section("more", "More & more", lambda evaluations: Html(f"<p>{len(evaluations)}</p>"))
    empty = Section("none", "Nothing", lambda evaluations: Html(""))
    page = Reader(render([grey], sections=[*SECTIONS, more, empty]))
    assert [e.text for e in page.all("h2")][-2:] == ["More & more", "Origin"]
    assert "Nothing" not in page.all("nav")[0].text


def test_the_same_evaluation_gives_the_same_page(grey):
    assert render([grey]) == render([grey])


@pytest.mark.parametrize(
    ("correct", "total"), [(0, 1), (1, 1), (0, 10), (10, 10), (8, 10), (9000, 10000)]
)
def test_wilson(correct, total):
    expected = binomtest(correct, total).proportion_ci(0.95, method="wilson")
    assert wilson(correct, total) == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234567, "1,234,567"),
        (0.8512, "0.8512"),
        (12345.6, "12,346"),
        (1.5e-9, "1.500e-09"),
        (0.0, "0"),
        (float("inf"), "inf"),
        (-2.5, "-2.500"),
        (True, "True"),
    ],
)
def test_numbers(value, shown):
    assert plain(value) == shown
