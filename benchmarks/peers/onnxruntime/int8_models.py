"""Int8 networks as ONNX models, opened and checked in ONNX Runtime.

Requirements:

* Both layouts can be built. ONNX knows NCHW only; ``com.microsoft`` has the NHWC operators into
  which ONNX Runtime itself rewrites a quantised model. Built directly, they spare the transposes.
* Every way to write a network computes the same integers, and is compared with NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnxruntime as ort
from int8_layers import (
    Affine,
    AveragePool2,
    GlobalAveragePool,
    Layer,
    MaxPool2,
    Residual,
    expected,
    zero_of,
)
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Layout = Literal["nchw", "nhwc"]
Dense = Literal["qgemm", "qlinearconv"]
Pool = Literal["average", "depthwise"]
Answers = Mapping[int, NDArray[np.uint8]]

MICROSOFT = "com.microsoft"
OPSET = 17
IR_VERSION = 8


@dataclass(frozen=True)
class Configuration:
    """One way to ask ONNX Runtime for the same integers.

    Parameters
    ----------
    layout
        Order of the axes of images.
    spinning
        Whether idle threads spin while they wait for work, or sleep. Spinning is ONNX Runtime's
        default; sleeping wins where other processes want the cores.
    dense
        The operator of fully connected layers: QGemm, or QLinearConv with a kernel as large as
        the image. (QLinearMatMul has no bias, and a layer of a trained network does.) None, for
        a network without such layers, is QGemm.
    pool
        The operator of 2x2 average pooling: QLinearAveragePool, or a QLinearConv of each channel
        by itself whose weights are 1 and whose scale is 1/4. None, for a network without such
        layers, is QLinearAveragePool.
    """

    layout: Layout
    spinning: bool = True
    dense: Dense | None = None
    pool: Pool | None = None

    def __str__(self) -> str:
        threads = "spinning" if self.spinning else "sleeping"
        return ", ".join(part for part in (self.layout, self.dense, self.pool, threads) if part)


def spinning_choices(threads: int) -> tuple[bool, ...]:
    """List the values of `Configuration.spinning` worth a trial: one thread waits for nobody."""
    return (True,) if threads == 1 else (True, False)


class _ModelBuilder:
    """Collects the nodes and constants of a model; `value` is what the next layer reads."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.nhwc = configuration.layout == "nhwc"
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.value = "input"
        self.flat = False

    def constant(self, array: NDArray) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def node(self, op: str, inputs: Sequence[str], domain: str = "", **attributes: object) -> None:
        self.value = f"value{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(op, list(inputs), [self.value], domain=domain, **attributes)
        )

    def add(self, layer: Layer) -> None:
        match layer:
            case Affine() if layer.dense and self.configuration.dense != "qlinearconv":
                self.dense(layer)
            case Affine():
                self.convolution(layer)
            case MaxPool2():
                op, domain = ("NhwcMaxPool", MICROSOFT) if self.nhwc else ("MaxPool", "")
                self.node(op, [self.value], domain, kernel_shape=[2, 2], strides=[2, 2])
            case AveragePool2() if self.configuration.pool == "depthwise":
                shape = layer.channels
                weights = np.ones((shape, 1, 2, 2), np.int8)
                quarter = np.full(shape, 0.25, np.float32)
                average = Affine(weights, np.zeros(shape, np.int32), quarter, stride=2)
                self.convolution(average, groups=shape)
            case AveragePool2():
                self.average("QLinearAveragePool", kernel_shape=[2, 2], strides=[2, 2])
            case GlobalAveragePool():
                self.average("QLinearGlobalAveragePool")
            case Residual():
                self.residual(layer)

    def average(self, op: str, **attributes: object) -> None:
        inputs = [self.value, *self.unit(0), *self.unit(0)]
        self.node(op, inputs, MICROSOFT, channels_last=int(self.nhwc), **attributes)

    def residual(self, layer: Residual) -> None:
        start, inputs = self.value, []
        for branch, scale in zip((layer.body, layer.shortcut), layer.scales, strict=True):
            self.value = start
            for inner in branch:
                self.add(inner)
            inputs += [self.value, self.constant(np.float32(scale))]
            inputs.append(self.constant(np.uint8(zero_of(branch))))
        self.node("QLinearAdd", [*inputs, *self.unit(layer.zero_point)], MICROSOFT)

    def convolution(self, layer: Affine, groups: int = 1) -> None:
        inputs = [*self.operands(layer, layer.weights), *self.unit(layer.zero_point)]
        inputs.append(self.constant(layer.bias))
        domain, last = (MICROSOFT, {"channels_last": 1}) if self.nhwc else ("", {})
        self.node(
            "QLinearConv",
            inputs,
            domain,
            kernel_shape=list(layer.weights.shape[2:]),
            pads=[layer.padding] * 4,
            strides=[layer.stride] * 2,
            group=groups,
            **last,
        )

    def dense(self, layer: Affine) -> None:
        weights = layer.weights.transpose(0, 2, 3, 1) if self.nhwc else layer.weights
        if not self.flat:
            self.node("Flatten", [self.value], axis=1)
            self.flat = True
        operands = self.operands(layer, weights.reshape(len(weights), -1).T)
        bias = self.constant(layer.bias)
        self.node("QGemm", [*operands, bias, *self.unit(layer.zero_point)], MICROSOFT)

    def operands(self, layer: Affine, weights: NDArray[np.int8]) -> list[str]:
        return [
            self.value,
            *self.unit(0),
            self.constant(weights),
            self.constant(layer.scale),
            self.constant(np.zeros(layer.scale.shape, np.int8)),
        ]

    def unit(self, zero_point: int) -> list[str]:
        return [self.constant(np.float32(1)), self.constant(np.uint8(zero_point))]


