"""Whom a connection to the broker trusts, and the certificate that it shows of itself."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from bridge.errors import BrokerUnavailable, ConfigurationError
from bridge.telemetry import descriptors
from bridge.telemetry.descriptors import says_none_left

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SECTION = "rabbitmq"


def tls_context(
    *,
    ca_file: Path | None = None,
    certificate_file: Path | None = None,
    key_file: Path | None = None,
    read_passphrase: Callable[[], str] | None = None,
) -> ssl.SSLContext:
    """
    Return the context of one connection, made of the files as they are now. Verification is always on.

    Raises:
        ConfigurationError: A file cannot be read or used; the text names its key.
        BrokerUnavailable: The process can open no file at all.
    """
    for key, file in (
        ("ca_file", ca_file),
        ("client_certificate_file", certificate_file),
        ("client_key_file", key_file),
    ):
        if file is not None:
            _must_be_readable(key, file)
    try:
        # Given a file, it trusts nothing else: neither the system's certificates nor those that SSL_CERT_FILE names.
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        _if_none_left(error)
        raise _wrong("ca_file", "holds no certificate as PEM", error) from error
    if certificate_file is not None:
        _show(context, certificate_file, key_file, read_passphrase)
    return context


def _show(
    context: ssl.SSLContext, certificate_file: Path, key_file: Path | None, read_passphrase: Callable[[], str] | None
) -> None:
    asked = False

    def passphrase() -> str:
        # Without this function OpenSSL would ask the terminal, and wait.
        nonlocal asked
        asked = True
        return read_passphrase() if read_passphrase is not None else ""

    key = "client_certificate_file" if key_file is None else "client_key_file"
    try:
        context.load_cert_chain(certificate_file, key_file, password=passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _wrong(key, "holds the key of another certificate", error) from error
        if asked:
            what = "does not open the private key" if read_passphrase is not None else "is missing: the key has one"
            raise _wrong("client_key_passphrase", what, error) from error
        what = "needs a certificate and its private key, both as PEM"
        raise _wrong("client_certificate_file", what, error) from error
    except (OSError, ValueError) as error:
        _if_none_left(error)
        raise _wrong("client_certificate_file", "cannot be used", error) from error


def _must_be_readable(key: str, file: Path) -> None:
    # OpenSSL does not say which of the files it misses.
    try:
        with file.open("rb"):
            return
    except OSError as error:
        _if_none_left(error)
        raise _wrong(key, "cannot be read", error) from error


def _if_none_left(error: Exception) -> None:
    """
    Return where the error is about the file.

    Raises:
        BrokerUnavailable: The process can open no file at all.
    """
    if says_none_left(error):
        raise BrokerUnavailable(code=descriptors.CODE) from error


def _wrong(key: str, what: str, error: Exception) -> ConfigurationError:
    reason = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else None
    return ConfigurationError(f"{_SECTION}.{key} {what}" + (f" ({reason})" if reason else ""))
