"""Networks with real-valued paths: the integers follow torch's float64 within the stated error."""

import numpy as np
import pytest
import torch
from torch import nn

from bitwright.data import load
from bitwright.errors import FrontendError
from bitwright.frontends.checkpoints.adabin import adabin_module, import_adabin
from bitwright.frontends.torch_lower import lower
from bitwright.ir import SumPool2d, reference
from bitwright.native import NativeProgram
from bitwright.nn import build
from bitwright.nn.layers import (
    AdaBinConv2d,
    BinaryConv2d,
    BinaryLinear,
    ChannelShortcut,
    LearnableBias,
    Maxout,
    Normalise,
    PixelLevels,
    RPReLU,
    Sign,
)

STD = (0.2, 0.3, 0.25)
MEAN = (0.5, 0.4, 0.45)


class Residual(nn.Module):
    """A block with a real-valued path around a binary convolution."""

    def __init__(self, conv, bend, shortcut=None):
        super().__init__()
        out = conv.out_channels
        self.shift = LearnableBias(conv.in_channels)
        self.sign = Sign()
        self.conv, self.bn, self.bend = conv, nn.BatchNorm2d(out), bend
        self.shortcut = shortcut or nn.Identity()

    def forward(self, x):
        if isinstance(self.conv, AdaBinConv2d):
            return self.bend(self.bn(self.conv(x)) + self.shortcut(x))
        return self.bend(self.bn(self.conv(self.sign(self.shift(x)))) + self.shortcut(x))


def stem():
    return [Normalise(MEAN, STD), nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.PReLU(6)]


def head(channels):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(channels), nn.Linear(channels, 5)]


def downsample(before, after):
    return nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(before, after, 1), nn.BatchNorm2d(after))


NETWORKS = {
    "bi-real": lambda: nn.Sequential(
        *stem(),
        Residual(BinaryConv2d(6, 6, 3, padding=1), RPReLU(6)),
        Residual(BinaryConv2d(6, 10, 3, 2, 1), nn.Hardtanh(), downsample(6, 10)),
        *head(10),
    ),
    "scaled": lambda: nn.Sequential(
        *stem(),
        Residual(
            BinaryConv2d(6, 6, 3, padding=1, scale="channel", scale_mode="analytic", centred=True),
            nn.ReLU(),
        ),
        Residual(
            BinaryConv2d(6, 10, 3, 2, 1, scale="tensor"), Maxout(10), ChannelShortcut(2, 2, 2)
        ),
        *head(10),
    ),
    "adabin": lambda: nn.Sequential(
        *stem(),
        Residual(AdaBinConv2d(6, 6, 3, padding=1), Maxout(6)),
        Residual(AdaBinConv2d(6, 10, 3, 2, 1), Maxout(10), ChannelShortcut(2, 2, 2)),
        *head(10),
    ),
    "binary first, real last": lambda: nn.Sequential(
        PixelLevels(), BinaryConv2d(3, 8, 3), nn.MaxPool2d(2), nn.BatchNorm2d(8), Sign(),
        nn.Flatten(), nn.Linear(8 * 9, 5),
    ),
    "real first, binary last": lambda: nn.Sequential(
        *stem(), nn.MaxPool2d(2), nn.BatchNorm2d(6), Sign(), nn.Flatten(), BinaryLinear(96, 5)
    ),
    "pooled after a fall": lambda: nn.Sequential(
        *stem(), nn.BatchNorm2d(6), nn.MaxPool2d(2), nn.BatchNorm2d(6), Sign(),
        BinaryConv2d(6, 6, 3, groups=2), nn.BatchNorm2d(6), *head(6),
    ),
    "averaged with padding": lambda: nn.Sequential(
        *stem(), Sign(), BinaryConv2d(6, 6, 2), nn.BatchNorm2d(6), nn.AvgPool2d((3, 2), 2, (1, 0)),
        nn.PReLU(6), nn.AvgPool2d(3, 2, padding=1), nn.Flatten(), nn.Linear(24, 5),
    ),
}  # fmt: skip


def randomise(module, seed):
    rng = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            n = layer.num_features
            layer.weight.data = torch.randn(n, generator=rng)
            layer.bias.data = torch.randn(n, generator=rng) * 0.3
            layer.running_mean = torch.randn(n, generator=rng)
            layer.running_var = torch.rand(n, generator=rng) * 4 + 0.5
        elif isinstance(layer, Maxout | RPReLU | LearnableBias | AdaBinConv2d):
            for parameter in layer.parameters():
                parameter.data += torch.randn(parameter.shape, generator=rng) * 0.1
    return module.eval()


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_logits_follow_float64(kind, seed):
    torch.manual_seed(seed)
    module = randomise(NETWORKS[kind](), seed)
    images = np.random.default_rng(seed).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    program = lower(module, (8, 8, 3))
    with torch.inference_mode():
        expected = module.double()(torch.from_numpy(images).permute(0, 3, 1, 2).double()).numpy()
    found = reference.run(program, images)
    assert np.array_equal(NativeProgram(program).run(images)[program.logits], found[program.logits])
    logits = found[program.logits].astype(np.float64)
    # The logits' scale is a power of two, or the whole numbers of a binary last layer.
    scale = np.linalg.lstsq(expected.reshape(-1, 1), logits.reshape(-1), rcond=None)[0][0]
    error = np.abs(logits / scale - expected).max(axis=1)
    # A bit that float64 and fixed point see on different sides of zero moves a logit by far more.
    assert (error < 1e-3 * (1 + np.abs(expected).max())).mean() >= 0.95
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.95
    if kind != "real first, binary last":
        assert "fraction bits" in program.metadata["fixed_point"]


