"""IR-Net's and ReCU's state dicts, built here with their real names and shapes, as programs.

The oracle computes each convolution as the repositories define it, from their own tensors.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from typer.testing import CliRunner

from bitwright.cli.main import app
from bitwright.errors import FrontendError
from bitwright.frontends.checkpoints.irnet import import_irnet
from bitwright.frontends.checkpoints.recu import import_recu
from bitwright.native import NativeProgram

MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(1, 3, 1, 1)


def norm(state, name, width, rng):
    state[f"{name}.weight"] = torch.randn(width, generator=rng)
    state[f"{name}.bias"] = torch.randn(width, generator=rng) * 0.3
    state[f"{name}.running_mean"] = torch.randn(width, generator=rng) * 3
    state[f"{name}.running_var"] = torch.rand(width, generator=rng) * 40 + 10
    state[f"{name}.num_batches_tracked"] = torch.tensor(7)


def conv(state, name, before, after, rng, kind):
    state[f"{name}.weight"] = torch.randn(after, before, 3, 3, generator=rng) * 0.1 + 0.01
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
    w = w - w.mean((1, 2, 3), keepdim=True)
    if kind == "irnet":
        scaled = w / w.flatten(1).std(1).view(-1, 1, 1, 1)
        factor = 2.0 ** torch.log2(scaled.abs().mean((1, 2, 3))).round()
    else:
        factor = state[f"{name}.alpha"].double().reshape(-1)
    return F.conv2d(sign(x), sign(w), None, stride, 1) * factor.view(1, -1, 1, 1)


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


def run_vgg(state, images, kind):
    x = (torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255 - MEAN) / STD
    x = F.hardtanh(bn(state, "bn0", F.conv2d(x, state["conv0.weight"].double(), padding=1)))
    for i in range(1, 6):
        x = binary(state, f"conv{i}", x, kind)
        x = F.max_pool2d(x, 2) if i % 2 else x
        x = F.hardtanh(bn(state, f"bn{i}", x))
    return F.linear(x.flatten(1), state["fc.weight"].double(), state["fc.bias"].double())


NETWORKS = {"resnet20": (resnet20, run_resnet20), "vgg_small": (vgg_small, run_vgg)}
IMPORTERS = {"irnet": import_irnet, "recu": import_recu}


@pytest.mark.parametrize("kind", IMPORTERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_programs_follow_the_repository_s_own_arithmetic(tmp_path, kind, network):
    make, run = NETWORKS[network]
    state = make(kind)
    path = tmp_path / "checkpoint.th"
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
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


@pytest.mark.parametrize("kind", IMPORTERS)
def test_other_networks_are_refused(tmp_path, kind):
    state = resnet20(kind)
    del state["layer2.1.bn1.bias"]
    torch.save(state, tmp_path / "broken.th")
    with pytest.raises(FrontendError, match=r"lacks 'layer2\.1\.bn1\.bias'"):
        IMPORTERS[kind](tmp_path / "broken.th")
    torch.save({"a.weight": torch.zeros(2)}, tmp_path / "other.th")
    with pytest.raises(FrontendError, match="neither a ResNet-20 nor a VGG-Small"):
        IMPORTERS[kind](tmp_path / "other.th")


@pytest.mark.parametrize("kind", IMPORTERS)
def test_the_command_writes_a_program(tmp_path, kind):
    torch.save(resnet20(kind), tmp_path / "c.th")
    arguments = ["import", kind, str(tmp_path / "c.th"), "-o", str(tmp_path / "n.safetensors")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "n.safetensors").stat().st_size < 1_000_000
