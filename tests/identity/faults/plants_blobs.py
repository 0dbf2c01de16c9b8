"""Faults of the blob store."""

from __future__ import annotations

from tests.identity.faults.plant import Plant, with_variables

PLANTS = [
    Plant(
        "the blob store's directory is missing",
        "blob_store_missing",
        with_variables(lambda _: {"BRIDGE_BLOBS__URL": "file:///nowhere/blobs"}),
    ),
    Plant(
        "the blob store does not let the bridge in",
        "blob_store_refused",
        with_variables(lambda _: {"BRIDGE_BLOBS__URL": "file:///sys/kernel"}),
    ),
]