def test_residual_networks_of_odd_maps_follow_float64():
    torch.manual_seed(1)
    module = randomise(build("resnet18", width=0.125, input_shape=(28, 28, 1)), 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several add up in another order: other statistics, other flips
    try:
        with torch.no_grad():  # statistics like those of training
            module.train()
            for seed in range(3):
                module(torch.from_numpy(noise(seed, 64, (28, 28, 1))).permute(0, 3, 1, 2).float())
    finally:
        torch.set_num_threads(threads)
    images = noise(9, 40, (28, 28, 1))
    program = lower(module, (28, 28, 1))
    pools = [op for op in program.ops if isinstance(op, SumPool2d)]
    assert [op.padding for op in pools] == [(0,) * 4, (0,) * 4, (1,) * 4, (0,) * 4]
    found = reference.run(program, images)[program.logits]
    assert np.array_equal(NativeProgram(program).run(images)[program.logits], found)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).double()
    with torch.inference_mode():
        expected = module.eval().double()(pixels).numpy()
    scale = np.linalg.lstsq(expected.reshape(-1, 1), found.reshape(-1), rcond=None)[0][0]
    error = np.abs(found / scale - expected).max(axis=1)
    assert (error < 1e-3 * (1 + np.abs(expected).max())).mean() >= 0.95
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.95


def noise(seed, count, shape):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


UNEVEN = [
    nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
    nn.AvgPool2d(2, ceil_mode=True),
    nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
    nn.AvgPool2d(2, divisor_override=3),
]


@pytest.mark.parametrize("pool", UNEVEN)
def test_windows_of_unequal_weight_are_refused(pool):
    module = nn.Sequential(*stem(), pool, *head(6)).eval()
    with pytest.raises(FrontendError, match="layer '4' uses ceil_mode") as caught:
        lower(module, (7, 7, 3))
    assert "AvgPool2d(3, 2, padding=1)" in caught.value.way_out


def test_fewer_fraction_bits_err_more():
    torch.manual_seed(0)
    module = randomise(NETWORKS["bi-real"](), 0)
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = module.double()(torch.from_numpy(images).permute(0, 3, 1, 2).double()).numpy()
    errors = []
    for bits in (4, 20):
        program = lower(module, (8, 8, 3), fraction_bits=bits)
        logits = reference.run(program, images)[program.logits].astype(np.float64)
        scale = np.linalg.lstsq(expected.reshape(-1, 1), logits.reshape(-1), rcond=None)[0][0]
        errors.append(np.median(np.abs(logits / scale - expected)))
    assert errors[1] < errors[0] / 100


def test_a_missing_sign_is_refused():
    module = nn.Sequential(*stem(), BinaryConv2d(6, 6, 3), *head(6)).eval()
    with pytest.raises(FrontendError, match="'4' takes real numbers where bits are expected"):
        lower(module, (8, 8, 3))


@pytest.fixture
def checkpoint(shared):
    return shared / "models" / "adabin" / "model.th"


def test_adabin_agrees_with_float64(checkpoint, shared):
    data = load("cifar10", data_dir=shared / "datasets", limit=200)
    program = import_adabin(checkpoint)
    module = adabin_module(checkpoint).double()
    with torch.inference_mode():
        pixels = torch.from_numpy(data.images).permute(0, 3, 1, 2).double()
        expected = module(pixels).argmax(dim=1).numpy()
    decided = NativeProgram(program).run(data.images)[program.decision]
    assert (decided == expected).mean() >= 0.99
    assert program.classes[0] == "airplane"


@pytest.mark.slow
def test_adabin_on_2000_images(checkpoint, shared):
    data = load("cifar10", data_dir=shared / "datasets", limit=2000)
    program = import_adabin(checkpoint)
    decided = NativeProgram(program).run(data.images)[program.decision]
    # 88.35 % in float32 on these images; 87.98 % against 87.99 % on all 10,000.
    assert abs((decided == data.labels).mean() - 0.8835) < 0.0015


def test_other_checkpoints_are_refused(tmp_path, checkpoint):
    module = adabin_module(checkpoint)
    state = module.state_dict()
    cases = {
        "lacks": {k: v for k, v in state.items() if k != "bn1.bias"},
        "too": state | {"extra.weight": torch.zeros(1)},
        "shape": state | {"conv1.weight": torch.zeros(16, 3, 5, 5)},
        "no tensor": state | {"note": "text"},
        "lacks 'linear": {"a": torch.zeros(1)},
    }
    for reason, broken in cases.items():
        torch.save({"state_dict": broken}, tmp_path / "broken.th")
        with pytest.raises(FrontendError, match=reason):
            import_adabin(tmp_path / "broken.th")


class Trap:
    """A pickle that would leave a trace if anything executed it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_in_disguise_is_not_executed(tmp_path):
    torch.save({"state_dict": {"linear.weight": Trap(tmp_path / "trace")}}, tmp_path / "evil.th")
    with pytest.raises(FrontendError, match="nothing of it was executed"):
        import_adabin(tmp_path / "evil.th")
    assert not (tmp_path / "trace").exists()
    (tmp_path / "text.th").write_text("no checkpoint")
    with pytest.raises(FrontendError, match=r"checkpoint|tensors"):
        import_adabin(tmp_path / "text.th")
    with pytest.raises(FrontendError, match="cannot read"):
        import_adabin(tmp_path / "nowhere.th")
