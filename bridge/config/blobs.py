"""The blob store: where what is too large for the broker goes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from bridge.config import rules
from bridge.config.section import OptionalSecret, Seconds, Section

_NAMES = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


class BlobSettings(Section):
    """A store for what is too large for the broker. Without this table mails go as far as the broker's largest body."""

    url: str
    """`file:///directory` (it must exist), `s3://bucket/prefix` or `az://container/prefix`; the last two need the extra
    `blobs`."""
    above_bytes: int = Field(default=1024 * 1024, ge=1024, le=8 * 1024 * 1024)
    """Attachments and raw mails larger than this go to the store, and their url, size and SHA-256 into the payload."""
    keep_days: int = Field(default=90, ge=0, le=3650)
    """Days after which the bridge removes a blob that it wrote; longer than any queue keeps a payload. 0: never, the
    store has a rule of its own."""
    timeout_seconds: Seconds = 60
    """Longest wait for the store, and a second more for each megabyte written or read."""
    endpoint_url: str | None = None
    """Where the store is, unless it is Amazon's or Azure's own: of MinIO, Ceph, Azure's sovereign clouds or a private
    endpoint."""
    ca_file: Path | None = None
    """PEM file with CA certificates to trust for it as well."""
    region: str | None = None
    """S3: the bucket's region. `AWS_REGION` unless given."""
    access_key_id: str | None = None
    """S3: the access key. Without it the usual variables `AWS_...`, or the machine's or pod's own role, count."""
    secret_access_key: OptionalSecret = None
    """S3: its secret."""
    secret_access_key_file: Path | None = None
    """A file that holds it."""
    account_name: str | None = None
    """Azure: the storage account. `AZURE_STORAGE_ACCOUNT_NAME` unless given."""
    account_key: OptionalSecret = None
    """Azure: its key. Without it the usual variables `AZURE_...`, or the managed or workload identity, count."""
    account_key_file: Path | None = None
    """A file that holds it."""

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        return store_url(value)

    @field_validator("endpoint_url")
    @classmethod
    def _endpoint(cls, value: str | None) -> str | None:
        return rules.management_url(value)

    @model_validator(mode="after")
    def _fits_the_kind(self) -> Self:
        keys = {
            "file": (),
            "s3": ("endpoint_url", "ca_file", "region", "access_key_id", "secret_access_key"),
            "az": ("endpoint_url", "ca_file", "account_name", "account_key"),
        }
        others = {key for given in keys.values() for key in given} - set(keys[self.kind])
        problems = [
            rules.Wrong(key, f"has no place beside {self.kind}://", "remove it")
            for key in sorted(others)
            if getattr(self, key) is not None
        ]
        if (self.access_key_id is None) != (self.secret_access_key is None):
            problems.append(rules.Wrong("access_key_id", "goes with secret_access_key", "give both, or neither"))
        if problems:
            raise rules.several(problems)
        return self

    @property
    def kind(self) -> Literal["file", "s3", "az"]:
        """Return which of the three it is."""
        scheme = self.url.partition("://")[0]
        return "s3" if scheme == "s3" else "az" if scheme == "az" else "file"


def store_url(value: str) -> str:
    """Accept the url of a store; slashes at its end are taken off."""
    fix = "write file:///var/lib/bridge/blobs, s3://bucket/prefix or az://container/prefix"
    try:
        parts = urlsplit(value)
    except ValueError:
        raise rules.wrong("", "is no URL", fix, "setting_malformed") from None
    path = parts.path.strip("/")
    named = _NAMES.fullmatch(path) is not None and not {".", ".."} & set(path.split("/"))
    in_cloud = parts.scheme in {"s3", "az"} and _NAMES.fullmatch(parts.netloc) is not None and (named or not path)
    if not (in_cloud or (parts.scheme == "file" and not parts.netloc and named)) or parts.query or parts.fragment:
        what = "is not the url of a store: plain names of letters, digits, '.', '_' and '-'"
        raise rules.wrong("", what, fix, "setting_malformed")
    return f"{parts.scheme}://{parts.netloc}{'/' + path if path else ''}"
