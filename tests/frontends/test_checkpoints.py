"""IR-Net's and ReCU's state dicts, built here with their real names and shapes, as programs.

The oracle computes each convolution as the repositories define it, from their own tensors.
"""

import io
from contextlib import suppress

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.networks import labelled
from typer.testing import CliRunner

from bitwright.certify import certify
from bitwright.cli.main import app
from bitwright.errors import FrontendError
from bitwright.frontends.checkpoints.irnet import import_irnet
from bitwright.frontends.checkpoints.recu import import_recu
from bitwright.frontends.checkpoints.state_dict import read_state_dict
from bitwright.frontends.sources import open_source
from bitwright.ir import Conv2d, Threshold
from bitwright.native import NativeProgram

MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(1, 3, 1, 1)


def norm(state, name, width, rng):
    state[f"{name}.weight"] = torch.randn(width, generator=rng)
    state[f"{name}.bias"] = torch.randn(width, generator=rng) * 0.3
    state[f"{name}.running_mean"] = torch.randn(width, generator=rng) * 3
    state[f"{name}.running_var"] = torch.rand(width, generator=rng) * 40 + 10
    state[f"{name}.num_batches_tracked"] = torch.tensor(7)


def conv(state, name, before, after, rng, kind, size=3):
    state[f"{name}.weight"] = torch.randn(after, before, size, size, generator=rng) * 0.1 + 0.01
    if kind == "recu":
        state[f"{name}.alpha"] = torch.rand(after, 1, 1, generator=rng)
        state[f"{name}.tau"] = torch.tensor(0.9)


def resnet20(kind, seed=0):
    rng, state = torch.Generator().manual_seed(seed), {}
    state["conv1.weight"] = torch.randn(16, 3, 3, 3, generator=rng) * 0.2
    norm(state, "bn1", 16, rng)
    width = 16
    for stage, after in enumerate((16, 32, 64), start=1):
        for block in range(3):
            name = f"layer{stage}.{block}"
            conv(state, f"{name}.conv1", width, after, rng, kind)
            norm(state, f"{name}.bn1", after, rng)
            conv(state, f"{name}.conv2", after, after, rng, kind)
            norm(state, f"{name}.bn2", after, rng)
            width = after
    norm(state, "bn2", 64, rng)
    state["linear.weight"] = torch.randn(10, 64, generator=rng)
    state["linear.bias"] = torch.randn(10, generator=rng)
    return state


def resnet18(kind, seed=0, widths=(64, 128, 256, 512), projected=True):
    """IR-Net's shortcuts are real convolutions; ReCU's, of its two versions, binary or none."""
    rng, state = torch.Generator().manual_seed(seed), {}
    state["conv1.weight"] = torch.randn(widths[0], 3, 3, 3, generator=rng) * 0.2
    norm(state, "bn1", widths[0], rng)
    width = widths[0]
    for stage, after in enumerate(widths, start=1):
        for block in range(2):
            name = f"layer{stage}.{block}"
            conv(state, f"{name}.conv1", width, after, rng, kind)
            norm(state, f"{name}.bn1", after, rng)
            conv(state, f"{name}.conv2", after, after, rng, kind)
            norm(state, f"{name}.bn2", after, rng)
            if projected and stage > 1 and block == 0:
                conv(state, f"{name}.shortcut.0", width, after, rng, kind, 1)
                norm(state, f"{name}.shortcut.1", after, rng)
            width = after
    state["linear.weight"] = torch.randn(10, width, generator=rng)
    state["linear.bias"] = torch.randn(10, generator=rng)
    norm(state, "bn2", width, rng)
    return state


def narrow18(kind):
    """ReCU's resnet18A_1w1a; IR-Net's ResNet18 at the same widths."""
    return resnet18(kind, 1, (32, 32, 64, 128))


def plain18(kind):
    return resnet18(kind, 2, (64, 64, 128, 256), projected=False)


def vgg_small(kind, seed=0):
    rng, state = torch.Generator().manual_seed(seed), {}
    state["conv0.weight"] = torch.randn(128, 3, 3, 3, generator=rng) * 0.2
    norm(state, "bn0", 128, rng)
    widths = (128, 128, 256, 256, 512, 512)
    for i in range(1, 6):
        conv(state, f"conv{i}", widths[i - 1], widths[i], rng, kind)
        norm(state, f"bn{i}", widths[i], rng)
    state["fc.weight"] = torch.randn(10, 512 * 16, generator=rng) * 0.05
    state["fc.bias"] = torch.randn(10, generator=rng)
    return state


