"""The ground of all tests of this folder; what one plants it takes away again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.identity.faults.ground import Ground

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with Ground.prepared(tmp_path_factory.mktemp("faults")) as prepared:
        yield prepared
