"""Tokens of the sandbox's own making, beside those of a library that knows nothing of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from bridge.sandbox.entra.encoding import base64url
from bridge.sandbox.entra.keys import SigningKey, ensure_signing_key
from bridge.sandbox.entra.signed import NoTokenError, WrongSignatureError, decode, encode

if TYPE_CHECKING:
    from pathlib import Path

_CLAIMS = {"aud": "somebody", "name": "Ünal 🚁", "nested": {"list": [1, 2.5, None]}}


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return ensure_signing_key(tmp_path_factory.mktemp("keys") / "signing.json")


def _library_key(key: SigningKey) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(key.public_exponent, key.modulus).public_key()


def test_a_library_takes_our_tokens_by_the_published_key(key: SigningKey) -> None:
    token = encode(_CLAIMS, key)

    published = jwt.PyJWK(key.jwk("issuer"))
    assert jwt.decode(token, published, algorithms=["RS256"], audience="somebody") == _CLAIMS
    assert jwt.get_unverified_header(token) == {"typ": "JWT", "alg": "RS256", "kid": key.key_id, "x5t": key.key_id}


def test_we_take_a_library_s_tokens_of_our_key(tmp_path: Path) -> None:
    key = ensure_signing_key(tmp_path / "signing.json")
    private = jwt.PyJWK(json.loads((tmp_path / "signing.json").read_text()), algorithm="RS256")

    assert decode(jwt.encode(_CLAIMS, private, algorithm="RS256"), key, required=("aud",)) == _CLAIMS


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_token_that_was_changed_anywhere_is_refused(key: SigningKey, place: int) -> None:
    parts = encode(_CLAIMS, key).split(".")
    parts[place] = base64url(
        {0: b'{"alg":"RS256"}', 1: b'{"aud":"another"}', 2: b"\x01" * ((key.modulus.bit_length() + 7) // 8)}[place]
    )

    with pytest.raises(WrongSignatureError):
        decode(".".join(parts), key, required=())


@pytest.mark.parametrize("signature", [b"", b"\x00", b"\x00" * 256, b"\xff" * 256, b"\x00" * 257])
def test_a_signature_of_another_length_or_beyond_the_modulus_is_none(key: SigningKey, signature: bytes) -> None:
    assert not key.signed(b"message", signature)


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b", "a.b.c.d", "é.e30.e30", "e30.e30.e30", "W10.e30.e30", "e30.W10.e30", "\udce4.e30.e30",
     f"{base64url(b'[' * 100_000)}.e30.e30", f"{base64url(b'9' * 5_000)}.e30.e30"],
)  # fmt: skip
def test_what_is_no_token_is_told_from_a_wrong_signature(key: SigningKey, text: str) -> None:
    with pytest.raises(NoTokenError) as refused:
        decode(text, key, required=())
    assert not isinstance(refused.value, WrongSignatureError)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS512", None, ["RS256"]])
def test_no_other_algorithm_is_taken(key: SigningKey, algorithm: object) -> None:
    text = f"{base64url(json.dumps({'alg': algorithm}).encode())}.{base64url(b'{}')}"

    with pytest.raises(NoTokenError):
        decode(f"{text}.{base64url(key.sign(text.encode()))}", key, required=())


def test_a_claim_that_must_be_there_is_missed(key: SigningKey) -> None:
    with pytest.raises(NoTokenError):
        decode(encode({"aud": None}, key), key, required=("aud",))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"n": 1, "e": 2, "d": 3}', b'{"n": "@", "e": "", "d": ""}'])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "signing.json").write_bytes(content)

    with pytest.raises(ValueError, match=r"Expecting value|holds no RSA key"):
        ensure_signing_key(tmp_path / "signing.json")
