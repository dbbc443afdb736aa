"""Redundancy skipping: operations pruned with no output changed, and what that saves in full.

Requirements:

- Every output of the design's own execution is compared with the program's, and each layer's plan
  is worked out symbolically.
- Operations pruned are stated beside the full cost, and beside those of random kernels of the same
  shapes: more than half of the operations go with any kernels.
- Shared sums and dense layers are priced by the same pieces; in full, the plan of one layer is
  mapped to cells as a whole to check that.
- What was published was measured on an FPGA, with a network that is not named: images per kJ are
  those of the accelerator's model, stated with the network, and per operation.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from bitwright import data as data_sets
from bitwright import flow, network, zoo
from bitwright.eda.pdk import ChosenLibrary
from bitwright.prove import Comparison, compare
from bitwright.records import Measurement
from bitwright.reproduce.claims import Claim, Progress, Reproduction
from bitwright.targets import get_target
from bitwright.targets.reuse.design import Design, LayerPlan
from bitwright.targets.reuse.equality import prove
from bitwright.targets.reuse.mapped import map_layer
from bitwright.targets.reuse.planner import plan_layer

NETWORK = "cifar10-cnv"
"""FINN's CNV, trained here; it ships with Bitwright."""
ABOUT = (
    "Gao, Liu, Lai, redundancy skipping in BNN accelerators (Electronics 2021): 51 % of the "
    "operations pruned with no accuracy lost; 6.55e5 images per kJ on a Zynq XC7Z100, 3.6 times "
    "the best FPGA BNN. Their network is not named and their design was not available; here the "
    "network, planner and cost model are those that the rows name."
)
PRUNED, IMAGES_PER_KJ = 0.51, 6.55e5
"""What was published."""
PART, CALIBRATION = "XC7Z100", 2
"""The accelerator's FPGA, and how many training images say what it can skip."""
QUICK_IMAGES = 200
MAPPED = "conv2"
"""The layer that is mapped as a whole: half of the network's operations."""


def reproduce(
    chosen: ChosenLibrary | None = None, *, quick: bool = False, progress: Progress | None = None
) -> Reproduction:
    """Recompute the family's headline claims.

    Parameters
    ----------
    chosen
        The library that a layer is mapped to as a whole; None to leave that out.
    quick
        Whether to take few images, and to map nothing.
    progress
        Called as it goes on.

    Raises
    ------
    ToolError
        If yosys is missing and a library is given.
    DataError, UnknownNameError
        If the images or the network are not on this machine.
    """
    began = time.monotonic()
    report = progress or (lambda _what, _done, _of: None)
    program = network.load(NETWORK).program
    trained_on = zoo.card(NETWORK).fields["recipe"]["data"]
    images = data_sets.load(trained_on, "test").head(QUICK_IMAGES if quick else None)
    target = get_target("reuse")
    settings = {
        "engine": "reference",  # which executes every plan
        "part": PART,
        "calibration": trained_on,
        "calibration_images": CALIBRATION,
    }
    design = target.lower(
        program, target.configure(settings), lambda done, of: report("planning", done, of)
    )
    rows = prove(design, progress=report)
    found = compare(design, images.images, progress=report)
    random = list(_random_twins(design, report))
    claims = [
        *_exactness(found, sum(len(row.wrong) for row in rows), sum(row.neurons for row in rows)),
        *_savings(design, random),
        *_measured(target.measure(design, found.counters)),
    ]
    versions = dict(flow.versions())
    if chosen is not None and not quick:
        report(f"mapping {MAPPED}", 0, 1)
        claims += _mapped(design.plans[MAPPED], chosen)
    return Reproduction(
        "reuse", ABOUT, tuple(claims), images.info(), quick, time.monotonic() - began, versions
    )


def _exactness(found: Comparison, wrong: int, neurons: int) -> Iterable[Claim]:
    yield Claim(
        "outputs that differ from the exact network's",
        Measurement("differing", found.differing, f"of {found.outputs:,}", "simulated",
                    "the plans executed, every image"),
        0.0, found.differing == 0,
    )  # fmt: skip
    yield Claim(
        "rows of weights that a plan does not reproduce",
        Measurement("wrong_rows", wrong, f"of {neurons:,}", "counted",
                    "each plan worked out symbolically"),
        0.0, wrong == 0,
    )  # fmt: skip


