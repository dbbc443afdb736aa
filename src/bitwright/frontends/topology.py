"""How a folder of FINN parameters is folded: the layers as data, from a small TOML file.

``cnv`` and ``lfc`` are built in (``topologies/*.toml``); any other folding is a file of the same
form.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bitwright.errors import ConfigError, FrontendError, UnknownNameError
from bitwright.ir.limits import MAX_TENSOR_ELEMENTS

Count = Annotated[int, Field(ge=1, le=2**20)]
Side = Annotated[int, Field(ge=1, le=4096)]


class Layer(BaseModel):
    """One matrix-vector-threshold unit: `rows` neurons of `columns` synapses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: Count
    columns: Count
    pe: Count
    simd: Annotated[int, Field(ge=1, le=64)]
    kernel: Annotated[int, Field(ge=1, le=64)] | None = None
    """Side of a square kernel, stride 1, no padding; None for a fully connected layer."""
    pool: Annotated[int, Field(ge=1, le=64)] = 1
    """Side of the max-pool (the OR of bits) behind the layer."""

    @model_validator(mode="after")
    def _folds(self) -> Layer:
        if self.rows % self.pe:
            raise ValueError(f"pe = {self.pe} does not divide rows = {self.rows}")
        if self.columns % self.simd:
            raise ValueError(f"simd = {self.simd} does not divide columns = {self.columns}")
        if self.pool > 1 and self.kernel is None:
            raise ValueError("a fully connected layer has nothing to pool")
        return self


class Topology(BaseModel):
    """The layers of a folded network and what stands around them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: tuple[Side, Side, Side]
    """Rows, columns and channels of the 8-bit image."""
    input_encoding: Literal["signed8", "bipolar"]
    """``signed8``: p becomes clip(floor((2p/255 - 1) 128 + 1/2), -128, 127), thresholds of the
    first layer count in halves of that; ``bipolar``: the bit p >= 128."""
    decision: Literal["first_maximum", "highest_set_bit"]
    layer: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=64)]
    classes: tuple[str, ...] = ()
    """Names of the classes, where the folder has no ``classes.txt``."""


def load_topology(name: str | Path) -> Topology:
    """Return a built-in topology by name, or one from a TOML file.

    Raises
    ------
    UnknownNameError
        If it is neither a built-in name nor a file.
    ConfigError
        If the file is no valid topology.
    """
    built_in = resources.files("bitwright.frontends") / "topologies"
    known = [f.name.removesuffix(".toml") for f in built_in.iterdir() if f.name.endswith(".toml")]
    try:
        if str(name) in known:
            text = (built_in / f"{name}.toml").read_text(encoding="utf-8")
        elif Path(name).is_file():
            text = Path(name).read_text(encoding="utf-8")
        else:
            raise UnknownNameError("topology", str(name), known, also=", or a .toml file")
        return Topology.model_validate(tomllib.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        where = " ".join(".".join(map(str, first["loc"])).split()) or "the file"
        raise ConfigError(
            f"topology '{name}' is not valid at {where} ({first['msg']})",
            "compare it with the built-in ones in docs/importing.md",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        # Undecodable text, no TOML, numbers of thousands of digits, lists in lists without end.
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"topology '{name}' cannot be read ({reason})", "check the file"
        ) from error


def check_shapes(topology: Topology, where: str) -> None:
    """Check that each layer fits the output of the one before.

    Raises
    ------
    FrontendError
        If one does not; `where` names the topology in the message.
    """
    shape, is_map = topology.input, True
    for i, layer in enumerate(topology.layer):
        if layer.rows * layer.columns > MAX_TENSOR_ELEMENTS:
            raise FrontendError(
                f"layer {i} of {where} has {layer.rows} x {layer.columns} weights, "
                f"more than {MAX_TENSOR_ELEMENTS}",
                "correct the topology",
            )
        if layer.kernel is None:
            is_map = False
            have = shape[0] * shape[1] * shape[2]
            padded = i == 0 and topology.input_encoding == "bipolar" and layer.columns > have
            fits = layer.columns == have or padded
            shape = (1, 1, layer.rows)
        else:
            have = layer.kernel**2 * shape[2]
            rows, columns = (n - layer.kernel + 1 for n in shape[:2])
            fits = is_map and layer.columns == have and min(rows, columns) >= layer.pool
            shape = (rows // layer.pool, columns // layer.pool, layer.rows)
        if not fits:
            raise FrontendError(
                f"layer {i} of {where} has {layer.columns} columns for inputs of {have}",
                "correct the topology",
            )
