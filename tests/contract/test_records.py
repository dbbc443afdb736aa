"""docs/records.md is a contract: it names every metric that a target gives."""

import re
from pathlib import Path

import numpy as np
import pytest
from tests.networks import classifier, labelled

from bitwright import flow
from bitwright.targets import target_names

PAGE = Path(__file__).parents[2] / "docs" / "records.md"
HEADING = re.compile(r"^(?:The target|Target) `(\w+)`", re.MULTILINE)
CALIBRATED = [
    ("crossbar", {"flips": "both", "calibrate": ("gain",)}),
    ("majority", {"thresholds": "mean"}),
]
RUNS = [(name, {}) for name in target_names()] + CALIBRATED


def stem(metric):
    """Return a metric's name without what it is of."""
    return re.split("[/:]", metric)[0]


def named(table):
    """Return the stems that a table's first column names, as patterns.

    A name that begins with an underscore or dots ends another one of its row: "`luts`, also
    `_dense`", "`held_out_rate`, `..._share`".
    """
    patterns = set()
    for row in re.findall(r"^\|([^|]*)\|", table, re.MULTILINE):
        whole = []
        for name in re.findall("`([^`]+)`", row):
            if name.startswith(("_", "...")):
                end = stem(name.lstrip("."))
                starts = {s[:k] for s in whole for k in (*_ends(s), len(s))} if end else ()
                patterns |= {_pattern(start + end) for start in starts}
            elif not name.startswith("/"):
                whole.append(stem(name))
        patterns |= {_pattern(name) for name in whole}
    return patterns


def _ends(name):
    return [found.start() for found in re.finditer("_", name)]


def _pattern(name):
    return re.sub("<[a-z]+>", r"\\w+", name).replace("...", r"\w+")


def undocumented(metrics, patterns):
    return {metric for metric in metrics if not re.fullmatch("|".join(patterns), stem(metric))}


@pytest.mark.parametrize(("target", "settings"), RUNS)
def test_every_metric_is_named(target, settings, tmp_path):
    every, *tables = HEADING.split(PAGE.read_text("utf-8"))
    patterns = named(every)
    for name, table in zip(tables[::2], tables[1::2], strict=True):
        patterns |= named(table) if name == target else set()
    if settings:
        seen = labelled(5, count=80)
        np.savez(tmp_path / "some.npz", x=seen.images, y=seen.labels)
        settings = settings | {"calibration": str(tmp_path / "some.npz")}
    record = flow.evaluate(classifier(2), labelled(2), target=target, config=settings).record
    assert not undocumented((m.metric for m in record.measurements), patterns)


def test_what_is_not_named_is_found():
    rows = ("| `luts`, also `_dense` | bit |", "| `exact_area/<layer>`, `..._delay/...` | |")
    patterns = named("\n".join(rows))
    assert not undocumented(["luts", "luts_dense", "exact_area/d1", "exact_delay/d2"], patterns)
    assert undocumented(["lut", "dense", "luts_area", "delay"], patterns) == {
        "lut", "dense", "luts_area", "delay"
    }  # fmt: skip
