"""Ask how well each abstraction of a circuit predicts the accuracy with the circuit itself.

Trained networks (folders of runs) count by uniform flips, flips by margin, a table of values, and
by the circuit on the very bits, which is what hardware does. Each time the BatchNorms take their
statistics with it in place, from 5,000 training images; then all test images are evaluated. What
is drawn comes from seed 0. Prints one JSON object.

    python benchmarks/abstractions.py runs/fmnist-cnn --circuit andor
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import torch

from bitwright import data
from bitwright.nn.approximate import METHODS, approximate, layer_circuits
from bitwright.nn.evaluate import accuracy, recalibrate
from bitwright.nn.models import build
from bitwright.nn.run_folder import read_network
from bitwright.nn.sites import find_sites

CALIBRATION = 5000


def tensors(images: data.Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and labels as torch takes them."""
    return torch.from_numpy(images.images.copy()), torch.from_numpy(images.labels.copy())


def predictions(folder: Path, circuit: str, limit: int | None) -> dict[str, float]:
    """Return the accuracy of a run's network by each method, and with exact counts."""
    about, state = read_network(folder / "network.safetensors")
    network = build(about["model"], **about["params"])
    network.load_state_dict(state)
    name = about["recipe"]["data"]
    training, _ = tensors(data.load(name, "train").head(CALIBRATION))
    test = tensors(data.load(name, "test").head(limit))
    found = {}
    for method in ("exact", *METHODS):
        torch.manual_seed(0)
        one = copy.deepcopy(network)
        sites = find_sites(one, training[:2].permute(0, 3, 1, 2))
        circuits = {} if method == "exact" else layer_circuits(sites, circuit)
        with approximate(sites, circuits, "circuit" if method == "exact" else method):
            recalibrate(one, training)
            found[method] = accuracy(one, *test)
    return found


def main() -> None:
    """Print what each abstraction says of each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--circuit", default="andor")
    parser.add_argument("--limit", type=int, help="how many test images; by default all")
    given = parser.parse_args()
    print(
        json.dumps({str(run): predictions(run, given.circuit, given.limit) for run in given.runs})
    )


if __name__ == "__main__":
    main()
