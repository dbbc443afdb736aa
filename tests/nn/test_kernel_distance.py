"""Reuse-aware training: the penalty, its gradient, and whole runs with it."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from tests.nn.test_train import RECIPE, Cut, cut_at, run, same
from torch import nn

from bitwright.errors import ConfigError
from bitwright.nn import AdaBinConv2d, BinaryConv2d, BinaryLinear, Recipe, TrainedNetwork
from bitwright.nn.kernel_distance import KernelDistance, tree_bits
from bitwright.nn.recipe import Reuse
from bitwright.nn.recipe_file import parse_recipe

SHAPE = (8, 8, 1)
DRAWN = Recipe.model_validate(RECIPE.model_dump() | {"reuse": {"weight": 3.0}})


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    return run(tmp_path_factory.mktemp("drawn"), DRAWN)


def bits_between(one: torch.Tensor, other: torch.Tensor) -> int:
    """Return in how many bits one kernel differs from another or from its complement."""
    differ = int((one != other).sum())
    return min(differ, one.numel() - differ)


def nearest(layer: BinaryConv2d | BinaryLinear) -> list[float]:
    """Return how far each kernel is from the nearest other one."""
    rows = layer.binary_weight().flatten(1)
    return [
        min(bits_between(rows[a], rows[b]) for b in range(len(rows)) if b != a) / rows.shape[1]
        for a in range(len(rows))
    ]


def fewest(rows: torch.Tensor) -> int:
    """Return the bits that the best of all trees over kernels leaves: every tree is tried."""
    count = len(rows)
    pairs = list(itertools.combinations(range(count), 2))
    best = rows.numel()
    for edges in itertools.combinations(pairs, count - 1):
        reached = {0}
        for _ in edges:
            for a, b in edges:
                reached |= {a, b} if reached & {a, b} else set()
        if len(reached) == count:
            best = min(best, sum(bits_between(rows[a], rows[b]) for a, b in edges))
    return rows.shape[1] + best


def test_the_penalty_is_the_share_that_the_best_trees_leave() -> None:
    torch.manual_seed(1)
    network = nn.Sequential(
        BinaryConv2d(1, 4, 3, padding=1), nn.Hardtanh(), nn.Flatten(), BinaryLinear(256, 5)
    )
    conv, linear = network[0], network[3]
    wanted = 64 * fewest(conv.binary_weight().flatten(1)) + fewest(linear.binary_weight())
    products = 64 * 36 + 1280
    distance = KernelDistance(network, Reuse(weight=2.0), SHAPE)
    assert distance.penalty().item() == pytest.approx(2 * wanted / products)
    with torch.autocast("cpu", torch.bfloat16):
        assert distance.penalty().item() == pytest.approx(2 * wanted / products)
    apart = distance.measure()
    assert apart.left == pytest.approx(wanted / products)
    assert apart.nearest == pytest.approx(np.mean(nearest(conv) + nearest(linear)))

    alone = KernelDistance(network, Reuse(weight=2.0, layers=("3",)), SHAPE)
    assert alone.penalty().item() == pytest.approx(2 * fewest(linear.binary_weight()) / products)
    assert alone.measure() == apart


def test_a_kernel_is_drawn_to_its_neighbour_or_to_the_neighbours_complement() -> None:
    layer = BinaryLinear(6, 2)
    edges = torch.tensor([[0], [1]])
    for sign in (1.0, -1.0):
        layer.weight.grad = None
        one = torch.tensor([0.3, 0.3, 0.3, 0.3, 0.3, -0.3])
        layer.weight.data = torch.stack([one, sign * one.abs()])
        bits = tree_bits(layer, edges)
        assert bits.item() == 6 + 1
        bits.backward()
        # One step against the gradient: the only bit that differs is the only one drawn over 0.
        moved = layer.weight.data - layer.weight.grad
        assert torch.equal(moved[0].sign(), sign * one.abs().sign() * sign)
        assert torch.equal(moved[1].sign(), sign * one.sign())


@pytest.mark.parametrize("estimator", ["identity", "clip", "tanh", "reste"])
def test_steps_on_the_penalty_alone_bring_kernels_together(estimator: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(BinaryConv2d(1, 16, 5, centred=True, estimator=estimator))
    network[0].weight.data.mul_(2)
    distance = KernelDistance(network, Reuse(weight=1.0), SHAPE)
    before = distance.measure()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(4):
        distance.find_trees()
        for _ in range(10):
            optimizer.zero_grad()
            distance.penalty().backward()
            optimizer.step()
    after = distance.measure()
    assert after.left < 0.7 * before.left
    assert after.nearest < 0.5 * before.nearest


def test_equal_and_complementary_kernels_leave_the_root_alone() -> None:
    network = nn.Sequential(AdaBinConv2d(1, 4, 3))
    kernel = torch.randn(1, 1, 3, 3)
    network[0].weight.data = kernel * torch.tensor([1.0, -2.0, 3.0, -4.0]).reshape(4, 1, 1, 1)
    network[0].weight.data -= network[0].weight.data.mean((1, 2, 3), keepdim=True)
    distance = KernelDistance(network, Reuse(), SHAPE)
    assert distance.measure().nearest == 0
    assert distance.measure().left == 1 / 4


def test_training_draws_kernels_together_and_logs_how_far(
    drawn: TrainedNetwork, tmp_path: Path
) -> None:
    measured = Recipe.model_validate(RECIPE.model_dump() | {"reuse": {"weight": 0}})
    control = run(tmp_path / "control", measured)
    plain = run(tmp_path / "plain")
    assert same(control.network, plain.network)
    assert [row.loss for row in control.log] == [row.loss for row in plain.log]
    assert plain.log[-1].nearest_kernel is None

    assert drawn.log[-1].products_left < 0.85 * control.log[-1].products_left
    assert drawn.log[-1].nearest_kernel < 0.9 * control.log[-1].nearest_kernel
    assert drawn.test_accuracy > 0.6
    end = KernelDistance(drawn.network, Reuse(), SHAPE).measure()
    assert (end.nearest, end.left) == (drawn.log[-1].nearest_kernel, drawn.log[-1].products_left)
    with (drawn.folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["products_left"]) for row in rows] == pytest.approx(
        [row.products_left for row in drawn.log], rel=1e-5
    )
    assert float(rows[0]["nearest_kernel"]) > float(rows[-1]["nearest_kernel"])


def test_only_named_layers_are_drawn(tmp_path: Path) -> None:
    def apart(layers: list[str], out: str) -> dict[str, float]:
        recipe = RECIPE.model_dump() | {"reuse": {"weight": 300, "layers": layers}}
        network = run(tmp_path / out, Recipe.model_validate(recipe)).network
        return {name: float(np.mean(nearest(getattr(network, name)))) for name in ("conv2", "fc1")}

    conv, linear = apart(["conv2"], "conv"), apart(["fc1"], "linear")
    assert conv["conv2"] < 0.5 * linear["conv2"]
    assert linear["fc1"] < 0.5 * conv["fc1"]


@pytest.mark.parametrize(("epoch", "step"), [(3, 10), (2, 12)])
def test_a_cut_run_resumes_to_the_same_network(
    drawn: TrainedNetwork, tmp_path: Path, epoch: int, step: int
) -> None:
    with pytest.raises(Cut):
        run(tmp_path, DRAWN, progress=cut_at(epoch, step))
    resumed = run(tmp_path, DRAWN)
    assert same(resumed.network, drawn.network)
    assert [row.values() | {"seconds": 0} for row in resumed.log] == [
        row.values() | {"seconds": 0} for row in drawn.log
    ]


def test_it_goes_with_a_start_a_teacher_and_approximate_popcounts(
    drawn: TrainedNetwork, tmp_path: Path
) -> None:
    update = {
        "epochs": 2,
        "start": str(drawn.folder),
        "distillation": {"epochs": 1},
        "approximate": {"circuit": "maj", "method": "margin"},
    }
    recipe = Recipe.model_validate(DRAWN.model_dump() | update)
    whole = run(tmp_path / "whole", recipe)
    assert whole.log[-1].products_left < drawn.log[0].products_left
    with pytest.raises(Cut):
        run(tmp_path / "cut", recipe, progress=cut_at(2, 10))
    assert same(run(tmp_path / "cut", recipe).network, whole.network)
    with pytest.raises(ConfigError, match="differs in: reuse"):
        run(tmp_path / "whole", recipe.model_copy(update={"reuse": Reuse(weight=4.0)}))


def test_the_file_says_how_the_network_was_trained(drawn: TrainedNetwork) -> None:
    with safetensors.safe_open(drawn.folder / "network.safetensors", framework="pt") as file:
        about = json.loads(file.metadata()["bitwright.network"])
    assert about["recipe"]["reuse"] == {"weight": 3.0, "layers": []}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("weight = -1", r"reuse\.weight = -1.*greater than or equal to 0"),
        ("weight = nan", r"reuse\.weight = nan"),
        ("weight = inf", r"reuse\.weight = inf"),
        ('weight = "strong"', r"reuse\.weight = 'strong'"),
        ('layers = "fc1"', r"reuse\.layers = 'fc1'"),
        ("wieght = 1", "unknown key 'reuse.wieght': did you mean 'weight'"),
    ],
)
def test_mistakes_are_named(table: str, said: str) -> None:
    head = 'data = "fashion-mnist"\nepochs = 2\n[model]\nname = "mlp"\n[reuse]\n'
    with pytest.raises(ConfigError, match=said):
        parse_recipe(head + table)


def test_layers_that_cannot_share_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    update = {"reuse": {"layers": ["conv1", "conv7"]}}
    with pytest.raises(ConfigError, match=r"'conv7' is no layer.*that can: conv1, conv2, fc1, fc2"):
        run(tmp_path, Recipe.model_validate(RECIPE.model_dump() | update))
    assert not any(tmp_path.iterdir())
    groups = nn.Sequential(BinaryConv2d(1, 4, 3), BinaryConv2d(4, 4, 3, groups=2))
    with pytest.raises(ConfigError, match=r"'1' is no layer.*that can: 0$"):
        KernelDistance(groups, Reuse(layers=("1",)), SHAPE)
    real = nn.Sequential(nn.Conv2d(1, 4, 3), BinaryConv2d(4, 1, 3))
    with pytest.raises(ConfigError, match=r"no layer whose kernels.*leave out the table \[reuse\]"):
        KernelDistance(real, Reuse(), SHAPE)
