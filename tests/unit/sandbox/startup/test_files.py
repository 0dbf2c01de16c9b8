"""What a sandbox keeps in its directory."""

from __future__ import annotations

import json
import ssl
import stat
import tomllib
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bridge.sandbox.certificatefiles import are_checked
from bridge.sandbox.certificates import authority_in_force, ensure_certificates, make_server
from bridge.sandbox.entra.keys import ensure_signing_key
from bridge.sandbox.files import DirectoryClaim, DirectoryInUseError, write_atomically
from bridge.sandbox.ports import PortTakenError, bound, free_port
from bridge.sandbox.settings import Announcement, parse
from bridge.sandbox.tenant import Tenant, TenantFile, new_tenant

if TYPE_CHECKING:
    from pathlib import Path


def test_a_written_file_is_private_whatever_a_crash_left(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    draft = tmp_path / ".secret.new"
    draft.write_text("half a secre")
    draft.chmod(0o644)

    write_atomically(path, b"secret")

    assert path.read_bytes() == b"secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not draft.exists()


def test_a_directory_serves_one_sandbox(tmp_path: Path) -> None:
    with DirectoryClaim(tmp_path), pytest.raises(DirectoryInUseError), DirectoryClaim(tmp_path):
        pass

    with DirectoryClaim(tmp_path):
        pass


def test_certificates_are_made_once(tmp_path: Path) -> None:
    first = ensure_certificates(tmp_path)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    assert ensure_certificates(tmp_path) == first
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_the_server_certificate_is_for_loopback_and_signed_by_the_ca(tmp_path: Path) -> None:
    made = ensure_certificates(tmp_path)
    certificate = x509.load_pem_x509_certificate(made.chain_file.read_bytes())
    ca = x509.load_pem_x509_certificate(made.ca_file.read_bytes())

    certificate.verify_directly_issued_by(ca)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    named = names.get_values_for_type(x509.DNSName)
    assert named[0] == "localhost"
    assert {"login.microsoftonline.com", "outlook.office365.us", "partner.outlook.cn", "graph.microsoft.us"} < {*named}
    assert {str(address) for address in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "::1"}
    assert isinstance(made.server_context(), ssl.SSLContext)


def test_keys_are_private_and_the_ca_is_for_all_to_read(tmp_path: Path) -> None:
    made = ensure_certificates(tmp_path)
    ensure_signing_key(tmp_path / "signing.json")

    for private in (made.key_file, tmp_path / "ca.key", tmp_path / "signing.json"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.ca_file.stat().st_mode) == 0o644


@pytest.mark.parametrize("lost", ["server.pem", "server.key"])
def test_a_crash_between_key_and_certificate_is_mended_under_the_same_ca(tmp_path: Path, lost: str) -> None:
    made = ensure_certificates(tmp_path)
    ca = made.ca_file.read_bytes()
    (tmp_path / lost).unlink()

    again = ensure_certificates(tmp_path)

    assert again.ca_file.read_bytes() == ca
    assert again.server_context()


def test_a_signing_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing.json"

    assert ensure_signing_key(path).key_id == ensure_signing_key(path).key_id


def test_a_tenant_comes_back_as_it_was(tmp_path: Path) -> None:
    file = TenantFile(tmp_path / "tenant.json")
    file.tenant.add_users(["dispatch@example.org"])
    file.tenant.ports["ews"] = 15_001
    file.tenant.apps[0].secrets[0].expired = True
    file.save()

    assert TenantFile(tmp_path / "tenant.json").tenant == file.tenant


def test_aliases_are_of_queue_letters_and_different_and_no_reserved_words() -> None:
    tenant = new_tenant()
    tenant.add_users(
        [
            "Dispatch@example.org",
            "dispatch@example.com",
            "Flight.Crew+1@example.org",
            "dead@example.org",
            "_@example.org",
        ]
    )

    assert [user.alias for user in tenant.users] == ["dispatch", "dispatch-2", "flight-crew-1", "dead-box", "mailbox"]


def test_a_user_is_added_once_however_the_address_is_written() -> None:
    tenant = new_tenant()
    tenant.add_users(["dispatch@example.org"])
    before = tenant.users[0]
    tenant.add_users(["DISPATCH@EXAMPLE.ORG", "crew@example.org"])

    assert [user.address for user in tenant.users] == ["dispatch@example.org", "crew@example.org"]
    assert tenant.users[0] is before


@pytest.mark.parametrize(
    "address", ["", "dispatch", "@example.org", "a b@example.org", "a@", "a@b\r\nc", "a@exa mple.org"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="not a mail address"):
        new_tenant().add_users([address])


@pytest.fixture
def tenant() -> Tenant:
    tenant = new_tenant()
    tenant.add_users(["dispatch@example.org", "crew@example.org"])
    tenant.ports.update(entra=1, ews=2, smtp=3, admin=4, bridge_http=5, metadata=6)
    return tenant


def test_the_announcement_has_the_keys_that_scripts_rely_on(tmp_path: Path, tenant: Tenant) -> None:
    announcement = Announcement(tmp_path, tenant, tmp_path / "ca.pem", on_premises=False)
    announcement.write()

    told = json.loads((tmp_path / "sandbox.json").read_bytes())
    assert told == json.loads(announcement.line())
    assert "\n" not in announcement.line()
    assert set(told) == {
        "ews_url", "authority_url", "tenant_id", "client_id", "client_secret", "ca_file", "smtp", "admin_url",
        "mailboxes", "graph_url", "workload_issuer_url", "metadata_url", "identity_endpoint", "identity_header",
    }  # fmt: skip
    assert told["ews_url"] == "https://127.0.0.1:2/EWS/Exchange.asmx"
    assert told["authority_url"] == f"https://127.0.0.1:1/{tenant.tenant_id}"
    assert (told["graph_url"], told["workload_issuer_url"]) == ("https://127.0.0.1:1", "https://127.0.0.1:1/kubernetes")
    assert (told["metadata_url"], told["identity_endpoint"]) == ("http://127.0.0.1:6", "http://127.0.0.1:6/msi/token")
    assert (told["smtp"], told["admin_url"]) == ("127.0.0.1:3", "http://127.0.0.1:4")
    assert [set(mailbox) for mailbox in told["mailboxes"]] == [{"address", "alias", "username", "password"}] * 2


def test_the_bridge_s_configuration_says_the_same(tmp_path: Path, tenant: Tenant) -> None:
    Announcement(tmp_path / 'quo"te', tenant, tmp_path / "ca.pem", on_premises=False)
    Announcement(tmp_path, tenant, tmp_path / "ca.pem", on_premises=False).write()

    told = tomllib.loads((tmp_path / "bridge.toml").read_text())
    assert told["entra"]["tenant_id"] == tenant.tenant_id
    assert told["entra"]["ca_file"] == told["ews"]["ca_file"] == str(tmp_path / "ca.pem")
    assert (tmp_path / "client_secret").read_text() == tenant.apps[0].secrets[0].value
    assert told["entra"]["client_secret_file"] == str(tmp_path / "client_secret")
    assert [mailbox["alias"] for mailbox in told["mailboxes"]] == ["dispatch", "crew"]
    assert told["http"] == {"listen": "127.0.0.1:5"}


async def test_a_port_that_another_holds_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.sandbox.ports._WAIT_SECONDS", 0.05)
    holder, port = free_port()
    with holder, pytest.raises(PortTakenError, match=f"port {port} for ews"):
        await bound("ews", port)

    with await bound("ews", port) as listener:
        assert listener.getsockname() == ("127.0.0.1", port)


def test_ports_are_not_of_those_that_outgoing_connections_take() -> None:
    listener, port = free_port()
    with listener:
        assert 15_000 <= port <= 32_000


def test_the_command_line_says_it_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIDGE_SANDBOX_REALISTIC", raising=False)
    options = parse(
        ["--dir", str(tmp_path), "--mailbox", "a@example.org", "--mailbox", "b@example.org", "--smtp-port", "2525"]
    )

    assert options.mailboxes == ("a@example.org", "b@example.org")
    assert options.wanted_ports() == {"smtp": 2525}
    assert not options.on_premises
    assert not options.realistic


@pytest.mark.parametrize(("arguments", "value"), [(["--realistic"], None), ([], "1")])
def test_a_realistic_world_is_asked_for_by_the_command_line_or_the_environment(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], value: str | None
) -> None:
    if value is not None:
        monkeypatch.setenv("BRIDGE_SANDBOX_REALISTIC", value)

    assert parse(["--dir", "x", *arguments]).realistic


@pytest.mark.parametrize("arguments", [[], ["--dir", "x", "--ews-port", "0"], ["--dir", "x", "--ews-port", "x"]])
def test_a_wrong_command_line_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)

    assert ended.value.code == 2


