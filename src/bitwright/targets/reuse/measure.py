"""What shared sums cost and leave out: counted from plans and a sample, priced by the pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bitwright.ir.work import count_work
from bitwright.records import Measurement
from bitwright.targets.base import Counters, work_measurements
from bitwright.targets.reuse.cost import PARTS
from bitwright.targets.reuse.design import Candidate, Design, LayerPlan

WATERFALL = ("dense", "after_constants", "after_pool", "after_inclusion", "done")
"""What is left after one more mechanism, in order (`LayerCounters`)."""


def measure(design: Design, counters: Counters) -> tuple[Measurement, ...]:
    """Return what is left of the operations, and the full cost beside that of the dense design.

    Energies are of an image, areas and look-up tables of one datapath for each layer. Of layers
    whose weights are no bits nothing is priced; ``operations_unplanned`` says how many operations
    that leaves out.
    """
    return (
        *work_measurements(design.program),
        *_network(design),
        *(m for plan in design.plans.values() for m in _layer(design, plan)),
        *_skipping(counters),
        *_accelerator(design),
    )


def _network(design: Design) -> Iterator[Measurement]:
    plans = list(design.plans.values())
    unplanned = sum(
        work.operations for work in count_work(design.program) if work.op.output not in design.plans
    )
    yield Measurement("operations_unplanned", unplanned, "op/image", "counted")
    dense = sum(plan.shape.operations for plan in plans)
    left = sum(_left(plan, plan.chosen) for plan in plans)
    yield Measurement("operations_left", left / dense, "share", "counted", "bits of inputs read")
    source = design.table.source
    for which in ("", "_dense"):
        candidates = [plan.dense if which else plan.chosen for plan in plans]
        energy = sum(c.cost.energy_j for c in candidates)
        area = sum(c.cost.total.area for c in candidates)
        luts = sum(c.cost.total.luts for c in candidates)
        held = sum(c.cost.total.flip_flops for c in candidates)
        delay = max(c.cost.delay_s for c in candidates)
        yield Measurement(f"energy{which}", energy * 1e9, "nJ/image", "estimated", source)
        yield Measurement(f"area{which}", area, design.table.area_unit, "estimated", source)
        yield Measurement(f"luts{which}", luts, "LUT", "estimated", source)
        yield Measurement(f"flip_flops{which}", held, "bit", "estimated", source)
        yield Measurement(f"delay{which}", delay * 1e12, "ps", "estimated", source)
        for part in PARTS:
            joules = sum(c.cost.parts[part].energy_j * c.cost.windows for c in candidates)
            name = f"energy{which}/{part}"
            yield Measurement(name, joules * 1e9, "nJ/image", "estimated", source)
    saved = {
        "energy": 1 - _sum(plans, False, "energy_j") / _sum(plans, True, "energy_j"),
        "area": 1 - _sum(plans, False, "area") / _sum(plans, True, "area"),
        "luts": 1 - _sum(plans, False, "luts") / _sum(plans, True, "luts"),
    }
    for name, share in saved.items():
        yield Measurement(f"{name}_saved", share, "share", "estimated", source)


def _sum(plans: list[LayerPlan], dense: bool, field: str) -> float:
    total = 0.0
    for plan in plans:
        cost = (plan.dense if dense else plan.chosen).cost
        total += cost.energy_j if field == "energy_j" else getattr(cost.total, field)
    return total


def _left(plan: LayerPlan, candidate: Candidate) -> int:
    """Return the bit operations that a candidate leaves, of an image."""
    return candidate.operations * plan.shape.windows * plan.shape.input_bits


def _layer(design: Design, plan: LayerPlan) -> Iterator[Measurement]:
    """What each candidate of a layer leaves and takes; the chosen one's name is in the sources."""
    name, source = plan.shape.name, design.table.source
    chosen = f"{_called(plan.chosen)}; {source}"
    yield Measurement(
        f"operations_left/{name}", _left(plan, plan.chosen) / plan.shape.operations, "share",
        "counted", _called(plan.chosen),
    )  # fmt: skip
    saved = 1 - plan.chosen.cost.energy_j / plan.dense.cost.energy_j
    yield Measurement(f"energy_saved/{name}", saved, "share", "estimated", chosen)
    for candidate in plan.candidates:
        which = f"{_called(candidate)}/{name}"
        left = _left(plan, candidate) / plan.shape.operations
        yield Measurement(f"operations_left:{which}", left, "share", "counted")
        yield Measurement(
            f"energy:{which}", candidate.cost.energy_j * 1e9, "nJ/image", "estimated", source
        )
        yield Measurement(f"adders:{which}", candidate.cost.adders, "full adder", "counted")


def _called(candidate: Candidate) -> str:
    width = f"({candidate.width})" if candidate.width else ""
    return f"{candidate.method}{width}"


def _skipping(counters: Counters) -> Iterator[Measurement]:
    """What skipping at run time leaves, on the sample."""
    if "sample_images" not in counters:
        return
    yield Measurement("sample_images", counters["sample_images"], "image", "counted")
    names = [key.partition("/")[2] for key in counters if key.startswith("dense/")]
    for name in names:
        dense = counters[f"dense/{name}"]
        for step in WATERFALL[1:]:
            share = counters[f"{step}/{name}"] / dense if dense else 0.0
            yield Measurement(f"skipping_{step}/{name}", share, "share", "simulated")
        prefix = "deciding_tile:"
        own = {
            int(key[len(prefix) :].partition("/")[0]): count
            for key, count in counters.items()
            if key.startswith(prefix) and key.partition("/")[2] == name
        }
        total = sum(own.values())
        for tile, count in sorted(own.items()):
            share = count / total if total else 0.0
            yield Measurement(f"deciding_tile:{tile}/{name}", share, "share", "simulated")


def _accelerator(design: Design) -> Iterator[Measurement]:
    """What the accelerator's model says of each mechanism; the best one's numbers come first."""
    if design.accelerated is None:
        return
    runs = design.accelerated.by_name
    best = max(runs, key=lambda name: 1 / runs[name].energy().total)
    for measurement in runs[best].measurements():
        name = RENAMED.get(measurement.metric, measurement.metric)
        source = f"{best}; {measurement.source}" if measurement.source else best
        yield replace(measurement, metric=name, source=source)
    for name, run in runs.items():
        for measurement in run.measurements():
            if measurement.metric in COMPARED:
                renamed = RENAMED.get(measurement.metric, measurement.metric)
                yield replace(measurement, metric=f"{renamed}_{name}")


RENAMED = {"images_per_second": "accelerator_images_per_second"}
"""A simulation has images per second of its own."""
COMPARED = (
    "cycles_per_image",
    "pe_utilisation",
    "accelerator_luts",
    "images_per_second",
    "energy_per_image",
    "images_per_kj",
    "operations_per_joule",
)
"""What is stated of every mechanism."""
