"""Batches that are kept: taken again, told apart, and made anew where they are damaged."""

import numpy as np
import pytest

from bitwright import flow
from bitwright.batches import Batches
from bitwright.errors import ConfigError
from tests.networks import classifier, labelled

DATA = labelled(1, count=150)
PROGRAM = classifier(1)


class StopError(Exception):
    """A kill in the middle."""


def run(folder, stop=None, **settings):
    def progress(what, done, _of):
        if what == "images" and stop is not None and done >= stop:
            raise StopError

    return flow.evaluate(
        PROGRAM, DATA, target="crossbar", config={"technology": "ideal"} | settings,
        resume=folder, progress=progress,
    )  # fmt: skip


def metrics(evaluation):
    return {
        m.metric: m.value for m in evaluation.record.measurements if m.metric != "images_per_second"
    }


def test_a_run_goes_on_where_it_was_stopped(tmp_path):
    with pytest.raises(StopError):
        run(tmp_path, stop=64)
    assert len(list(tmp_path.iterdir())) == 1
    resumed, whole = run(tmp_path), run(None)
    assert len(list(tmp_path.iterdir())) == 3
    assert metrics(resumed) == metrics(whole)
    assert np.array_equal(resumed.scores, whole.scores)
    again = run(tmp_path)  # nothing is left to run, so there is no speed
    assert all(m.metric != "images_per_second" for m in again.record.measurements)
    assert metrics(again) == metrics(whole)


def test_other_settings_are_other_batches(tmp_path):
    run(tmp_path)
    run(tmp_path, rows=32)
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nothing", b"x" * 100])
def test_a_damaged_batch_is_made_anew(tmp_path, damage):
    whole = run(tmp_path)
    for file in tmp_path.iterdir():
        file.write_bytes(damage)
    assert metrics(run(tmp_path)) == metrics(whole)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot make the folder"):
        Batches(tmp_path / "file" / "folder", {})
