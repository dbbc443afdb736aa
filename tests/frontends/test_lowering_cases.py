"""Every case that a lowering can get wrong, one by one, on networks drawn at random.

Each network ends in binary layers, so a bit that is wrong anywhere is a wrong integer at the end.
All its bits are compared with torch's: those of float32 must be the program's; those of float64
may differ where float64's own input of the sign is as good as 0.
"""

from collections import OrderedDict

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
from bitwright.nn import BinaryConv2d, BinaryLinear, Maxout, PixelLevels, Sign

IMAGES = 6
SIDE = 7
NEAR = 1e-3
"""Inputs of a sign up to this count as 0 for float64: sums and scales here are below 1000."""

seeds = st.integers(0, 2**16)
gammas = st.one_of(st.sampled_from([0.0, -0.0, 1.0, -1.0]), st.floats(-3, 3, width=32))
each = settings(deadline=None, max_examples=15)


def network(layers, classes=3, side=SIDE, channels=1):
    """Put two binary layers behind the layers, which take bits (channels, side, side)."""
    named = OrderedDict(input=PixelLevels(), first=Sign(), **layers)
    with torch.no_grad():
        size = nn.Sequential(named).eval()(torch.zeros(1, channels, side, side)).numel()
    named |= OrderedDict(flatten=nn.Flatten(), dense=BinaryLinear(size, 5), last=Sign())
    named |= OrderedDict(head=BinaryLinear(5, classes))
    return nn.Sequential(named).eval()


def images_for(seed, side=SIDE, channels=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (IMAGES, side, side, channels), dtype=np.uint8)


def signs_of(module, images, dtype):
    """Return what goes into each sign and what comes out, channels last, and the logits."""
    seen, handles = {}, []
    for name, layer in module.named_modules():
        if isinstance(layer, Sign):

            def keep(layer, given, made, name=name):
                seen[name] = (channels_last(given[0]), channels_last(made) > 0)

            handles.append(layer.register_forward_hook(keep))
    with torch.inference_mode():
        logits = module.to(dtype)(torch.from_numpy(images).permute(0, 3, 1, 2).to(dtype))
    module.float()
    for handle in handles:
        handle.remove()
    return seen, logits.numpy()


def channels_last(tensor):
    return (tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor).numpy()


def check(module, seed, side=SIDE, channels=1):
    """Compare bits and logits with torch's; return the program and its values."""
    images = images_for(seed, side, channels)
    program = lower(module, (side, side, channels))
    values = reference.run(program, images, keep=tuple(program.types))
    native = NativeProgram(program).run(images)
    assert np.array_equal(native[program.logits], values[program.logits])
    single, logits = signs_of(module, images, torch.float32)
    double, _ = signs_of(module, images, torch.float64)
    assert np.array_equal(values[program.logits], np.rint(logits))
    assert {"first", "last"} <= single.keys() <= program.types.keys()
    clean = np.ones(len(images), np.bool_)
    for name, (_, bits) in single.items():
        assert np.array_equal(values[name], bits), name
        real, exact = double[name]
        differs = values[name] != exact
        assert not (differs[clean] & (np.abs(real[clean]) > NEAR)).any(), name
        clean &= ~differs.reshape(len(images), -1).any(axis=1)  # what follows from it
    return program, values


def conv(draw, before=1, **options):
    torch.manual_seed(draw(seeds))
    return BinaryConv2d(before, draw(st.integers(1, 6)), draw(st.integers(1, 3)), **options)


def norm(draw, channels, gamma=gammas):
    """A BatchNorm with whole means, and betas of 0 among others: sums fall on its zero."""
    layer = nn.BatchNorm2d(channels)

    def numbers(of):
        return torch.tensor(draw(st.lists(of, min_size=channels, max_size=channels)))

    layer.weight.data = numbers(gamma)
    layer.bias.data = numbers(st.one_of(st.just(0.0), st.floats(-2, 2, width=32)))
    layer.running_mean = numbers(st.integers(-9, 9)).float()
    layer.running_var = numbers(st.floats(0.0, 99, width=32))
    return layer


@each
@given(st.data())
def test_gamma_of_both_signs_and_zero(data):
    layer = conv(data.draw)
    bn = norm(data.draw, layer.out_channels)
    module = network({"conv": layer, "bn": bn, "sign": Sign()})
    program, values = check(module, data.draw(seeds))
    rising = program.tensors[program.definitions["sign"].rising]
    for channel, (gamma, beta) in enumerate(zip(bn.weight.tolist(), bn.bias.tolist(), strict=True)):
        bits = values["sign"][..., channel]
        if gamma == 0:
            assert (bits == (beta >= 0)).all()
        elif bits.any() and not bits.all():
            assert rising[channel] == (gamma > 0)


