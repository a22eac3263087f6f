"""The modules of the transport form a hierarchy: none imports another in a circle, not even for its types."""

import ast
import graphlib
from pathlib import Path

import relay.transport

FOLDER = Path(relay.transport.__file__).parent
PREFIX = "relay.transport."


def imported_by(module):
    """Names of the transport's own modules that ``module`` imports anywhere, TYPE_CHECKING included."""
    return {
        (node.module or "").removeprefix(PREFIX)
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX)
    }


def test_no_circle():
    graph = {module.stem: imported_by(module) for module in FOLDER.glob("*.py")}
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError
    assert order.index("work") < order.index("connection") < order.index("site_pool") < order.index("pool")
