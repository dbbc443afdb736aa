"""The public functions of `bitwright`: networks and data by name or as objects, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitwright import data as data_sets
from bitwright import flow
from bitwright.frontends import finn, topology
from bitwright.network import Network, load
from bitwright.records import Record

if TYPE_CHECKING:
    import torch


def evaluate(
    network: Network | str | Path,
    data: data_sets.Dataset | str | Path,
    *,
    target: str = "exact",
    config: Mapping[str, Any] | None = None,
    limit: int | None = None,
    threads: int | None = None,
) -> Record:
    """Run a network on a data set on one target, and say how accurate and how costly it is.

    Parameters
    ----------
    network
        A network, or what `bitwright.load` takes.
    data
        A data set, or what `bitwright.load_data` takes: a name or a path.
    target, config
        The target by name, and its settings.
    limit
        Use only the first images.
    threads
        How many threads to use; by default all cores that this process may use.

    Raises
    ------
    BitwrightError
        If network, data or target do not exist or do not fit each other.
    """
    chosen = network if isinstance(network, Network) else load(network)
    if isinstance(data, data_sets.Dataset):
        images = data if limit is None else data.head(limit)
    else:
        images = data_sets.load(data, limit=limit)
    result = flow.evaluate(chosen.program, images, target=target, config=config, threads=threads)
    return result.record


def import_finn(folder: str | Path, topology_name: str | Path, *, name: str = "") -> Network:
    """Return the network of a folder of folded FINN/BNN-PYNQ parameters.

    Parameters
    ----------
    folder
        The folder of ``.bin`` files.
    topology_name
        ``cnv``, ``lfc``, or a TOML file that describes the folding.
    name
        The network's name; by default the folder's.

    Raises
    ------
    FrontendError
        If the folder is incomplete or does not fit the topology.
    """
    loaded = topology.load_topology(topology_name)
    return Network(finn.import_finn(folder, loaded, name=name))


def lower(
    module: torch.nn.Module,
    input_shape: tuple[int, int, int],
    *,
    name: str = "",
    classes: tuple[str, ...] = (),
) -> Network:
    """Return a trained torch module as an exact integer network.

    Parameters
    ----------
    module
        A module of the layers in `bitwright.nn` that `torch.fx` can trace.
    input_shape
        (rows, columns, channels) of its 8-bit images.
    name, classes
        For tables and reports.

    Raises
    ------
    FrontendError
        If the module holds something that cannot be expressed exactly.
    """
    from bitwright.frontends import torch_lower  # noqa: PLC0415 - needs torch, the rest does not

    return Network(torch_lower.lower(module, input_shape, name=name, classes=classes))
