"""A certificate that an app proves itself with, in every form of file that administrators have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID


class AppCertificate:
    """A self-signed certificate, as the guide makes one."""

    def __init__(self, name: str = "mail-bridge", *, days: float = 365) -> None:
        """Make it, valid from an hour ago."""
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        self._name = name
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=days))
            .sign(self._key, hashes.SHA256())
        )
        self.thumbprint = self._certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - Entra's name for it

    @property
    def pem(self) -> str:
        """The certificate alone: what is uploaded to Entra."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def key_pem(self, passphrase: str | None = None) -> str:
        """Return the private key."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, _encryption(passphrase)
        ).decode()

    def pfx(self, passphrase: str | None = None) -> bytes:
        """Return both as a PFX (PKCS #12)."""
        return pkcs12.serialize_key_and_certificates(
            self._name.encode(), self._key, self._certificate, None, _encryption(passphrase)
        )


def _encryption(passphrase: str | None) -> serialization.KeySerializationEncryption:
    if passphrase is None:
        return serialization.NoEncryption()
    return serialization.BestAvailableEncryption(passphrase.encode())
