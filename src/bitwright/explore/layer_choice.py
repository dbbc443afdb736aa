"""Which circuit for which layer: a search for the Pareto front of accuracy against cost.

1. Each layer alone gets each circuit, on held-out training images: what that loses is the layer's
   sensitivity.
2. Losses and costs are taken to add up over layers; the front of all designs under that model is
   found exactly (`bitwright.explore.pareto.additive_front`).
3. Designs of that front, and those with one circuit everywhere, are evaluated on the test images.
   The prediction stands beside each result.

Requirements:

- The test images are run on designs that were chosen without them.
- A loss below zero counts as none: on as few images it is noise rather than a gain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from bitwright.data import Dataset
from bitwright.errors import ConfigError
from bitwright.explore.evaluations import Decisions, Evaluations
from bitwright.explore.layer_designs import Choice, Layer, design_settings, units
from bitwright.explore.pareto import Combination, Option, additive_front, front, spread
from bitwright.explore.popcounts import EXACT
from bitwright.records import wilson

Objective = Literal["energy", "area"]
Loss = Literal["accuracy", "agreement"]

Progress = Callable[[str, int, int], None]
"""Called with (what is done, how many are done, how many there are)."""


@dataclass(frozen=True)
class Settings:
    """What is searched for.

    Parameters
    ----------
    objective
        Which cost is to be small.
    loss
        "accuracy": images that are no longer right, less those that become right. "agreement":
        images that are no longer decided as by the exact network.
    candidates
        How many designs of the predicted front are evaluated at most.
    max_loss
        The greatest predicted loss of a candidate, as a share of the images.
    no_slower
        Whether circuits that are slower than the layer's exact popcount are left out.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    objective: Objective = "energy"
    loss: Loss = "accuracy"
    candidates: int = 12
    max_loss: float = 0.1
    no_slower: bool = False

    def __post_init__(self) -> None:
        if self.candidates < 1:
            raise ConfigError(f"{self.candidates} candidates are none", "give at least one")
        if not 0 <= self.max_loss <= 1:
            raise ConfigError(f"a loss of {self.max_loss} is no share", "give one in [0, 1]")


@dataclass(frozen=True)
class Sensitivity:
    """What one layer's circuit does alone, on held-out training images.

    Parameters
    ----------
    correct, agreeing
        Images that are right, and that are decided as by the exact network.
    lost
        Images, by the loss of `Settings`; below zero for a gain.
    """

    layer: str
    circuit: str
    correct: int
    agreeing: int
    lost: int


@dataclass(frozen=True, eq=False)
class Point:
    """A design that was evaluated.

    Parameters
    ----------
    choice
        The circuit of each layer.
    kind
        "exact", "predicted" (of the predicted front) or "uniform" (one circuit everywhere).
    energy
        Of one image: see `Layer.energy`.
    area
        Of one popcount for each layer.
    delay
        Of the slowest layer.
    slower
        The layers that are slower than with exact popcounts.
    predicted_loss, loss
        A share of the images, by the loss of `Settings`: what the sensitivities add up to, and the
        truth on the test images.
    correct, agreeing, images
        Test images: right, decided as by the exact network, and all.
    on_front
        Whether no other point loses as little and costs less, or loses less and costs as little.
    """

    choice: Choice
    kind: str
    energy: float
    area: float
    delay: float
    slower: tuple[str, ...]
    predicted_loss: float
    loss: float
    correct: int
    agreeing: int
    images: int
    on_front: bool = False

    @property
    def accuracy(self) -> float:
        """The share of test images that are right."""
        return self.correct / self.images

    def cost(self, objective: str) -> float:
        """Return the energy or the area."""
        return self.area if objective == "area" else self.energy


