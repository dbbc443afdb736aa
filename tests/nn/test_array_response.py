"""Networks that sense as arrays do: the identity, its gradient, noise, training, bad files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.nn.test_train import DATA, RECIPE, run
from torch import nn

from bitwright.errors import ConfigError
from bitwright.frontends.torch_lower import lower
from bitwright.ir import reference
from bitwright.nn import BinaryConv2d, BinaryLinear, Recipe, build, find_sites
from bitwright.nn.array_response import (
    LayerResponse,
    load_response,
    sensed_by,
    slopes,
)
from bitwright.nn.recipe_file import parse_recipe
from bitwright.nn.sites import Site
from bitwright.targets import get_target
from bitwright.targets.crossbar.arrays import Arrays
from bitwright.targets.crossbar.surrogate import fit

LAYERS = [
    (BinaryConv2d(5, 7, 3, stride, 1, pad), (3, 3, 5)) for stride in (1, 2) for pad in (-1, 0, 1)
]
LAYERS += [(BinaryConv2d(6, 4, 2), (2, 2, 6)), (BinaryLinear(2 * 3 * 4, 5), (2, 3, 4))]


def bits(*shape: int) -> torch.Tensor:
    return (torch.randint(0, 2, shape) * 2.0 - 1).requires_grad_()


def inputs_of(layer: nn.Module) -> torch.Tensor:
    torch.manual_seed(0)
    return bits(4, layer.in_features) if isinstance(layer, BinaryLinear) else bits(
        2, layer.in_channels, 5, 6
    )  # fmt: skip


def response(layer: Any, rows: int, curve: Any, deviation: float = 0.0) -> LayerResponse:
    """Return what arrays of so many rows do that sense ``curve(count)``."""
    starts = range(0, layer.fan_in, rows)
    sizes = sorted({min(rows, layer.fan_in - start) for start in starts})
    return LayerResponse(
        inputs=layer.fan_in,
        outputs=len(layer.weight),
        reads=[
            {
                "start": start,
                "stop": min(start + rows, layer.fan_in),
                "curve": sizes.index(min(rows, layer.fan_in - start)),
            }
            for start in starts
        ],
        curves=[
            {
                "number": [3] * (size + 1),
                "mean": [curve(k) for k in range(size + 1)],
                "deviation": [deviation] * (size + 1),
            }
            for size in sizes
        ],
    )


def sensed(layer: Any, kernel: tuple[int, int, int], given: LayerResponse, x: torch.Tensor) -> Any:
    with sensed_by({"it": Site("it", layer, kernel, None, None)}, {"it": given}):
        return layer(x)


@pytest.mark.parametrize(("layer", "kernel"), LAYERS)
def test_an_ideal_response_is_the_exact_layer(layer, kernel):
    x = inputs_of(layer)
    exact = layer(x)
    found = sensed(layer, kernel, response(layer, 16, float), x)
    assert torch.equal(found, exact)
    assert torch.equal(layer(x), exact), "the hooks are off"
    given = torch.randn_like(exact)
    for one, other in zip(
        torch.autograd.grad(found, (x, layer.weight), given),
        torch.autograd.grad(exact, (x, layer.weight), given),
        strict=True,
    ):
        assert torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize(("layer", "kernel"), LAYERS)
def test_what_is_sensed_is_the_sum_over_reads(layer, kernel):
    """A response of a line that is no identity: bias and slope, value and gradient by hand."""
    x = inputs_of(layer)
    found = sensed(layer, kernel, response(layer, 16, lambda k: 0.75 * k + 0.5), x)
    reads = -(-layer.fan_in // 16)
    # 4 c = w x + 2 W + 2 A - n with all sums over inputs that are no padding of zeros.
    weight, value = layer.binary_weight(), x
    step, border, fill = 1, 0, 0
    if isinstance(layer, BinaryConv2d):
        step, border, fill = layer.stride, layer.padding, layer.pad_value

    def dot(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        if isinstance(layer, BinaryLinear):
            return x @ w.T
        return nn.functional.conv2d(x, w, stride=step)

    around = (border,) * 4 if border else ()
    known = torch.ones_like(value)
    if border:
        value = nn.functional.pad(value, around, value=float(fill))
        known = nn.functional.pad(known, around, value=float(fill != 0))
    ones, on = (weight + 1) / 2, (value + 1) / 2 * known
    every = torch.ones_like(weight)
    count = dot(on, ones)
    wanted = 4 * (0.75 * count + 0.5 * reads) - 2 * dot(known, ones) - 2 * dot(on, every)
    wanted = wanted + dot(known, every)
    assert torch.allclose(found, wanted, atol=1e-4)
    given = torch.randn_like(wanted)
    for one, other in zip(
        torch.autograd.grad(found, (x, layer.weight), given),
        torch.autograd.grad(wanted, (x, layer.weight), given),
        strict=True,
    ):
        assert torch.allclose(one, other, atol=1e-4)


def test_reads_are_of_inputs_in_row_column_channel_order():
    layer = BinaryConv2d(5, 7, 3, 1, 1, -1)
    x = inputs_of(layer)
    found = sensed(layer, (3, 3, 5), response(layer, 16, lambda k: k**0.5), x)
    padded = nn.functional.pad(x, (1, 1, 1, 1), value=-1.0).detach() > 0
    weight = (layer.weight > 0).permute(0, 2, 3, 1).reshape(7, 45)
    for n, i, j in np.ndindex(2, 5, 6):
        window = padded[n, :, i : i + 3, j : j + 3].permute(1, 2, 0).flatten()
        both = (weight & window).float()
        sums = sum(both[:, k : k + 16].sum(1).sqrt() for k in range(0, 45, 16))
        wanted = 4 * sums - 2 * weight.sum(1) - 2 * window.sum() + 45
        assert torch.allclose(found[n, :, i, j], wanted, atol=1e-4)


def test_noise_has_the_deviation_of_all_reads():
    layer = BinaryLinear(48, 2000)
    torch.manual_seed(1)
    x = bits(50, 48)
    error = sensed(layer, (1, 1, 48), response(layer, 16, float, 0.5), x) - layer(x)
    assert error.std().item() == pytest.approx(4 * 0.5 * 3**0.5, rel=0.02)
    assert abs(error.mean().item()) < 0.05


def test_a_slope_is_of_what_was_seen():
    counts = np.arange(40)
    assert slopes(3 - 0.25 * counts, np.ones(40)) == pytest.approx(-0.25)
    curve = np.where(counts == 20, 100.0, counts)  # an outlier that was seen once
    number = np.where(counts == 20, 1, 10**6)
    assert slopes(curve, number) == pytest.approx(1, abs=1e-2)


def lossy(tmp_path: Path, network: nn.Module, **settings: Any) -> tuple[Any, Path]:
    """Return a small network's design, and its response in a file."""
    target = get_target("crossbar")
    program = lower(network.eval(), (8, 8, 1), name="small", classes=tuple("abcd"))
    wires = {"source_ohm": 60.0, "bit_ohm": 60.0, "driver_ohm": 0.0, "sink_ohm": 0.0}
    settings = {"technology": "linear", "rows": 32, "wires": wires} | settings
    design = target.lower(program, target.configure(settings))
    path = tmp_path / "response.json"
    made = fit(design, DATA[0].images[:40], settings, threads=1)
    path.write_text(json.dumps(made.to_json()))
    return design, path