@each
@given(st.data())
def test_ties(data):
    layer = BinaryConv2d(1, data.draw(st.integers(1, 6)), 2, stride=data.draw(st.integers(1, 2)))
    bn = norm(data.draw, layer.out_channels, st.sampled_from([-1.0, 1.0, 2.5]))
    bn.bias.data.zero_()
    bn.running_mean = 2.0 * torch.randint(-1, 2, (layer.out_channels,))
    module = network({"conv": layer, "bn": bn, "sign": Sign()})
    seed = data.draw(seeds)
    _, values = check(module, seed)
    tied = values["conv"] == bn.running_mean.numpy()
    assert values["sign"][tied].all()
    assert count_ties(module, images_for(seed))["sign"] == tied.sum() > 0


@pytest.mark.parametrize("parity", ["odd", "even"])
@each
@given(st.data())
def test_fan_in(parity, data):
    kernels = [1, 3] if parity == "odd" else [1, 2, 3]
    kernel = data.draw(st.sampled_from(kernels))
    channels = 2 * data.draw(st.integers(1, 3)) - (parity == "odd" or kernel == 2)
    torch.manual_seed(data.draw(seeds))
    module = network({"conv": BinaryConv2d(channels, 4, kernel), "sign": Sign()}, channels=channels)
    _, values = check(module, data.draw(seeds), channels=channels)
    assert (values["conv"] % 2 == (parity == "odd")).all()
    assert (values["sign"] == (values["conv"] >= 0)).all()


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("pad_value", [-1, 0, 1])
@settings(deadline=None, max_examples=8)
@given(st.data())
def test_paddings_and_strides(pad_value, stride, data):
    torch.manual_seed(data.draw(seeds))
    side, kernel = data.draw(st.integers(3, 9)), data.draw(st.integers(1, 3))
    padding = data.draw(st.integers(0, kernel - 1))
    layer = BinaryConv2d(2, 5, kernel, stride, padding, pad_value)
    bn = norm(data.draw, 5)
    module = network({"conv": layer, "bn": bn, "sign": Sign()}, side=side, channels=2)
    program, _ = check(module, data.draw(seeds), side, 2)
    (made,) = (op for op in program.ops if isinstance(op, Conv2d))
    assert made.padding == (padding,) * 4
    assert made.pad_value == (pad_value if padding else made.pad_value)


@pytest.mark.parametrize("place", ["before", "behind"])
@each
@given(st.data())
def test_a_pool_at_either_side_of_batch_norm(place, data):
    layer = conv(data.draw)
    bn = norm(data.draw, layer.out_channels)
    kernel = data.draw(st.integers(2, 3))
    pool = nn.MaxPool2d(kernel, data.draw(st.integers(1, 2)), data.draw(st.integers(0, 1)))
    between = {"pool": pool, "bn": bn} if place == "before" else {"bn": bn, "pool": pool}
    program, _ = check(network({"conv": layer, **between, "sign": Sign()}), data.draw(seeds))
    (made,) = (op for op in program.ops if isinstance(op, MaxPool2d))
    # Behind a falling BatchNorm the maximum is taken of bits, everywhere else of the sums.
    of_bits = place == "behind" and bool((bn.weight < 0).any())
    assert made.input == ("sign.unpooled" if of_bits else "conv")


@pytest.mark.parametrize("by", ["scale", "Maxout"])
@each
@given(st.data())
def test_a_maximum_behind_a_negative_scale(by, data):
    torch.manual_seed(data.draw(seeds))
    count = data.draw(st.integers(1, 6))
    numbers = st.lists(st.floats(-2, 2, width=32), min_size=count, max_size=count)
    layer = BinaryConv2d(1, count, 3, padding=1, scale="channel" if by == "scale" else "none")
    layers = {"conv": layer}
    if by == "scale":
        layer.factor.data = torch.tensor(data.draw(numbers))
        layer.factor.data[0] = -0.75
    else:
        layers["bend"] = bend = Maxout(count)
        bend.pos_scale.data = torch.tensor(data.draw(numbers))
        bend.neg_scale.data = bend.pos_scale.data * data.draw(st.floats(0, 2, width=32))
        bend.pos_scale.data[0], bend.neg_scale.data[0] = -1.5, -0.25
    module = network({**layers, "pool": nn.MaxPool2d(2), "sign": Sign()})
    program, _ = check(module, data.draw(seeds))
    assert not program.tensors[next(o.rising for o in signs(program, "sign"))][0]


def signs(program, name):
    return [
        op for op in program.ops if isinstance(op, Threshold) and op.output.startswith(f"{name}")
    ]


@each
@given(st.data())
def test_groups(data):
    groups, fan = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 3))
    out = groups * data.draw(st.integers(1, 3))
    torch.manual_seed(data.draw(seeds))
    layer = BinaryConv2d(groups * fan, out, 3, padding=1, groups=groups)
    layers = {"conv": layer, "bn": norm(data.draw, out), "sign": Sign()}
    program, _ = check(
        network(layers, channels=groups * fan), data.draw(seeds), channels=groups * fan
    )
    assert next(op.groups for op in program.ops if isinstance(op, Conv2d)) == groups


