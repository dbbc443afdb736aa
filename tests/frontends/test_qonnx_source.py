"""A QONNX graph run as it is shows what its program's values are; a wrong program is found out."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from tests.networks import classifier, labelled

from bitwright.certify import certify
from bitwright.errors import FrontendError, ProgramError
from bitwright.frontends.qonnx import export_qonnx, import_qonnx
from bitwright.frontends.sources import open_source
from bitwright.ir import codec

onnx = pytest.importorskip("onnx")
from tests.frontends.test_qonnx import DOMAIN, Maker, execute, f32  # noqa: E402

from bitwright.frontends.qonnx.evaluate import Evaluator  # noqa: E402
from bitwright.frontends.qonnx.source import QonnxSource  # noqa: E402

SHAPE = (8, 8, 3)


def size_of(maker):
    x = np.zeros([n or 1 for n in maker.shape], np.float32)
    return Evaluator(maker.model(), np.float32).run(x, [maker.last])[maker.last].size


def plain(seed=0):
    """Convolutions with pools at either side of a sign, groups, uneven padding, scaled logits."""
    m = Maker(seed=seed).quant()
    m.add("Conv", m.signs(6, 3, 3, 3), kernel_shape=[3, 3], pads=[1, 0, 0, 1]).norm(6).sign()
    m.add("MaxPool", kernel_shape=[2, 3], strides=[1, 1], pads=[0, 0, 1, 1])
    m.add("Conv", m.signs(8, 3, 3, 3), pads=[1, 1, 1, 1], group=2).norm(8)
    m.add("MaxPool", kernel_shape=[2, 2]).sign()
    m.add("Reshape", np.array([1, -1]))
    m.add("MatMul", m.signs(size_of(m), 4))
    return m.add("Sub", f32([3])).add("Mul", f32(0.25))


def of_signs_of_pixels(seed=0):
    m = Maker(seed=seed).add("Mul", f32(2)).add("Sub", f32([1])).sign().add("Flatten")
    limits = f32(m.rng.integers(-9, 9, (9, 1)))
    m.add("Gemm", m.signs(9, 192), f32(np.arange(9)), transB=1)
    m.add("MultiThreshold", limits, out_scale=2.0, out_bias=-1.0, out_dtype="BIPOLAR")
    return m.add("Gemm", m.signs(9, 4), alpha=0.5)


def channels_last(seed=0):
    m = Maker(seed=seed).quant()
    m.add("Conv", m.signs(6, 3, 3, 3)).add("Relu").add("Sub", f32(1)).sign()
    m.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    return m.add("Transpose", perm=[0, 2, 3, 1]).add("Flatten").add("MatMul", m.signs(54, 4))


def residual(seed=0):
    m = Maker(seed=seed).quant()
    m.add("Conv", m.signs(4, 3, 3, 3)).norm(4).sign()
    left = m.last
    m.add("Conv", m.signs(4, 4, 3, 3), pads=[1, 1, 1, 1]).norm(4).add("Add", left)
    m.add("MultiThreshold", f32([[0.1], [0], [-0.3], [1]]), out_scale=2.0, out_bias=-1.0)
    m.add("Conv", m.signs(4, 4, 3, 3)).norm(4, gamma=[1, -1, -2, 0.5])
    m.add("MaxPool", kernel_shape=[2, 2]).sign()
    return m.add("GlobalAveragePool").add("Flatten").add("MatMul", m.signs(4, 4))


GRAPHS = {
    "plain": plain,
    "signs of pixels": of_signs_of_pixels,
    "channels last": channels_last,
    "residual": residual,
}


def moved(program, name, by):
    """The program with the thresholds of one op moved."""
    key = program.definitions[name].thresholds
    tensors = {**program.tensors, key: program.tensors[key] + np.int32(by)}
    return replace(program, tensors=tensors)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("graph", GRAPHS)
def test_every_bit_is_the_graph_s(graph, seed, tmp_path):
    path = GRAPHS[graph](seed).save(tmp_path)
    program = import_qonnx(path)
    found = certify(open_source(path, program), program, labelled(shape=SHAPE))
    assert found.holds, found.objections
    assert found.exact == (graph != "residual")
    assert found.not_compared == ()
    assert all(layer.differing == 0 for layer in found.layers)
    kinds = {layer.kind for layer in found.layers}
    assert {"bits", "integers"} <= kinds
    assert ("stored" in kinds) == (graph == "residual")
    # The residual graph has ties among its logits, which float32 breaks by rounding.
    assert found.agreement[found.reference].share == 1.0
    assert "onnx" in found.versions
    assert found.source == str(path)


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_threshold_that_is_off_is_named(graph, tmp_path):
    path = GRAPHS[graph]().save(tmp_path)
    program = import_qonnx(path)
    names = [op.output for op in program.ops if op.kind == "Threshold"]
    first = names[-1]
    wrong = moved(program, first, 1 << 25 if program.types[first].size > 99 else 8)
    found = certify(QonnxSource(path), wrong, labelled(shape=SHAPE))
    assert not found.holds
    assert found.first_unexplained.layer == first.removesuffix(".unpooled")
    for layer in found.layers:
        if layer.name in names[:-1]:
            assert layer.differing == 0


def test_an_exported_program_is_certified_against_its_file(tmp_path):
    program = classifier()
    export_qonnx(program, tmp_path / "e.onnx")
    again = import_qonnx(tmp_path / "e.onnx")
    found = certify(open_source(tmp_path / "e.onnx", again), again, labelled())
    assert found.holds, found.objections
    assert found.not_compared == ()


def test_pixels_are_divided_as_the_program_says(tmp_path):
    m = of_signs_of_pixels()
    path = m.save(tmp_path)
    program = import_qonnx(path, input_scale=100.0)
    assert certify(open_source(path, program), program, labelled(shape=SHAPE)).holds
    assert not certify(open_source(path), program, labelled(shape=SHAPE)).holds
    with pytest.raises(ProgramError, match="'wide' for its input scale"):
        open_source(path, replace(program, metadata={"input_scale": "wide"}))
    with pytest.raises(FrontendError, match="input scale is nan"):
        open_source(path, replace(program, metadata={"input_scale": "nan"}))


def test_what_cannot_be_imported_is_not_run(tmp_path):
    with pytest.raises(FrontendError, match=r"Softmax_v.*has no exact integer form"):
        open_source(Maker().quant().add("Softmax").save(tmp_path))
    with pytest.raises(FrontendError, match="cannot read"):
        open_source(tmp_path / "absent.onnx")


def test_the_command_needs_no_torch(tmp_path):
    path = plain().save(tmp_path)
    codec.save(import_qonnx(path), tmp_path / "net.safetensors")
    noise = labelled(shape=SHAPE, count=8)
    np.savez(tmp_path / "noise.npz", x=noise.images, y=noise.labels)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from bitwright.cli.main import main\n"
        f"sys.argv = ['bitwright', 'certify', r'{path}', r'{tmp_path / 'net.safetensors'}',"
        f" '--data', r'{tmp_path / 'noise.npz'}']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the certificate holds" in done.stdout


# The evaluator itself.


@pytest.mark.parametrize("opset", [9, 13, 15])
def test_batch_norm_is_that_of_evaluation_in_every_opset(opset):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    model = Maker((1, 3, 4, 4)).norm(3).model()
    expected = execute(model, x)
    model.opset_import[0].version = opset
    name = model.graph.output[0].name
    assert np.array_equal(Evaluator(model, np.float32).run(x, [name])[name], expected)
    wide = Evaluator(model, np.float64).run(x, [name])[name]
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide, expected, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(wide, expected)


@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [1, 0, 0, 2]},
        {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"kernel_shape": [2, 2], "strides": [1, 1], "auto_pad": "SAME_LOWER"},
        {"kernel_shape": [2, 2]},
    ],
)
def test_max_pools_pad_as_onnx_says(attributes):
    x = np.random.default_rng(1).normal(size=(1, 2, 5, 6)).astype(np.float32) - 9
    m = Maker((1, 2, 5, 6)).add("MaxPool", **attributes)
    made = Evaluator(m.model(), np.float32).run(x, [m.last])[m.last]
    rows, columns = attributes["kernel_shape"]
    down, right = attributes.get("strides", (1, 1))
    top, left, bottom, behind = attributes.get("pads", (0, 0, 0, 0))
    if "auto_pad" in attributes:  # as many windows as steps; an odd pixel of padding at one side
        out = (-(-5 // down), -(-6 // right))
        total = [
            (n - 1) * s + k - size
            for n, s, k, size in zip(out, (down, right), (rows, columns), (5, 6), strict=True)
        ]
        less, more = [t // 2 for t in total], [t - t // 2 for t in total]
        upper = attributes["auto_pad"] == "SAME_UPPER"
        (top, left), (bottom, behind) = (less, more) if upper else (more, less)
    grown = np.full((5 + top + bottom, 6 + left + behind), -np.inf, np.float32)
    for channel in range(2):
        grown[top : top + 5, left : left + 6] = x[0, channel]
        expected = [
            [
                grown[r : r + rows, c : c + columns].max()
                for c in range(0, grown.shape[1] - columns + 1, right)
            ]
            for r in range(0, grown.shape[0] - rows + 1, down)
        ]
        assert np.array_equal(made[0, channel], expected)


def test_constants_of_all_kinds_are_widened():
    m = Maker((1, 2))
    for number in (0.1, [0.5, 0.25]):
        key = "value_floats" if isinstance(number, list) else "value_float"
        m.nodes.append(onnx.helper.make_node("Constant", [], [key], **{key: number}))
        m.add("Mul", key)
    tensor = onnx.numpy_helper.from_array(f32([[1.5, 2.5]]))
    m.nodes.append(onnx.helper.make_node("Constant", [], ["t"], value=tensor))
    m.add("Add", "t")
    made = Evaluator(m.model(), np.float64).run(np.float32([[3, 5]]), [m.last])[m.last]
    tenth = np.float64(np.float32(0.1))
    assert np.array_equal(made, [[3 * tenth * 0.5 + 1.5, 5 * tenth * 0.25 + 2.5]])


@pytest.mark.parametrize("domain", [DOMAIN, "finn.custom_op.general", "onnx.brevitas"])
def test_the_domains_of_qonnx_are_one(domain):
    model = of_signs_of_pixels().model()
    for node in model.graph.node:
        node.domain = domain if node.domain else "ai.onnx"
    x = np.random.default_rng(2).random((2, 3, 8, 8)).astype(np.float32)
    name = model.graph.output[0].name
    expected = execute(of_signs_of_pixels().model(), x)
    assert np.array_equal(Evaluator(model, np.float32).run(x, [name])[name], expected)


@pytest.mark.parametrize(
    ("bits", "signed", "narrow", "rounding", "expected"),
    [
        (2, 1, 0, "ROUND", [-2, -2, -0.0, 0, 1, 1]),
        (2, 1, 1, "FLOOR", [-1, -1, -1, 0, 0, 1]),
        (2, 0, 0, "CEIL", [0, 0, 0, 1, 1, 3]),
        (2, 0, 1, "ROUND", [0, 0, 0, 0, 1, 2]),
        (1, 1, 0, "ROUND", [-1, -1, -1, 1, 1, 1]),
    ],
)
def test_quant(bits, signed, narrow, rounding, expected):
    m = Maker((1, 6)).add(
        "Quant", f32(0.5), f32(0), f32(bits), signed=signed, narrow=narrow, rounding_mode=rounding
    )
    x = f32([[-9, -1, -0.2, 0.2, 0.4, 9]])
    made = Evaluator(m.model(), np.float32).run(x, [m.last])[m.last]
    assert np.array_equal(made[0] / 0.5, expected)
