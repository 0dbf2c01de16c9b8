"""The keys of an issuer whose tokens apps show in place of a secret, fetched from where its discovery says they are."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp

from bridge.sandbox.entra.publickeys import PublicKey

if TYPE_CHECKING:
    from pathlib import Path

# The sandbox asks nobody outside this machine, whatever an assertion names.
_REACHED: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_TIMEOUT_SECONDS: Final = 5.0
_MOST_BYTES: Final = 1 << 18


class IssuerUnreachableError(Exception):
    """An issuer does not answer, or not with what OpenID Connect wants of it."""


class IssuerKeys:
    """Asks anew each time: a key that an issuer begins to sign with is known at once."""

    def __init__(self, ca_file: Path) -> None:
        """Trust the CAs of `ca_file`."""
        self._ca_file = ca_file

    async def of(self, issuer: str) -> dict[str, PublicKey]:
        """
        Return the RSA keys of an issuer by their ids.

        Raises:
            IssuerUnreachableError: They cannot be had.
        """
        try:
            context = await asyncio.to_thread(ssl.create_default_context, cafile=str(self._ca_file))
            timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
            connector = aiohttp.TCPConnector(ssl=context)
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                said = await _fetch(session, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
                if said.get("issuer") != issuer:
                    raise IssuerUnreachableError("the discovery is of another issuer")
                found = await _fetch(session, str(said.get("jwks_uri", "")))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise IssuerUnreachableError(type(error).__name__) from error
        return _keys(found.get("keys"))


async def _fetch(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    where = urlsplit(url)
    if where.scheme != "https" or where.hostname not in _REACHED:
        raise IssuerUnreachableError("the sandbox asks issuers on this machine alone, by HTTPS")
    async with session.get(url, allow_redirects=False) as answer:
        if answer.status != 200:
            raise IssuerUnreachableError(f"HTTP {answer.status}")
        content = await answer.content.read(_MOST_BYTES + 1)
        while len(content) <= _MOST_BYTES and not answer.content.at_eof():
            content += await answer.content.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise IssuerUnreachableError("the answer is too long")
    try:
        said = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(said, dict):
        raise IssuerUnreachableError("the answer is no object")
    return said


def _keys(entries: object) -> dict[str, PublicKey]:
    if not isinstance(entries, list):
        raise IssuerUnreachableError("there is no list of keys")
    keys: dict[str, PublicKey] = {}
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("kid"), str) and entry.get("kty") == "RSA":
            try:
                keys[entry["kid"]] = PublicKey.of_jwk(entry)
            except ValueError as error:
                raise IssuerUnreachableError("a key is none") from error
    return keys
