"""QONNX files give the numbers that ONNX and QONNX define; what has no exact form is refused."""

import pickle

import numpy as np
import pytest
from tests.networks import classifier

from bitwright.cli.main import app
from bitwright.errors import FrontendError
from bitwright.frontends.qonnx import import_qonnx
from bitwright.frontends.qonnx.export import export_qonnx, to_model
from bitwright.ir import Affine, ArgMax, Conv2d, Int, Offset, Program, Threshold, reference

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx.reference.op_run import OpRun  # noqa: E402

DOMAIN = "qonnx.custom_op.general"


class BipolarQuant(OpRun):
    op_domain = DOMAIN

    def _run(self, x, scale):
        return (np.where(x >= 0, np.float32(1), np.float32(-1)) * scale,)


class Quant(OpRun):
    op_domain = DOMAIN

    def _run(self, x, scale, zero, bits, signed=1, narrow=0, rounding_mode="ROUND"):
        low = -(2 ** (float(bits) - 1)) + narrow
        y = np.round(np.clip(x / scale + zero, low, 2 ** (float(bits) - 1) - 1))
        return (((y - zero) * scale).astype(np.float32),)


class MultiThreshold(OpRun):
    op_domain = DOMAIN

    def _run(self, x, limits, out_dtype="", out_scale=1.0, out_bias=0.0, data_layout=""):
        shape = (1, -1) + (1,) * (x.ndim - 2) + (limits.shape[1],)
        count = (x[..., None] >= limits.reshape(shape)).sum(axis=-1)
        return ((count * out_scale + out_bias).astype(np.float32),)


CUSTOM = [BipolarQuant, Quant, MultiThreshold]


class Maker:
    """A QONNX model as it grows."""

    def __init__(self, shape=(1, 3, 8, 8), seed=0):
        self.rng = np.random.default_rng(seed)
        self.shape, self.nodes, self.constants, self.last = shape, [], [], "x"

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(self, op, *constants, inputs=None, **attributes):
        names = [self.last] if inputs is None else list(inputs)
        names += [c if isinstance(c, str) else self.constant(c) for c in constants]
        custom = op in ("BipolarQuant", "Quant", "MultiThreshold")
        output = f"v{len(self.nodes)}"
        domain = {"domain": DOMAIN} if custom else {}
        self.nodes.append(
            helper.make_node(op, names, [output], name=f"{op}_{output}", **domain, **attributes)
        )
        self.last = output
        return self

    def sign(self):
        return self.add("BipolarQuant", f32(1))

    def signs(self, *shape):
        source = self.last
        self.add("BipolarQuant", f32(1), inputs=[self.constant(f32(self.rng.normal(size=shape)))])
        weights, self.last = self.last, source
        return weights

    def norm(self, channels, **changes):
        stats = {
            "gamma": self.rng.normal(size=channels) * (self.rng.random(channels) > 0.2),
            "beta": self.rng.normal(size=channels) * (self.rng.random(channels) > 0.3),
            "mean": self.rng.integers(-9, 9, channels),
            "variance": self.rng.random(channels) * 50 + 0.01,
        } | changes
        return self.add("BatchNormalization", *(f32(s) for s in stats.values()))

    def quant(self):
        self.add("Mul", f32(2)).add("Sub", f32([1]))
        return self.add("Quant", f32(2**-7), f32(0), f32(8), signed=1, narrow=0)

    # Not 13: onnx.reference would run BatchNormalization of 9 to 13 in training mode.
    def model(self, opset=15):
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)],
            initializer=self.constants,
        )
        imports = [helper.make_opsetid("", opset), helper.make_opsetid(DOMAIN, 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=8)

    def save(self, folder, **kwargs):
        path = folder / "m.onnx"
        path.write_bytes(self.model(**kwargs).SerializeToString())
        return path


def f32(numbers):
    return np.asarray(numbers, np.float32)


def execute(model, x):
    evaluator = ReferenceEvaluator(model, new_ops=CUSTOM)
    entry = model.graph.input[0].name
    return np.concatenate([evaluator.run(None, {entry: x[i : i + 1]})[0] for i in range(len(x))])


def images_of(program, count=6, seed=3):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *program.input_type.shape), dtype=np.uint8)


def check(maker, folder, input_scale=255.0):
    """Import a model and compare its outputs with those of ONNX's own reference."""
    program = import_qonnx(maker.save(folder), input_scale=input_scale)
    images = images_of(program)
    x = np.moveaxis(images, -1, 1) if images.ndim == 4 else images
    expected = execute(maker.model(), x.astype(np.float32) / np.float32(input_scale))
    logits = reference.run(program, images)[program.logits]
    if "output_scale" in program.metadata:
        scale, offset = (float(program.metadata[f"output_{k}"]) for k in ("scale", "offset"))
        np.testing.assert_allclose(logits * scale + offset, expected, rtol=1e-5, atol=1e-4)
    else:
        assert np.array_equal(logits.argmax(axis=1), expected.argmax(axis=1))
    return program


