"""Evaluations of small seeded networks, with names that try to break out of the page."""

from dataclasses import replace

import numpy as np
import pytest
from tests.networks import classifier, labelled

from bitwright import flow
from bitwright.data import load

HOSTILE = "<script>alert(\"x\")</script> & 'co'"
CLASSES = (
    HOSTILE,
    "</script><img src=http://evil.example/x.png>",
    *(f"class {i}" for i in range(8)),
)


def evaluation(folder, shape, name, count=80):
    images = labelled(shape=shape, count=count, classes=10)
    file = folder / "noise.npz"
    np.savez(file, x=images.images, y=images.labels, classes=np.array(CLASSES))
    program = replace(classifier(shape=shape, classes=10, name=name), classes=CLASSES)
    return flow.evaluate(program, load(file))


@pytest.fixture(scope="session")
def grey(tmp_path_factory):
    return evaluation(tmp_path_factory.mktemp("grey"), (28, 28, 1), f"grey {HOSTILE}")


@pytest.fixture(scope="session")
def colour(tmp_path_factory):
    return evaluation(tmp_path_factory.mktemp("colour"), (32, 32, 3), "colour")
