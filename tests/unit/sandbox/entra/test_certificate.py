"""What Entra keeps of an uploaded certificate, read from its DER by hand."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridge.sandbox.entra.certificate import NoCertificateError, read_certificate
from bridge.sandbox.entra.encoding import unbase64url
from tests.support.keys import AppKey, new_app_key


@pytest.fixture(scope="module")
def app_key() -> AppKey:
    return new_app_key(name="Brücke 7")


def test_a_certificate_says_its_key_its_times_and_its_thumbprints(app_key: AppKey) -> None:
    read = read_certificate(app_key.certificate_pem.encode())

    numbers = app_key.key.public_key().public_numbers()
    assert int.from_bytes(unbase64url(read.modulus)) == numbers.n
    assert int.from_bytes(unbase64url(read.exponent)) == numbers.e
    assert (read.thumbprint, read.thumbprint_sha256) == (app_key.sha1, app_key.sha256)
    assert read.name == "CN=Brücke 7"
    assert read.starts_at == app_key.certificate.not_valid_before_utc.timestamp()
    assert read.expires_at == app_key.certificate.not_valid_after_utc.timestamp()


@pytest.mark.parametrize("year", [2049, 2050, 2099])
def test_a_certificate_may_end_in_any_year_of_this_century(year: int) -> None:
    """From 2050 on, its end is written in another form."""
    ends = datetime(year, 6, 1, 12, 30, 15, tzinfo=UTC)

    assert read_certificate(new_app_key(ends=ends).certificate_pem.encode()).expires_at == ends.timestamp()


def test_a_file_may_be_der_or_hold_a_key_and_a_chain_too(app_key: AppKey) -> None:
    der = app_key.certificate.public_bytes(serialization.Encoding.DER)
    bundle = app_key.key_pem + app_key.certificate_pem + new_app_key().certificate_pem

    for file in (der, bundle.encode(), bundle.replace("\n", "\r\n").encode()):
        assert read_certificate(file).thumbprint == app_key.sha1


def test_a_key_of_another_kind_or_too_short_is_refused() -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "curve")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(curve.public_key())
    made = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))

    with pytest.raises(NoCertificateError, match="no RSA key"):
        read_certificate(made.sign(curve, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    with pytest.raises(NoCertificateError, match="2048 bits"):
        read_certificate(new_app_key(bits=1024).certificate_pem.encode())


@pytest.mark.parametrize(
    "text",
    [b"", b"x", b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80", b"\x30\x00", b"\x30\x02\x30\x00", b"0" * 70_000,
     b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
     b"-----BEGIN CERTIFICATE-----\n=\n-----END CERTIFICATE-----\n"],
)  # fmt: skip
def test_what_is_no_certificate_is_refused(text: bytes) -> None:
    with pytest.raises(NoCertificateError):
        read_certificate(text)


def test_a_certificate_that_was_cut_off_or_changed_is_refused_or_read(app_key: AppKey) -> None:
    """Whatever is in the bytes, nothing but a refusal comes of it."""
    der = app_key.certificate.public_bytes(serialization.Encoding.DER)

    for end in range(0, len(der), 7):
        with pytest.raises(NoCertificateError):
            read_certificate(der[:end])
    for at in range(len(der)):
        changed = bytearray(der)
        changed[at] ^= 0xFF
        with suppress(NoCertificateError):
            assert read_certificate(bytes(changed)).thumbprint != app_key.sha1
