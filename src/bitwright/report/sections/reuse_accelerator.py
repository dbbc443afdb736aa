"""What a design comes to on the accelerator: cycles, images per kJ, operations per joule."""

from __future__ import annotations

from bitwright.records import Measurement
from bitwright.report.html import Column, Html, join, table, tag
from bitwright.report.numbers import badge, exact, percent
from bitwright.report.sections.circuit_costs import Series, bars
from bitwright.report.sections.reuse_record import Measured, origin, under

METRICS = {
    "cycles": "Cycles for an image",
    "cycles_per_image": "Cycles for an image",
    "images_per_kj": "Images per kJ",
    "operations_per_joule": "Operations per joule",
    "pe_utilisation": "Utilisation of the PEs",
}
"""With ``_dense``: of the array that skips nothing."""
_DASH = "\N{EN DASH}"


def render(found: Measured, network: str) -> Html:
    """Return the accelerator's numbers, beside those of the dense array where they are known."""
    metrics = [metric for metric in METRICS if metric in found]
    if not metrics:
        return Html("")
    compared = any(f"{metric}_dense" in found for metric in metrics)
    columns = [Column("Number"), Column("This design", number=True)]
    if compared:
        columns += [Column("Dense array", number=True), Column("Relative", number=True)]
    rows = [
        [
            METRICS[metric],
            _value(found[metric]),
            *(_beside(found, metric) if compared else ()),
            found[metric].unit,
            badge(found[metric]),
        ]
        for metric in metrics
    ]
    written = table(
        join(
            (
                f"{network} on the accelerator. Images per kJ are of this network alone; "
                "operations are those of the network with nothing left out. ",
                origin(found[metric] for metric in metrics),
            )
        ),
        [*columns, Column("Unit"), Column("Method")],
        rows,
        name="Accelerator",
    )
    return join((tag("h3", f"{network} on the accelerator"), written, _cycles(found, network)))


def full_cost(found: Measured) -> Html:
    """Return a sentence that goes with counts of skipped work: what it comes to in full."""
    rate, dense = found.get("images_per_kj"), found.get("images_per_kj_dense")
    if rate is None or dense is None or not rate.value:
        return Html("What skipping takes and saves in full is not in this record.")
    share = percent(dense.value / rate.value)
    said = f"On the accelerator an image takes {share} of the dense array's energy "
    return join((said, badge(rate), "."))


def _beside(found: Measured, metric: str) -> tuple[object, object]:
    dense = found.get(f"{metric}_dense")
    if dense is None:
        return _DASH, _DASH
    return _value(dense), f"{found[metric].value / dense.value:.3f}" if dense.value else _DASH


def _value(measurement: Measurement) -> Html | str:
    if measurement.unit == "share":
        return percent(measurement.value)
    return exact(measurement.value)


def _cycles(found: Measured, network: str) -> Html:
    """Return the cycles of each layer, beside those of the dense array."""
    ours, dense = under(found, "cycles"), under(found, "cycles_dense")
    names = [name for name in ours if name in dense]
    if not names:
        return Html("")
    return bars(
        names,
        [
            Series("dense array", [dense[name].value for name in names]),
            Series("this design", [ours[name].value for name in names]),
        ],
        "cycles for an image",
        alt=f"Cycles of {len(names)} layers of {network}, beside those of a dense array.",
        caption=join(
            (f"Cycles of each layer of {network}. ", origin(ours[name] for name in names))
        ),
    )