@pytest.mark.parametrize("seed", range(4))
def test_cnv(tmp_path, seed):
    m = Maker(seed=seed).quant()
    m.add("Conv", m.signs(6, 3, 3, 3), kernel_shape=[3, 3], pads=[1, 0, 0, 1]).norm(6).sign()
    m.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    m.add("Conv", m.signs(8, 3, 3, 3), pads=[1, 1, 1, 1], group=2).norm(8)
    m.add("MaxPool", kernel_shape=[2, 2]).sign()
    m.add("Reshape", np.array([1, -1])).add("MatMul", m.signs(8 * int(flat(m) / 8), 5))
    m.add("Sub", f32([3])).add("Div", f32([7.5])).add("Mul", f32(0.3)).add("Add", f32([1]))
    program = check(m, tmp_path)
    # Zero padding stays zero padding.
    assert all(op.pad_value == 0 for op in program.ops if isinstance(op, Conv2d))


def flat(maker):
    x = np.zeros(maker.shape, np.float32)
    return execute(maker.model(), x).size


def test_mlp_of_signs_of_pixels(tmp_path):
    m = Maker((1, 1, 6, 6)).add("Flatten").add("Mul", f32(2)).add("Sub", f32([1])).sign()
    m.add("Gemm", m.signs(9, 36), f32(np.arange(9)), transB=1).norm(9).sign()
    m.add("Gemm", m.signs(9, 4), alpha=0.5)
    check(m, tmp_path)


def test_dynamic_batch_vectors_and_raw_pixels(tmp_path):
    m = Maker((None, 12))
    limits = f32(m.rng.normal(size=(5, 1)) * 99)
    m.add("MatMul", m.signs(12, 5))
    m.add("MultiThreshold", limits, out_scale=2.0, out_bias=-1.0, out_dtype="BIPOLAR")
    m.add("MatMul", f32(m.rng.integers(-3, 4, (5, 3))))
    check(m, tmp_path, 1.0)


def test_channels_last_flatten_average_and_scales(tmp_path):
    m = Maker().quant()
    m.add("Conv", m.signs(6, 3, 3, 3)).add("Relu").add("Sub", f32(1)).sign()
    m.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    m.add("Transpose", perm=[0, 2, 3, 1]).add("Flatten").add("MatMul", m.signs(54, 4))
    check(m, tmp_path)


def test_global_average_and_residual(tmp_path):
    m = Maker().quant()
    m.add("Conv", m.signs(4, 3, 3, 3)).norm(4).sign()
    left = m.last
    m.add("Conv", m.signs(4, 4, 3, 3), pads=[1, 1, 1, 1]).add("Add", left).sign()
    m.add("GlobalAveragePool").add("Flatten").add("MatMul", m.signs(4, 3))
    check(m, tmp_path)


def test_one_threshold_a_channel_of_each_polarity(tmp_path):
    m = Maker((1, 20))
    m.add("MatMul", m.signs(20, 6)).norm(6, gamma=[1, -1, 0, 0, 2, -2], beta=[0, 0, -1, 1, 0, 0])
    m.sign().add("MatMul", m.signs(6, 3))
    program = check(m, tmp_path, 1.0)
    rising = next(program.tensors[op.rising] for op in program.ops if isinstance(op, Threshold))
    assert rising[0]
    assert not rising[1]


@pytest.mark.parametrize("sign", [-1, 1])
def test_weights_of_one_sign(sign, tmp_path):
    m = Maker().quant()
    m.add("Conv", f32(np.full((4, 3, 3, 3), sign))).norm(4).sign().add("Flatten")
    program = check(m.add("MatMul", f32(np.full((144, 3), sign))), tmp_path)
    for op in program.ops:
        if isinstance(op, Conv2d):
            assert (program.tensors[op.weights] == (sign > 0)).all()


@pytest.mark.parametrize("limit", [1e9, -1e9, 3e38, -3e38])
def test_thresholds_out_of_range_make_constant_bits(limit, tmp_path):
    m = Maker((1, 1, 6, 6)).quant().add("Flatten")
    m.add("MatMul", m.signs(36, 5))
    m.add("MultiThreshold", f32(np.full((5, 1), limit)), out_scale=2.0, out_bias=-1.0)
    program = check(m.add("MatMul", m.signs(5, 3)), tmp_path)
    (op,) = (op for op in program.ops if isinstance(op, Threshold))
    bits = reference.run(program, images_of(program), [op.output])[op.output]
    assert (bits == (limit < 0)).all()


