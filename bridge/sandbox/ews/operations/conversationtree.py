"""The mails of a conversation as a tree: who answers whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.sandbox.store.items import Item


@dataclass(frozen=True, slots=True)
class Node:
    """One mail of a conversation by its Message-ID, with all its copies, and the Message-ID of the one it answers."""

    message_id: str
    parent: str
    items: Sequence[Item]

    @property
    def moment(self) -> tuple[int, int]:
        """When the first copy came."""
        return min((int(item.bag.get(p.DELIVERY_TIME, 0)), item.id) for item in self.items)


def nodes_of(found: Iterable[Item]) -> list[Node]:
    """Return the nodes of mails; those without a Message-ID stand alone."""
    grouped: dict[str | int, list[Item]] = {}
    for item in found:
        grouped.setdefault(str(item.bag.get(p.INTERNET_MESSAGE_ID, "")) or item.id, []).append(item)
    return [
        Node(key if isinstance(key, str) else "", _answered(members[0]), members) for key, members in grouped.items()
    ]


def ordered(nodes: Sequence[Node], order: str | None) -> list[Node]:
    """Return nodes in a ConversationNodeSortOrder: by date, or each one before its answers; dates rise without one."""
    by_date = sorted(nodes, key=lambda node: node.moment)
    found = _as_tree(by_date) if order is None or order.startswith("Tree") else by_date
    return found[::-1] if order is not None and order.endswith("Descending") else found


def _as_tree(by_date: Sequence[Node]) -> list[Node]:
    known = {node.message_id for node in by_date if node.message_id}
    answers: dict[str, list[Node]] = {}
    for node in by_date:
        answers.setdefault(node.parent if node.parent in known else "", []).append(node)
    found: list[Node] = []
    waiting = list(reversed(answers.pop("", [])))
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting.extend(reversed(answers.pop(node.message_id, []) if node.message_id else []))
    # Mails that answer each other in a ring begin nowhere.
    found.extend(node for members in answers.values() for node in members)
    return found


def _answered(item: Item) -> str:
    answered = str(item.bag.get(p.IN_REPLY_TO, "")).split() or str(item.bag.get(p.INTERNET_REFERENCES, "")).split()[-1:]
    return answered[0] if answered else ""
