"""A torch module beside its program: what each layer makes of a batch, in float32 and float64.

Requirements:

- The module itself runs; hooks look at it and change nothing.
- Values are named as `bitwright.frontends.torch_lower` names them: ``<layer>`` for what a layer
  gives, ``<layer>.in`` for what it takes, ``<layer>.bits`` for the bits within AdaBin's
  convolution.
- A layer that runs several times for one image has no value of its own and is left out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bitwright.errors import FrontendError
from bitwright.frontends.checkpoints.detect import checkpoint_module
from bitwright.frontends.source import Array, Kind, Precision, SourceValue, SourceValues
from bitwright.nn.layers import AdaBinConv2d, BinaryConv2d, BinaryLinear, PixelLevels, Sign
from bitwright.nn.open_module import read_run
from bitwright.nn.run_folder import NETWORK


class TorchSource:
    """A module as a `bitwright.frontends.source.Source`.

    Parameters
    ----------
    module
        Takes pixels 0..255 (batch, channels, rows, columns), returns logits (batch, classes). It
        is left as it is.
    name
        What to call it.
    """

    channels_first = True

    def __init__(self, module: nn.Module, name: str = "") -> None:
        self.name = name or type(module).__name__
        self.versions: Mapping[str, str] = {"torch": str(torch.__version__)}
        single = copy.deepcopy(module).eval().float().cpu()
        self._networks: dict[Precision, nn.Module] = {
            "float32": single,
            "float64": copy.deepcopy(single).double(),
        }

    def run(self, images: Array, precision: Precision, names: Collection[str]) -> SourceValues:
        """Run the module on uint8 (images, rows, columns, channels); see `Source.run`."""
        network = self._networks[precision]
        pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
        pixels = pixels.to(torch.float32 if precision == "float32" else torch.float64)
        recorder = _Recorder(frozenset(names))
        with torch.inference_mode(), recorder.watching(network):
            logits = network(pixels)
        if not isinstance(logits, Tensor) or logits.dim() != 2:
            raise FrontendError("the module returns no logits", "return (batch, classes)")
        return SourceValues(logits.numpy(), recorder.values())

    def decide(self, name: str, real: Array) -> npt.NDArray[np.bool_] | None:
        """Take the sign of given inputs in float64; see `Source.decide`."""
        for label, layer in self._networks["float64"].named_modules():
            if isinstance(layer, Sign) and _value(label) == name:
                return np.asarray(real >= 0)
            if isinstance(layer, AdaBinConv2d) and f"{_value(label)}.bits" == name:
                scale, centre = float(layer.alpha_a.detach()), float(layer.beta_a.detach())
                return np.asarray((real - centre) / scale >= 0)
        return None


class _Recorder:
    """Hooks that keep what is asked for."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        self._seen: dict[str, SourceValue] = {}
        self._calls: dict[str, int] = {}

    def values(self) -> dict[str, SourceValue]:
        once = {name for name, count in self._calls.items() if count == 1}
        return {name: value for name, value in self._seen.items() if name in once}

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator[None]:
        handles = [
            layer.register_forward_hook(self._hook(_value(label)))
            for label, layer in network.named_modules()
            if label
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def look(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if len(inputs) != 1 or not isinstance(inputs[0], Tensor):
                return
            given = inputs[0]
            self._keep(f"{name}.in", "stored", given)
            match layer:
                case Sign():
                    self._keep(name, "bits", given, output > 0)
                case AdaBinConv2d():
                    self._adabin(f"{name}.bits", layer, given)
                case BinaryConv2d() | BinaryLinear() if layer.scales() is None:
                    self._keep(name, "integers", output)
                case PixelLevels():
                    self._keep(name, "integers", output)
                case nn.MaxPool2d() if name in self.names and bool((output.abs() == 1).all()):
                    self._keep(name, "bits", output, output > 0)

        return look

    def _adabin(self, name: str, layer: AdaBinConv2d, given: Tensor) -> None:
        if name in self.names:
            scale, centre = layer.alpha_a, layer.beta_a
            # The activation gives alpha (bit + beta): back to the bit, which is 1 or -1.
            bit = layer.binary_a(given) / scale - centre
            self._keep(name, "bits", (given - centre) / scale, bit > 0)

    def _keep(self, name: str, kind: Kind, real: Tensor, bits: Tensor | None = None) -> None:
        if name not in self.names:
            return
        self._calls[name] = self._calls.get(name, 0) + 1
        self._seen[name] = SourceValue(kind, _last(real), None if bits is None else _last(bits))


def _last(tensor: Tensor) -> Array:
    """Put channels last; a copy, since the next layer may work in place."""
    moved = tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor
    return np.array(moved.numpy(), order="C")


def _value(label: str) -> str:
    return label if label[:1].isalpha() else f"layer{label}"


def open_module(path: Path) -> TorchSource:
    """Read a trained module with what builds it.

    Parameters
    ----------
    path
        The folder of a training run, or its ``network.safetensors``; or a checkpoint of AdaBin,
        IR-Net or ReCU. No code of the file is run.

    Raises
    ------
    ConfigError
        If a run's file cannot be read, or does not hold the network that it says.
    FrontendError
        If a checkpoint cannot be read, or is of no network that is known.
    """
    if path.suffix not in ("", Path(NETWORK).suffix) and not path.is_dir():
        return TorchSource(checkpoint_module(path), path.name)
    return TorchSource(read_run(path)[1], str(path))
