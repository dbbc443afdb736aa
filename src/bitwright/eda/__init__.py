"""External tools, and what is worked out from standard-cell libraries.

Tools are found and run here, and nowhere else. From a circuit in structural Verilog to numbers:
`synthesis` maps it to cells of a `liberty` library, `logic` and `equivalence` check what came out,
`opensta` and `timing` find its delay, `energy` what an operation takes. Import them from their
modules: this one loads nothing heavy.
"""

from bitwright.eda.run import BuildPlan, BuildResult, Command, run_plan
from bitwright.eda.tools import TOOLS, FoundTool, Tool, find_tools, require

__all__ = [
    "TOOLS",
    "BuildPlan",
    "BuildResult",
    "Command",
    "FoundTool",
    "Tool",
    "find_tools",
    "require",
    "run_plan",
]
