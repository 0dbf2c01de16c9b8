"""Signatures checked by integers, beside those of a library that knows nothing of it."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bridge.sandbox.entra.encoding import base64url
from bridge.sandbox.entra.publickeys import PublicKey

_MESSAGE = b"head.claims"
_PSS = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
_PADDINGS: dict[str, padding.AsymmetricPadding] = {"PS256": _PSS, "RS256": padding.PKCS1v15()}


# Moduli of 2049 bits have a block that is a byte shorter than the modulus.
@pytest.fixture(scope="module", params=[2048, 2049, 2055, 3072])
def key(request: pytest.FixtureRequest) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=request.param)


def _public(key: rsa.RSAPrivateKey) -> PublicKey:
    numbers = key.public_key().public_numbers()
    return PublicKey(numbers.n, numbers.e)


def test_a_library_s_signatures_are_taken(key: rsa.RSAPrivateKey) -> None:
    for algorithm, how in _PADDINGS.items():
        for _ in range(5):  # the salt differs each time
            assert _public(key).signed(algorithm, _MESSAGE, key.sign(_MESSAGE, how, hashes.SHA256()))


@pytest.mark.parametrize("algorithm", ["PS256", "RS256"])
def test_a_signature_of_another_message_or_changed_anywhere_is_refused(key: rsa.RSAPrivateKey, algorithm: str) -> None:
    signature = key.sign(_MESSAGE, _PADDINGS[algorithm], hashes.SHA256())

    assert not _public(key).signed(algorithm, b"another", signature)
    for at in range(0, len(signature), 16):
        changed = bytearray(signature)
        changed[at] ^= 1
        assert not _public(key).signed(algorithm, _MESSAGE, bytes(changed))


def test_a_signature_is_of_the_algorithm_that_is_named(key: rsa.RSAPrivateKey) -> None:
    for algorithm, other in (("PS256", "RS256"), ("RS256", "PS256"), ("RS256", "none"), ("PS256", "PS512")):
        assert not _public(key).signed(other, _MESSAGE, key.sign(_MESSAGE, _PADDINGS[algorithm], hashes.SHA256()))


def test_a_salt_of_another_length_or_another_hash_is_refused(key: rsa.RSAPrivateKey) -> None:
    """RFC 7518: the salt is as long as the hash, and both hashes are the same."""
    for how, digest in (
        (padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=20), hashes.SHA256()),
        (padding.PSS(padding.MGF1(hashes.SHA1()), salt_length=32), hashes.SHA256()),  # noqa: S303 - the wrong one
        (padding.PSS(padding.MGF1(hashes.SHA512()), salt_length=64), hashes.SHA512()),
    ):
        assert not _public(key).signed("PS256", _MESSAGE, key.sign(_MESSAGE, how, digest))


@pytest.mark.parametrize("signature", [b"", b"\x00" * 256, b"\xff" * 256, b"\x00" * 257, b"\x01" * 10_000])
def test_bytes_that_are_no_signature_are_refused(key: rsa.RSAPrivateKey, signature: bytes) -> None:
    assert not any(_public(key).signed(algorithm, _MESSAGE, signature) for algorithm in _PADDINGS)


def test_a_key_is_read_from_its_numbers(key: rsa.RSAPrivateKey) -> None:
    numbers = key.public_key().public_numbers()
    n, e = (base64url(number.to_bytes((number.bit_length() + 7) // 8)) for number in (numbers.n, numbers.e))

    assert PublicKey.of_jwk({"kty": "RSA", "n": n, "e": e}) == _public(key)
    for jwk in ({"kty": "EC", "n": n, "e": e}, {"kty": "RSA", "n": n}, {"kty": "RSA", "n": "AQAB", "e": e},
                {"kty": "RSA", "n": n, "e": n}, {"kty": "RSA", "n": n, "e": "AQ"}, {"kty": "RSA", "n": "é", "e": e},
                {"kty": "RSA", "n": 1, "e": 2}, {}):  # fmt: skip
        with pytest.raises(ValueError, match=r".+"):
            PublicKey.of_jwk(jwk)
