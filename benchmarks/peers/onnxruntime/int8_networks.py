"""Random int8 networks: as ONNX models for ONNX Runtime, and as exact NumPy arithmetic.

Requirements:

* Activations are uint8 with zero point 0, so that saturation at 0 is the ReLU; weights are int8,
  one scale an output channel; biases are int32.
* Weights stay within 7 bits. Without VNNI, x86 multiplies uint8 by int8 in pairs that saturate at
  16 bits: 2 * 255 * 127 would not fit, 2 * 255 * 63 does. The time does not depend on it.
* Scales are powers of two, so that float32 requantisation is exact and the NumPy answer is the
  only right one: round half to even, then saturate.
* Both layouts can be built. ONNX knows NCHW only; ``com.microsoft`` has the NHWC operators into
  which ONNX Runtime itself rewrites a quantised model. Built directly, they spare the transposes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from peer_common import convolve

Layout = Literal["nchw", "nhwc"]
Dense = Literal["qgemm", "qlinearconv"]

MICROSOFT = "com.microsoft"
OPSET = 17
IR_VERSION = 8
WEIGHT_MAX = 63


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
        The operator of fully connected layers: QGemm, or QLinearConv on an image of one pixel.
        (QLinearMatMul has no bias, and a layer of a trained network does.) None, for a network
        without such layers, is QGemm.
    """

    layout: Layout
    spinning: bool = True
    dense: Dense | None = None

    def __str__(self) -> str:
        threads = "spinning" if self.spinning else "sleeping"
        return ", ".join(part for part in (self.layout, self.dense, threads) if part)


def spinning_choices(threads: int) -> tuple[bool, ...]:
    """List the values of `Configuration.spinning` worth a trial: one thread waits for nobody."""
    return (True,) if threads == 1 else (True, False)


