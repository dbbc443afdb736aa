"""A layer's cost, and a network's: energy, latency and area, item by item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bitwright.errors import ConfigError
from bitwright.records import Measurement
from bitwright.targets.base import Counters
from bitwright.targets.crossbar.cost.activity import Activity, activities
from bitwright.targets.crossbar.cost.analog import Array
from bitwright.targets.crossbar.cost.digital import Logic
from bitwright.targets.crossbar.cost.pieces import load_pieces
from bitwright.targets.crossbar.cost.settings import Settings
from bitwright.targets.crossbar.cost.technology import Technology, technology_of
from bitwright.targets.crossbar.design import Design


@dataclass(frozen=True, eq=False)
class LayerCost:
    """What a layer takes.

    Parameters
    ----------
    name
        Of the layer, or of the network.
    energy_joule, latency_second, area_m2
        By item: of an image, of an image, and of all arrays with what stands beside them.
    """

    name: str
    energy_joule: Mapping[str, float]
    latency_second: Mapping[str, float]
    area_m2: Mapping[str, float]

    @property
    def joule(self) -> float:
        """Energy of an image."""
        return sum(self.energy_joule.values())

    @property
    def second(self) -> float:
        """From an image's bits to the layer's."""
        return sum(self.latency_second.values())

    @property
    def square_metre(self) -> float:
        """Area."""
        return sum(self.area_m2.values())


def layer_cost(
    activity: Activity, technology: Technology, settings: Settings | None = None
) -> LayerCost:
    """Return what a layer takes.

    Latency is that of one window after another, all arrays of the layer at once; with
    ``settings.pipelined`` only the reads add up, and what comes before the first and after the last
    is added once.

    Raises
    ------
    ConfigError
        If the converters' bits are out of range, or the table of pieces cannot be read.
    """
    array = Array(activity, technology, settings or Settings())
    logic = Logic(array)
    windows = activity.windows
    around = 1 if array.settings.pipelined else windows
    latency = {item: windows * second for item, second in array.latency().items()}
    if logic.dynamic:
        latency["flip decision"] = around * logic.before_second
    latency["digital"] = around * logic.after_second
    step = array.converter.second
    if array.settings.sensing == "current":
        step += array.settling_second
    late = max(logic.conversion_second - step, 0.0)
    if late and array.turns * activity.groups > 1:
        latency["waiting for digital"] = windows * (array.turns * activity.groups - 1) * late
    return LayerCost(
        activity.name,
        {**array.energy(), **logic.energy()},
        latency,
        {**array.area(), **logic.area()},
    )


def design_costs(
    design: Design,
    counters: Counters,
    settings: Settings | None = None,
    *,
    technology: Technology | None = None,
    adc_bits: int | None = None,
    plain: bool = False,
) -> tuple[LayerCost, ...]:
    """Return what every layer of a design takes that was simulated.

    A network that the wires break has other activations, often fewer ones: to compare a cure with
    the plain array take the same run with and without `plain`, or ideal cells for what they do and
    a `technology` for what that takes.

    Parameters
    ----------
    technology
        Of the arrays; None for the design's.
    counters, adc_bits, plain
        As `activities` takes them.

    Raises
    ------
    ConfigError
        As `layer_cost` raises it.
    """
    config = design.config
    if technology is None:
        technology = technology_of(config.node, config.technology, design.cell, design.ladder)
    found = activities(design, counters, adc_bits=adc_bits, plain=plain)
    return tuple(layer_cost(activity, technology, settings) for activity in found)


def network_cost(layers: Iterable[LayerCost], name: str = "network") -> LayerCost:
    """Return the sum of layers that work one after another, each on arrays of its own."""
    totals: tuple[dict[str, float], ...] = ({}, {}, {})
    for layer in layers:
        for total, items in zip(
            totals, (layer.energy_joule, layer.latency_second, layer.area_m2), strict=True
        ):
            for item, value in items.items():
                total[item] = total.get(item, 0.0) + value
    return LayerCost(name, *totals)


def cost_measurements(cost: LayerCost, settings: Settings | None = None) -> Iterator[Measurement]:
    """Yield a cost's totals and items as measurements: joules, seconds and square metres."""
    settings = settings or Settings()
    source = (
        f"array by formulas of wire and gate capacitance, ADC model '{settings.adc}', "
        f"{settings.columns_per_adc} columns a converter, sensing '{settings.sensing}'; "
        f"{load_pieces(settings.pieces).source}"
    )
    kinds = (
        ("energy", cost.joule, cost.energy_joule, "J/image"),
        ("latency", cost.second, cost.latency_second, "s/image"),
        ("area", cost.square_metre, cost.area_m2, "m2"),
    )
    for kind, total, items, unit in kinds:
        yield Measurement(f"{kind}/{cost.name}", total, unit, "estimated", source)
        for item, value in items.items():
            metric = f"{kind}_{item.replace(' ', '_').replace('-', '_')}/{cost.name}"
            yield Measurement(metric, value, unit, "estimated", source)


