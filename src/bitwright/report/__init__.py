"""What evaluations found, as one HTML page that needs nothing else.

`render` puts the page together from ``sections``; `write_report` writes it.
"""

from bitwright.report.page import SECTIONS, Section, render, write_report

__all__ = ["SECTIONS", "Section", "render", "write_report"]