@dataclass(frozen=True)
class Affine:
    """An int8 layer: sums, one scale a channel, saturation to uint8.

    Parameters
    ----------
    weights
        int8; ``(out, in, kernel, kernel)`` of a convolution, ``(out, in)`` of a dense layer.
    bias
        int32, shape ``(out,)``, in units of the sum.
    scale
        float32 powers of two, shape ``(out,)``: what a sum is multiplied by.
    padding
        Zeros on each side of the image, in pixels.
    zero_point
        The code of zero at the output: 0 folds in a ReLU, 128 keeps negative values.

    Notes
    -----
    One scale for the whole tensor takes as long (measured: within 1 %), so that weights have one
    scale a channel, as in practice.
    """

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    scale: NDArray[np.float32]
    padding: int = 0
    zero_point: int = 0

    @classmethod
    def random(
        cls,
        shape: tuple[int, ...],
        rng: np.random.Generator,
        *,
        padding: int = 0,
        zero_point: int = 0,
    ) -> Affine:
        """Draw a layer whose outputs fill the range of uint8 without much saturation.

        Parameters
        ----------
        shape
            That of the weights.
        rng
            Source of the weights, biases and scales.
        padding, zero_point
            See the class.

        Returns
        -------
        Affine
            The layer.
        """
        weights = rng.integers(-WEIGHT_MAX, WEIGHT_MAX + 1, shape).astype(np.int8)
        # The standard deviation of a sum whose inputs have a root mean square near 96.
        spread = np.sqrt(np.prod(shape[1:])) * (WEIGHT_MAX / np.sqrt(3)) * 96
        bias = rng.integers(-spread / 2, spread / 2, shape[0]).astype(np.int32)
        exponent = np.round(np.log2(96 / spread)) + rng.integers(-1, 2, shape[0])
        return cls(weights, bias, np.exp2(exponent).astype(np.float32), padding, zero_point)

    def apply(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute the layer exactly.

        Parameters
        ----------
        codes
            uint8, ``(batch, in, height, width)`` or, for a dense layer, anything that flattens
            to ``(batch, in)``.

        Returns
        -------
        numpy.ndarray
            uint8, ``(batch, out, height, width)``; height and width are 1 for a dense layer.
        """
        if self.weights.ndim == 2:
            sums = codes.reshape(len(codes), -1).astype(np.float64) @ self.weights.T
            sums = sums[:, :, None, None]
        else:
            sums = convolve(codes, self.weights, self.padding)
        by_channel = (-1, 1, 1)
        scaled = (sums + self.bias.reshape(by_channel)) * self.scale.reshape(by_channel)
        return np.clip(np.rint(scaled) + self.zero_point, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class MaxPool2:
    """The maximum of 2x2 pixels, stride 2; an odd last row or column is left out."""

    def apply(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute the layer; ``(batch, channels, height, width)`` in and out."""
        height, width = (2 * (extent // 2) for extent in codes.shape[2:])
        even = codes[:, :, :height, :width]
        rows = np.maximum(even[:, :, 0::2], even[:, :, 1::2])
        return np.maximum(rows[..., 0::2], rows[..., 1::2])


Layer = Affine | MaxPool2


def expected(layers: Sequence[Layer], codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Compute a network exactly, in NumPy.

    Parameters
    ----------
    layers
        The network.
    codes
        uint8, ``(batch, channels, height, width)``.

    Returns
    -------
    numpy.ndarray
        uint8, ``(batch, channels, height, width)``.
    """
    for layer in layers:
        codes = layer.apply(codes)
    return codes


class _ModelBuilder:
    """Collects the nodes and constants of a model, one value flowing through."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.value = "input"
        self.flat = False

    def constant(self, array: NDArray) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, op: str, inputs: Sequence[str], domain: str = "", **attributes: object) -> None:
        self.value = f"value{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(op, list(inputs), [self.value], domain=domain, **attributes)
        )

    def add(self, layer: Layer) -> None:
        if isinstance(layer, MaxPool2):
            self.max_pool()
        elif layer.weights.ndim == 2:
            self.dense(layer)
        else:
            self.convolution(layer)

    def max_pool(self) -> None:
        nhwc = self.configuration.layout == "nhwc"
        op, domain = ("NhwcMaxPool", MICROSOFT) if nhwc else ("MaxPool", "")
        self.node(op, [self.value], domain, kernel_shape=[2, 2], strides=[2, 2])

    def convolution(self, layer: Affine) -> None:
        inputs = [*self.operands(layer, layer.weights), *self.output_code(layer)]
        inputs.append(self.constant(layer.bias))
        kernel, pads = list(layer.weights.shape[2:]), [layer.padding] * 4
        if self.configuration.layout == "nhwc":
            self.node(
                "QLinearConv", inputs, MICROSOFT, kernel_shape=kernel, pads=pads, channels_last=1
            )
        else:
            self.node("QLinearConv", inputs, kernel_shape=kernel, pads=pads)

    def dense(self, layer: Affine) -> None:
        if self.configuration.dense == "qlinearconv":
            pixel = layer.weights[:, :, None, None]
            self.convolution(replace(layer, weights=pixel))
            return
        if not self.flat:
            # The image is one pixel by now, so that both layouts flatten alike.
            self.node("Flatten", [self.value], axis=1)
            self.flat = True
        operands, bias = self.operands(layer, layer.weights.T), self.constant(layer.bias)
        self.node("QGemm", [*operands, bias, *self.output_code(layer)], MICROSOFT)

    def operands(self, layer: Affine, weights: NDArray[np.int8]) -> list[str]:
        return [
            self.value,
            self.constant(np.float32(1)),
            self.constant(np.uint8(0)),
            self.constant(weights),
            self.constant(layer.scale),
            self.constant(np.zeros(layer.scale.shape, np.int8)),
        ]

    def output_code(self, layer: Affine) -> list[str]:
        return [self.constant(np.float32(1)), self.constant(np.uint8(layer.zero_point))]


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
    nhwc = configuration.layout == "nhwc"
    shape = (batch, height, width, channels) if nhwc else in_shape
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


def checked_call(
    layers: Sequence[Layer], codes: NDArray[np.uint8], configuration: Configuration, threads: int
) -> Callable[[], object]:
    """Prepare a call of a network whose answer has been compared with NumPy's.

    Parameters
    ----------
    layers
        The network.
    codes
        uint8, ``(batch, channels, height, width)``: the images of every call.
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
        If the first or last image's output is not NumPy's, bit for bit.
    """
    nhwc = configuration.layout == "nhwc"
    model = build_model(layers, codes.shape, configuration)
    session = open_session(model, threads, configuration.spinning)
    images = np.ascontiguousarray(codes.transpose(0, 2, 3, 1) if nhwc else codes)
    (output,) = session.run(["output"], {"input": images})

    for index in {0, len(codes) - 1}:
        answer = expected(layers, codes[index : index + 1])[0]
        if nhwc:
            answer = answer.transpose(1, 2, 0)
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