def test_a_certificate_that_ends_soon_is_made_anew_under_the_same_ca(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ensure_certificates(tmp_path)
    ca, chain = made.ca_file.read_bytes(), made.chain_file.read_bytes()
    monkeypatch.setattr("bridge.sandbox.certificates._RENEW_BEFORE", timedelta(days=3700))

    ensure_certificates(tmp_path)

    assert made.ca_file.read_bytes() == ca
    assert made.chain_file.read_bytes() != chain


def test_a_certificate_of_an_earlier_version_gets_the_names_that_came_later(tmp_path: Path) -> None:
    """Clients keep trusting it: the CA stays."""
    made = ensure_certificates(tmp_path)
    ca, key = made.ca_file.read_bytes(), serialization.load_pem_private_key(made.key_file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    earlier = make_server(key, authority_in_force(tmp_path), names=[x509.DNSName("localhost")])
    made.chain_file.write_bytes(earlier.public_bytes(serialization.Encoding.PEM))
    note = json.loads((tmp_path / "checked.json").read_bytes())
    del note["hosts"]
    (tmp_path / "checked.json").write_text(json.dumps(note))

    assert not are_checked(tmp_path)
    ensure_certificates(tmp_path)

    certificate = x509.load_pem_x509_certificate(made.chain_file.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "login.microsoftonline.us" in names.get_values_for_type(x509.DNSName)
    assert (made.ca_file.read_bytes(), are_checked(tmp_path)) == (ca, True)
