"""The page as its tags and texts, read by the standard library's parser."""

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"img", "meta"}


@dataclass
class Element:
    tag: str
    attributes: dict
    parents: tuple
    texts: list = field(default_factory=list)

    @property
    def text(self):
        return "".join(self.texts)


class Reader(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(page)
        self.close()
        assert not self.open, "an element is not closed"

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs), tuple(self.open))
        assert len(attrs) == len(element.attributes), "an attribute twice"
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> ends nothing"
        assert self.open[-1].tag == tag, f"</{tag}> within <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element.texts.append(data)

    def all(self, tag, **attributes):
        return [
            e
            for e in self.elements
            if e.tag == tag
            and all(e.attributes.get(k.rstrip("_")) == v for k, v in attributes.items())
        ]

    def table(self, name):
        """Return the texts of the cells of each row of the first table in the region `name`."""
        (region, *_) = self.all("div", role="region", **{"aria-label": name})
        rows = [e for e in self.elements if e.tag == "tr" and region in e.parents]
        cells = [e for e in self.elements if e.tag in ("th", "td")]
        return [[c.text for c in cells if c.parents[-1] is row] for row in rows]

    def figures(self):
        return [json.loads(e.text) for e in self.all("script", type="application/json")]
