"""Certificates and keys of apps in tests, as an administrator makes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class AppKey:
    """A key with a self-signed certificate."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def certificate_pem(self) -> str:
        """What is uploaded to the app's registration."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        """What the app keeps to itself."""
        return self.encrypted_key_pem(None)

    def encrypted_key_pem(self, passphrase: str | None) -> str:
        """Return the key under a passphrase."""
        how: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase is not None:
            how = serialization.BestAvailableEncryption(passphrase.encode())
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode()

    def pfx(self, passphrase: str | None = None) -> bytes:
        """Return both as one PFX file."""
        how: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase is not None:
            how = serialization.BestAvailableEncryption(passphrase.encode())
        return pkcs12.serialize_key_and_certificates(b"app", self.key, self.certificate, None, how)

    @property
    def sha1(self) -> str:
        """The thumbprint as the portal shows it."""
        return self.certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - what the portal shows

    @property
    def sha256(self) -> str:
        """The thumbprint that assertions name."""
        return self.certificate.fingerprint(hashes.SHA256()).hex().upper()


def new_app_key(
    *, name: str = "mail-bridge", begins: datetime | None = None, ends: datetime | None = None, bits: int = 2048
) -> AppKey:
    """Return a fresh key whose certificate is valid from yesterday for a year, unless said otherwise."""
    now = datetime.now(UTC)
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins or now - timedelta(days=1))
        .not_valid_after(ends or now + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return AppKey(key, certificate)
