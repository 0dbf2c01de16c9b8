"""The sandbox's admin API: what is in the mailboxes and what was sent, and what its app may open."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PAGE = 500


class SandboxApi:
    """What it says is the truth that the demo checks against."""

    def __init__(self, admin_url: str) -> None:
        self._url = admin_url.rstrip("/")
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on loopback

    def limit_app(self, client_id: str, addresses: Sequence[str]) -> None:
        """Let an app open these mailboxes alone: a scoped role in Exchange in the place of consent in Entra."""
        request = urllib.request.Request(  # noqa: S310 - the sandbox on loopback
            f"{self._url}/apps/{client_id}",
            data=json.dumps({"roles": [], "mailboxes": list(addresses)}).encode(),
            headers={"Content-Type": "application/json"},
            method="PATCH",
        )
        with self._opener.open(request, timeout=30) as answer:
            answer.read()

    def count(self, address: str, distinguished_name: str) -> int:
        """Return how many mails a folder holds."""
        return int(self._get(f"{_folder(address, distinguished_name)}/mails?limit=1")["total"])

    def mails(self, address: str, distinguished_name: str) -> Iterator[dict[str, Any]]:
        """Yield what the sandbox tells of each mail in a folder."""
        offset = 0
        while True:
            page = self._get(f"{_folder(address, distinguished_name)}/mails?offset={offset}&limit={_PAGE}")
            yield from page["mails"]
            offset += len(page["mails"])
            if not page["mails"] or offset >= page["total"]:
                return

    def mime(self, address: str, distinguished_name: str, item_id: str) -> bytes:
        """Return a mail's bytes."""
        path = f"{_folder(address, distinguished_name)}/mails/{urllib.parse.quote(item_id, safe='')}/mime"
        with self._opener.open(self._url + path, timeout=30) as answer:
            return bytes(answer.read())

    def count_by_name(self, address: str, name: str) -> int:
        """Return how many mails a folder of this display name holds; none where there is no such folder."""
        folders = self._get(f"/mailboxes/{urllib.parse.quote(address)}/folders")
        listed = folders["folders"] if isinstance(folders, dict) else folders
        return sum(int(folder["count"]) for folder in listed if folder["name"] == name)

    def sends(self) -> list[dict[str, Any]]:
        """Return every send that the sandbox accepted, in order."""
        sends = self._get("/sends")
        return list(sends["sends"] if isinstance(sends, dict) else sends)

    def _get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        with self._opener.open(self._url + path, timeout=30) as answer:
            return json.load(answer)


def _folder(address: str, distinguished_name: str) -> str:
    return f"/mailboxes/{urllib.parse.quote(address)}/folders/{distinguished_name}"
