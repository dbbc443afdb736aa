"""External tools: found, asked for their version, and run."""

from bitwright.eda.tools import TOOLS, Tool, find_tools

__all__ = ["TOOLS", "Tool", "find_tools"]
