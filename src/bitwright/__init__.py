"""Bitwright: hardware/software co-design of binary neural networks.

    >>> import bitwright as bw
    >>> net = bw.load("fmnist-cnn")
    >>> scores = net(images)                                # int32 (images, classes)
    >>> record = bw.evaluate(net, "fashion-mnist-sample")   # accuracy and cost, with their origin

Importing the package is quick: each public name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bitwright.api import evaluate, import_finn, lower
    from bitwright.data import Dataset
    from bitwright.data import load as load_data
    from bitwright.errors import BitwrightError
    from bitwright.ir import Program
    from bitwright.network import Network, load
    from bitwright.records import Measurement, Record

__version__ = "0.1.0"

_HOMES = {
    "BitwrightError": "bitwright.errors",
    "Dataset": "bitwright.data",
    "Measurement": "bitwright.records",
    "Network": "bitwright.network",
    "Program": "bitwright.ir",
    "Record": "bitwright.records",
    "evaluate": "bitwright.api",
    "import_finn": "bitwright.api",
    "load": "bitwright.network",
    "load_data": "bitwright.data",
    "lower": "bitwright.api",
}

__all__ = [
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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bitwright' has no attribute {name!r}")
    attribute = "load" if name == "load_data" else name
    value = getattr(import_module(_HOMES[name]), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
