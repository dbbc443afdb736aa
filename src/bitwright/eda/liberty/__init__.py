"""Standard-cell libraries in Liberty format: read, searched by function, looked up."""

from bitwright.eda.liberty.cells import Cell, Leakage, Pin, PowerArc, TimingArc
from bitwright.eda.liberty.library import POWER_GROUPS, Library, read_liberty
from bitwright.eda.liberty.tables import Table

__all__ = [
    "POWER_GROUPS",
    "Cell",
    "Leakage",
    "Library",
    "Pin",
    "PowerArc",
    "Table",
    "TimingArc",
    "read_liberty",
]
