"""The table [blobs]."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bridge.config.blobs import BlobSettings


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("file:///var/lib/bridge/blobs", "file:///var/lib/bridge/blobs"),
        ("file:///var/lib/bridge/blobs/", "file:///var/lib/bridge/blobs"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("az://container/a", "az://container/a"),
    ],
)
def test_the_url_of_a_store_is_kept_without_slashes_at_its_end(url: str, kept: str) -> None:
    assert BlobSettings(url=url).url == kept


@pytest.mark.parametrize(
    "url",
    [
        "/var/lib/blobs", "file://host/x", "file:///", "file:///a/../b", "s3://", "s3:///x", "gs://bucket", "s3://b/a//b",
        "s3://user:password@bucket", "s3://bucket?x=1", "s3://bucket#x", "https://bucket.example.org", "az://c/..", "",
        "file:///a b",
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_store_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        BlobSettings(url=url)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "file:///x", "region": "eu-central-1"},
        {"url": "s3://b", "account_name": "x"},
        {"url": "az://c", "access_key_id": "x", "secret_access_key": "y"},
        {"url": "s3://b", "access_key_id": "x"},
        {"url": "s3://b", "secret_access_key": "x"},
        {"url": "s3://b", "endpoint_url": "http://minio.example.org"},
        {"url": "s3://b", "above_bytes": 10},
        {"url": "s3://b", "unknown": 1},
    ],
)
def test_what_does_not_fit_the_kind_of_store_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BlobSettings(**wrong)


def test_secrets_are_not_shown() -> None:
    shown = repr(BlobSettings.model_validate({"url": "s3://b", "access_key_id": "x", "secret_access_key": "hush-hush"}))

    assert "hush-hush" not in shown
