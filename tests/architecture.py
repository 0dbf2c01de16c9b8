"""
Who imports whom, as `docs/architecture.md` shows it.

`python -m tests.architecture` prints it, `--write` puts it into the page; a unit test fails where the two differ. The
rules that imports keep to are the contracts in `pyproject.toml`.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grimp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from grimp import ImportGraph

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "architecture.md"
_ROOT: Final = "bridge"
_BEGIN: Final = "<!-- drawn by python -m tests.architecture --write -->"
_END: Final = "<!-- end of the drawn part -->"

_TEXT: Final = """\
Each arrow reads "imports", for types alone too. The picture leaves out an arrow where a longer way leads to the same
room; the table has them all.

```mermaid
flowchart TD
{picture}
```

| room | imports |
| --- | --- |
{rooms}

Rooms that have folders; `/*` stands for the modules beside these, which may import a folder and be imported by it. No
two modules import each other.

| part | imports |
| --- | --- |
{parts}

Who knows a library:

| library | known to |
| --- | --- |
{libraries}"""


def drawn() -> str:
    """Return what the page has between its marks."""
    graph = grimp.build_graph(_ROOT, include_external_packages=True, cache_dir=None)
    rooms = _arrows(graph, lambda module: module.split(".")[1])
    parts = _arrows(graph, lambda module: _part(graph, module))
    return _TEXT.format(
        picture="\n".join(
            f"  {room} --> {' & '.join(sorted(to))}" for room, to in sorted(_without_shortcuts(rooms).items()) if to
        ),
        rooms=_rows(rooms),
        parts=_rows(dict(_cut_rooms(parts))),
        libraries=_rows(_libraries(graph)),
    )


def page(text: str, drawn_part: str) -> str:
    """Return the page with this part in its place."""
    before, _, rest = text.partition(_BEGIN)
    return f"{before}{_BEGIN}\n\n{drawn_part}\n\n{_END}{rest.partition(_END)[2]}"


def _ours(graph: ImportGraph) -> Iterator[str]:
    return (module for module in sorted(graph.modules) if module.startswith(f"{_ROOT}."))


def _part(graph: ImportGraph, module: str) -> str:
    """Return the folder within a room, or the room: `ingest/notifications`, `ingest/*`, `flow`."""
    _, room, *rest = module.split(".")
    folders = [child for child in graph.find_children(f"{_ROOT}.{room}") if graph.find_children(child)]
    if not folders:
        return room
    return f"{room}/{rest[0]}" if rest and f"{_ROOT}.{room}.{rest[0]}" in folders else f"{room}/*"


def _arrows(graph: ImportGraph, place_of: Callable[[str], str]) -> dict[str, set[str]]:
    """Return which places import which others."""
    found: dict[str, set[str]] = {}
    for module in _ours(graph):
        place = place_of(module)
        imported = (one for one in graph.find_modules_directly_imported_by(module) if one.startswith(f"{_ROOT}."))
        found.setdefault(place, set()).update({place_of(one) for one in imported} - {place})
    return found


def _without_shortcuts(arrows: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Leave out each arrow to what another target of the same place leads to, however far; there are no circles."""

    def reached(place: str) -> set[str]:
        return {one for target in arrows[place] for one in (target, *reached(target))}

    return {place: to - {far for target in to for far in reached(target)} for place, to in arrows.items()}


def _cut_rooms(parts: Mapping[str, set[str]]) -> Iterator[tuple[str, set[str]]]:
    """Yield the parts of rooms that have several; of another room it does not matter here which part is meant."""
    for part, to in parts.items():
        room, cut, _ = part.partition("/")
        if cut:
            yield part, {one if one.startswith(f"{room}/") else one.partition("/")[0] for one in to}


def _libraries(graph: ImportGraph) -> dict[str, set[str]]:
    """Return who knows each library that is not Python's own."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for module in _ours(graph):
        for library in graph.find_modules_directly_imported_by(module):
            if not library.startswith(f"{_ROOT}.") and library not in {_ROOT, *sys.stdlib_module_names}:
                found[library].add(_part(graph, module))
    return found


def _rows(places: Mapping[str, set[str]]) -> str:
    return "\n".join(
        f"| `{place}` | {', '.join(f'`{one}`' for one in sorted(to)) or 'nothing'} |"
        for place, to in sorted(places.items())
    )


def main() -> None:
    """Print what is drawn, or write it into the page."""
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(PAGE.read_text("utf-8"), drawn()), "utf-8")
    else:
        print(drawn())


if __name__ == "__main__":
    main()
