"""Entra's token endpoint, asked wrongly on purpose."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from bridge.adapters.entra.http import session_for
from bridge.probe import private
from bridge.probe.errors import NotCheckable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.adapters.entra.app import EntraApp

_CODE = re.compile(r"AADSTS[0-9]{4,9}")


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """An answer; the token in it is looked at, never told."""

    status: int
    fields: dict[str, Any]

    @property
    def told(self) -> str:
        """The status and the codes, as in `400 invalid_scope AADSTS70011`."""
        error = self.fields.get("error")
        named = error if isinstance(error, str) and re.fullmatch(r"[a-z_]{3,40}", error) else ""
        code = _CODE.search(str(self.fields.get("error_description", "")))
        return " ".join(part for part in (str(self.status), named, code.group() if code else "") if part)

    def claims(self) -> dict[str, Any]:
        """
        Return the claims of the token.

        Raises:
            NotCheckable: There is none, or it cannot be read.
        """
        parts = str(self.fields.get("access_token", "")).split(".")
        try:
            claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        except (IndexError, ValueError, binascii.Error) as error:
            raise NotCheckable(f"the token cannot be read ({self.told})") from error
        if not isinstance(claims, dict):
            raise NotCheckable("the token cannot be read")
        return claims


class TokenEndpoint:
    """The endpoint of one app."""

    def __init__(self, app: EntraApp, read_secret: Callable[[], str]) -> None:
        self._app = app
        self._read_secret = read_secret
        self._session = session_for(app)

    @property
    def client_id(self) -> str:
        """The app that asks."""
        return self._app.client_id

    @property
    def url(self) -> str:
        """Where it asks: what an assertion is for."""
        return self._url(self._app.authority_url)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def ask(self, *, tenant: str | None = None, method: str = "POST", **changes: str | None) -> TokenAnswer:
        """
        Return what a request for a token brings; a change of None leaves a parameter out.

        Raises:
            NotCheckable: No answer.
        """
        return self.ask_with(list(self._form(changes).items()), tenant=tenant, method=method)

    def ask_with(
        self, form: Sequence[tuple[str, str]], *, tenant: str | None = None, method: str = "POST"
    ) -> TokenAnswer:
        """Return what these parameters bring, in their order; one may come twice."""
        authority = self._app.authority_url
        if tenant is not None:
            authority = authority.rpartition("/")[0] + "/" + tenant
        try:
            answer = self._session.request(method, self._url(authority), data=list(form) if method == "POST" else None)
            fields = answer.json()
        except (requests.RequestException, OSError) as error:
            raise NotCheckable(f"no usable answer of Entra ({private.code(type(error).__name__)})") from error
        return TokenAnswer(answer.status_code, fields if isinstance(fields, dict) else {})

    def right_form(self) -> dict[str, str]:
        """Return the parameters that bring a token."""
        return self._form({})

    @staticmethod
    def _url(authority: str) -> str:
        return f"{authority}/oauth2/v2.0/token"

    def _form(self, changes: dict[str, str | None]) -> dict[str, str]:
        try:
            secret = self._read_secret()
        except (OSError, UnicodeDecodeError) as error:
            raise NotCheckable(f"the client secret's file cannot be read ({type(error).__name__})") from error
        form: dict[str, str | None] = {
            "grant_type": "client_credentials",
            "client_id": self._app.client_id,
            "client_secret": secret,
            "scope": self._app.scope,
            **changes,
        }
        return {key: value for key, value in form.items() if value is not None}
