"""Which keys the bridge makes, and which urls of others it follows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge.domain.blobs import is_own, key_for, key_in, url_of
from bridge.errors import BlobRefused

STORE = "s3://bucket/bridge"
DIGEST = "ab" * 32


@pytest.mark.parametrize("received_at", [datetime(2026, 1, 2, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), None])
def test_a_mails_key_is_one_of_the_bridge_and_is_found_again_by_its_url(received_at: datetime | None) -> None:
    key = key_for("dispatch", received_at, "0" * 40, DIGEST)

    assert is_own(key)
    assert key_in(STORE, url_of(STORE, key)) == key


def test_the_key_of_a_mail_says_alias_date_message_and_content() -> None:
    assert (
        key_for("night-line", datetime(2026, 1, 2, tzinfo=UTC), "f00", DIGEST) == f"night-line/2026-01-02/f00/{DIGEST}"
    )


@pytest.mark.parametrize("key", ["reports/plan.pdf", f"dispatch/2026-01-02/{DIGEST}", f"a/b/c/{DIGEST}", "x"])
def test_keys_of_others_are_not_taken_for_the_bridges(key: str) -> None:
    assert not is_own(key)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "s3://other/bridge/x",
        "s3://bucket/bridgex/x",
        "s3://bucket/bridge",
        "s3://bucket/bridge/",
        "s3://bucket/bridge//x",
        "s3://bucket/bridge/../x",
        "s3://bucket/bridge/a/../../x",
        "s3://bucket/bridge/./x",
        "s3://bucket/bridge/..",
        "s3://bucket/bridge/.hidden",
        "s3://bucket/bridge/a\\b",
        "s3://bucket/bridge/a%2e%2e/x",
        "s3://bucket/bridge/a?versionId=1",
        "s3://bucket/bridge/a#b",
        "s3://bucket/bridge/a b",
        "s3://bucket/bridge/a\nb",
        "s3://bucket/bridge/a\n",
        "s3://bucket/bridge/" + "a" * 256,
        "s3://bucket/bridge/" + "/".join("a" * 17),
        "S3://bucket/bridge/x",
        "",
    ],
)
def test_a_url_that_leads_elsewhere_or_may_is_refused(url: str) -> None:
    with pytest.raises(BlobRefused):
        key_in(STORE, url)


@pytest.mark.parametrize("key", ["plan.pdf", "out/2026/plan-1_final.v2.pdf", "a@b/c+d~e,f=g"])
def test_plain_names_beneath_the_store_pass(key: str) -> None:
    assert key_in(STORE, f"{STORE}/{key}") == key