def small() -> nn.Module:
    torch.manual_seed(1)
    return build(
        "cnn", blocks=[[6], [8]], hidden=[16], input_shape=(8, 8, 1), classes=4, pad_value=-1
    )


def test_a_layer_senses_what_the_arrays_do_on_average(tmp_path):
    network = small()
    design, path = lossy(tmp_path, network, adc_bits=10)
    given = load_response(path)
    images = DATA[0].images[:40]
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    site = find_sites(network, pixels[:2])["conv2"]
    found = []
    with torch.no_grad(), sensed_by({"conv2": site}, {"conv2": given.layers["conv2"]}, noise=False):
        handle = site.layer.register_forward_hook(lambda *call: found.append(call[2]))
        network(pixels)
        handle.remove()
    source = design.layers["conv2"].dot.op.input
    value = reference.run(design.program, images, [source])[source]
    arrays = Arrays(design.layers["conv2"], 0, design.config, design.cell, design.ladder)
    dots, _ = arrays.dots(value, design.sensing["conv2"])
    exact = reference.run(design.program, images, ["conv2"])["conv2"]
    assert found[0].mean().item() == pytest.approx(dots.mean(), abs=0.1)  # arrays round
    assert abs(dots.mean() - exact.mean()) > 1
    apart = found[0].permute(0, 2, 3, 1).reshape(dots.shape).numpy() - dots
    assert apart.std() < 0.3 * (exact.reshape(dots.shape) - dots).std()


