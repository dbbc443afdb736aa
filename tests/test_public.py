"""The public names, and what importing them costs."""

import subprocess
import sys

import numpy as np
import pytest

import bitwright as bw
from tests.networks import classifier, labelled

PUBLIC = [
    "BitwrightError",
    "Dataset",
    "Measurement",
    "Network",
    "Program",
    "Record",
    "__version__",
    "evaluate",
    "import_finn",
    "load",
    "load_data",
    "lower",
]


def test_the_public_names_are_these():
    assert sorted(bw.__all__) == sorted(PUBLIC)
    assert dir(bw) == sorted(bw.__all__)


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_each_public_name_is_there_and_documented(name):
    assert getattr(bw, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        bw.nothing  # noqa: B018 - reading it is the test


def test_importing_loads_nothing_heavy():
    code = (
        "import bitwright, sys; print([m for m in ('torch', 'numba', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_torch_is_not_needed_to_evaluate():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import bitwright as bw\n"
        "print(bw.evaluate('fmnist-cnn', 'fashion-mnist-sample', limit=20)['images'].value)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "20"


def test_a_network_is_called_like_a_function():
    network = bw.Network(classifier())
    data = labelled()
    scores = network(data.images)
    assert scores.shape == (60, 4)
    assert np.array_equal(network.classify(data.images), scores.argmax(axis=1))
    assert np.array_equal(network(data.images[..., 0]), scores)
    record = bw.evaluate(network, data, limit=30)
    assert record["images"].value == 30
    assert record["correct"].value == (scores.argmax(axis=1) == data.labels)[:30].sum()


def test_a_saved_network_is_the_same_network(tmp_path):
    network = bw.Network(classifier())
    network.save(tmp_path / "n.safetensors")
    assert bw.load(tmp_path / "n.safetensors").digest == network.digest


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(bw.BitwrightError, match="takes images of shape"):
        bw.Network(classifier())(np.zeros((2, 9, 9, 1), np.uint8))
    with pytest.raises(bw.BitwrightError, match=r"integers in 0\.\.255"):
        bw.Network(classifier())(np.zeros((2, 8, 8, 1)))
