"""Every port that is kept by more than one class of the bridge has one suite, and every such class runs it."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from tests.support.source import parsed

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = ROOT / "tests" / "contract" / "README.md"
PARTS: Final = {"Content": "read by the suite of BlobStore", "Delivery": "settled by the suite of Consumer"}
"""Protocols that are part of another port's promise."""
OF_OTHER_PORTS: Final = {"ClientSecret", "ClientAssertion"}
"""Classes that have the methods of a port by chance: those of the sandbox's Entra verify another thing."""


_USED: Final = r"(?m)^(?!from |import ).*\b{}\b"


def _classes(path: Path) -> list[ast.ClassDef]:
    return [node for node in ast.walk(parsed(path)) if isinstance(node, ast.ClassDef)]


def _bases(node: ast.ClassDef) -> set[str]:
    return {base.id for base in node.bases if isinstance(base, ast.Name)}


def _members(node: ast.ClassDef) -> set[str]:
    """Return what of a class can be seen: methods, fields, and what is assigned to its instances."""
    found = {one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
    targets: list[ast.expr] = [one.target for one in ast.walk(node) if isinstance(one, ast.AnnAssign)]
    targets += [target for one in ast.walk(node) if isinstance(one, ast.Assign) for target in one.targets]
    found |= {target.id for target in targets if isinstance(target, ast.Name)}
    found |= {target.attr for target in targets if isinstance(target, ast.Attribute)}
    return {name for name in found if not name.startswith("_")}


PORTS: Final = {
    node.name: _members(node)
    for path in sorted((ROOT / "bridge" / "ports").glob("*.py"))
    for node in _classes(path)
    if "Protocol" in _bases(node) and node.name not in PARTS
}


def _adapters() -> dict[str, set[str]]:
    """Return the classes that have everything that a port asks for: the bridge's own, and those in memory."""
    found: dict[str, set[str]] = {port: set() for port in PORTS}
    for path in [*(ROOT / "bridge").rglob("*.py"), *(ROOT / "tests" / "support" / "memory").glob("*.py")]:
        for node in _classes(path):
            if "Protocol" not in _bases(node):
                for port, members in PORTS.items():
                    if members <= _members(node):
                        found[port].add(node.name)
    return {port: names - OF_OTHER_PORTS for port, names in found.items()}


ADAPTERS: Final = _adapters()


def _suites() -> dict[str, list[str]]:
    """Return by each port's suite the texts of the test files that run it."""
    texts = [path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    suites = [node.name for path in (ROOT / "tests" / "contract").glob("*.py") for node in _classes(path)]
    return {
        name: [text for text in texts if re.search(rf"^class \w+\({name}\)", text, re.MULTILINE)]
        for name in suites
        if name.endswith("Contract")
    }


SUITES: Final = _suites()


@pytest.mark.parametrize("port", sorted(port for port, names in ADAPTERS.items() if len(names) > 1))
def test_a_port_with_several_adapters_has_a_suite_that_each_of_them_runs(port: str) -> None:
    run_by = SUITES[f"{port}Contract"]

    missing = [name for name in sorted(ADAPTERS[port]) if not any(re.search(_USED.format(name), one) for one in run_by)]
    assert missing == []


def test_the_page_has_every_port_with_its_suite_or_its_one_adapter() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", PAGE.read_text("utf-8"), re.MULTILINE)

    assert [port for port, _, _ in rows] == sorted(PORTS)
    for port, suite, adapters in rows:
        assert set(re.findall(r"`(\w+)`", adapters)) >= ADAPTERS[port], port
        assert ("—" in suite) == (f"{port}Contract" not in SUITES), port


def test_no_class_is_left_out_that_is_not_there() -> None:
    there = {node.name for path in (ROOT / "bridge").rglob("*.py") for node in _classes(path)}

    assert there >= OF_OTHER_PORTS


def test_the_ports_are_found() -> None:
    assert {"Inbox", "SendingMailbox", "Publisher", "Consumer", "Topology", "BlobStore"} <= PORTS.keys()
    assert {"MemoryOutbox", "EwsSender", "PausingMailbox"} <= ADAPTERS["SendingMailbox"]