@dataclass(frozen=True, eq=False)
class Search:
    """What a search found.

    Parameters
    ----------
    layers
        With their costs.
    base
        Settings of the target that all designs share.
    held_out, exact_held_out
        How many held-out images there are, and how many the exact network has right.
    designs
        How many designs there are in all.
    predicted
        All designs of the predicted front, by rising cost: choice, cost, predicted loss.
    points
        What was evaluated, the dearest first; the exact network is among them.
    """

    settings: Settings
    layers: tuple[Layer, ...]
    base: Mapping[str, Any]
    held_out: int
    exact_held_out: int
    sensitivities: tuple[Sensitivity, ...]
    designs: int
    predicted: tuple[tuple[Choice, float, float], ...]
    points: tuple[Point, ...]

    @property
    def exact(self) -> Point:
        """The exact network."""
        return next(point for point in self.points if point.kind == "exact")

    def config(self, choice: Choice) -> dict[str, Any]:
        """Return the target's settings of a design."""
        return design_settings(self.base, self.layers, choice)

    def to_json(self) -> dict[str, Any]:
        """Return the search as JSON-ready data."""
        exact = self.exact
        return {
            "settings": asdict(self.settings),
            "units": units(self.layers),
            "base": dict(self.base),
            "held_out_images": {"count": self.held_out, "exact_correct": self.exact_held_out},
            "layers": [
                {
                    "layer": layer.name,
                    "shape": list(layer.shape),
                    "popcounts_per_image": layer.popcounts,
                    "circuits": {
                        spec: {"digest": circuit.digest} | layer.costs[spec].to_json()
                        for spec, circuit in layer.circuits.items()
                    },
                }
                for layer in self.layers
            ],
            "sensitivities": [asdict(one) for one in self.sensitivities],
            "designs": self.designs,
            "predicted_front": [
                {"circuits": self._named(choice), self.settings.objective: cost, "loss": loss}
                for choice, cost, loss in self.predicted
            ],
            "points": [
                {
                    "circuits": self._named(point.choice),
                    "kind": point.kind,
                    "energy": point.energy,
                    "area": point.area,
                    "delay": point.delay,
                    "ratios_to_exact": {
                        what: getattr(point, what) / base
                        for what in ("energy", "area", "delay")
                        if (base := getattr(exact, what))
                    },
                    "slower_layers": list(point.slower),
                    "accuracy": point.accuracy,
                    "accuracy_interval": list(wilson(point.correct, point.images)),
                    "correct": point.correct,
                    "agreeing": point.agreeing,
                    "images": point.images,
                    "predicted_loss": point.predicted_loss,
                    "loss": point.loss,
                    "on_front": point.on_front,
                    "config": self.config(point.choice),
                }
                for point in self.points
            ],
        }

    def _named(self, choice: Choice) -> dict[str, str]:
        return {layer.name: spec for layer, spec in zip(self.layers, choice, strict=True)}


