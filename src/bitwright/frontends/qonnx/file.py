"""Reading an ONNX file as plain data: nothing in it is executed, nothing else is opened.

Requirements:

- The graph is a list of nodes in which each input is defined before it is used, so it has no cycle.
- Weights are in the file itself; a reference to another file is refused, not followed.
- Whatever is wrong with a file is a `FrontendError`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import DependencyError, FrontendError

Array = npt.NDArray[Any]

MAX_FILE_BYTES = 2**30
MAX_NODES = 4096
MAX_CONSTANT_ELEMENTS = 2**28
LEAST_OPSET = 9
QONNX_DOMAINS = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")
STANDARD_DOMAINS = ("", "ai.onnx")
EXPORT_AGAIN = "export the network again"


@dataclass(frozen=True, eq=False)
class Node:
    """One node: its name, what it does, and its attributes as Python values and arrays."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def get(self, attribute: str, default: Any) -> Any:
        """Return an attribute, or the default if the node has none of that name."""
        return self.attributes.get(attribute, default)

    def refuse(self, reason: str, way_out: str) -> FrontendError:
        """Return the error that names this node."""
        return FrontendError(f"layer '{self.name}' ({self.op}) {reason}", way_out)


@dataclass(frozen=True, eq=False)
class Graph:
    """An ONNX graph with one input and one output.

    Parameters
    ----------
    nodes
        In an order in which they can be run.
    constants
        The stored tensors by name.
    entry, shape
        The input's name and its dimensions behind the batch's.
    leave
        The output's name.
    metadata
        The file's own texts by key.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, Array]
    entry: str
    shape: tuple[int, ...]
    leave: str
    metadata: dict[str, str]


def load_onnx() -> Any:
    """Return the package `onnx`.

    Raises
    ------
    DependencyError
        If it is not installed.
    """
    try:
        import onnx  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise DependencyError("onnx", "onnx", "QONNX") from error
    return onnx


def read(path: str | os.PathLike[str]) -> Graph:
    """Read a file.

    Raises
    ------
    DependencyError
        If the package `onnx` is not installed.
    FrontendError
        If the file cannot be read, or holds what no import can take.
    """
    return graph_of(load(path))


def load(path: str | os.PathLike[str]) -> Any:
    """Return a file's ``ModelProto`` as it is; raises as `read` does if it cannot be read."""
    onnx = load_onnx()
    file = Path(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise FrontendError(f"cannot read '{file}' ({error.strerror})", "check the path") from error
    if len(data) > MAX_FILE_BYTES:
        raise FrontendError(
            f"'{file}' has more than {MAX_FILE_BYTES} bytes", "export it without training state"
        )
    try:
        return onnx.load_model_from_string(data)
    except Exception as error:  # protobuf raises several kinds
        reason = " ".join(str(error).split())[:120]
        raise FrontendError(f"'{file}' is no ONNX file ({reason})", EXPORT_AGAIN) from error


def graph_of(model: Any) -> Graph:
    """Return the graph of a ``ModelProto``; raises a `FrontendError` if no import can take it."""
    onnx = load_onnx()
    _check_opsets(onnx, model)
    return _graph(onnx, model)


def _check_opsets(onnx: Any, model: Any) -> None:
    versions = {item.domain: item.version for item in model.opset_import}
    version = next((versions[d] for d in STANDARD_DOMAINS if d in versions), None)
    if version is None:
        raise FrontendError("the file names no ONNX opset", EXPORT_AGAIN)
    newest = onnx.defs.onnx_opset_version()
    if not LEAST_OPSET <= version <= newest:
        raise FrontendError(
            f"the file uses opset {version}", f"export it with one from {LEAST_OPSET} to {newest}"
        )
    if model.functions:
        raise FrontendError("the file defines functions of its own", "export it with them inlined")


def _graph(onnx: Any, model: Any) -> Graph:
    graph = model.graph
    if len(graph.node) > MAX_NODES:
        raise FrontendError(
            f"the graph has {len(graph.node)} nodes", f"the limit is {MAX_NODES}: simplify it"
        )
    if graph.sparse_initializer:
        raise FrontendError("the file holds sparse tensors", "export it with dense ones")
    constants = _constants(onnx, graph)
    entries = [value for value in graph.input if value.name not in constants]
    if len(entries) != 1 or len(graph.output) != 1:
        raise FrontendError(
            f"the graph has {len(entries)} inputs and {len(graph.output)} outputs",
            "give it one image and return the logits alone",
        )
    nodes = tuple(_node(onnx, node, index) for index, node in enumerate(graph.node))
    entry, leave = entries[0].name, graph.output[0].name
    _check_order(nodes, {*constants, entry}, leave)
    return Graph(
        nodes=nodes,
        constants=constants,
        entry=entry,
        shape=_shape(onnx, entries[0]),
        leave=leave,
        metadata={item.key: item.value for item in model.metadata_props},
    )


def _constants(onnx: Any, graph: Any) -> dict[str, Array]:
    constants: dict[str, Array] = {}
    total = 0
    for tensor in graph.initializer:
        constants[tensor.name] = _array(onnx, tensor, f"tensor '{tensor.name}'")
        total += constants[tensor.name].size
    if total > MAX_CONSTANT_ELEMENTS:
        raise FrontendError(
            f"the file holds {total} numbers", f"the limit is {MAX_CONSTANT_ELEMENTS}"
        )
    return constants


def _array(onnx: Any, tensor: Any, what: str) -> Array:
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise FrontendError(
            f"{what} is in another file", "save the model with its weights in one file"
        )
    if any(size < 0 for size in tensor.dims):
        raise FrontendError(f"{what} has a negative dimension", EXPORT_AGAIN)
    try:
        array = np.asarray(onnx.numpy_helper.to_array(tensor))
    except Exception as error:  # whatever a damaged tensor makes of it
        raise FrontendError(f"{what} is damaged", EXPORT_AGAIN) from error
    if array.dtype.kind not in "biuf":
        raise FrontendError(f"{what} holds no plain numbers", "export it with float32 and int64")
    return array


def _node(onnx: Any, node: Any, index: int) -> Node:
    name = node.name or (node.output[0] if node.output else f"node {index}")
    domains = {"": STANDARD_DOMAINS}.get(node.domain, (*STANDARD_DOMAINS, *QONNX_DOMAINS))
    if node.domain not in domains:
        raise FrontendError(
            f"layer '{name}' ({node.op_type}) is of the unknown domain '{node.domain}'",
            "use the ops of ONNX and QONNX that docs/importing.md lists",
        )
    kinds = onnx.AttributeProto
    attributes: dict[str, Any] = {}
    for item in node.attribute:
        if item.type == kinds.TENSOR:
            attributes[item.name] = _array(onnx, item.t, f"layer '{name}': '{item.name}'")
        elif item.type in (kinds.INT, kinds.FLOAT, kinds.STRING, kinds.INTS, kinds.FLOATS):
            value = onnx.helper.get_attribute_value(item)
            if isinstance(value, bytes):
                value = value.decode("utf-8", "replace")
            attributes[item.name] = value
        else:
            raise FrontendError(
                f"layer '{name}' ({node.op_type}) has the attribute '{item.name}' of a kind that"
                " is not supported",
                "use layers without subgraphs",
            )
    if not node.output or not node.output[0]:
        raise FrontendError(f"layer '{name}' ({node.op_type}) has no output", EXPORT_AGAIN)
    return Node(name, node.op_type, tuple(node.input), tuple(node.output), attributes)


def _check_order(nodes: tuple[Node, ...], known: set[str], leave: str) -> None:
    for node in nodes:
        for name in node.inputs:
            if name and name not in known:
                raise node.refuse(
                    f"reads '{name}' before it is defined",
                    "the graph has a cycle, a gap or no order; check it with onnx.checker",
                )
        for name in node.outputs:
            if name in known:
                raise node.refuse(f"defines '{name}' once more", EXPORT_AGAIN)
            known.update((name,) if name else ())
    if leave not in known:
        raise FrontendError(f"no layer defines the output '{leave}'", EXPORT_AGAIN)


def _shape(onnx: Any, value: Any) -> tuple[int, ...]:
    tensor = value.type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        raise FrontendError(f"the input '{value.name}' is not float32", "export it with float32")
    sizes = [item.dim_value if item.HasField("dim_value") else 0 for item in tensor.shape.dim]
    if len(sizes) not in (2, 4):
        raise FrontendError(
            f"the input '{value.name}' has {len(sizes)} dimensions",
            "give it a batch of images (N, channels, rows, columns), or of vectors (N, features)",
        )
    if any(size < 1 for size in sizes[1:]):
        raise FrontendError(
            f"the input '{value.name}' has a dynamic shape",
            "export it with channels, rows and columns fixed; only the batch may vary",
        )
    if sizes[0] > 1:
        raise FrontendError(
            f"the input '{value.name}' has a batch of {sizes[0]}", "export it with a batch of 1"
        )
    return tuple(sizes[1:])
