"""From a program and a data set to a record; networks and data that do not fit are refused."""

from dataclasses import replace

import numpy as np
import pytest

from bitwright import flow
from bitwright.data import Dataset
from bitwright.errors import DataError, ProgramError
from bitwright.ir import Program
from bitwright.records import DataInfo, Measurement, Record
from bitwright.targets import get_target
from tests.networks import classifier, labelled


def in_batches_of(monkeypatch, images):
    """Let every target take so many images at a time."""
    monkeypatch.setattr(flow, "get_target", lambda name: replace(get_target(name), batch=images))


def test_progress_is_told_until_the_end(monkeypatch):
    in_batches_of(monkeypatch, 25)
    told = []
    flow.evaluate(classifier(), labelled(), progress=lambda *at: told.append(at))
    assert told == [("images", 25, 60), ("images", 50, 60), ("images", 60, 60)]


def test_planning_is_told_apart_from_images():
    told = []
    flow.evaluate(
        classifier(), labelled(), target="reuse", progress=lambda what, *_: told.append(what)
    )
    planned = told.count("planning")
    assert planned > 0
    assert told == ["planning"] * planned + ["images"]


def test_batches_change_nothing(monkeypatch):
    whole = flow.evaluate(classifier(), labelled())
    in_batches_of(monkeypatch, 7)
    parts = flow.evaluate(classifier(), labelled())
    assert np.array_equal(whole.scores, parts.scores)
    assert whole.record["correct"] == parts.record["correct"]


def test_a_program_without_a_decision_is_refused():
    whole = classifier()
    headless = replace(whole, ops=whole.ops[:-1], outputs=("scores",))
    assert isinstance(headless, Program)
    with pytest.raises(ProgramError, match="no classifier"):
        flow.evaluate(headless, labelled())


def test_labels_beyond_the_classes_are_refused():
    data = labelled(classes=4)
    more = Dataset("d", "all", data.images, data.labels + 1, ("a",) * 5, ())
    with pytest.raises(DataError, match="the network knows 4 classes"):
        flow.evaluate(classifier(), more)


def test_images_of_another_size_are_refused():
    with pytest.raises(DataError, match="takes images of shape"):
        flow.evaluate(classifier(), labelled(shape=(9, 9, 1)))


def test_a_number_needs_its_method():
    with pytest.raises(ValueError, match="method"):
        Measurement("accuracy", 1.0, "share", "guessed")


def test_records_are_looked_up_by_metric():
    accuracy = Measurement("accuracy", 0.5, "share", "simulated")
    record = Record("d", "m", "exact", {}, DataInfo("n", "test", 1, "x"), (accuracy,))
    assert record["accuracy"] is accuracy
    with pytest.raises(KeyError):
        record["energy"]
    assert record.to_json()["measurements"] == [
        {"metric": "accuracy", "value": 0.5, "unit": "share", "method": "simulated"}
    ]
