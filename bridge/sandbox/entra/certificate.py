"""
Reads of a certificate what Entra keeps of it: the key, the times and the name.

DER by hand, as X.690 and RFC 5280 write it down: the library for it would stay in memory for what an administrator
uploads once. Nothing is verified here, as nothing is when a certificate is uploaded: the thumbprint is what counts.
"""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bridge.sandbox.appcredentials import Certificate
from bridge.sandbox.entra.encoding import base64url

_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----\s*([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_INTEGER, _BIT_STRING, _OBJECT_ID, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x02, 0x03, 0x06, 0x17, 0x18, 0xA0
_RSA: Final = bytes.fromhex("2a864886f70d010101")
_COMMON_NAME: Final = bytes.fromhex("550403")
_SHORTEST_KEY_BITS, _LONGEST_KEY_BITS, _LONGEST_EXPONENT_BITS = 2048, 16_384, 64
_MOST_BYTES: Final = 1 << 16


class NoCertificateError(ValueError):
    """A text holds no certificate, or one that Entra takes none of."""


@dataclass(frozen=True, slots=True)
class _Part:
    tag: int
    content: bytes

    def parts(self) -> list[_Part]:
        """Return what lies in it."""
        found, rest = [], self.content
        while rest:
            part, rest = _read(rest)
            found.append(part)
        return found


def read_certificate(text: bytes) -> Certificate:
    """
    Return the first certificate of a PEM file, or the one of a DER file; keys that lie beside it are not looked at.

    Raises:
        NoCertificateError: There is none, or its key is no RSA key that signs assertions.
    """
    if len(text) > _MOST_BYTES:
        raise NoCertificateError(f"this is longer than {_MOST_BYTES} bytes: no certificate is")
    armoured = _PEM.search(text)
    try:
        der = base64.b64decode(b"".join(armoured[1].split()), validate=True) if armoured else text
        whole, rest = _read(der)
        to_be_signed = [part for part in whole.parts()[0].parts() if part.tag != _VERSION]
        _serial, _signature, _issuer, validity, subject, key = to_be_signed[:6]
        begins, ends = (_moment(part) for part in validity.parts())
        modulus, exponent = _rsa_key(key)
        name = _common_name(subject)
    except (ValueError, IndexError) as error:
        reason = str(error) if isinstance(error, NoCertificateError) else "this is no certificate in PEM or DER"
        raise NoCertificateError(reason) from None
    if rest or not _SHORTEST_KEY_BITS <= modulus.bit_length() <= _LONGEST_KEY_BITS:
        raise NoCertificateError("this is no certificate of an RSA key of 2048 bits or more")
    return Certificate(
        key_id=str(uuid.uuid4()),
        name=f"CN={name}",
        thumbprint=hashlib.sha1(der, usedforsecurity=False).hexdigest().upper(),
        thumbprint_sha256=hashlib.sha256(der).hexdigest().upper(),
        modulus=base64url(_bytes(modulus)),
        exponent=base64url(_bytes(exponent)),
        starts_at=begins,
        expires_at=ends,
    )


def _read(data: bytes) -> tuple[_Part, bytes]:
    """Return the part that bytes begin with, and what follows it."""
    tag, length, begin = data[0], data[1], 2
    if length & 0x80:
        size = length & 0x7F
        begin += size
        length = int.from_bytes(data[2:begin])
        if not 1 <= size <= 4:
            raise NoCertificateError("this is no DER")
    if len(data) < begin + length:
        raise NoCertificateError("the certificate was cut off")
    return _Part(tag, data[begin : begin + length]), data[begin + length :]


def _rsa_key(key: _Part) -> tuple[int, int]:
    algorithm, bits = key.parts()
    if algorithm.parts()[0] != _Part(_OBJECT_ID, _RSA) or bits.tag != _BIT_STRING:
        raise NoCertificateError("the key is no RSA key: Entra takes assertions of no other")
    numbers = _read(bits.content[1:])[0].parts()
    if [number.tag for number in numbers] != [_INTEGER, _INTEGER]:
        raise NoCertificateError("the key is no RSA key")
    modulus, exponent = (int.from_bytes(number.content) for number in numbers)
    if exponent.bit_length() > _LONGEST_EXPONENT_BITS:
        raise NoCertificateError("the key's exponent is longer than any")
    return modulus, exponent


def _common_name(name: _Part) -> str:
    for relative in name.parts():
        for attribute in relative.parts():
            kind, value = attribute.parts()
            if kind == _Part(_OBJECT_ID, _COMMON_NAME):
                text = value.content.decode("utf-8", "replace")
                return "".join(character for character in text if character.isprintable())[:200]
    return ""


def _moment(part: _Part) -> float:
    text = part.content.decode("ascii")
    if part.tag == _UTC_TIME:
        # RFC 5280: two digits of a year below fifty are of this century.
        text = ("20" if text < "5" else "19") + text
    elif part.tag != _GENERALIZED_TIME:
        raise NoCertificateError("a time is none")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)
