"""What the broker's section names files for, as those files are now: a renewed password needs no restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from bridge.config import rules
from bridge.telemetry import descriptors
from bridge.telemetry.descriptors import says_none_left
from bridge.telemetry.logging import logger

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.config.rabbitmq import RabbitMqSettings


class CurrentUrls:
    """
    Gives the urls each time as they are now; a file that holds none that can be used leaves the last ones.

    An open connection goes on with the password that it was made with; RabbitMQ asks for it once.
    """

    def __init__(self, section: RabbitMqSettings) -> None:
        self._section = section
        self._last = section.urls

    def __call__(self) -> tuple[str, ...]:
        """Return them. It may block."""
        file = self._section.urls_file
        if file is not None:
            try:
                self._last = self._checked(file)
            except (OSError, UnicodeDecodeError, PydanticCustomError, ValueError) as error:
                logger().warning("broker.urls_file_unusable", reason=_reason(error))
        return tuple(url.get_secret_value() for url in self._last)

    def _checked(self, file: Path) -> tuple[SecretStr, ...]:
        """Return what the file holds, checked as at the start."""
        given = tuple(SecretStr(text) for text in file.read_text("utf-8-sig").split())
        # The whole section is looked at again: the way to sign in has to fit the urls.
        checked = type(self._section).model_validate({**dict(self._section), "urls": rules.amqp_urls(given)})
        return checked.urls


class CurrentPassphrase:
    """Gives the passphrase of the client certificate's key, as it is now; an empty file leaves that of the start."""

    def __init__(self, section: RabbitMqSettings) -> None:
        self._section = section

    def __call__(self) -> str:
        """Return it. It may block."""
        file, loaded = self._section.client_key_passphrase_file, self._section.client_key_passphrase
        if file is not None:
            try:
                if text := file.read_text("utf-8-sig").strip():
                    return text
            except (OSError, UnicodeDecodeError) as error:
                logger().warning("broker.passphrase_file_unusable", reason=_reason(error))
        return loaded.get_secret_value() if loaded is not None else ""


def _reason(error: Exception) -> str:
    return descriptors.CODE if says_none_left(error) else type(error).__name__