def _savings(design: Design, random: list[LayerPlan]) -> Iterable[Claim]:
    """Operations pruned and the full cost, of the network and of random kernels."""
    source = f"{NETWORK}, layers of one-bit weights; bits of inputs that are read"
    plans = list(design.plans.values())
    pruned = 1 - _left(plans)
    yield Claim(
        "operations pruned by the plans that cost least",
        Measurement("operations_pruned", pruned, "share", "counted", source),
        PRUNED, pruned >= PRUNED,
    )  # fmt: skip
    for method in ("spanning", "steiner", "tiles"):
        share = 1 - _left(plans, method)
        name = f"operations pruned by {METHODS[method]}, XNORs only"
        yield Claim(name, Measurement(f"pruned_{method}", share, "share", "counted", source))
    share = 1 - _left(random)
    seeded = f"{source}; random kernels of the same shapes, seed 0"
    yield Claim(
        "the same of random kernels", Measurement("pruned", share, "share", "counted", seeded)
    )
    for which, of, text in (("", plans, NETWORK), (" of random kernels", random, "seed 0")):
        energies = [
            sum(getattr(plan, part).cost.energy_j for plan in of) for part in ("chosen", "dense")
        ]
        saved = 1 - energies[0] / energies[1]
        priced = f"{text}; {design.table.source}"
        yield Claim(
            f"energy saved, all costs counted{which}",
            Measurement("energy_saved", saved, "share", "estimated", priced),
        )


METHODS = {
    "spanning": "trees of whole kernels",
    "steiner": "trees with virtual kernels",
    "tiles": "tiles of 9 bits",
}


def _left(plans: Iterable[LayerPlan], method: str = "") -> float:
    """Return the share of operations that plans leave, or that a method would leave."""
    left = whole = 0
    for plan in plans:
        named = [c for c in plan.candidates if c.method == method] or [plan.chosen]
        each = plan.shape.windows * plan.shape.input_bits
        left += named[0].operations * each
        whole += plan.shape.operations
    return left / whole


def _random_twins(design: Design, report: Progress) -> Iterable[LayerPlan]:
    """Plan layers of the same shapes with random weights."""
    rng = np.random.default_rng(0)
    for done, (name, plan) in enumerate(design.plans.items()):
        report(f"random kernels for {name}", done, len(design.plans))
        weights = rng.random(plan.dot.weights.shape) < 0.5
        dot = replace(plan.dot, weights=weights)
        yield plan_layer(design.program, name, dot, design.config, design.table)


def _measured(measurements: Iterable[Measurement]) -> Iterable[Claim]:
    """What the target measures, as far as it serves a claim.

    Images per kJ are no claim: the published network is not named, and whether the host, the
    processors and the first layer are counted is not known.
    """
    shown = {
        "area_saved": ("area saved, all costs counted", None),
        "luts_saved": ("7-series LUTs saved, all costs counted", None),
        "images_per_kj_dense": (f"images per kJ, {NETWORK}, accelerator without skipping", None),
        "images_per_kj_skipping": ("images per kJ with early decisions and pools", IMAGES_PER_KJ),
        "images_per_kj_patterns": ("images per kJ with shared patterns", None),
        "operations_per_joule_dense": ("operations of the whole network per joule, dense", None),
        "operations_per_joule_skipping": (
            "operations per joule with early decisions and pools",
            None,
        ),
    }
    by_name = {m.metric: m for m in measurements}
    for metric, (words, published) in shown.items():
        if metric in by_name:
            yield Claim(words, by_name[metric], published)


def _mapped(plan: LayerPlan, chosen: ChosenLibrary) -> Iterable[Claim]:
    made = map_layer(plan, chosen)
    source = (
        f"both stages of {plan.shape.name} mapped to {chosen.library.name} and simulated with "
        f"delays; {made.neurons_mapped} dense neurons for all"
    )
    yield Claim(
        f"energy saved in {plan.shape.name}, mapped as a whole",
        Measurement("energy_saved_mapped", made.saved, "share", "simulated", source),
    )
    parts = ("sums of inputs", "sums of nodes", "pipeline")
    priced = sum(plan.chosen.cost.parts[part].energy_j for part in parts)
    yield Claim(
        f"energy of {plan.shape.name} by the sum of pieces over that of its netlist",
        Measurement("model_ratio", priced / made.energy_j, "ratio", "estimated", source),
    )
    yield Claim(
        f"delay of {plan.shape.name} over that of a dense neuron",
        Measurement(
            "delay_ratio", made.delay_s / made.dense_delay_s, "ratio", "synthesised", source
        ),
    )
