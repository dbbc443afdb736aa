"""What hooks show of a torch module, and how trained modules are read again."""

import numpy as np
import pytest
import torch
from torch import nn

from bitwright.errors import ConfigError, FrontendError
from bitwright.frontends.sources import open_source
from bitwright.frontends.torch_source import TorchSource
from bitwright.nn import AdaBinConv2d, PixelLevels, Sign, build
from bitwright.nn.run_folder import save_network

CNN = {"input_shape": [12, 12, 1], "blocks": [[4], [6]], "hidden": [8], "classes": 3}


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 6, 6, 2), dtype=np.uint8)


def torch_input(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()


def test_values_go_by_their_layers_and_have_channels_last(images):
    module = nn.Sequential(PixelLevels(), Sign(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3))
    names = ("layer0", "layer1", "layer1.in", "layer2", "layer4.in", "no such layer")
    shown = TorchSource(module).run(images, "float32", names)
    assert set(shown.values) == set(names) - {"no such layer"}
    levels = 2.0 * images - 255
    assert np.array_equal(shown.values["layer0"].real, levels)
    sign = shown.values["layer1"]
    assert sign.kind == "bits"
    assert np.array_equal(sign.real, levels)
    assert np.array_equal(sign.bits, levels >= 0)
    assert np.array_equal(shown.values["layer1.in"].real, levels)
    assert shown.values["layer2"].bits.shape == (5, 3, 3, 2)
    assert shown.values["layer4.in"].real.shape == (5, 18)
    with torch.inference_mode():
        assert np.array_equal(shown.logits, module(torch_input(images)).numpy())


def test_both_precisions_leave_the_module_as_it_is(images):
    module = nn.Sequential(PixelLevels(), nn.Flatten(), nn.Linear(72, 3)).train()
    source = TorchSource(module, "mine")
    assert source.run(images, "float64", ()).logits.dtype == np.float64
    assert source.run(images, "float32", ()).logits.dtype == np.float32
    assert module.training
    assert module[2].weight.dtype == torch.float32
    assert source.name == "mine"
    assert "torch" in source.versions


def test_the_bits_within_adabins_convolution(images):
    torch.manual_seed(0)
    conv = AdaBinConv2d(2, 3, 3, padding=1)
    conv.alpha_a.data.fill_(1.7)
    conv.beta_a.data.fill_(0.3)
    module = nn.Sequential()
    module.add_module("input", PixelLevels())
    module.add_module("conv", conv)
    module.add_module("flatten", nn.Flatten())
    module.add_module("fc", nn.Linear(108, 3))
    source = TorchSource(module)
    shown = source.run(images, "float64", ("conv.in", "conv.bits")).values
    assert np.array_equal(shown["conv.bits"].bits, shown["conv.bits"].real >= 0)
    decided = source.decide("conv.bits", shown["conv.in"].real)
    assert np.array_equal(decided, shown["conv.bits"].bits)
    assert source.decide("fc", shown["conv.in"].real) is None


def test_a_layer_that_runs_twice_is_left_out(images):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.sign, self.fc = Sign(), nn.Linear(72, 3)

        def forward(self, x):
            return self.fc(torch.flatten(self.sign(self.sign(x - 9)), 1))

    shown = TorchSource(Twice()).run(images, "float32", ("sign", "sign.in", "fc.in"))
    assert set(shown.values) == {"fc.in"}


def test_a_module_must_return_logits(images):
    with pytest.raises(FrontendError, match="no logits"):
        TorchSource(PixelLevels()).run(images, "float32", ())


def test_a_run_folder_is_read(tmp_path):
    torch.manual_seed(1)
    network = build("cnn", **CNN).eval()
    save_network(tmp_path, network.state_dict(), {"model": "cnn", "params": CNN})
    pixels = np.random.default_rng(1).integers(0, 256, (3, 12, 12, 1), dtype=np.uint8)
    with torch.inference_mode():
        expected = network(torch_input(pixels)).numpy()
    for path in (tmp_path, tmp_path / "network.safetensors"):
        source = open_source(path)
        assert np.array_equal(source.run(pixels, "float32", ()).logits, expected)
    save_network(tmp_path, {}, {"model": "cnn", "params": CNN})
    with pytest.raises(ConfigError, match=r"does not hold the cnn.*give the file of that network"):
        open_source(tmp_path)


def test_a_checkpoint_of_adabin_is_read(tmp_path):
    state = {f"module.{k}": v for k, v in build("adabin_resnet20").state_dict().items()}
    file = tmp_path / "model.th"
    torch.save({"state_dict": state, "best_prec1": 1.0}, file)
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    assert open_source(file).run(pixels, "float32", ()).logits.shape == (1, 10)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"\x80\x02]."])
def test_what_cannot_be_read_is_refused(tmp_path, content):
    file = tmp_path / "model.th"
    file.write_bytes(content)
    with pytest.raises(FrontendError, match=r"model\.th"):
        open_source(file)
    with pytest.raises(ConfigError, match="trained network"):
        open_source(tmp_path)
