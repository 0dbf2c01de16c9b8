"""Reads the bridge's own source."""

from __future__ import annotations

import ast
import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def parsed(path: Path) -> ast.Module:
    """
    Return the syntax tree of a module, made while nothing is collected.

    A collection may log an error that nobody waited for. Its traceback parses a line of source, and Python before
    3.11.5 fails where one parse begins within another ("AST constructor recursion depth mismatch").
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(path.read_text("utf-8"))
    finally:
        if collects:
            gc.enable()
