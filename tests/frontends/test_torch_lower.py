"""Lowered torch modules give the very integers and bits that torch gives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bitwright.errors import FrontendError
from bitwright.frontends.torch_lower import lower
from bitwright.frontends.torch_ties import count_ties
from bitwright.ir import Conv2d, MaxPool2d, Threshold, reference
from bitwright.native import NativeProgram
from bitwright.nn import BinaryConv2d, BinaryLinear, LogitScale, PixelLevels, Sign, build


def randomise(module, seed):
    """Give every BatchNorm statistics of all kinds: gamma of both signs and zero, exact ties."""
    rng = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            n = layer.num_features
            gamma = torch.randn(n, generator=rng)
            gamma[torch.rand(n, generator=rng) < 0.15] = 0.0
            beta = torch.randn(n, generator=rng)
            beta[torch.rand(n, generator=rng) < 0.3] = 0.0
            layer.weight.data, layer.bias.data = gamma, beta
            # Whole means with beta = 0 put exact zeros before the sign.
            layer.running_mean = torch.randint(-20, 21, (n,), generator=rng).float()
            layer.running_var = torch.rand(n, generator=rng) * 200 + 0.01
    return module.eval()


def logits(module, images):
    with torch.inference_mode():
        out = module(torch.from_numpy(images).permute(0, 3, 1, 2).float())
    scale = next((m.scale for m in module.modules() if isinstance(m, LogitScale)), 1.0)
    return np.rint(out.numpy() / scale).astype(np.int64)


def check(module, shape, seed=0, count=12):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    program = lower(module, shape)
    expected = logits(module, images)
    assert np.array_equal(reference.run(program, images)[program.logits], expected)
    assert np.array_equal(NativeProgram(program).run(images)[program.logits], expected)
    return program


@pytest.mark.parametrize("model", ["mlp", "cnn", "cnv"])
def test_models(model):
    shape = (32, 32, 3) if model == "cnv" else (28, 28, 1)
    torch.manual_seed(3)
    check(randomise(build(model, input_shape=shape), 3), shape, count=4)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_random_networks(data):
    draw = data.draw
    side, channels = draw(st.integers(5, 9)), draw(st.sampled_from([1, 3]))
    torch.manual_seed(draw(st.integers(0, 2**16)))
    layers, size, width = [PixelLevels()], side, channels
    for index in range(draw(st.integers(1, 3))):
        out = draw(st.sampled_from([4, 10, 33]))
        groups = draw(st.sampled_from([1, 2])) if index and width % 2 == 0 and out % 2 == 0 else 1
        kernel = draw(st.sampled_from([1, 2, 3]))
        padding = draw(st.integers(0, kernel - 1))
        stride = draw(st.sampled_from([1, 2]))
        after = (size + 2 * padding - kernel) // stride + 1
        if after < 1:
            break
        pad = draw(st.sampled_from([-1, 0, 1])) if index else 0
        layers.append(BinaryConv2d(width, out, kernel, stride, padding, pad, groups))
        size, width = after, out
        pool = size >= 2 and draw(st.booleans())
        place = draw(st.sampled_from(["before", "between", "after"])) if pool else None
        size = size // 2 if pool else size
        layers += [nn.MaxPool2d(2)] if place == "before" else []
        layers += [nn.BatchNorm2d(width)] if draw(st.booleans()) else []
        layers += [nn.MaxPool2d(2)] if place == "between" else []
        layers += [nn.Hardtanh()] if place != "between" and draw(st.booleans()) else []
        layers += [Sign()]
        layers += [nn.MaxPool2d(2)] if place == "after" else []
    if not isinstance(layers[-1], Sign | nn.MaxPool2d):
        layers.append(Sign())
    layers += [nn.Flatten(), BinaryLinear(size * size * width, 7), nn.BatchNorm1d(7), Sign()]
    layers += [BinaryLinear(7, 3), LogitScale(7)]
    module = randomise(nn.Sequential(*layers), draw(st.integers(0, 2**16)))
    check(module, (side, side, channels), draw(st.integers(0, 2**16)))


def small(*middle, end=None):
    end = (nn.Flatten(), BinaryLinear(4 * 36, 3)) if end is None else end
    return nn.Sequential(PixelLevels(), BinaryConv2d(1, 4, 3), *middle, *end).eval()


def test_dead_channels_become_constant_bits():
    bn = nn.BatchNorm2d(4)
    bn.weight.data = torch.zeros(4)
    bn.bias.data = torch.tensor([-1.0, 0.0, 1.0, -0.0])
    program = check(small(bn, Sign()), (8, 8, 1))
    bits = next(op.output for op in program.ops if isinstance(op, Threshold))
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)
    values = reference.run(program, images, [bits])[bits]
    assert not values[..., 0].any()
    assert values[..., 1:].all()


def test_zero_padding_stays_zero_padding():
    module = nn.Sequential(
        PixelLevels(), Sign(), BinaryConv2d(1, 4, 3, padding=1, pad_value=0), Sign(),
        nn.Flatten(), BinaryLinear(4 * 36, 3),
    ).eval()  # fmt: skip
    program = check(module, (6, 6, 1))
    assert [op.pad_value for op in program.ops if isinstance(op, Conv2d)] == [0]


def test_a_pool_behind_a_falling_batch_norm_is_done_on_bits():
    bn = nn.BatchNorm2d(4)
    bn.weight.data = torch.tensor([1.0, -1.0, 2.0, -2.0])
    module = small(bn, nn.MaxPool2d(2), Sign(), end=(nn.Flatten(), BinaryLinear(36, 3)))
    program = check(module, (8, 8, 1))
    kinds = [op.kind for op in program.ops]
    assert kinds.index("Threshold") < kinds.index("MaxPool2d")
    assert any(isinstance(op, MaxPool2d) for op in program.ops)


def test_ties_are_counted():
    module = small(Sign())
    module[1].weight.data.fill_(1.0)
    images = np.full((2, 8, 8, 1), 0, np.uint8)
    assert count_ties(module, images) == {"2": 0}
    images[:, ::2], images[:, 1::2] = 0, 255
    module[1].weight.data[:, :, 0] = -1.0
    module[1].weight.data[:, :, 1] = 1.0
    module = nn.Sequential(PixelLevels(), BinaryConv2d(1, 1, 2), Sign()).eval()
    module[1].weight.data.fill_(1.0)
    assert count_ties(module, images) == {"2": 2 * 7 * 7}


def test_the_module_is_left_as_it_is():
    module = randomise(build("cnn"), 1).train()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    lower(module, (28, 28, 1))
    assert module.training
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


def bad_norm(**values):
    bn = nn.BatchNorm2d(4)
    for name, value in values.items():
        getattr(bn, name).data.fill_(value)
    return bn


class Branches(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


REFUSED = [
    (small(bad_norm(weight=float("nan")), Sign()), "'2' has a gamma that is NaN"),
    (small(bad_norm(running_mean=float("inf")), Sign()), "'2' has a mean that is NaN or infinite"),
    (small(bad_norm(running_var=-1.0), Sign()), "'2' has a variance below zero"),
    (small(nn.BatchNorm2d(5), Sign()), "takes 5 channels and gets 4"),
    (small(nn.BatchNorm2d(4)), "takes real numbers"),
    (small(nn.GELU(), Sign()), "'2' \\(GELU\\) has no exact integer form"),
    (small(nn.BatchNorm2d(4, track_running_stats=False), Sign()), "no running statistics"),
    (small(nn.MaxPool2d(2, ceil_mode=True), Sign()), "ceil_mode"),
    (small(Sign(), end=()), "no|integers"),
    (nn.Sequential(BinaryConv2d(1, 4, 3)), "takes real numbers"),
    (nn.Sequential(nn.Conv2d(1, 4, 3)), "takes real numbers: the pixels as they are"),
    (Branches(), "cannot be traced"),
    (small(Sign(), end=(nn.Flatten(), BinaryLinear(99, 3))), "takes 99 channels and gets 144"),
    (small(Sign(), nn.BatchNorm2d(4), Sign()), "acts on bits"),
]


@pytest.mark.parametrize(("module", "reason"), REFUSED)
def test_what_is_not_exact_is_refused_by_name(module, reason):
    with pytest.raises(FrontendError, match=reason):
        lower(module, (8, 8, 1))
