"""What can be wrong with the blob store: one entry for each code, in words, with the fix."""

from __future__ import annotations

from typing import Final

from bridge.telemetry.reason_entry import entry

BLOBS: Final[dict[str, tuple[str, str]]] = {
    "blob_store_unavailable": entry(
        "the blob store does not answer, or answers with trouble of its own",
        "check the network to it, or the disk; large mails wait in the inbox meanwhile",
    ),
    "blob_store_slow": entry(
        "the blob store takes too long",
        "look at its load, or raise blobs.timeout_seconds; large mails wait in the inbox meanwhile",
    ),
    "blob_store_corrupts": entry(
        "the blob store gave back other bytes than it was given",
        "the disk, its memory or a proxy is broken: do not trust it; large mails wait in the inbox meanwhile",
    ),
    "blob_store_unusable": entry("the blob store cannot be used", "look at the log"),
    "blob_store_full": entry(
        "the blob store is full, or its quota is used up",
        "make room, or lower blobs.keep_days as far as the consumers allow",
    ),
    "blob_store_refused": entry(
        "the blob store is read-only, or does not let the bridge in",
        "give the worker's user or key the right to write, read, list and delete there",
    ),
    "blob_store_missing": entry(
        "the blob store is not there: no such directory, bucket or container",
        "mount or make what blobs.url names; the bridge makes neither, so that no mail goes to the wrong disk",
    ),
    "spool_unusable": entry(
        "the directory for temporary files is full or read-only: large mails cannot be taken in",
        "make room there, or name another directory in the variable TMPDIR of the worker",
    ),
    "too_large_for_transport": entry(
        "a request's mail is larger than Exchange takes",
        "send less: one attachment up to 48 MB and mails up to 150 MB, encoded; bare requests up to 48 MB",
    ),
    "blob_missing": entry(
        "a request names a blob that does not exist",
        "write the blob before the request is published",
    ),
    "blob_changed": entry(
        "a blob has another size or other bytes than the request says",
        "never change a blob whose request is under way",
    ),
    "blob_refused": entry(
        "a request names something that is no blob of the configured store",
        "name a blob beneath blobs.url: plain names, no symbolic links",
    ),
}

GENERAL: Final[dict[str, str]] = {
    "blob_store_slow": "blob_store_unavailable",
    "blob_store_corrupts": "blob_store_unavailable",
    "blob_store_full": "blob_store_unusable",
    "blob_store_refused": "blob_store_unusable",
    "blob_store_missing": "blob_store_unusable",
    "spool_unusable": "blob_store_unusable",
}
"""Codes that say more exactly what another one says; an event carries the general one."""

STORE_TROUBLES: Final = frozenset({*GENERAL, *GENERAL.values()})
"""Codes of a store that takes nothing: large mails wait for it, and no other."""
