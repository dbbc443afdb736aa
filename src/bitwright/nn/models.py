"""The networks that Bitwright trains, by name.

What a lowering and a recipe rely on:

- A network is a plain module tree that ``torch.fx`` can trace with the layers of
  `bitwright.nn.layers` as leaves; the layers carry names that a reader of a report recognises.
- Its input is a batch of pixels 0..255, shaped (batch, channels, height, width); its output one
  logit a class.
- A builder's signature is the schema of its parameters: `build` validates against it.
- ``<name>-float`` is the float twin of the network `name` (see `bitwright.nn.float_twin`).

A new network is a builder function and an entry in `MODELS`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call
from torch import nn

from bitwright.errors import UnknownNameError
from bitwright.nn.adabin_resnet import adabin_resnet20
from bitwright.nn.float_twin import FLOAT, float_twin
from bitwright.nn.resnets import resnet18, resnet20
from bitwright.nn.settings import explain
from bitwright.nn.stacks import cnn, cnv, mlp
from bitwright.nn.vgg import vgg_small

MODELS: Mapping[str, Callable[..., nn.Module]] = {
    "adabin_resnet20": adabin_resnet20,
    "cnn": cnn,
    "cnv": cnv,
    "mlp": mlp,
    "resnet18": resnet18,
    "resnet20": resnet20,
    "vgg_small": vgg_small,
}
"""The builders, by the name of their network."""


def build(name: str, **params: Any) -> nn.Module:
    """Build the network `name`, untrained, its weights drawn from torch's global generator.

    Parameters
    ----------
    name
        A key of `MODELS`; with the suffix ``-float`` the network's float twin is built.
    **params
        The parameters of its builder; those left out have the builder's defaults.

    Returns
    -------
    nn.Module
        Takes pixels 0..255, shaped (batch, channels, height, width); returns logits, shaped
        (batch, classes).

    Raises
    ------
    UnknownNameError
        If there is no network of that name.
    ConfigError
        If a parameter is unknown or out of range, or the image is too small for the network.
    """
    binary = name.removesuffix(FLOAT)
    if binary not in MODELS:
        raise UnknownNameError("network", name, MODELS)
    builder = MODELS[binary]
    checked = validate_call(config=ConfigDict(allow_inf_nan=False))(builder)
    try:
        network: nn.Module = checked(**params)
    except ValidationError as error:
        known = list(inspect.signature(builder).parameters)
        raise explain(error, f"network '{name}'", lambda _: known) from None
    return network if name == binary else float_twin(network)
