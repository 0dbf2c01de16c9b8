"""What credentials are read from, while an administrator renews them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bridge.adapters.entra.certificate import read_certificate
from bridge.adapters.entra.credentials import CertificateSource, FederatedSource, SecretSource
from bridge.adapters.entra.factory import credential_sources
from bridge.config import EntraSettings
from bridge.errors import CredentialsRejected
from tests.support.keys import AppKey, new_app_key

IDS = {"tenant_id": "example.org", "client_id": "5f1c1a8e-0000-4000-8000-000000000002"}


@pytest.fixture(scope="module")
def app() -> AppKey:
    return new_app_key()


@pytest.fixture(scope="module")
def other() -> AppKey:
    return new_app_key()


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"renewed\n", "renewed"), (b"\xef\xbb\xbfrenewed\r\n", "renewed"), (b"", "as loaded"), (None, "as loaded")],
)
def test_the_file_counts_as_soon_as_it_holds_a_secret(tmp_path: Path, content: bytes | None, secret: str) -> None:
    """A byte order mark, as some editors write it, is no part of the secret: the start reads it so too."""
    file = tmp_path / "secret"
    source = SecretSource("as loaded", file)
    if content is not None:
        file.write_bytes(content)

    found = source.load()

    assert found is not None
    assert found.secret == secret
    assert secret not in repr(found)


def test_a_successor_is_none_until_its_file_is_there(tmp_path: Path) -> None:
    source = SecretSource(None, tmp_path / "next")

    before = source.load(), source.raw()
    (tmp_path / "next").write_text("value")

    assert before == (None, None)
    assert source.load() is not None


@pytest.mark.parametrize("form", ["pem", "reversed", "two files", "encrypted", "pfx", "pfx without", "chain"])
def test_every_form_of_certificate_is_read(app: AppKey, other: AppKey, form: str) -> None:
    certificate, key = app.certificate_pem.encode(), app.key_pem.encode()
    content, key_file, passphrase = {
        "pem": (certificate + key, None, None),
        "reversed": (key + certificate, None, None),
        "two files": (certificate, key, None),
        "encrypted": (certificate + app.encrypted_key_pem("pass").encode(), None, "pass"),
        "pfx": (app.pfx("pass"), None, "pass"),
        "pfx without": (app.pfx(), None, None),
        "chain": (other.certificate_pem.encode() + certificate + key, None, "not needed"),
    }[form]

    read = read_certificate(content, key_file, passphrase)

    assert read.thumbprint == app.sha1
    assert read.certificate_pem == app.certificate_pem
    assert "PRIVATE KEY" in read.key_pem
    assert "PRIVATE KEY" not in repr(read)
    assert read.ends_at == app.certificate.not_valid_after_utc.timestamp()


def _bad(app: AppKey, other: AppKey) -> dict[str, tuple[bytes, bytes | None, str | None, str, str]]:
    certificate, key = app.certificate_pem.encode(), app.key_pem.encode()
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    unusable = "certificate_unusable"
    return {
        "no key": (certificate, None, None, unusable, "no private key"),
        "another key": (certificate, other.key_pem.encode(), None, "certificate_mismatch", "not that of"),
        "no passphrase": (certificate + app.encrypted_key_pem("p").encode(), None, None, unusable, "passphrase_file"),
        "wrong passphrase": (certificate + app.encrypted_key_pem("p").encode(), None, "q", unusable, "is wrong"),
        "pfx, no passphrase": (app.pfx("p"), None, None, unusable, "needs a passphrase"),
        "pfx, wrong passphrase": (app.pfx("p"), None, "q", unusable, "passphrase is wrong"),
        "curve": (certificate + curve, None, None, unusable, "no RSA key"),
        "half a key": (certificate + key[:300], None, None, unusable, "no private key"),
        "half a certificate": (certificate[:300] + key, None, None, unusable, "damaged"),
        "rubbish": (b"\x30\x00rubbish", None, None, unusable, "damaged"),
        "empty": (b"", None, None, unusable, "damaged"),
    }


@pytest.mark.parametrize("case", list(_bad(new_app_key(bits=1024), new_app_key(bits=1024))))
def test_a_certificate_that_cannot_be_used_says_why(app: AppKey, other: AppKey, case: str) -> None:
    content, key, passphrase, code, words = _bad(app, other)[case]

    with pytest.raises(CredentialsRejected) as caught:
        read_certificate(content, key, passphrase)

    assert caught.value.code == code
    assert words in str(caught.value)


def test_a_certificate_renewed_behind_the_links_of_kubernetes_is_another(tmp_path: Path) -> None:
    """The kubelet puts a new directory beside the old one and swaps `..data`; the files' own links stay."""
    for name in ("old", "new"):
        key = new_app_key()
        (tmp_path / name).mkdir()
        (tmp_path / name / "tls.crt").write_text(key.certificate_pem)
        (tmp_path / name / "tls.key").write_text(key.key_pem)
    (tmp_path / "..data").symlink_to("old")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    source = CertificateSource(tmp_path / "tls.crt", tmp_path / "tls.key", passphrase=None, passphrase_file=None)
    old, raw = source.load(), source.raw()

    (tmp_path / "..data_tmp").symlink_to("new")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    new = source.load()
    assert old is not None
    assert new is not None
    assert new.fingerprint != old.fingerprint
    assert source.raw() != raw


def test_a_certificate_without_its_key_yet_is_told_apart_from_none(tmp_path: Path, app: AppKey) -> None:
    source = CertificateSource(tmp_path / "crt", tmp_path / "key", passphrase=None, passphrase_file=None)

    assert source.load() is None
    (tmp_path / "crt").write_text(app.certificate_pem)
    with pytest.raises(CredentialsRejected, match="certificate_key_file"):
        source.load()


def test_a_federated_token_is_read_anew_for_each_use(tmp_path: Path) -> None:
    file = tmp_path / "token"
    credential = FederatedSource(file).load()
    assert credential is not None
    assert credential.read_token is not None

    with pytest.raises(CredentialsRejected) as caught:
        credential.read_token()
    file.write_text("a.b.c\n")
    first = credential.read_token()
    file.write_text("d.e.f")

    assert caught.value.code == "federated_token_unusable"
    assert (first, credential.read_token()) == ("a.b.c", "d.e.f")


def test_each_form_in_the_configuration_has_its_source(tmp_path: Path, app: AppKey) -> None:
    (tmp_path / "pem").write_text(app.certificate_pem + app.key_pem)
    ends = datetime.now(UTC) + timedelta(days=5)
    forms: list[tuple[dict[str, object], list[str]]] = [
        ({"client_secret": "value", "client_secret_expires_at": ends}, ["client secret"]),
        ({"client_secret": "value", "client_secret_next": "other"}, ["client secret", "client secret"]),
        ({"client_secret": "value", "certificate_next_file": tmp_path / "pem"}, ["client secret", "certificate"]),
        ({"certificate_file": tmp_path / "pem"}, ["certificate"]),
        ({"federated_token_file": tmp_path / "token"}, ["federated token"]),
        ({"managed_identity": True}, ["managed identity"]),
    ]
    for values, kinds in forms:
        sources = credential_sources(EntraSettings.model_validate({**IDS, **values}))
        assert [source.kind for source in sources] == kinds

    (source,) = credential_sources(EntraSettings.model_validate({**IDS, **forms[0][0]}))
    found = source.load()
    assert found is not None
    assert found.expires_at == ends.timestamp()