def search(
    layers: Sequence[Layer],
    settings: Settings,
    base: Mapping[str, Any],
    evaluations: Evaluations,
    held_out: Dataset,
    test: Dataset,
    progress: Progress | None = None,
) -> Search:
    """Search for the Pareto front of accuracy against cost.

    Parameters
    ----------
    layers
        With their costs.
    base
        Settings of the target ``majority`` that all designs share.
    held_out
        Training images that designs are not calibrated on, for the sensitivities.
    test
        The images that candidates are evaluated on.
    progress
        Called before the first and after each evaluation of a stage.

    Raises
    ------
    BitwrightError
        As `bitwright.flow.evaluate` does.
    """
    report = progress or (lambda what, done, total: None)

    def run(data: Dataset, choice: Choice) -> Decisions:
        # The target's own check on held-out images decides nothing: one image is enough.
        own = design_settings(base, layers, choice) | {"held_out_images": 1}
        circuits = {
            layer.name: layer.circuits[spec] for layer, spec in zip(layers, choice, strict=True)
        }
        return evaluations.design(data, own, circuits)

    exact = evaluations.exact(held_out)
    found: dict[tuple[str, str], Sensitivity] = {}
    alone = [(k, spec) for k, one in enumerate(layers) for spec in one.circuits if spec != EXACT]
    report("sensitivities", 0, len(alone))
    for k, spec in alone:
        layer = layers[k].name
        one = run(held_out, tuple(spec if i == k else EXACT for i in range(len(layers))))
        lost = _lost(exact, one, settings.loss)
        found[layer, spec] = Sensitivity(layer, spec, one.correct, one.agreeing(exact), lost)
        report("sensitivities", len(found), len(alone))
    predicted = additive_front([_options(layer, found, settings) for layer in layers])
    chosen = _candidates(layers, predicted, settings, len(held_out))
    truth = evaluations.exact(test)
    points: list[Point] = []
    report("candidates", 0, len(chosen))
    for choice, kind in chosen.items():
        one = truth if kind == "exact" else run(test, choice)
        sums = sum(_option(a, s, found, settings).loss for a, s in zip(layers, choice, strict=True))
        points.append(
            Point(
                choice,
                kind,
                sum(a.energy(s) for a, s in zip(layers, choice, strict=True)),
                sum(a.cost(s, "area") for a, s in zip(layers, choice, strict=True)),
                max(float(a.costs[s].delay.value) for a, s in zip(layers, choice, strict=True)),
                tuple(a.name for a, s in zip(layers, choice, strict=True) if a.is_slower(s)),
                sums / len(held_out),
                _lost(truth, one, settings.loss) / len(test),
                one.correct,
                one.agreeing(truth),
                len(test),
            )
        )
        report("candidates", len(points), len(chosen))
    return Search(
        settings,
        tuple(layers),
        dict(base),
        len(held_out),
        exact.correct,
        tuple(found.values()),
        math.prod(len(layer.circuits) for layer in layers),
        tuple((one.names, one.cost, one.loss / len(held_out)) for one in predicted),
        _with_front(points, settings),
    )


def _lost(exact: Decisions, one: Decisions, loss: Loss) -> int:
    """How many images a design loses."""
    if loss == "agreement":
        return len(exact.predicted) - one.agreeing(exact)
    return exact.correct - one.correct


def _option(
    layer: Layer, spec: str, found: Mapping[tuple[str, str], Sensitivity], settings: Settings
) -> Option:
    """Return a circuit of a layer as the additive model sees it."""
    lost = 0 if spec == EXACT else max(0, found[layer.name, spec].lost)
    return Option(spec, layer.cost(spec, settings.objective), lost)


def _options(
    layer: Layer, found: Mapping[tuple[str, str], Sensitivity], settings: Settings
) -> list[Option]:
    return [
        _option(layer, spec, found, settings)
        for spec in layer.circuits
        if not (settings.no_slower and layer.is_slower(spec))
    ]


def _candidates(
    layers: Sequence[Layer], predicted: Sequence[Combination], settings: Settings, images: int
) -> dict[Choice, str]:
    """Return what is evaluated, and of which kind each is."""
    limit = settings.max_loss * images
    within = [one for one in predicted if one.loss <= limit]
    chosen = spread(within, settings.candidates, lambda one: (one.cost, one.loss))
    kinds = {(EXACT,) * len(layers): "exact"}
    for one in chosen:
        kinds.setdefault(one.names, "predicted")
    for spec in dict.fromkeys(spec for layer in layers for spec in layer.circuits):
        if all(spec in layer.circuits for layer in layers):
            kinds.setdefault((spec,) * len(layers), "uniform")
    return kinds


def _with_front(points: Sequence[Point], settings: Settings) -> tuple[Point, ...]:
    """Return the points, the dearest first, those of the front marked."""
    objective = settings.objective

    def key(one: Point) -> tuple[float, float]:
        right = one.agreeing if settings.loss == "agreement" else one.correct
        return one.cost(objective), -right

    best = front(points, key)
    ordered = sorted(points, key=lambda one: (one.kind != "exact", -one.cost(objective)))
    return tuple(replace(one, on_front=one in best) for one in ordered)