@each
@given(st.data())
def test_1x1(data):
    channels, stride = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 3))
    torch.manual_seed(data.draw(seeds))
    layers = {"conv": BinaryConv2d(channels, 4, 1, stride), "bn": norm(data.draw, 4)}
    module = network({**layers, "sign": Sign()}, channels=channels)
    _, values = check(module, data.draw(seeds), channels=channels)
    assert (np.abs(values["conv"]) <= channels).all()


@each
@given(st.data())
def test_no_batch_norm(data):
    layer = conv(data.draw, padding=0)
    program, values = check(network({"conv": layer, "sign": Sign()}), data.draw(seeds))
    assert (values["sign"] == (values["conv"] >= 0)).all()
    (made,) = signs(program, "sign")
    # The bound of a sum is as far below 0 as above; bits change between -1 or -2 and 0 or 1.
    assert set(program.tensors[made.thresholds].tolist()) <= {0, 1}


@each
@given(st.data())
def test_dead_channels(data):
    layer = conv(data.draw)
    bn = norm(data.draw, layer.out_channels)
    bn.weight.data[0], bn.bias.data[0] = data.draw(
        st.sampled_from([(0.0, 1.0), (0.0, 0.0), (0.0, -1.0), (-0.0, -0.5)])
    )
    if layer.out_channels > 1:  # far beyond what any sum reaches
        bn.weight.data[1] = 1.0
        bn.running_mean[1] = data.draw(st.sampled_from([1e6, -1e6, 1e30, -1e30]))
    _, values = check(network({"conv": layer, "bn": bn, "sign": Sign()}), data.draw(seeds))
    assert len(np.unique(values["sign"][..., 0])) == 1
    if layer.out_channels > 1:
        assert (values["sign"][..., 1] == (float(bn.running_mean[1]) < 0)).all()


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@each
@given(st.data())
def test_weights_of_one_sign(sign, data):
    layer = conv(data.draw, padding=data.draw(st.integers(0, 0)))
    layer.weight.data = sign * layer.weight.data.abs().clamp_min(0.01)
    module = network({"conv": layer, "bn": norm(data.draw, layer.out_channels), "sign": Sign()})
    module.dense.weight.data = sign * module.dense.weight.data.abs().clamp_min(0.01)
    program, _ = check(module, data.draw(seeds))
    for op in program.ops:
        if op.output in ("conv", "dense"):
            assert (program.tensors[op.weights] == (sign > 0)).all()


def refused(layers, match, **shape):
    with pytest.raises(FrontendError, match=match) as caught:
        lower(network(layers, **shape), (SIDE, SIDE, 1))
    assert caught.value.way_out


STATISTICS = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "variance"}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("tensor", STATISTICS)
@each
@given(st.data())
def test_a_batch_norm_that_is_not_finite_is_refused(tensor, number, data):
    layer = conv(data.draw)
    bn = norm(data.draw, layer.out_channels)
    getattr(bn, tensor).data[data.draw(st.integers(0, layer.out_channels - 1))] = number
    match = f"layer 'bn' has a {STATISTICS[tensor]} that is NaN or infinite"
    refused({"conv": layer, "bn": bn, "sign": Sign()}, match)


@each
@given(st.data())
def test_a_variance_below_zero_is_refused(data):
    layer = conv(data.draw)
    bn = norm(data.draw, layer.out_channels)
    bn.running_var[0] = -data.draw(st.floats(2.0**-100, 2.0**30, width=32))
    refused({"conv": layer, "bn": bn, "sign": Sign()}, "layer 'bn' has a variance below zero")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(number):
    for name, layer in {
        "binary": BinaryConv2d(1, 2, 3),
        "real": nn.Conv2d(1, 2, 3),
        "scaled": BinaryConv2d(1, 2, 3, scale="channel"),
    }.items():
        tensor = layer.factor if name == "scaled" else layer.weight
        tensor.data.view(-1)[0] = number
        what = "factor" if name == "scaled" else "weight"
        refused(
            {name: layer, "sign": Sign()}, f"layer '{name}' has a {what} that is NaN or infinite"
        )


@pytest.mark.parametrize(
    ("layer", "match"),
    [
        (BinaryConv2d(1, 2, 1, padding=1), "'odd' has padding .* not smaller than its kernel"),
        (nn.Conv2d(1, 2, 2, padding=2), "'odd.*' has padding .* not smaller than its kernel"),
    ],
)
def test_windows_that_have_no_op_are_refused(layer, match):
    refused({"odd": layer, "sign": Sign()}, match)


@pytest.mark.parametrize("shape", [(None, 7, 1), (7, 0, 1), (7, 7), (-7, 7, 1), (7.0, 7, 1)])
def test_shapes_that_are_not_fixed_are_refused(shape):
    with pytest.raises(FrontendError, match=r"have no program: give .* fixed sizes"):
        lower(network({"sign": Sign()}), shape)


def test_maps_smaller_than_a_window_are_refused():
    with pytest.raises(FrontendError, match="'conv' has no window that fits"):
        lower(network({"conv": BinaryConv2d(1, 2, 5), "sign": Sign()}), (4, 4, 1))
