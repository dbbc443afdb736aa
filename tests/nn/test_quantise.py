"""Quantised networks: what becomes of each layer, and that integers repeat them to the last bit."""

import numpy as np
import pytest
import torch
from torch import nn

from bitwright.errors import ConfigError
from bitwright.frontends.torch_lower import lower
from bitwright.ir import reference
from bitwright.nn import build, quantise, quantised_form
from bitwright.nn.evaluate import recalibrate
from bitwright.nn.layers import ChannelAffine, Normalise, PixelLevels, PixelOffset, Quantise, Sign


def images(count, shape=(32, 32, 3), seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (count, *shape), dtype=np.uint8))


def trained(name, seed=0, **params):
    """A network whose every parameter is off its first value."""
    torch.manual_seed(seed)
    network = build(name, **params)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def logits_of(network, pixels):
    with torch.inference_mode():
        return network.double()(pixels.permute(0, 3, 1, 2).double()).numpy()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("resnet18", {"width": 0.125}),
        ("resnet18", {"width": 0.125, "activation": "prelu", "shortcut": "pad"}),
        ("resnet20", {"activation": "maxout"}),
        ("resnet20", {"activation": "hardtanh", "scale": "channel"}),
        ("vgg_small", {"width": 0.125}),
        ("vgg_small", {"width": 0.125, "pad_value": -1}),
    ],
)
def test_integers_repeat_a_quantised_network_to_the_last_bit(name, params):
    network = quantise(trained(name, **params), images(64))
    program = lower(network, (32, 32, 3), name=name)
    pixels = images(6, seed=1)
    found = reference.run(program, pixels.numpy())
    logits = next(found[key] for key in program.outputs if key != "class")
    expected = logits_of(network, pixels)
    steps = expected[expected != 0] / logits[expected != 0]
    assert np.all(steps == steps[0])  # one power of two a program
    assert np.log2(steps[0]) == round(np.log2(steps[0]))
    np.testing.assert_array_equal(found["class"].ravel(), expected.argmax(axis=1))


def test_grey_images_of_another_size():
    network = quantise(trained("resnet20", input_shape=(28, 28, 1)), images(40, (28, 28, 1)))
    program = lower(network, (28, 28, 1))
    pixels = images(4, (28, 28, 1), seed=1)
    found = reference.run(program, pixels.numpy())
    np.testing.assert_array_equal(found["class"].ravel(), logits_of(network, pixels).argmax(axis=1))


def test_a_quantised_network_stays_close_to_the_real_one():
    real = trained("resnet20")
    pixels = images(200, seed=3)
    recalibrate(real, pixels)
    network = quantise(real, pixels)
    a, b = logits_of(real, pixels), logits_of(network, pixels)
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9


def test_the_form_takes_the_state_of_a_quantised_network():
    network = quantise(trained("resnet18", width=0.125), images(16))
    again = quantised_form(build("resnet18", width=0.125))
    again.load_state_dict(network.state_dict())
    pixels = images(2, seed=1)
    np.testing.assert_array_equal(logits_of(again, pixels), logits_of(network, pixels))


def test_what_it_is_given_is_left_alone():
    network = trained("vgg_small", width=0.125)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    quantise(network, images(8))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_only_real_values_that_are_stored_are_rounded():
    network = quantise(trained("vgg_small", width=0.125), images(8))
    kinds = [type(layer) for layer in network]
    assert kinds[0] is PixelOffset
    assert kinds.count(nn.BatchNorm2d) == 5  # a sign behind them
    assert isinstance(network.conv6_bn[0], ChannelAffine)
    assert isinstance(network.fc[0], Quantise)
    assert network.fc[0].bits == 8
    assert isinstance(network.conv1, nn.Conv2d)  # pixels are 8 bits as they are


def test_weights_are_8_bit_multiples_of_a_power_of_two():
    network = quantise(trained("resnet18", width=0.125), images(8))
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weights = layer.weight.detach().double().flatten(1)
            peak = weights.abs().amax(1, keepdim=True)
            whole = weights / torch.exp2(torch.ceil(torch.log2(peak / 127)))
            assert torch.equal(whole, whole.round())
            assert float(whole.abs().max()) <= 127


@pytest.mark.parametrize("bits", [None, 4, 8])
def test_rounding_is_half_up_and_saturates(bits):
    layer = Quantise(bits, 1)
    x = torch.tensor([-100.0, -0.75, -0.25, 0.0, 0.25, 0.74, 0.75, 100.0], requires_grad=True)
    y = layer(x)
    low, high = (-100.0, 100.0) if bits is None else layer.bounds
    expected = [max(low, -100.0), -0.5, 0.0, 0.0, 0.5, 0.5, 1.0, min(high, 100.0)]
    assert y.tolist() == expected
    y.sum().backward()
    inside = (x.detach() >= low - 0.25) & (x.detach() < high + 0.25)
    assert x.grad is not None
    assert torch.equal(x.grad, inside.float())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Quantise(1), "bits is 1"),
        (lambda: Quantise(8, 99), "fraction_bits is 99"),
        (lambda: PixelOffset([0, 256]), r"zero is \[0, 256\]"),
        (lambda: ChannelAffine(0), "channels is 0"),
        (lambda: quantise(build("resnet20"), images(0)), "no images"),
        (
            lambda: quantise(
                nn.Sequential(Normalise((0.5,), (0.5,)), nn.Flatten(), nn.Linear(4, 2)),
                images(2, (2, 2, 1)),
            ),
            "no convolution",
        ),
        (
            lambda: quantise(
                nn.Sequential(
                    PixelLevels(), nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, track_running_stats=False)
                ),
                images(2, (2, 2, 1)),
            ),
            "no running statistics",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


def test_signs_are_left_as_they_are():
    network = quantise(trained("resnet20"), images(8))
    assert sum(isinstance(layer, Sign) for layer in network.modules()) == 18