def recipe(path: Path, **change: Any) -> Recipe:
    table = RECIPE.model_dump(mode="json") | {"crossbar": {"response": str(path)}} | change
    return Recipe.model_validate(table)


def test_training_learns_what_the_arrays_get_wrong(tmp_path):
    first = run(tmp_path / "exact")
    design, path = lossy(tmp_path, first.network)
    tuned = run(tmp_path / "tuned", recipe(path, start=str(tmp_path / "exact")))
    again = run(tmp_path / "again", recipe(path, start=str(tmp_path / "exact")))
    for one, other in zip(tuned.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(one, other)
    target = get_target("crossbar")
    right = {}
    for name, network in (("first", first.network), ("tuned", tuned.network)):
        program = lower(network, (8, 8, 1), name="small", classes=tuple("abcd"))
        made = target.lower(program, design.config)
        answers = target.simulate(made, DATA[1].images, 1).outputs[program.outputs[-1]]
        right[name] = float((answers == DATA[1].labels).mean())
    assert right["tuned"] > right["first"] + 0.1
    assert tuned.test_accuracy == pytest.approx(right["tuned"], abs=0.15)


BAD: list[tuple[str, str]] = [
    ("", "cannot be read as JSON"),
    ("[1, 2]", "no response of crossbars"),
    ('{"format": "other"}', "no response of crossbars"),
    ("layers.conv2.reads.0.curve = 7", "have no curve"),
    ("layers.conv2.reads.0.start = 1", "do not follow one another"),
    ("layers.conv2.inputs = 55", "do not take all inputs"),
    ("layers.conv2.curves.0.mean.0 = none", "valid number"),
    ("layers.conv2.curves.0.deviation.0 = -1.0", "greater than or equal to 0"),
    ("layers.conv2.curves.0.mean = []", "not of one length"),
    ("version = 2", "version"),
    ("layers.conv2.outputs = 9", "6 inputs|outputs"),
    ("layers.other = {}", "missing"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_a_bad_response_is_refused(tmp_path, change, message):
    _, path = lossy(tmp_path, small())
    if " = " in change:
        content = at = json.loads(path.read_text())
        place, _, value = change.partition(" = ")
        *parents, last = place.split(".")
        for key in parents:
            at = at[int(key)] if isinstance(at, list) else at[key]
        at[int(last) if isinstance(at, list) else last] = json.loads(value.replace("none", '"x"'))
        change = json.dumps(content)
    path.write_text(change)
    with pytest.raises(ConfigError, match=message):
        run(tmp_path / "run", recipe(path))


def test_a_response_of_another_network_is_refused(tmp_path):
    _, path = lossy(tmp_path, small())
    other = RECIPE.model.model_copy(update={"name": "mlp", "params": {"widths": [16]}})
    with pytest.raises(ConfigError, match="'conv2', which is no layer of bits"):
        run(tmp_path / "run", recipe(path, model=other.model_dump()))
    with pytest.raises(ConfigError, match="by circuits or on crossbars"):
        parse_recipe(
            'data = "mnist"\nepochs = 1\n[model]\nname = "cnn"\n[approximate]\n'
            '[crossbar]\nresponse = "r.json"'
        )


def test_the_command_line_names_the_file(bitwright, tmp_path):
    for part, name in zip(DATA, ("some", "others"), strict=True):
        np.savez(tmp_path / f"{name}.npz", x=part.images, y=part.labels)
    (tmp_path / "r.toml").write_text(
        f'data = "{tmp_path}/some.npz"\nepochs = 1\nbatch_size = 16\n[model]\nname = "cnn"\n'
        '[model.params]\nblocks = [[6], [8]]\n[crossbar]\nresponse = "missing.json"\n'
    )
    code, _, err = bitwright("train", tmp_path / "r.toml", "-o", tmp_path / "run")
    assert code == 2
    assert "missing.json: cannot be read" in err
    assert "bitwright crossbar surrogate" in err
