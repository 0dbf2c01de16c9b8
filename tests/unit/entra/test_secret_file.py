"""The secret's file while an administrator renews it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from bridge.bootstrap import entra_tokens
from bridge.config import EntraSettings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"renewed\n", "renewed"), (b"\xef\xbb\xbfrenewed\r\n", "renewed"), (b"", "as loaded"), (None, "as loaded")],
)
def test_the_file_counts_as_soon_as_it_holds_a_secret(tmp_path: Path, content: bytes | None, secret: str) -> None:
    """A byte order mark, as some editors write it, is no part of the secret: the start reads it so too."""
    file = tmp_path / "secret"
    settings = EntraSettings(
        tenant_id="5f1c1a8e-0000-4000-8000-000000000001",
        client_id="5f1c1a8e-0000-4000-8000-000000000002",
        client_secret=SecretStr("as loaded"),
        client_secret_file=file,
    )
    tokens = entra_tokens(settings)
    if content is not None:
        file.write_bytes(content)

    assert tokens._read_secret() == secret
