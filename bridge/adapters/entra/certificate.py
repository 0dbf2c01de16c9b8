"""The app's certificate: PEM or PFX, with a key that belongs to it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from bridge.errors import CredentialsRejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_KEY_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL)
_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, as MSAL takes them."""

    certificate_pem: str
    key_pem: str = field(repr=False)
    begins_at: float
    ends_at: float
    thumbprint: str
    """SHA-1, as Entra's pages show it."""


def read_certificate(content: bytes, key: bytes | None, passphrase: str | None) -> Certificate:
    """
    Return the certificate in a file, with its key from the same file or from another.

    Raises:
        CredentialsRejected: What is wrong with them.
    """
    secret = passphrase.encode() if passphrase else None
    if _CERTIFICATE in content:
        private = _key(key if key is not None else content, secret)
        certificates = _certificates(content)
    else:
        private, certificates = _from_pfx(content, secret)
        private = _key(key, secret) if key is not None else private
    if private is None:
        raise _unusable("there is no private key in it; give certificate_key_file, or a PFX with the key")
    if not isinstance(private, rsa.RSAPrivateKey):
        raise _unusable("its key is no RSA key, which Entra asks for")
    return _joined(private, certificates)


def _joined(private: rsa.RSAPrivateKey, certificates: Sequence[x509.Certificate]) -> Certificate:
    public = private.public_key().public_numbers()
    for one in certificates:  # a chain may come with it, in any order
        theirs = one.public_key()
        if isinstance(theirs, rsa.RSAPublicKey) and theirs.public_numbers() == public:
            plain = serialization.NoEncryption()
            pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
            return Certificate(
                certificate_pem=one.public_bytes(serialization.Encoding.PEM).decode(),
                key_pem=pem.decode(),
                begins_at=one.not_valid_before_utc.timestamp(),
                ends_at=one.not_valid_after_utc.timestamp(),
                thumbprint=one.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 - a name, no proof
            )
    raise CredentialsRejected("the private key is not that of the certificate", code="certificate_mismatch")


def _certificates(content: bytes) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise _unusable("the certificate in it is damaged") from error


def _key(content: bytes, secret: bytes | None) -> PrivateKeyTypes | None:
    block = _KEY_BLOCK.search(content)
    if block is None:
        return None
    encrypted = b"ENCRYPTED" in block.group()
    if encrypted and secret is None:
        raise _unusable("its private key is encrypted; give certificate_passphrase_file")
    try:
        return serialization.load_pem_private_key(block.group(), secret if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        why = "the passphrase is wrong, or the private key is damaged" if encrypted else "the private key is damaged"
        raise _unusable(why) from error


def _from_pfx(content: bytes, secret: bytes | None) -> tuple[PrivateKeyTypes | None, Sequence[x509.Certificate]]:
    try:
        private, own, others = pkcs12.load_key_and_certificates(content, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        given = "the passphrase is wrong" if secret else "it needs a passphrase (certificate_passphrase_file)"
        raise _unusable(f"it is no PEM; and as a PFX {given}, or it is damaged") from error
    return private, [one for one in (own, *others) if one is not None]


def _unusable(why: str) -> CredentialsRejected:
    return CredentialsRejected(f"the certificate's file cannot be used: {why}", code="certificate_unusable")