# Export.


@pytest.mark.parametrize("seed", range(6))
def test_export_gives_equal_logits(tmp_path, seed):
    program = classifier(seed)
    export_qonnx(program, tmp_path / "e.onnx")
    onnx.checker.check_model(str(tmp_path / "e.onnx"))
    images = images_of(program)
    expected = reference.run(program, images)[program.logits]
    x = np.moveaxis(images, -1, 1).astype(np.float32)
    assert np.array_equal(execute(to_model(program), x), expected)
    again = import_qonnx(tmp_path / "e.onnx")
    assert np.array_equal(reference.run(again, images)[again.logits], expected)


def test_export_of_an_imported_network(tmp_path):
    m = Maker().quant()
    m.add("Conv", m.signs(4, 3, 3, 3)).norm(4).sign().add("Flatten")
    m.add("MatMul", m.signs(144, 3))
    program = check(m, tmp_path)
    export_qonnx(program, tmp_path / "e.onnx")
    again = import_qonnx(tmp_path / "e.onnx")
    images = images_of(program, 20)
    one, two = (reference.run(p, images)[p.logits] for p in (program, again))
    assert np.array_equal(one, two)


def one_op(op, tensors, shape=(4, 4, 2), hi=255):
    return Program(
        input_name="image",
        input_type=Int(shape, 0, hi),
        ops=(op,),
        tensors=tensors,
        outputs=(op.output,),
    )


@pytest.mark.parametrize(
    ("program", "match"),
    [
        (
            one_op(
                Offset(output="y", inputs=("image",), offset="t"),
                {"t": np.ones((1, 1, 2), np.int32)},
            ),
            "'y' comes of Offset",
        ),
        (
            one_op(
                Affine(output="y", inputs=("image",), multiplier="m", addend="a", shift=2),
                {"m": np.ones(2, np.int32), "a": np.zeros(2, np.int64)},
            ),
            "Affine that shifts",
        ),
        (one_op(ArgMax(output="y", inputs=("image",)), {}, (4,), 2**25), "beyond 2\\^24"),
    ],
)
def test_export_refuses(program, match, tmp_path):
    with pytest.raises(FrontendError, match=match):
        export_qonnx(program, tmp_path / "e.onnx")


def test_commands(tmp_path):
    from typer.testing import CliRunner  # noqa: PLC0415

    m = Maker().quant()
    m.add("Conv", m.signs(4, 3, 3, 3)).norm(4).sign().add("Flatten").add("MatMul", m.signs(144, 3))
    path, net, back = m.save(tmp_path), tmp_path / "n.safetensors", tmp_path / "b.onnx"
    run = CliRunner()
    args = ["import", "qonnx", str(path), "-o", str(net), "--input-scale", "255"]
    assert run.invoke(app, args).exit_code == 0
    assert run.invoke(app, ["export", "qonnx", str(net), "-o", str(back)]).exit_code == 0
    assert back.exists()
    bad = run.invoke(app, [*args[:-1], "much"])
    assert "no input scale" in str(bad.exception)


# Refusals, one by one.


def behind_conv(*more, **kwargs):
    m = Maker(**kwargs).quant()
    m.add("Conv", m.signs(4, 3, 3, 3))
    for op, *rest in more:
        attributes = rest.pop() if rest and isinstance(rest[-1], dict) else {}
        m.add(op, *rest, **attributes)
    return m


def float_weights():
    m = Maker().quant()
    return m.add("Conv", f32(m.rng.normal(size=(4, 3, 3, 3))))


def nan_weights():
    m = Maker().quant()
    return m.add("Conv", f32(np.full((4, 3, 3, 3), np.nan)))


def float_input():
    m = Maker()
    return m.add("Conv", m.signs(4, 3, 3, 3))


def norm_with(**changes):
    return behind_conv().norm(4, **changes).sign()


def float_activation():
    m = behind_conv().norm(4)
    return m.add("Conv", m.signs(4, 4, 3, 3))


def two_activations():
    m = behind_conv()
    return m.add("Mul", m.last)


