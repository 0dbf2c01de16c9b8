"""Where each form of credential is read from."""

from __future__ import annotations

import contextlib
import hashlib
import stat
from typing import TYPE_CHECKING, Protocol

from bridge.adapters.entra.certificate import read_certificate
from bridge.adapters.entra.credential import Credential, Kind
from bridge.adapters.entra.errors import CredentialRefusedError
from bridge.errors import CredentialsRejected, TokenUnavailable
from bridge.telemetry import descriptors
from bridge.telemetry.descriptors import says_none_left

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class CredentialSource(Protocol):
    """Where a credential is read from."""

    @property
    def kind(self) -> Kind:
        """Which form it is of."""

    @property
    def files(self) -> Sequence[Path]:
        """The files with something to hide."""

    def raw(self) -> bytes | None:
        """Return something that is another when the content is another; None where there is none at the moment."""

    def load(self) -> Credential | None:
        """
        Return the credential as it is now; None where there is none yet.

        Raises:
            CredentialsRejected: It cannot be read, or not be used.
        """


class SecretSource:
    """A client secret: a value, or a file with it that is read anew."""

    kind: Kind = "client secret"

    def __init__(self, value: str | None, file: Path | None, *, expires_at: float | None = None) -> None:
        self._value, self._file, self._expires_at = value, file, expires_at
        self._first = value
        with contextlib.suppress(TokenUnavailable):
            self._first = value or self._read()

    @property
    def files(self) -> Sequence[Path]:
        """The secret's file."""
        return [self._file] if self._file is not None else []

    def raw(self) -> bytes | None:
        """Return the secret."""
        current = self._read() if self._file is not None else self._value
        return current.encode() if current else None

    def load(self) -> Credential | None:
        """Return the secret, without what editors put around it."""
        current = self._read() if self._file is not None else self._value
        if not current and self._value is not None:
            current = self._value  # as it was at the start: the file is being renewed
        if not current:
            return None
        # A date was stated for the secret that was there at the start, and for no later one.
        expires_at = self._expires_at if current == self._first or self._first is None else None
        return Credential("client secret", _digest(b"secret", current.encode()), secret=current, expires_at=expires_at)

    def _read(self) -> str | None:
        content = _content(self._file) if self._file is not None else None
        return content.decode("utf-8-sig", "replace").strip() or None if content else None


class CertificateSource:
    """A certificate with its key: one file or two, with a passphrase or without."""

    kind: Kind = "certificate"

    def __init__(
        self, file: Path, key_file: Path | None, *, passphrase: str | None, passphrase_file: Path | None
    ) -> None:
        self._file, self._key_file = file, key_file
        self._passphrase, self._passphrase_file = passphrase, passphrase_file

    @property
    def files(self) -> Sequence[Path]:
        """The key's file, and the passphrase's."""
        return [file for file in (self._key_file or self._file, self._passphrase_file) if file is not None]

    def raw(self) -> bytes | None:
        """Return what the files hold."""
        files = (self._file, self._key_file, self._passphrase_file)
        contents = [_content(file) for file in files if file is not None]
        return _digest(*(content or b"" for content in contents)).encode() if contents[0] else None

    def load(self) -> Credential | None:
        """Return the certificate with its key."""
        content = _content(self._file)
        if not content:
            return None
        key = None
        if self._key_file is not None:
            key = _content(self._key_file)
            if not key:
                raise CredentialsRejected("certificate_key_file cannot be read", code="certificate_unusable")
        read = read_certificate(content, key, self._current_passphrase())
        fingerprint = _digest(b"certificate", read.certificate_pem.encode(), read.key_pem.encode())
        return Credential("certificate", fingerprint, certificate=read, expires_at=read.ends_at)

    def _current_passphrase(self) -> str | None:
        content = _content(self._passphrase_file) if self._passphrase_file is not None else None
        return (content.decode("utf-8-sig", "replace").strip() if content else None) or self._passphrase


class FederatedSource:
    """A token of another issuer in a file that is renewed by somebody else, usually every hour."""

    kind: Kind = "federated token"

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def files(self) -> Sequence[Path]:
        """None: it lives for an hour, and Kubernetes decides who may read it."""
        return []

    def raw(self) -> bytes | None:
        """Return what does not change: the token is read for each use."""
        return str(self._file).encode()

    def load(self) -> Credential | None:
        """Return what reads the token."""
        return Credential("federated token", _digest(b"federated", str(self._file).encode()), read_token=self._token)

    def _token(self) -> str:
        content = _content(self._file)
        token = content.decode("ascii", "replace").strip() if content else ""
        if token.count(".") != 2:
            what = "holds no token" if content else "cannot be read"
            raise CredentialRefusedError(f"federated_token_file {what}", code="federated_token_unusable")
        return token


class ManagedIdentitySource:
    """The identity of the machine or service that this runs on."""

    kind: Kind = "managed identity"

    def __init__(self, client_id: str | None) -> None:
        self._client_id = client_id

    @property
    def files(self) -> Sequence[Path]:
        """None."""
        return []

    def raw(self) -> bytes | None:
        """Return what does not change."""
        return (self._client_id or "system").encode()

    def load(self) -> Credential | None:
        """Return which identity it is."""
        return Credential("managed identity", _digest(b"identity", self.raw() or b""), identity=self._client_id)


def open_to_all(source: CredentialSource) -> bool:
    """Return whether every user of this machine may read what has to be hidden."""
    for file in source.files:
        with contextlib.suppress(OSError):
            if file.stat().st_mode & stat.S_IROTH:
                return True
    return False


def _content(file: Path) -> bytes | None:
    """
    Return what a file holds; None where it is missing or cannot be read: it may be in the middle of a renewal.

    Raises:
        TokenUnavailable: The process can open no file at all, which says nothing of this one.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        if says_none_left(error):
            raise TokenUnavailable(code=descriptors.CODE) from error
        return None


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