@dataclass(frozen=True)
class Change:
    """An item with and without a cure, in the same unit."""

    item: str
    plain: float
    cured: float

    @property
    def more(self) -> float:
        """What the cure adds; negative if it saves."""
        return self.cured - self.plain


@dataclass(frozen=True, eq=False)
class Comparison:
    """A cure's cost next to the plain array's.

    Parameters
    ----------
    energy, latency, area
        Every item of either, in joule, seconds and square metres.
    partial_sum_reduction
        By how much the cells that conduct are fewer, as a share; None if not known.
    """

    plain: LayerCost
    cured: LayerCost
    energy: tuple[Change, ...]
    latency: tuple[Change, ...]
    area: tuple[Change, ...]
    partial_sum_reduction: float | None = field(default=None)

    @property
    def energy_saved(self) -> float:
        """Share of the plain array's energy; negative if the cure takes more."""
        return 1 - self.cured.joule / self.plain.joule

    @property
    def current_share(self) -> float:
        """Share of the plain array's energy that columns' currents take: all that sparsity saves.

        The energy saved is at most this times the reduction of currents, less what logic adds.
        """
        taken = sum(self.plain.energy_joule[item] for item in ("cells", "ADC inputs"))
        return taken / self.plain.joule

    @property
    def latency_paid(self) -> float:
        """Share of the plain array's latency that is added."""
        return self.cured.second / self.plain.second - 1

    @property
    def area_paid(self) -> float:
        """Share of the plain array's area that is added."""
        return self.cured.square_metre / self.plain.square_metre - 1


PUBLISHED = {
    "partial sums": (0.431, 0.498),
    "energy saved": (0.09, 0.094),
}
"""Lowest and highest share of arXiv 2412.03553 (BinSparX), at 7 nm; latency and area "mild"."""


def compare(
    plain: LayerCost,
    cured: LayerCost,
    activities: tuple[Iterable[Activity], Iterable[Activity]] | None = None,
) -> Comparison:
    """Return a cure's cost next to the plain array's: of a layer, or of a network.

    Parameters
    ----------
    activities
        Of the plain and of the cured layers, for the reduction of partial sums.

    Raises
    ------
    ConfigError
        If the plain layers have no partial sums to reduce.
    """
    reduction = None
    if activities is not None:
        before, after = (sum(a.on_cells for a in layers) for layers in activities)
        if not before:
            raise ConfigError("no cell conducts without the cure", "give images with some ones")
        reduction = 1 - after / before
    return Comparison(
        plain,
        cured,
        _changes(plain.energy_joule, cured.energy_joule),
        _changes(plain.latency_second, cured.latency_second),
        _changes(plain.area_m2, cured.area_m2),
        reduction,
    )


def _changes(plain: Mapping[str, float], cured: Mapping[str, float]) -> tuple[Change, ...]:
    return tuple(
        Change(item, plain.get(item, 0.0), cured.get(item, 0.0))
        for item in dict.fromkeys((*plain, *cured))
    )