REFUSED = {
    "unsupported": (behind_conv(("Softmax",)), "Softmax_v.*has no exact integer form"),
    "sigmoid": (behind_conv(("Sigmoid",)), "Sigmoid_v"),
    "sign": (behind_conv(("Sign",)), "no exact integer form"),
    "float weights": (float_weights(), "neither \\+-1 nor 8-bit"),
    "nan weights": (nan_weights(), "weights that are NaN"),
    "float input": (float_input(), "no integers times one scale: quantise"),
    "float activation": (float_activation(), "takes real numbers where bits.*BipolarQuant"),
    "two": (two_activations(), "combines two activations"),
    "gamma": (norm_with(gamma=[1, np.nan, 1, 1]), "BatchNorm.*gamma that is NaN"),
    "mean": (norm_with(mean=[1, np.inf, 1, 1]), "mean that is NaN or infinite"),
    "variance": (norm_with(variance=[1, -1, 1, 1]), "variance below zero"),
    "channels": (behind_conv().norm(5), "not made for 4 channels"),
    "variance NaN": (norm_with(variance=[1, np.nan, 1, 1]), "variance that is NaN or infinite"),
    "beta": (norm_with(beta=[1, -np.inf, 1, 1]), "beta that is NaN or infinite"),
    "thresholds": (
        behind_conv(("MultiThreshold", f32([[np.inf]]), {"out_scale": 2.0, "out_bias": -1.0})),
        "thresholds that are NaN or infinite",
    ),
    "shape": (Maker((1, 3, None, 8)).quant(), "dynamic shape"),
    "rank": (Maker((1, 3, 8)).quant(), "3 dimensions"),
    "batch": (Maker((4, 3, 8, 8)).quant(), "batch of 4"),
    "dilated": (behind_conv(("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 2]})), "dilated"),
    "ceil": (behind_conv(("MaxPool", {"kernel_shape": [2, 2], "ceil_mode": 1})), "ceil_mode"),
    "padded mean": (
        behind_conv(("AveragePool", {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1]})),
        "averages over padding",
    ),
    "transpose": (behind_conv(("Transpose", {"perm": [0, 1, 3, 2]})), "puts the axes"),
    "reshape": (behind_conv(("Reshape", np.array([1, 2, -1]))), "only flatten"),
    "steps": (
        behind_conv(("MultiThreshold", f32([[0, 1]]), {"out_dtype": "INT2"})),
        "3 levels that are not",
    ),
    "quant": (behind_conv(("Quant", f32(1), f32(0), f32(4))), "more than one bit"),
    "bipolar": (behind_conv(("BipolarQuant", f32(-1))), "no one positive scale"),
    "by position": (behind_conv(("Add", f32(np.ones((1, 1, 6, 6))))), "or one a channel"),
    "map": (behind_conv(), "returns a map"),
    "pixels": (Maker().quant(), "returns its pixels"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, tmp_path):
    maker, match = REFUSED[case]
    with pytest.raises(FrontendError, match=match) as caught:
        import_qonnx(maker.save(tmp_path))
    assert caught.value.way_out


def written(tmp_path, change):
    m = behind_conv()
    model = m.sign().add("Flatten").add("MatMul", m.signs(144, 3)).model()
    change(model)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _external(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def _cycle(model):
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]


def _huge(model):
    tensor = model.graph.initializer[-1]
    del tensor.dims[:]
    tensor.dims.extend([2**40, 2**20])


def _opset(model):
    model.opset_import[0].version = 6


def _no_opset(model):
    del model.opset_import[:]


def _domain(model):
    model.graph.node[0].domain = "com.example"


def _inputs(model):
    model.graph.input.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3]))


def _twice(model):
    model.graph.node[1].output[0] = model.graph.node[0].output[0]


def _double(model):
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_external, "in another file"),
        (_cycle, "before it is defined.*cycle"),
        (_huge, "is damaged"),
        (_opset, "opset 6"),
        (_no_opset, "no ONNX opset"),
        (_domain, "unknown domain 'com.example'"),
        (_inputs, "2 inputs"),
        (_twice, "once more"),
        (_double, "not float32"),
    ],
)
def test_refused_files(change, match, tmp_path):
    with pytest.raises(FrontendError, match=match):
        import_qonnx(written(tmp_path, change))


def test_no_onnx_file(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\xff\xfe no model")
    with pytest.raises(FrontendError, match=r"no ONNX file|no ONNX opset"):
        import_qonnx(path)
    with pytest.raises(FrontendError, match="cannot read"):
        import_qonnx(tmp_path / "absent.onnx")


class Trap:
    """A pickle that would leave a trace if anything executed it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_in_disguise_is_not_executed(tmp_path):
    (tmp_path / "m.onnx").write_bytes(pickle.dumps(Trap(tmp_path / "trace")))
    with pytest.raises(FrontendError, match="no ONNX"):
        import_qonnx(tmp_path / "m.onnx")
    assert not (tmp_path / "trace").exists()


def test_a_constant_that_would_be_huge_is_not_made(tmp_path):
    m = behind_conv()
    source = m.last
    m.add("Add", f32(np.ones((1, 2**14))), inputs=[m.constant(f32(np.ones((2**14, 1))))])
    wide, m.last = m.last, source
    m.add("Add", wide)
    with pytest.raises(FrontendError, match="constant of 268435456 numbers"):
        import_qonnx(m.save(tmp_path))
