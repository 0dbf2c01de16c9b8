"""
The sandbox's own certificate authority and the server certificate that its HTTPS ports show, as files.

    ca.pem            for clients: the authority in force, and behind it those that were before it
    ca.key            the key of the authority in force, and its certificate
    server.pem, .key  what the ports show
    expired           says that server.pem has ended on purpose and is not to be renewed by a start
    checked.json      says that all of these were found to fit each other
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bridge.sandbox.certificatefiles import CA_KEY, EXPIRED, ServerCertificates, certificate_files, note_checked
from bridge.sandbox.files import PUBLIC, write_atomically
from bridge.sandbox.hosts import ALL as CLOUD_HOSTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Long enough that nobody's sandbox stops on a birthday of its certificate; shorter would test nothing here.
_LIFETIME = timedelta(days=3650)
_RENEW_BEFORE = timedelta(days=30)
_HOUR = timedelta(hours=1)
_NAMES: tuple[x509.GeneralName, ...] = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
    # Trusted by nobody but those who trust this CA: a proxy may bring them here under these names.
    *(x509.DNSName(host) for host in CLOUD_HOSTS),
)


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs server certificates."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def new_authority() -> Authority:
    """Return an authority that nobody trusts yet."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(_make_ca(key), key)


def ensure_certificates(directory: Path) -> ServerCertificates:
    """
    Return the certificates of `directory`, made where absent, broken off or about to expire; the CA stays the same.

    A new CA would cut off every client that was configured with the old one, so it is only made when there is none.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = certificate_files(directory)
    # The certificate is written after its key: a crash in between leaves no certificate, and both are made again.
    if not (found.ca_file.exists() and (directory / CA_KEY).exists()):
        _write_authority(directory, new_authority(), [])
        found.chain_file.unlink(missing_ok=True)
    authority, known = authority_in_force(directory), _known(found)
    if authority.certificate not in known:
        # A crash came between the two files of a new authority.
        _write_authority(directory, authority, known)
    wanted = found.chain_file.exists() and found.key_file.exists()
    expired = (directory / EXPIRED).exists()
    # Directories of earlier versions have a certificate for fewer names.
    if not wanted or ((_ends_soon(found.chain_file) or not _has_all_names(found.chain_file)) and not expired):
        renew_certificate(directory)
        expired = False
    note_checked(directory, datetime.max.replace(tzinfo=UTC) if expired else _end(found.chain_file) - _RENEW_BEFORE)
    return found


def renew_certificate(directory: Path) -> datetime:
    """Give the server a fresh key and certificate under the authority in force, and return when that ends."""
    found, authority = certificate_files(directory), authority_in_force(directory)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = make_server(key, authority)
    found.chain_file.unlink(missing_ok=True)
    write_atomically(found.key_file, _key_pem(key))
    write_atomically(found.chain_file, _certificate_pem(certificate), mode=PUBLIC)
    (directory / EXPIRED).unlink(missing_ok=True)
    return certificate.not_valid_after_utc


def expire_certificate(directory: Path) -> None:
    """Give the server a certificate, for its old key and under the authority in force, that has ended an hour ago."""
    found, authority = certificate_files(directory), authority_in_force(directory)
    now = datetime.now(UTC)
    ended = make_server(_load_key(found.key_file), authority, begins=now - timedelta(days=30), ends=now - _HOUR)
    write_atomically(directory / EXPIRED, b"")
    write_atomically(found.chain_file, _certificate_pem(ended), mode=PUBLIC)


def add_authority(directory: Path) -> int:
    """
    Put a new authority in force, and return how many ca.pem holds now.

    The server's certificate stays what it is until it is renewed: clients have the time to read ca.pem anew.
    """
    known = _known(certificate_files(directory))
    _write_authority(directory, new_authority(), known)
    return len(known) + 1


def drop_old_authorities(directory: Path) -> int:
    """Leave in ca.pem the authority in force alone, and return how many went."""
    found = certificate_files(directory)
    known = _known(found)
    write_atomically(found.ca_file, _certificate_pem(known[0]), mode=PUBLIC)
    return len(known) - 1


def _write_authority(directory: Path, authority: Authority, former: Sequence[x509.Certificate]) -> None:
    key_and_certificate = _key_pem(authority.key) + _certificate_pem(authority.certificate)
    write_atomically(directory / CA_KEY, key_and_certificate)
    bundle = b"".join(map(_certificate_pem, (authority.certificate, *former)))
    write_atomically(certificate_files(directory).ca_file, bundle, mode=PUBLIC)


def authority_in_force(directory: Path) -> Authority:
    """Return who signs the next certificate."""
    path = directory / CA_KEY
    content = path.read_bytes()
    # Directories of earlier versions have the key alone, and one certificate in ca.pem.
    alone = b"BEGIN CERTIFICATE" not in content
    certificate = _known(certificate_files(directory))[0] if alone else x509.load_pem_x509_certificate(content)
    return Authority(certificate, _load_key(path))


def _known(files: ServerCertificates) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(files.ca_file.read_bytes())


def new_server(
    authority: Authority, *, host: str | None = None, begins: datetime | None = None, ends: datetime | None = None
) -> bytes:
    """Return a fresh key and its certificate as one PEM file, as a server loads it; for `host`, if that is given."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = _NAMES if host is None else (x509.DNSName(host),)
    return _key_pem(key) + _certificate_pem(make_server(key, authority, names=names, begins=begins, ends=ends))


def _make_ca(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Sandbox CA {x509.random_serial_number():x}"[:40])])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def make_server(
    key: ec.EllipticCurvePrivateKey,
    authority: Authority,
    *,
    names: Sequence[x509.GeneralName] = _NAMES,
    begins: datetime | None = None,
    ends: datetime | None = None,
) -> x509.Certificate:
    """Return a server's certificate: for loopback, and from yesterday until long from now, unless said otherwise."""
    now = datetime.now(UTC)
    ca = authority.certificate
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=False, crl_sign=False,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(names[0].value))]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins or now - timedelta(days=1))
        .not_valid_after(ends or min(now + _LIFETIME, ca.not_valid_after_utc))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issued_by, critical=False)
        .sign(authority.key, hashes.SHA256())
    )


def _has_all_names(path: Path) -> bool:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(_NAMES) <= set(names)


def _ends_soon(path: Path) -> bool:
    return _end(path) - datetime.now(UTC) < _RENEW_BEFORE


def _end(path: Path) -> datetime:
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        message = f"{path} holds no elliptic curve key"
        raise TypeError(message)
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
