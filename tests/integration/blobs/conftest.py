from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.blob_servers import an_azurite, an_s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    with an_s3_server() as url:
        yield url


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with an_azurite(tmp_path_factory.mktemp("azurite")) as endpoint:
        yield endpoint
