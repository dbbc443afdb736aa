"""QONNX files: networks of brevitas and other tools, read and written.

A file is read, never executed: its constants are folded in NumPy, its activations become
`bitwright.frontends.lowering` values, node by node.
"""

from bitwright.frontends.qonnx.export import export_qonnx, to_model
from bitwright.frontends.qonnx.importer import import_qonnx

__all__ = ["export_qonnx", "import_qonnx", "to_model"]