def build_model(
    layers: Sequence[Layer], in_shape: tuple[int, ...], configuration: Configuration
) -> ModelProto:
    """Write a network as an ONNX model.

    Parameters
    ----------
    layers
        The network.
    in_shape
        ``(batch, channels, height, width)`` of the input, whatever the layout.
    configuration
        How to write it.

    Returns
    -------
    onnx.ModelProto
        From ``input`` to ``output``, both uint8 and in the configuration's layout.
    """
    builder = _ModelBuilder(configuration)
    for layer in layers:
        builder.add(layer)
    builder.nodes[-1].output[0] = "output"
    batch, channels, height, width = in_shape
    shape = (batch, height, width, channels) if builder.nhwc else in_shape
    graph = helper.make_graph(
        builder.nodes,
        "int8",
        [helper.make_tensor_value_info("input", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("output", TensorProto.UINT8, None)],
        builder.constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def open_session(model: ModelProto, threads: int, spinning: bool) -> ort.InferenceSession:
    """Open a model on the CPU, all graph optimisations on.

    Parameters
    ----------
    model
        The model.
    threads
        Threads within an operator; operators run one after another.
    spinning
        See `Configuration`.

    Returns
    -------
    onnxruntime.InferenceSession
        The session.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def exact_answers(layers: Sequence[Layer], codes: NDArray[np.uint8]) -> Answers:
    """Compute in NumPy what `checked_call` compares with: the first and the last image.

    Parameters
    ----------
    layers
        The network.
    codes
        uint8, ``(batch, channels, height, width)``.

    Returns
    -------
    mapping
        From an image's index to its output, ``(channels, height, width)``.
    """
    indices = {0, len(codes) - 1}
    return {index: expected(layers, codes[index : index + 1])[0] for index in indices}


def checked_call(
    layers: Sequence[Layer],
    codes: NDArray[np.uint8],
    answers: Answers,
    configuration: Configuration,
    threads: int,
) -> Callable[[], object]:
    """Prepare a call of a network whose answer has been compared with NumPy's.

    Parameters
    ----------
    layers
        The network.
    codes
        uint8, ``(batch, channels, height, width)``: the images of every call.
    answers
        From `exact_answers` of the two.
    configuration
        How to run it.
    threads
        Threads of one call.

    Returns
    -------
    Callable
        Runs the whole batch; input and output are bound to memory once.

    Raises
    ------
    SystemExit
        If an output is not NumPy's, bit for bit.
    """
    nhwc = configuration.layout == "nhwc"
    model = build_model(layers, codes.shape, configuration)
    session = open_session(model, threads, configuration.spinning)
    images = np.ascontiguousarray(codes.transpose(0, 2, 3, 1) if nhwc else codes)
    (output,) = session.run(["output"], {"input": images})

    for index, exact in answers.items():
        answer = exact.transpose(1, 2, 0) if nhwc else exact
        wrong = np.count_nonzero(output[index].ravel() != answer.ravel())
        if wrong:
            raise SystemExit(
                f"ONNX Runtime ({configuration}): {wrong} of {answer.size} outputs of image {index}"
                " are not NumPy's; do not use its times on this machine"
            )

    binding = session.io_binding()
    binding.bind_ortvalue_input("input", ort.OrtValue.ortvalue_from_numpy(images))
    binding.bind_ortvalue_output("output", ort.OrtValue.ortvalue_from_numpy(output))
    return lambda: session.run_with_iobinding(binding)