def sign(x):
    return torch.where(x >= 0, 1.0, -1.0).double()


def binary(state, name, x, kind, stride=1):
    w = state[f"{name}.weight"].double()
    padding = w.shape[2] // 2
    w = w - w.mean((1, 2, 3), keepdim=True)
    if kind == "irnet":
        scaled = w / w.flatten(1).std(1).view(-1, 1, 1, 1)
        factor = 2.0 ** torch.log2(scaled.abs().mean((1, 2, 3))).round()
    else:
        factor = state[f"{name}.alpha"].double().reshape(-1)
    return F.conv2d(sign(x), sign(w), None, stride, padding) * factor.view(1, -1, 1, 1)


def bn(state, name, x):
    s = {key: state[f"{name}.{key}"].double() for key in ("running_mean", "running_var", "weight")}
    return F.batch_norm(
        x, s["running_mean"], s["running_var"], s["weight"], state[f"{name}.bias"].double()
    )


def run_resnet20(state, images, kind):
    x = (torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255 - MEAN) / STD
    x = F.hardtanh(bn(state, "bn1", F.conv2d(x, state["conv1.weight"].double(), padding=1)))
    for stage in (1, 2, 3):
        for block in range(3):
            name, half = f"layer{stage}.{block}", stage > 1 and block == 0
            y = bn(state, f"{name}.bn1", binary(state, f"{name}.conv1", x, kind, 1 + half))
            if half:
                x = x[:, :, ::2, ::2] if kind == "irnet" else F.avg_pool2d(x, 2)
                x = F.pad(x, (0, 0, 0, 0, x.shape[1] // 2, x.shape[1] // 2))
            x = F.hardtanh(y + x)
            y = bn(state, f"{name}.bn2", binary(state, f"{name}.conv2", x, kind))
            x = F.hardtanh(y + x)
    x = bn(state, "bn2", x.mean((2, 3)))
    return F.linear(x, state["linear.weight"].double(), state["linear.bias"].double())


def run_resnet18(state, images, kind):
    x = (torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255 - MEAN) / STD
    x = bn(state, "bn1", F.conv2d(x, state["conv1.weight"].double(), padding=1))
    for stage in (1, 2, 3, 4):
        for block in range(2):
            name, half = f"layer{stage}.{block}", stage > 1 and block == 0
            y = bn(state, f"{name}.bn1", binary(state, f"{name}.conv1", x, kind, 1 + half))
            y = bn(state, f"{name}.bn2", binary(state, f"{name}.conv2", F.hardtanh(y), kind))
            if half and f"{name}.shortcut.0.weight" not in state:
                pad = (y.shape[1] - x.shape[1]) // 2
                x = F.pad(F.avg_pool2d(x, 2), (0, 0, 0, 0, pad, pad))
            elif half and kind == "recu":
                x = bn(state, f"{name}.shortcut.1", binary(state, f"{name}.shortcut.0", x, kind, 2))
            elif half:
                x = F.conv2d(x, state[f"{name}.shortcut.0.weight"].double(), None, 2)
                x = bn(state, f"{name}.shortcut.1", x)
            x = F.hardtanh(y + x)
    x = bn(state, "bn2", F.avg_pool2d(x, 4).flatten(1))
    return F.linear(x, state["linear.weight"].double(), state["linear.bias"].double())


def run_vgg(state, images, kind):
    x = (torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255 - MEAN) / STD
    x = F.hardtanh(bn(state, "bn0", F.conv2d(x, state["conv0.weight"].double(), padding=1)))
    for i in range(1, 6):
        x = binary(state, f"conv{i}", x, kind)
        x = F.max_pool2d(x, 2) if i % 2 else x
        x = F.hardtanh(bn(state, f"bn{i}", x))
    return F.linear(x.flatten(1), state["fc.weight"].double(), state["fc.bias"].double())


NETWORKS = {
    "resnet20": (resnet20, run_resnet20),
    "resnet18": (resnet18, run_resnet18),
    "resnet18 narrow": (narrow18, run_resnet18),
    "resnet18 without projections": (plain18, run_resnet18),
    "vgg_small": (vgg_small, run_vgg),
}
IMPORTERS = {"irnet": import_irnet, "recu": import_recu}
CASES = [
    (kind, network)
    for kind in IMPORTERS
    for network in NETWORKS
    if (kind, network) != ("irnet", "resnet18 without projections")
]


def saved(folder, state):
    path = folder / "checkpoint.th"
    torch.save(state, path)
    return path


@pytest.mark.parametrize(("kind", "network"), CASES)
def test_programs_follow_the_repository_s_own_arithmetic(tmp_path, kind, network):
    make, run = NETWORKS[network]
    state = make(kind)
    path = saved(tmp_path, {"state_dict": {f"module.{k}": v for k, v in state.items()}})
    program = IMPORTERS[kind](path)
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    expected = run(state, images, kind).numpy()
    logits = NativeProgram(program).run(images)[program.logits].astype(np.float64)
    scale = np.linalg.lstsq(expected.reshape(-1, 1), logits.reshape(-1), rcond=None)[0][0]
    error = np.abs(logits / scale - expected).max(axis=1)
    # One flipped bit near zero moves an image's logits by much more; most images have none.
    assert np.median(error) < 1e-2
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 10 / 12
    assert program.classes[3] == "cat"


def test_a_binary_shortcut_takes_the_bits_of_the_convolution_beside_it(tmp_path):
    program = import_recu(saved(tmp_path, narrow18("recu")))
    convs = [op for op in program.ops if isinstance(op, Conv2d)]
    inputs = {op.output: op.input for op in convs}
    for stage in (2, 3, 4):
        block = f"layer{stage}.0"
        assert inputs[f"{block}.shortcut.0"] == inputs[f"{block}.conv1"] == f"{block}.sign1"
    assert sum(isinstance(op, Threshold) for op in program.ops) == 16


@pytest.mark.parametrize("kind", IMPORTERS)
def test_other_networks_are_refused(tmp_path, kind):
    state = resnet20(kind)
    del state["layer2.1.bn1.bias"]
    with pytest.raises(FrontendError, match=r"lacks 'layer2\.1\.bn1\.bias'"):
        IMPORTERS[kind](saved(tmp_path, state))
    with pytest.raises(FrontendError, match="neither a ResNet-20, a ResNet-18 nor a VGG-Small"):
        IMPORTERS[kind](saved(tmp_path, {"a.weight": torch.zeros(2)}))
    deep = resnet18(kind, widths=(8, 8, 8, 8, 8))
    with pytest.raises(FrontendError, match="neither a ResNet-20, a ResNet-18"):
        IMPORTERS[kind](saved(tmp_path, deep))


def changed(kind, **tensors):
    return resnet18(kind, widths=(8, 8, 8, 8)) | {
        name.replace("__", "."): tensor for name, tensor in tensors.items()
    }


def without(state, ending):
    return {name: tensor for name, tensor in state.items() if not name.endswith(ending)}


SAME = torch.full((8, 8, 3, 3), 0.5)
REFUSED = {
    "the other's convolutions": ("irnet", changed("recu"), r"holds 'layer1\.0\.conv1\.alpha' too"),
    "no factors": ("recu", without(changed("recu"), "alpha"), r"lacks 'layer1\.0\.conv1\.alpha'"),
    "a shortcut's factor": (
        "recu",
        without(changed("recu"), "shortcut.0.alpha"),
        r"lacks 'layer2\.0\.shortcut\.0\.alpha'",
    ),
    "no projection": (
        "irnet", without(changed("irnet"), "shortcut.0.weight"),
        r"holds 'layer2\.0\.shortcut\.1\.bias' too",
    ),
    "clamped away": (
        "recu", changed("recu", layer1__0__conv2__tau=torch.tensor(0.4)),
        r"'layer1\.0\.conv2\.tau' that is not above 0\.5",
    ),
    "tau is NaN": (
        "recu", changed("recu", layer1__0__conv2__tau=torch.tensor([float("nan")])),
        r"'layer1\.0\.conv2\.tau' that is not",
    ),
    "alpha of another size": (
        "recu", changed("recu", layer1__0__conv2__alpha=torch.ones(3, 1, 1)),
        r"'layer1\.0\.conv2\.factor' of shape \(3,\), not \(8,\)",
    ),
    "equal weights": (
        "irnet", changed("irnet", layer3__1__conv1__weight=SAME),
        r"layer 'layer3\.1\.conv1' has a factor that is NaN",
    ),
    "NaN": (
        "recu", changed("recu", layer3__1__conv1__weight=SAME * float("nan")),
        r"layer 'layer3\.1\.conv1' has a weight that is NaN",
    ),
    "no classes": ("irnet", changed("irnet", linear__weight=torch.zeros(())), "empty 'linear"),
    "another shape": (
        "recu", changed("recu", layer2__0__conv1__weight=torch.zeros(8, 8, 5, 5)),
        r"'layer2\.0\.conv1\.weight' of shape \(8, 8, 5, 5\), not \(8, 8, 3, 3\)",
    ),
    "of any size": (
        "irnet", changed("irnet", linear__weight=torch.zeros(1).expand(2**40)), "no plain tensor",
    ),
    "sparse": (
        "irnet", changed("irnet", linear__weight=torch.eye(8).to_sparse()), "no plain tensor",
    ),
    "huge": (
        "recu", changed("recu", layer1__0__conv1__weight=torch.zeros(10**6, 1)),
        r"has 'bn1\.bias'|of shape",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_named(tmp_path, case):
    kind, state, match = REFUSED[case]
    with pytest.raises(FrontendError, match=match) as caught:
        IMPORTERS[kind](saved(tmp_path, state))
    assert caught.value.way_out


@pytest.mark.parametrize("kind", IMPORTERS)
def test_a_pickle_in_disguise_is_not_executed(tmp_path, kind):
    state = changed(kind) | {"linear.weight": Trap(tmp_path / "trace")}
    with pytest.raises(FrontendError, match="nothing of it was executed"):
        IMPORTERS[kind](saved(tmp_path, {"state_dict": state}))
    assert not (tmp_path / "trace").exists()


def written(zipped):
    stream = io.BytesIO()
    state = {"state_dict": {"a.weight": torch.ones(3, 4), "b": torch.arange(5)}, "epoch": 3}
    torch.save(state, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


@pytest.mark.parametrize("zipped", [True, False])
@settings(deadline=None, max_examples=60)
@given(
    changes=st.dictionaries(st.integers(0, 1500), st.integers(0, 255), max_size=6),
    cut=st.none() | st.integers(0, 1500),
)
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, zipped, changes, cut):
    content = bytearray(written(zipped))
    for place, byte in changes.items():
        content[place % len(content)] = byte
    path = tmp_path_factory.mktemp("damaged") / "c.th"
    path.write_bytes(content[:cut])
    with suppress(FrontendError):
        state = read_state_dict(path)
        assert all(isinstance(tensor, torch.Tensor) for tensor in state.values())


@pytest.mark.parametrize("kind", IMPORTERS)
@pytest.mark.parametrize("network", ["resnet20", "resnet18 narrow", "vgg_small"])
def test_programs_are_certified_against_the_checkpoint(tmp_path, kind, network):
    state = NETWORKS[network][0](kind)
    path = saved(tmp_path, {"state_dict": {f"module.{k}": v for k, v in state.items()}})
    source = open_source(path)
    program = IMPORTERS[kind](path)
    found = certify(source, program, labelled(shape=(32, 32, 3), count=20, classes=10))
    assert found.holds, found.objections
    assert found.reference == "float64"
    assert found.not_compared == ()
    signs = {op.output.removesuffix(".unpooled") for op in program.ops if op.kind == "Threshold"}
    assert {layer.name for layer in found.layers if layer.kind == "bits"} >= signs
    other = IMPORTERS[kind](saved(tmp_path, NETWORKS[network][0](kind) | changed_head(network)))
    wrong = certify(source, other, labelled(shape=(32, 32, 3), count=20, classes=10))
    assert not wrong.holds


def changed_head(network):
    """The bias of a BatchNorm in the middle, which moves many thresholds."""
    name, width = ("bn3", 256) if network == "vgg_small" else ("layer2.1.bn1", 32)
    return {f"{name}.bias": torch.full((width,), 2.0)}


class Trap:
    """A pickle that would leave a trace if anything executed it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("kind", IMPORTERS)
def test_the_command_writes_a_program(tmp_path, kind):
    torch.save(resnet20(kind), tmp_path / "c.th")
    arguments = ["import", kind, str(tmp_path / "c.th"), "-o", str(tmp_path / "n.safetensors")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "n.safetensors").stat().st_size < 1_000_000
