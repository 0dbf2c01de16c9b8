"""One property of an item, a folder, a contact or a task, as EWS shows and takes it: a row of the tables of such."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.sandbox.ews import values

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml import etree

    from bridge.sandbox.ews.values import Kind
    from bridge.sandbox.ews.view import View
    from bridge.sandbox.store import properties as p

    Element = etree._Element  # noqa: SLF001 - the only name that it has
    Take = Callable[[Element, p.Bag, set[str]], None]


@dataclass(frozen=True, slots=True)
class Field:
    """One property of an item."""

    uri: str
    element: str
    shapes: str = ""
    """Which shapes hold it; a field in none is given only when asked for by name."""
    key: str | None = None
    kind: Kind = values.STRING
    mask: int = 0
    """The bit of an integer property that this boolean is."""
    inverted: bool = False
    render: Callable[[View], str] | None = None
    """Makes the element where it is more than one value; returns nothing where the item has none."""
    found: bool = True
    """Whether FindItem can give it."""
    settable: bool = False
    fixed_once_sent: bool = False
    default: Any = None
    take: Take | None = None
    """Puts what an element of a request says into a bag, and what it does away with into a set of keys."""
    gone: tuple[str, ...] = ()
    """The keys that deleting the property takes away, where they are more than its own."""

    def show(self, view: View) -> str:
        """Return the element with the item's value, or nothing."""
        if self.render is not None:
            return self.render(view)
        value = view.item.bag.get(self.key or "", self.default)
        if value is None:
            return ""
        if self.mask:
            value = bool(value & self.mask) != self.inverted
        shown = self.kind.show(value)
        return f"<t:{self.element}>{shown}</t:{self.element}>" if shown else f"<t:{self.element}/>"
