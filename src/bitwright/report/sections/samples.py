"""A few images with what the network made of them: half of them right, half wrong.

The choice is drawn with a fixed seed, so a page can be made again; it is no fair sample.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from bitwright.flow import Evaluation
from bitwright.report.html import Html, join, tag
from bitwright.report.outcomes import class_names, outcomes

COUNT = 12
TOP = 3
"""So many of the highest scores are shown, and that of the true class."""
SEED = 0
ENLARGED = 128
"""Images below so many pixels are shown with their pixels as squares."""


def render(evaluations: Sequence[Evaluation]) -> Html:
    """Return images, once for evaluations that agree in every score."""
    groups = outcomes(evaluations)
    note = tag(
        "p",
        "Drawn with a fixed seed, half of them from those that were decided rightly and half from "
        "the others: no fair sample. Bars reach from an image's lowest to its highest score.",
        class_="note",
    )
    return join(
        (
            note,
            *(
                join(
                    (
                        tag("h3", group.label, class_="group") if len(evaluations) > 1 else "",
                        _one(group.evaluation),
                    )
                )
                for group in groups
            ),
        )
    )


def choose(evaluation: Evaluation) -> npt.NDArray[np.intp]:
    """Return the indices of up to `COUNT` images, in order: right and wrong ones, half and half.

    Where there are not enough of one kind, there are more of the other.
    """
    rng = np.random.default_rng(SEED)
    right = evaluation.predicted == evaluation.data.labels
    hits, misses = rng.permutation(np.flatnonzero(right)), rng.permutation(np.flatnonzero(~right))
    wrong = min(len(misses), max(COUNT // 2, COUNT - len(hits)))
    return np.sort(np.concatenate((misses[:wrong], hits[: COUNT - wrong])))


def data_uri(image: npt.NDArray[np.uint8]) -> str:
    """Return an image (H, W, C) as PNG: in colour if C is 3, else its first channel in grey."""
    pixels = image if image.shape[-1] == 3 else image[..., 0]
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _one(evaluation: Evaluation) -> Html:
    names = class_names(evaluation)
    cards = (_card(evaluation, int(index), names) for index in choose(evaluation))
    return tag("ul", *cards, class_="samples")


def _card(evaluation: Evaluation, index: int, names: Sequence[str]) -> Html:
    true, predicted = int(evaluation.data.labels[index]), int(evaluation.predicted[index])
    right = true == predicted
    image = evaluation.data.images[index]
    verdict = "right" if right else "wrong"
    picture = tag(
        "img",
        src=data_uri(image),
        alt=f"Image {index}: {names[true]}, predicted {names[predicted]}, {verdict}",
        width=image.shape[1],
        height=image.shape[0],
        style=None if max(image.shape[:2]) < ENLARGED else "image-rendering:auto",
    )
    mark = "\N{CHECK MARK} right" if right else "\N{BALLOT X} wrong"
    facts = tag(
        "div",
        tag("p", tag("span", mark, class_="mark"), tag("span", f"image {index:,}", class_="index")),
        tag("p", "true ", tag("strong", names[true])),
        tag("p", "predicted ", tag("strong", names[predicted])),
        _scores(evaluation.scores[index], true, names),
        class_="facts",
    )
    return tag("li", picture, facts, class_=f"sample {verdict}")


def _scores(scores: npt.NDArray[np.int64], true: int, names: Sequence[str]) -> Html:
    order = np.argsort(-scores, kind="stable").tolist()
    shown = order[:TOP] + ([true] if true not in order[:TOP] else [])
    low, high = int(scores.min()), int(scores.max())
    return tag(
        "ul",
        *(_score(int(scores[c]), low, high, names[c], c == true) for c in shown),
        class_="scores",
        aria_label="Highest scores",
    )


def _score(score: int, low: int, high: int, name: str, is_true: bool) -> Html:
    share = (score - low) / (high - low) if high > low else 1.0
    bar = tag(
        "span", tag("span", style=f"width:{100 * share:.1f}%"), class_="bar", aria_hidden="true"
    )
    return tag(
        "li",
        tag("span", name, class_="who", title=name),
        tag("span", f"{score:,}", class_="how"),
        bar,
        class_="true" if is_true else None,
    )
