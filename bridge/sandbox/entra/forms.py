"""What is posted to the token endpoint, read strictly."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote_plus

from bridge.sandbox.entra.errors import MISSING_PARAMETER, NOT_POST, REPEATED_PARAMETER, EntraError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web


async def read_form(request: web.Request) -> dict[str, str]:
    """
    Return the posted parameters; credentials of a Basic header count as if they had been posted.

    Raises:
        EntraError: Nothing was posted, or a parameter twice.
    """
    if request.method != "POST":
        raise EntraError(NOT_POST, method=request.method)
    body = await request.read()  # bounded by the application's client_max_size
    form: dict[str, str] = {}
    for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
        if name in form:
            raise EntraError(REPEATED_PARAMETER, name=name)
        form[name] = value
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        client_id, secret = _basic(credentials)
        form.setdefault("client_id", client_id)
        form.setdefault("client_secret", secret)
    return form


def _basic(credentials: str) -> tuple[str, str]:
    # RFC 6749 2.3.1: both halves are form-encoded before they are joined.
    try:
        text = base64.b64decode(credentials, validate=True).decode()
    except ValueError:  # not base64, not ASCII, not UTF-8
        return "", ""
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def required(form: Mapping[str, str], name: str) -> str:
    """
    Return a parameter.

    Raises:
        EntraError: It is missing or empty.
    """
    value = form.get(name, "")
    if not value:
        raise EntraError(MISSING_PARAMETER, name=name)
    return value
