"""A framework's own model beside the program: verdict, agreement, and layer by layer."""

from __future__ import annotations

from bitwright.certificate import Agreement, Certificate, LayerComparison
from bitwright.report.html import Column, Html, join, table, tag
from bitwright.report.numbers import exact, method, percent

_DASH = "\N{EN DASH}"


def render(certificate: Certificate) -> Html:
    """Return the verdict, the table of decisions and that of the layers."""
    verdict = "The certificate holds." if certificate.holds else "The certificate does not hold."
    first = certificate.first_divergence
    return join(
        (
            tag("p", tag("strong", verdict), f" The rule for {certificate.rule}."),
            *(tag("p", f"Objection: {objection}.") for objection in certificate.objections),
            tag("p", f"Source: {certificate.source}. First divergence: {first or 'none'}."),
            tag("p", f"Not compared: {', '.join(certificate.not_compared)}.")
            if certificate.not_compared
            else "",
            _decisions(certificate),
            _layers(certificate),
        )
    )


def _decisions(certificate: Certificate) -> Html:
    agreement, accuracy = certificate.agreement, certificate.accuracy
    rows = [
        ("same decision, program and float32", agreement["float32"]),
        ("same decision, program and float64", agreement["float64"]),
        ("same decision, float32 and float64", agreement["between"]),
        *((f"right, {name}", found) for name, found in accuracy.items()),
    ]
    return table(
        join(("Decisions of the framework's model and of the program. ", method("simulated"))),
        [
            Column("What"),
            Column("Images", number=True),
            Column("Share", number=True),
            Column("95 % interval", number=True),
        ],
        [
            (what, exact(found.count), percent(found.share, 2), _interval(found))
            for what, found in rows
        ],
        name="Decisions",
    )


def _interval(found: Agreement) -> str:
    low, high = found.interval
    return f"{percent(low, 2)} {_DASH} {percent(high, 2)}"


def _layers(certificate: Certificate) -> Html:
    return table(
        join(
            (
                f"Each layer against {certificate.reference}. Following: a layer before differs "
                "already in that image. Alone: given the program's own input. Errors are those of "
                "images in which no layer before differs. ",
                method("simulated"),
            )
        ),
        [
            Column("Layer"),
            Column("Kind"),
            *(
                Column(title, number=True)
                for title in (
                    "Elements",
                    "Differ",
                    "Ties",
                    "Rounding",
                    "Following",
                    "Unexplained",
                    "Alone",
                    "Largest error",
                )
            ),
        ],
        [_row(layer) for layer in certificate.layers],
        name="Layers against the framework",
    )


def _row(layer: LayerComparison) -> list[object]:
    counts = (layer.differing, layer.ties, layer.rounding, layer.following, layer.unexplained)
    stored = layer.kind == "stored"
    alone, error = layer.given_equal_inputs, layer.largest_error
    return [
        layer.name,
        layer.kind,
        exact(layer.elements),
        *(_DASH if stored else exact(count) for count in counts),
        _DASH if alone is None else exact(alone),
        _DASH if error is None else exact(error),
    ]
